"""Who owns memory: weights, gradients, states and results of a compiled function, compared with the function."""

from __future__ import annotations

import copy
import gc
import tracemalloc
import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor, compile
from compiled_steps import ONE, X, Y, close, pair, same, weight

# ---- weights


@pytest.mark.parametrize("make", [lambda a: a[:2], lambda a: np.frombuffer(a.tobytes())[:2], lambda a: a[::-1][:2]])
def test_a_weight_that_lies_in_memory_of_others_is_not_written_over(make):
    w, _, step = weight()
    for _ in range(3):
        step(ONE)
    whole = np.arange(4.0)
    data = make(whole)
    before, first = whole.copy(), data.copy()
    w.data = data
    del data
    for i in range(1, 4):
        step(ONE)
        same(w, first - i)
    same(whole, before)


def test_a_buffer_that_lies_in_memory_of_others_is_not_written_over_later():
    layer = nn.BatchNorm1d(4)
    step = compile(lambda x: layer(x).sum().detach())
    for _ in range(3):
        step(X)
    whole = np.zeros(8, np.float32)
    layer.running_mean.data = whole[:4]
    for _ in range(4):
        step(X)
    same(whole, np.zeros(8, np.float32))


def test_overlapping_views_as_two_weights():
    def run(wrap):
        flat = np.zeros(3)
        a, b = Tensor(np.zeros(2), requires_grad=True), Tensor(np.zeros(2), requires_grad=True)
        optimizer = nn.SGD([a, b], lr=1.0)

        @wrap
        def step(x):
            optimizer.zero_grad()
            (a * x + b * x).sum().backward()
            optimizer.step()

        step(ONE), step(ONE), step(ONE)
        a.data, b.data = flat[:2], flat[1:]
        step(ONE), step(ONE), step(ONE)
        return flat, a.data, b.data

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        same(mine, theirs)


def test_weights_that_change_places():
    def run(wrap):
        a, b = Tensor(np.zeros(2)), Tensor(np.ones(2))

        @wrap
        def swap(x):
            a.data, b.data = b.data, a.data
            return x * a

        found = [swap(ONE).data.copy() for _ in range(7)]
        return [*found, a.data, b.data]

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        same(mine, theirs)


# ---- gradients


def test_a_gradient_that_is_changed_by_hand_is_another_one_after_the_next_run():
    w = Tensor(np.zeros(1), requires_grad=True)

    @compile
    def backward(x):
        w.grad = None
        (w * x).sum().backward()

    held = []
    for k in range(1, 9):
        backward(np.array([float(k)]))
        same(w.grad, np.array([float(k)]))
        if k in (3, 5):
            w.grad.data *= 10
        if k == 4:
            w.grad.data = np.array([7.0])
        if k in (4, 5):
            held.append((w.grad, w.grad.data.copy()))
    for gradient, value in held:
        same(gradient, value)
    assert backward.stats.compiles == 1


def test_a_constant_gradient_is_not_the_programs_own():
    b = Tensor(np.zeros(2), requires_grad=True)

    @compile
    def f(x):
        b.grad = None
        (x + b).sum().backward()

    for _ in range(5):
        f(ONE)
        same(b.grad, ONE)
        b.grad.data *= 0.5


def test_gradients_that_appear_and_go_are_noticed():
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1)
    update = compile(lambda: optimizer.step())
    with pytest.warns(UserWarning, match="found no gradient"):
        update()
    for gradient in [ONE, None, ONE, ONE, None, ONE, None, None]:
        w.grad = None if gradient is None else Tensor(gradient)
        before = w.data.copy()
        update()
        same(w, before if gradient is None else before + ONE * -0.1)
    assert update.stats.compiles == 2


def test_gradients_add_up_after_they_were_none():
    w = Tensor(np.zeros(2), requires_grad=True)
    backward = compile(lambda x: (w * x).sum().backward())
    for i in range(9):
        if i % 3 == 0:
            w.grad = None
        backward(ONE)
        same(w.grad, ONE * (i % 3 + 1))


def test_a_frozen_weight_stays_where_it_is():
    def run(wrap):
        w, v = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
        optimizer = nn.SGD([w, v], lr=0.1)

        @wrap
        def step(x):
            (w * x).sum().backward()
            optimizer.step()
            w.grad = None

        for requires_grad, gradient in ((True, ONE), (False, None), (True, None), (True, ONE)):
            v.requires_grad = requires_grad
            v.grad = None if gradient is None else Tensor(gradient)
            step(ONE), step(ONE), step(ONE)
        return w.data, v.data

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("inside", [True, False])
def test_gradients_that_were_not_forgotten_are_warned_of(inside):
    def warned(wrap):
        w = Tensor(ONE, requires_grad=True)
        optimizer = nn.SGD([w], lr=0.1)

        @wrap
        def backward(x):
            (w * x).sum().backward()
            if inside:
                optimizer.step()

        said = []
        for i in range(6):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                backward(ONE)
                if not inside:
                    optimizer.step()
                    if i < 3:
                        optimizer.zero_grad()
            said.append(len(caught))
        return said

    assert warned(compile) == warned(lambda f: f)


def test_a_gradient_that_is_returned_is_that_of_the_weight():
    w = Tensor(np.zeros(2), requires_grad=True)

    @compile
    def backward(v, x):
        w.grad = None
        (w * x * v).sum().backward()
        return {"w": w.grad, "v": v.grad}

    held = []
    for k in range(1, 6):
        v = Tensor(ONE, requires_grad=True)
        found = backward(v, ONE * k)
        assert found["w"] is w.grad and found["v"] is v.grad
        held.append(w.grad)
        for i, gradient in enumerate(held, 1):
            same(gradient, ONE * i)


# ---- states


@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), lambda p: nn.Adam(p, lr=0.01)])
def test_states_that_others_hold_stay_as_they_are(make):
    (step, _, optimizer), (eager, _, other) = pair(make)
    kept = []
    for i in range(9):
        step(X, Y), eager(X, Y)
        kept.append((optimizer.state, copy.deepcopy(optimizer.state)) if i % 2 else (list(optimizer.state), None))
        if i % 3 == 2:
            kept.append((optimizer.state[0], copy.deepcopy(optimizer.state[0])))
            kept.append((optimizer.state_dict()["state"], copy.deepcopy(optimizer.state)))
        kept = [(a, copy.deepcopy(a) if b is None else b) for a, b in kept]
        for own, theirs in zip(optimizer.state, other.state, strict=True):
            assert list(own) == list(theirs)
            for key in own:
                close(own[key], theirs[key])
    for held, before in kept:
        for a, b in zip(*([x] if isinstance(x, dict) else x for x in (held, before)), strict=True):
            assert a.keys() == b.keys()
            for key in a:
                same(a[key], b[key])


# ---- results


def test_results_share_memory_where_those_of_the_function_do():
    w = Tensor(np.array([[1.0, 2.0, 3.0]]), requires_grad=True)

    def f(x):
        y = x * 2
        (w * x).sum().backward()
        return y, x * 2, y.T, np.zeros_like(x), np.ones(3), w.grad.data, x * 1.0, x, x[0]

    compiled = compile(f)
    for _ in range(4):
        outputs = []
        for function in (compiled, f):
            w.grad = None
            x = np.array([[1.0, 2.0, 3.0]])
            found = function(x)
            outputs.append([*found, w.grad.data, x])
        mine, theirs = outputs
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            same(a, b)
            for c, d in zip(mine[:i], theirs[:i], strict=True):
                assert np.shares_memory(a, c) == np.shares_memory(b, d)
        for a in mine:
            a += 1.0


def test_views_of_gradients_weights_and_states_are_not_written_over():
    def run(wrap):
        w = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        v, optimizer = Tensor(np.ones(3)), nn.SGD([w], lr=0.1, momentum=0.5)

        @wrap
        def step(x):
            old = w.data[1:]
            optimizer.zero_grad()
            (w * w * x).sum().backward()
            optimizer.step()
            v.data = w.data[0]
            return w.grad.data.T, w.grad.data[0], old, w.data.T, optimizer.state[0]["velocity"].reshape(-1), v.data

        held = [step(np.full((2, 3), 0.1 * k)) for k in range(1, 6)]
        return [array for found in held for array in found], np.shares_memory(v.data, w.data)

    (mine, shared), (theirs, really) = run(compile), run(lambda f: f)
    assert shared == really
    for a, b in zip(mine, theirs, strict=True):
        close(a, b)


def test_the_gradient_of_a_frozen_weight_is_used_as_long_as_it_is_there():
    def run(wrap):
        w, v = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
        optimizer = nn.SGD([w, v], lr=0.1)

        @wrap
        def step(x):
            (w * x).sum().backward()
            optimizer.step()
            w.grad = None

        v.requires_grad, v.grad = False, Tensor(ONE)
        step(ONE), step(ONE), step(ONE)
        v.grad = None
        step(ONE), step(ONE), step(ONE)
        return w.data, v.data

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        close(mine, theirs)


def test_a_large_result_is_written_over_only_if_nobody_holds_it():
    f = compile(lambda x: np.exp(-x) * x)
    x, held, places = np.linspace(0.0, 1.0, 200_000), [], set()
    for i in range(12):
        found = f(x + i)
        if i % 2:  # held by a view alone
            held.append((found[5:], found.copy()[5:]))
        else:
            places.add(found.ctypes.data)
        del found
    for view, kept in held:
        same(view, kept)
    assert f.stats.compiles == 1
    places.clear()
    for i in range(20):
        places.add(f(x + i).ctypes.data)
    assert len(places) <= 3  # an audit makes new ones


# ---- how much


NETWORKS = {
    "convolutions": lambda: (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        (32, 3, 18, 18),
    ),
    "attention": lambda: (nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (32, 32, 32)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_of_layers_holds_less_than_one_and_a_half_times_what_the_function_does(name):
    """Most of it is one block of memory, made once, in which arrays of all shapes and layouts take turns."""

    def peak(wrap):
        gc.collect()
        tracemalloc.start()
        try:
            model, shape = NETWORKS[name]()
            optimizer = nn.SGD(model.parameters(), lr=1e-3)

            @wrap
            def step(x):
                optimizer.zero_grad()
                loss = (model(x) ** 2).mean()
                loss.backward()
                optimizer.step()
                return loss

            x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            for _ in range(3):
                step(x)
            gc.collect()  # what compiling has left behind
            tracemalloc.reset_peak()
            step(x)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    ways = [lambda f: f, lambda f: compile(f, audit=False, threads=1)]
    peak(ways[1])  # what is imported, and lines of files that are read, stay
    eager, compiled = map(peak, ways)
    assert compiled < {"attention": 1.25}.get(name, 1.5) * eager
