"""The memory that a program moves weights to, and releases: arrays that begin at a cache line."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import nn
from autograd import Tensor, compile
from compiled_steps import ONE, same, weight


def test_arrays_begin_with_a_line_of_the_cache():
    ones = np.ones(1000)
    w, _, step = weight(ones * 0)
    for _ in range(2):  # both are traced, because the first begins without a gradient
        step(ones)
    for i in range(3, 6):
        step(ones)
        assert w.data.ctypes.data % 64 == 0
        same(w, ones * -i)
    assert all(slot.new().ctypes.data % 64 == 0 for _ in range(20) for slot in step.plans[0].program.slots)
    held = w.data[:50]  # a view of an array in such memory holds that array
    step(ones)
    same(held, ones[:50] * -5)


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
    step(ones)  # its program is for a step that begins without a gradient
    for _ in range(6):
        step(ones)
        held += [w.data, *(x for x in optimizer.state[0].values() if np.ndim(x))]
        held = [weakref.ref(x) if isinstance(x, np.ndarray) else x for x in held]
    alive = {id(x()) for x in held if x() is not None}
    now = {id(x) for x in (w.data, *optimizer.state[0].values())}
    assert len(alive - now) <= len(optimizer.state[0])  # those for the next states


def test_arrays_that_somebody_puts_in_the_place_of_a_weight_are_written_over():
    w, _, step = weight()
    for _ in range(4):  # two are traced, because the first begins without a gradient, and two are the program's first
        step(ONE)
    for _ in range(3):
        w.data = np.zeros(2)
        where = w.data.ctypes.data
        step(ONE)
        assert w.data.ctypes.data == where
        same(w, -ONE)


def test_an_interrupt_does_not_make_others_memory_ours(monkeypatch):
    w, _, step = weight()
    for _ in range(4):
        step(ONE)
    whole = np.zeros(4)
    w.data = whole[:2]

    def interrupted():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step.plans[0], "hold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            step(ONE)
    for i in range(1, 4):
        step(ONE)
        same(w, ONE * -i)
    same(whole, np.zeros(4))
