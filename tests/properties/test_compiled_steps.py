"""What a compiled function reads, changes, shares and notices, compared with the same function run eagerly."""

from __future__ import annotations

import collections
import functools
import sys
import types

import numpy as np
import pytest

import nn
from autograd import AuditError, Tensor, compile, no_grad
from compiled_steps import ONE, X, Y, agree, close, network, pair, same

rng = np.random.default_rng(0)
FACTOR = 2.0


# ---- what is shared, and what is not


@pytest.mark.parametrize("optimizer", [lambda p: nn.SGD(p, lr=0.1), lambda p: nn.Adam(p, lr=0.01, eps=0.01)])
@pytest.mark.parametrize("grads", [True, None])
def test_what_others_hold_is_never_written_into(optimizer, grads):
    (step, model, _), (eager, other, _) = pair(optimizer, grads)
    kept = []
    for i in range(9):
        step(X, Y), eager(X, Y)
        if not grads and i:  # only the first call, which runs as written, leaves gradients
            assert all(p.grad is None for p in model.parameters())
            other.zero_grad()
        agree(model, other)
        if i % 2:  # every other step, other code keeps references
            weight = model[0].weight
            states = model.state_dict()
            kept.append((states["0.weight"], states["0.weight"].copy()))
            kept.append((weight.data.T[1:], weight.data.T[1:].copy()))
            if grads:
                kept.append((weight.grad, weight.grad.data.copy()))
                kept.append((model[2].bias.grad.data, model[2].bias.grad.data.copy()))
    for array, copy in kept:
        same(array, copy)
    assert step.stats.compiles == 1 and step.stats.eager == 0


def test_a_compiled_step_makes_no_new_arrays_for_weights_that_nobody_holds():
    (step, model, _), _ = pair()
    for _ in range(5):
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


def test_a_function_without_a_result_has_none():
    w = Tensor(np.ones(2), requires_grad=True)
    f = compile(lambda x: (w * x).sum().backward())
    g = compile(lambda x: (None, x * 2.0, {"a": None}))
    for _ in range(4):
        assert f(np.ones(2)) is None
        first, second, third = g(np.ones(2))
        assert first is None and third == {"a": None}
        same(second, np.full(2, 2.0))


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
    assert step.stats.compiles == 1 and step.stats.eager == 0


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
                m.items = [*m.items, nn.Tanh()]
        step(X, Y), eager(X, Y)
        agree(model, other)


def test_what_the_functions_own_names_refer_to_is_noticed_at_once(monkeypatch):
    scale, model, mask, rest = 2.0, network(0), np.ones(3, np.float32), (np.ones(3),)

    ones = np.ones(3)

    def f(x, shift=1.0, other=(ones,)):
        return model(x) * scale * FACTOR * mask + shift + rest[0] + other[0]

    def rebind():
        nonlocal scale, model, mask, rest
        yield
        scale = 3.0
        yield
        model = network(1)
        yield
        mask = np.zeros(3, np.float32)
        yield
        rest = (np.zeros(3),)
        yield
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5.0)
        yield
        f.__defaults__ = (2.0, (np.ones(3),))
        yield
        f.__defaults__ = (2.0, (np.zeros(3),))
        yield

    compiled = compile(f, audit=False)
    with no_grad():
        for _ in rebind():
            for _ in range(3):
                close(compiled(X), f(X))
    assert compiled.stats.compiles == 7 and compiled.stats.eager == 0  # another mask is only read


class Scaled(nn.Module):
    def __init__(self):
        self.factor, self.table, self.pair = 2.0, np.ones(4), (np.ones(4), "a")

    def forward(self, x):
        return x * self.factor * self.table + self.pair[0]


def test_attributes_of_modules_are_noticed_at_once():
    module = Scaled()
    f = compile(lambda x: module(x) + 1.0, audit=False)
    x = np.arange(4.0)
    for name, value in (("factor", 3.0), ("table", np.zeros(4)), ("pair", (np.zeros(4), "a")), ("new", 1)):
        for _ in range(3):
            same(f(x), module(x) + 1.0)
        setattr(module, name, value)
    same(f(x), module(x) + 1.0)
    assert f.stats.compiles == 4 and f.stats.eager == 0


class Scaler:
    shift = 1.0

    def __init__(self):
        self.factor, self.unread = 2.0, 0

    def __call__(self, x):
        return self.scaled(x) + self.shift

    def scaled(self, x):
        return x * self.factor * FACTOR


class Options:
    scale = 2.0


def audited(compiled, function, x, changes):
    """Each change that no call looks at is found by the next audit, and the call after it is right."""
    for change in changes:
        for _ in range(3):
            close(compiled(x), function(x))
        change()
        with pytest.raises(AuditError, match="the result; something that it reads has changed"):
            compiled(x)
    close(compiled(x), function(x))


def test_attributes_and_globals_behind_other_functions_are_found_by_audits(monkeypatch):
    scaler = Scaler()

    def inner(x):
        return scaler(x) * 2.0

    f = compile(lambda x: inner(x) + 1.0, audit="always")
    x = np.arange(1.0, 4.0)
    changes = (
        lambda: setattr(scaler, "factor", 3.0),
        lambda: setattr(scaler, "shift", 5.0),  # hides the one of the class
        lambda: delattr(scaler, "shift"),
        lambda: monkeypatch.setattr(Scaler, "shift", 7.0),
        lambda: monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5.0),
        lambda: monkeypatch.setattr(Scaler, "scaled", lambda self, x: x),
    )
    audited(f, lambda x: inner(x) + 1.0, x, changes)
    close(f(x), inner(x) + 1.0)
    compiles = f.stats.compiles
    for i in range(5):
        scaler.unread = i  # no code reads it
        f(x)
    assert f.stats.compiles == compiles and f.stats.eager == 0


def test_namespaces_classes_and_containers_are_found_by_audits():
    options, queue, positions = types.SimpleNamespace(shift=1.0), collections.deque([1.0, 2.0]), [0, 2]

    @functools.lru_cache
    def offset():
        return options.shift

    def inner(x):
        return x * Options.scale + options.shift + queue[-1] + x[positions].sum()

    changes = (
        lambda: (offset.cache_clear(), setattr(options, "shift", 5.0)),
        lambda: setattr(Options, "scale", 3.0),
        lambda: queue.append(7.0),
        lambda: positions.__setitem__(0, 1),
    )
    audited(
        compile(lambda x: inner(x) + offset(), audit="always"), lambda x: inner(x) + offset(), np.arange(3.0), changes
    )


def test_layers_that_are_added_in_place_are_found_by_audits():
    model = network()
    f = compile(lambda x: model(x).data, audit="always")
    with no_grad():
        audited(f, lambda x: model(x).data, X, [lambda: model.items.append(nn.Tanh())])


def test_a_change_is_found_by_the_next_audit_and_no_later():
    scaler, found = Scaler(), []
    f = compile(lambda x: scaler(x))
    for i in range(1, 1101):
        scaler.factor = float(i >= 10) + float(i >= 600)
        try:
            f(np.ones(2))
        except AuditError:
            found.append(i)
    assert found == [10 + 6, 16 + 512 + 500]  # of the second program, the 512th call and the 1012th are audits
    assert f.stats.compiles == 3


def test_after_an_audit_the_state_is_that_of_the_function_as_written():
    scaler, runs = Scaler(), []
    for wrap in (compile(audit="always", grads=True), lambda f: f):
        w = Tensor(np.ones(2), requires_grad=True)
        optimizer = nn.SGD([w], lr=0.1, momentum=0.9)

        @wrap
        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            (w * scaler(x)).sum().backward()
            optimizer.step()

        runs.append((step, w, optimizer))
    (step, w, optimizer), (eager, v, other) = runs
    for i in range(8):
        if i == 4:
            scaler.factor = 3.0
            with pytest.raises(AuditError, match="the new value of"):
                step(ONE)
        else:
            step(ONE)
        eager(ONE)
        close(w, v)
        close(w.grad, v.grad)
        close(optimizer.state[0]["velocity"], other.state[0]["velocity"])
    assert step.stats.compiles == 2


def test_arrays_that_are_no_arguments_may_change_in_place_and_be_replaced():
    table, held = np.arange(4.0), {"mask": np.array([1.0, 0.0, 1.0, 0.0])}

    def g(x):
        return x * table + held["mask"]

    f = compile(lambda x: x * table + held["mask"], audit="always")
    x = np.ones(4)
    for i in range(6):
        same(f(x), g(x))
        table[i % 4] = -1.0
        if i == 2:
            table = np.arange(4.0) * 3
        held["mask"][i % 4] = 5.0
    assert f.stats.compiles == 1
    held["mask"] = np.zeros(4)  # another array, and only the dict knows
    with pytest.raises(AuditError):
        f(x)
    same(f(x), g(x))


def test_positions_may_be_in_tuples_and_arrays():
    where = (1, 0)
    f = compile(lambda x: sum(x[i] for i in where))
    x = np.arange(3.0)
    assert [f(x) for _ in range(3)] == [1.0] * 3 and f.stats.compiles == 1
    where = (2, 0)
    assert [f(x) for _ in range(3)] == [2.0] * 3 and f.stats.compiles == 2
    for where in map(np.array, ([2, 1], [1, 1], [0, 1], [2, 2], [0, 0])):  # arrays are read in every call
        assert f(x) == sum(where)
    assert f.stats.compiles == 3
