"""What a compiled function reads, changes, shares and notices, compared with the same function run eagerly."""

from __future__ import annotations

import collections
import functools
import sys
import threading
import types

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, GraphError, Tensor, compile, no_grad
from compiled_steps import X, Y, agree, close, network, pair, same

rng = np.random.default_rng(0)
FACTOR = 2.0


# ---- what is shared, and what is not


@pytest.mark.parametrize("optimizer", [lambda p: nn.SGD(p, lr=0.1), lambda p: nn.Adam(p, lr=0.01, eps=0.01)])
def test_what_others_hold_is_never_written_into(optimizer):
    (step, model, _), (eager, other, _) = pair(optimizer)
    kept = []
    for i in range(9):
        step(X, Y), eager(X, Y)
        agree(model, other)
        if i % 2:  # every other step, other code keeps references
            weight = model[0].weight
            states = model.state_dict()
            kept.append((states["0.weight"], states["0.weight"].copy()))
            kept.append((weight.data.T[1:], weight.data.T[1:].copy()))
            kept.append((weight.grad, weight.grad.data.copy()))
            kept.append((model[2].bias.grad.data, model[2].bias.grad.data.copy()))
    for array, copy in kept:
        same(array, copy)
    assert step.stats.compiles <= 2 and step.stats.eager == 0


def test_a_compiled_step_makes_no_new_arrays_for_weights_that_nobody_holds():
    (step, model, _), _ = pair()
    for _ in range(4):
        step(X, Y)
    before = [id(p.data) for p in model.parameters()]
    step(X, Y)
    assert [id(p.data) for p in model.parameters()] == before


def test_results_are_the_callers_own():
    @compile
    def f(x):
        return x * 2.0, x.T, x[0]

    found = [f(np.full((2, 3), float(i))) for i in range(5)]
    for i, (a, b, c) in enumerate(found):
        assert (a == 2 * i).all() and (b == i).all() and (c == i).all() and b.shape == (3, 2)
    large = compile(lambda x: x + 1.0)
    held = [large(np.full(1000, float(i))) for i in range(4)]
    assert [a[0] for a in held] == [1, 2, 3, 4] and f.stats.compiles == 1


def test_steps_as_they_are_written_may_come_between():
    (step, model, optimizer), (eager, other, _) = pair(lambda p: nn.SGD(p, lr=0.1, momentum=0.9))
    for i in range(12):
        if i % 3 == 2:
            step.function(X, Y)
        else:
            step(X, Y)
        eager(X, Y)
        if i == 5:
            model.load_state_dict({k: v * 0.5 for k, v in model.state_dict().items()})
            other.load_state_dict({k: v * 0.5 for k, v in other.state_dict().items()})
            optimizer.load_state_dict(optimizer.state_dict())
        agree(model, other)
    assert step.stats.eager == 0


def test_gradients_that_add_up_do_so():
    models = [network(), network()]
    loss_of = nn.CrossEntropyLoss()

    def backward(model, X, y):
        loss = loss_of(model(X), y)
        loss.backward()
        return loss

    compiled = compile(backward)
    for i in range(6):
        close(compiled(models[0], X, Y), backward(models[1], X, Y))
        agree(*models)
        if i == 3:
            for model in models:
                model.zero_grad()
    assert compiled.stats.eager == 0


def test_a_gradient_that_somebody_has_set_is_looked_at_before_it_is_added_to():
    w, x = Tensor(np.ones((2, 3)), requires_grad=True), np.arange(6.0).reshape(2, 3)
    add = compile(lambda x: (w * x).sum().backward())
    for given in (np.zeros((2, 3)), np.zeros((2, 3), order="F")):
        w.grad = Tensor(given)
        add(x)
        assert w.grad.data.tolist() == x.tolist()
    with pytest.raises(TypeError, match="must be a Tensor of shape"):
        w.grad = Tensor(1.0)


def test_zero_grad_outside_and_step_outside():
    models = [network(), network()]
    optimizers = [nn.Adam(model.parameters(), lr=0.01) for model in models]
    loss_of = nn.CrossEntropyLoss()

    def backward(model):
        loss = loss_of(model(X), Y)
        loss.backward()
        return loss

    compiled = compile(backward)
    for _ in range(5):
        for f, model, optimizer in zip((compiled, backward), models, optimizers, strict=True):
            optimizer.zero_grad()
            f(model)
            optimizer.step()
        agree(*models)
    assert compiled.stats.compiles == 1


def test_a_learning_rate_of_zero_still_has_its_gradients():
    (step, model, optimizer), (eager, other, optimizer2) = pair()
    for lr in (0.1, 0.1, 0.0, 0.05):
        optimizer.lr = optimizer2.lr = lr
        step(X, Y), eager(X, Y)
        agree(model, other)
    assert step.stats.compiles == 1 and step.stats.eager == 1


# ---- what changes around a function


def test_options_that_change_are_noticed():
    (step, model, optimizer), (eager, other, optimizer2) = pair(lambda p: nn.SGD(p, lr=0.1, momentum=0.5))
    for i in range(10):
        if i == 4:
            optimizer.groups[0]["momentum"] = optimizer2.groups[0]["momentum"] = 0.9
        if i == 6:
            model[0].weight.requires_grad = other[0].weight.requires_grad = False
            model[0].weight.grad = other[0].weight.grad = None
        if i == 8:
            for m in (model, other):
                m.items.append(nn.Tanh())
        step(X, Y), eager(X, Y)
        agree(model, other)


class Scaler:
    shift = 1.0

    def __init__(self):
        self.factor, self.unread = 2.0, 0

    def __call__(self, x):
        return self.scaled(x) + self.shift

    def scaled(self, x):
        return x * self.factor * FACTOR


def test_names_attributes_and_globals_that_change_are_noticed(monkeypatch):
    scaler = Scaler()

    def inner(x):
        return scaler(x) * 2.0

    f = compile(lambda x: inner(x) + 1.0)
    x = np.arange(3.0)
    same(f(x), inner(x) + 1.0)
    for change in (
        lambda: setattr(scaler, "factor", 3.0),
        lambda: setattr(scaler, "shift", 5.0),  # hides the one of the class
        lambda: monkeypatch.setattr(Scaler, "shift", 7.0),
        lambda: delattr(scaler, "shift"),
        lambda: monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5.0),
        lambda: monkeypatch.setattr(Scaler, "scaled", lambda self, x: x),
    ):
        change()
        close(f(x), inner(x) + 1.0)
        close(f(x), inner(x) + 1.0)
    compiles = f.stats.compiles
    for i in range(5):
        scaler.unread = i  # no code names it
        f(x)
    assert f.stats.compiles == compiles and f.stats.eager == 0


class Options:
    scale = 2.0


def test_namespaces_classes_and_wrapped_functions_that_change_are_noticed():
    options, queue = types.SimpleNamespace(shift=1.0), collections.deque([1.0, 2.0])

    @functools.lru_cache
    def offset():
        return options.shift

    def inner(x):
        return x * Options.scale + options.shift + queue[-1]

    f = compile(lambda x: inner(x) + offset())
    x = np.arange(3.0)
    for i in range(4):
        offset.cache_clear()
        close(f(x), inner(x) + offset())
        if i == 0:
            options.shift = 5.0
        if i == 1:
            Options.scale = 3.0
        if i == 2:
            queue.append(7.0)
    assert f.stats.compiles == 4


def test_arrays_that_are_no_arguments_may_change_in_place_and_be_replaced():
    table, held = np.arange(4.0), {"mask": np.array([1.0, 0.0, 1.0, 0.0])}

    @compile
    def f(x):
        return x * table + held["mask"] * 2.0

    def g(x):
        return x * table + held["mask"] * 2.0

    x = np.ones(4)
    for i in range(6):
        same(f(x), g(x))
        table[i % 4] = -1.0
        if i == 2:
            table = np.arange(4.0) * 3
        if i == 3:
            held["mask"] = np.ones(4)
    assert f.stats.compiles == 1


def test_arrays_of_positions_are_constants_until_they_change():
    positions = [0, 2]
    where = np.array([1, 0])

    @compile
    def f(x):
        return sum(x[int(i)] for i in where) + x[positions].sum()

    x = np.arange(3.0)
    assert [f(x), f(x)] == [3.0, 3.0] and f.stats.compiles == 1
    where[0] = 2
    assert f(x) == 4.0
    positions[0] = 1
    assert f(x) == 5.0 and f.stats.eager == 0


def test_another_model_in_the_same_name():
    model = network(0)
    f = compile(lambda x: model(x))
    with no_grad():
        close(f(X), model(X))
        model = network(1)
        close(f(X), model(X))
        f(X)
    assert f.stats.compiles == 2


# ---- results that have a graph


def test_what_is_compiled_without_its_backward_pass_still_has_gradients():
    models = [network(), network()]
    forward = compile(models[0])
    for _ in range(3):
        outputs = forward(X), models[1](X)
        close(*outputs)
        for output, model in zip(outputs, models, strict=True):
            model.zero_grad()
            (output * output).sum().backward()
        agree(*models)
    assert forward.stats.compiles == 1 and forward.stats.eager == 0


def test_gradients_flow_through_arguments():
    f = compile(lambda x, y: (np.sin(x) * y, x + y))
    for _ in range(3):
        a, b = (Tensor(rng.normal(size=3), requires_grad=True) for _ in range(2))
        first, second = f(a * 2.0, b)
        (first * second).sum().backward()
        x, y = 2 * a.data, b.data
        close(a.grad, 2 * (np.cos(x) * y * (x + y) + np.sin(x) * y))
        close(b.grad, np.sin(x) * (x + y) + np.sin(x) * y)
    assert f.stats.compiles == 1
    with pytest.raises(CompileError, match="goes on beyond the function"):
        compile(lambda x: x.sum().backward())(a * 2.0)


def test_leaves_as_arguments_may_be_others_each_time():
    @compile
    def f(w):
        loss = (w * w).sum()
        loss.backward()
        return loss

    held = []
    for i in range(4):
        w = Tensor(np.arange(3.0) + i, requires_grad=True)
        f(w)
        held.append((w, w.grad))
    for i, (w, grad) in enumerate(held):
        same(grad, 2 * (np.arange(3.0) + i))
        assert w.grad is grad
    assert f.stats.compiles == 1


def test_gradients_of_functions_compile():
    def f(x, y):
        return np.sum(np.exp(-x * x) * np.sin(y))

    x, y = rng.normal(size=(2, 5))
    for derived in (
        autograd.value_and_grad(f, (0, 1)), autograd.grad(f), autograd.hessian(f),
        autograd.jacobian(lambda x, y: x * y),
        autograd.jacobian(lambda x, y: np.tanh(x) ** 2, vectorize=True),
    ):  # fmt: skip
        compiled = compile(derived)
        for _ in range(2):
            found, expected = compiled(x, y), derived(x, y)
            for a, b in zip(*(t if isinstance(t, tuple) else (t,) for t in (found, expected)), strict=True):
                for u, v in zip(*(t if isinstance(t, tuple) else (t,) for t in (a, b)), strict=True):
                    close(u, v)
        assert compiled.stats.compiles == 1 and compiled.stats.eager == 0


# ---- interrupts, errors and threads


def test_an_interrupt_leaves_weights_whole_and_gradients_marked(monkeypatch):
    (step, model, _), (eager, _, _) = pair(lambda p: nn.Adam(p, lr=0.01))
    for _ in range(3):
        step(X, Y), eager(X, Y)
    plan, before = step.plans[0], [p.data.copy() for p in model.parameters()]
    program = plan.program.run

    def interrupted(*given):
        program(*given[:-2], *(a.copy() for a in given[-2:]))
        raise KeyboardInterrupt

    plan.space["program"] = interrupted
    weights = [p.data for p in model.parameters()]
    with pytest.raises(KeyboardInterrupt):
        step(X, Y)
    del weights, before
    with pytest.raises(GraphError, match="this gradient was lost"):
        model[0].weight.grad.data  # noqa: B018
    plan.space["program"] = program
    step(X, Y)
    assert np.isfinite(model[0].weight.grad.data).all()


def test_errors_of_floating_point_move_all_weights_or_none():
    w = [Tensor(np.float32([x, 1.0]), requires_grad=True) for x in (1e38, 1e38, 2.0)]
    optimizer = nn.SGD(w, lr=3e38)  # so that nothing overflows before the weights move

    @compile
    def step(scale):
        optimizer.zero_grad()
        ((w[0] + w[1] + w[2]) * scale).sum().backward()
        optimizer.step()

    with np.errstate(all="ignore"):
        for _ in range(3):
            step(np.zeros((), np.float32))
    before = [x.data.copy() for x in w]
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        step(np.full((), -1.0, np.float32))
    moved = [not np.array_equal(a, x.data) for a, x in zip(before, w, strict=True)]
    assert all(moved) or not any(moved)


def test_threads_may_call_one_compiled_function():
    f = compile(lambda x: np.exp(np.sin(x) * 2.0).sum(axis=0) * x)
    inputs = [rng.normal(size=(64, 3)) for _ in range(8)]
    found = [[] for _ in inputs]

    def work(i):
        for _ in range(30):
            found[i].append(f(inputs[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, results in zip(inputs, found, strict=True):
        for result in results:
            close(result, np.exp(np.sin(x) * 2.0).sum(axis=0) * x)
    assert f.stats.compiles == 1
