"""The memory that a program moves weights to, and releases."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import nn
from autograd import Tensor, compile
from compiled_steps import ONE, close, same, weight


def test_a_view_of_a_weight_holds_its_array():
    ones = np.ones(1000)
    w, _, step = weight(ones * 0)
    for i in range(1, 7):
        step(ones)
        same(w, ones * -i)
    held = w.data[:50]
    step(ones)
    same(held, ones[:50] * -6)
    same(w, ones * -7)


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
@pytest.mark.parametrize("size", [100, 1000])
def test_no_array_outlives_what_takes_its_place(make, size):
    w, ones = Tensor(np.zeros(size), requires_grad=True), np.ones(size)
    optimizer = make([w], lr=0.1)

    @compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    held = []
    for _ in range(9):
        step(ones)
        held += [w.data, *(x for x in optimizer.state[0].values() if np.ndim(x))]
        held = [weakref.ref(x) if isinstance(x, np.ndarray) else x for x in held]
    alive = {id(x()) for x in held if x() is not None}
    now = {id(x) for x in (w.data, *optimizer.state[0].values())}
    assert len(alive - now) <= len(optimizer.state[0])  # those for the next states


def test_an_array_that_was_given_is_replaced_once():
    w, _, step = weight()
    for _ in range(4):
        step(ONE)
    for _ in range(3):
        given = np.zeros(2)
        w.data = given[:]
        step(ONE)
        same(given, ONE * 0)
        del given
        where = w.data.ctypes.data
        for i in range(2, 4):
            step(ONE)
            same(w, ONE * -i)
            assert step.stats.audits > 2 or w.data.ctypes.data == where  # an audit keeps what was there before


@pytest.mark.parametrize("name", ["memory", "adopt_all"])
def test_an_interrupt_does_not_make_others_memory_ours(monkeypatch, name):
    w, _, step = weight()
    for _ in range(4):
        step(ONE)
    whole = np.zeros(4)
    w.data = whole[:2]

    def interrupted(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step.plans[0], name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            step(ONE)
    moved = -w.data[0]
    assert moved in (0, 1)
    for i in range(1, 4):
        step(ONE)
        same(w, ONE * -(moved + i))
    same(whole, np.zeros(4))


@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), nn.Adam])
def test_an_error_does_not_make_others_memory_ours(make):
    w, v = (Tensor(np.eye(2), requires_grad=True) for _ in range(2))
    optimizer, other = make([w]), make([v])

    def run(x, w, optimizer):
        optimizer.zero_grad()
        (np.linalg.inv(x) * w).sum().backward()
        optimizer.step()

    step = compile(lambda x: run(x, w, optimizer))
    for i in range(9):
        step(np.eye(2)), run(np.eye(2), v, other)
        if i >= 4:
            with pytest.raises(np.linalg.LinAlgError):
                step(np.zeros((2, 2)))
            other.zero_grad()
        held = [(x, np.copy(x)) for x in (w.data, *optimizer.state[0].values())]
        step(np.eye(2)), run(np.eye(2), v, other)
        for array, before in held:
            same(array, before)
        close(w, v)
    assert step.stats.compiles == 1


@pytest.mark.parametrize("make", [nn.SGD, lambda p, lr: nn.SGD(p, lr, momentum=0.9), nn.Adam])
@pytest.mark.parametrize("times", range(5))
def test_what_was_replaced_is_not_written_over_however_often_it_is_held(make, times):
    w, v = (Tensor(np.zeros(2), requires_grad=True) for _ in range(2))
    optimizer, other = make([w], lr=0.1), make([v], lr=0.1)

    def run(w, optimizer, x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    step = compile(lambda x: run(w, optimizer, x), audit=False)
    held = []
    for i in range(8):
        step(ONE), run(v, other, ONE)
        close(w, v)
        if i in (3, 5, 6):
            arrays = [w.data, *(x for x in optimizer.state[0].values() if isinstance(x, np.ndarray))]
            held += [(arrays * times, [x.copy() for x in arrays] * times)]
            del arrays
            w.data, v.data = np.full(2, 5.0), np.full(2, 5.0)
            states = [{k: np.copy(x) if np.ndim(x) else x for k, x in optimizer.state[0].items()}]
            optimizer.state = states
        for now, before in held:
            for a, b in zip(now, before, strict=True):
                same(a, b)
