"""Results of compiled functions that have a graph; interrupts, errors and threads."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile, no_grad
from compiled_steps import ONE, X, Y, agree, close, network, pair, same

rng = np.random.default_rng(0)
FACTOR = 2.0


# ---- results that have a graph


LIVE = "is not compiled: its result has a graph.*backward.. inside.*value_and_grad.*no_grad"


def test_a_function_whose_result_has_a_graph_runs_as_written():
    models = [network(), network()]
    forward = compile(models[0])
    for i in range(4):
        with pytest.warns(RuntimeWarning, match=LIVE) if i == 1 else contextlib.nullcontext():
            outputs = forward(X), models[1](X)
        close(*outputs)
        for output, model in zip(outputs, models, strict=True):
            model.zero_grad()
            (output * output).sum().backward()
        agree(*models)
    assert forward.stats.compiles == 0 and forward.stats.eager == 3
    with no_grad():  # is another signature
        for _ in range(3):
            close(forward(X), models[1](X))
    assert forward.stats.compiles == 1


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: {"a": [1, y]}, lambda y: y * 2.0])
def test_no_graph_is_lost_in_a_result(wrap):
    w, v = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
    optimizer = nn.SGD([w], lr=0.1)

    def f(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        y = v * x
        y.register_hook(lambda g: g * 5)
        return wrap(y)

    def total(found):
        return (found["a"][1] if isinstance(found, dict) else found).sum()

    g = compile(f)
    for i in range(4):
        with pytest.warns(RuntimeWarning, match=LIVE) if i == 1 else contextlib.nullcontext():
            found = total(g(ONE))
        v.grad = None
        found.backward()
        gradient, v.grad = v.grad, None
        total(f(ONE)).backward()
        same(gradient, v.grad)
    detached = compile(lambda x: total(f(x)).detach())
    for _ in range(4):
        detached(ONE)
    assert detached.stats.compiles == 1 and detached.stats.eager == 0


def test_gradients_do_not_go_on_beyond_the_function():
    beyond = compile(lambda x: x.sum().backward())
    a = Tensor(np.ones(2), requires_grad=True)
    beyond(a * 2.0)
    gradient = a.grad.data.copy()
    with pytest.raises(CompileError, match="goes on beyond the function"):
        beyond(a * 2.0)
    same(a.grad, gradient)


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
        for _ in range(3):
            found, expected = compiled(x, y), derived(x, y)
            for a, b in zip(*(t if isinstance(t, tuple) else (t,) for t in (found, expected)), strict=True):
                for u, v in zip(*(t if isinstance(t, tuple) else (t,) for t in (a, b)), strict=True):
                    close(u, v)
        assert compiled.stats.compiles == 1 and compiled.stats.eager == 0


# ---- interrupts, errors and threads


def test_an_interrupt_leaves_everything_as_it_was():
    (step, model, optimizer), (eager, other, _) = pair(lambda p: nn.Adam(p, lr=0.01))
    for _ in range(4):
        step(X, Y), eager(X, Y)
    plan, gradient = step.plans[0], model[0].weight.grad

    def interrupted(*given):
        plan.program.run(*given)
        raise KeyboardInterrupt

    plan.space["program"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        step(X, Y)
    agree(model, other)
    assert model[0].weight.grad is gradient
    held = [(x, x.copy()) for own in optimizer.state for x in own.values() if isinstance(x, np.ndarray)]
    plan.space["program"] = plan.program.run
    for _ in range(3):
        step(X, Y), eager(X, Y)
        agree(model, other)
    for array, copy in held:
        same(array, copy)


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


def test_why_says_that_a_compiled_step_has_used_a_gradient():
    (step, model, _), _ = pair(grads=False)
    for _ in range(3):
        step(X, Y)
    assert model[0].weight.grad is None and "compile with grads=True" in autograd.why(model[0].weight)


def test_a_leaf_behind_a_result_from_outside_gets_its_gradient():
    def run(wrap):
        a = Tensor(np.ones(2), requires_grad=True)
        b = a * 2.0
        walk = wrap(lambda x: (b * x).sum().backward(retain_graph=True))
        for i in range(9):
            walk(np.full(2, float(i)))
        return a.grad

    same(run(compile), run(lambda f: f))
