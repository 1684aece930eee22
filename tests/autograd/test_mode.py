"""Modes: recording or not, per thread and task, in blocks, decorators and generators."""

from __future__ import annotations

import asyncio
import threading

import pytest

import autograd
from autograd import enable_grad, no_grad
from leaves import leaf


def test_no_grad_is_per_thread_and_survives_exceptions():
    x = leaf(2.0)
    seen = []
    with pytest.raises(KeyError), no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
        assert not (x * x).requires_grad
        with enable_grad():
            assert (x * x).requires_grad
        raise KeyError
    assert seen == [True]
    assert autograd.is_grad_enabled()


def test_no_grad_as_a_decorator():
    x = leaf(2.0)

    @no_grad
    def one():
        return x * x

    @no_grad()
    def steps():
        for _ in range(2):
            sent = yield x * x
        return sent

    @no_grad()
    async def later():
        await asyncio.sleep(0)
        return x * x

    assert not one().requires_grad
    generator = steps()
    for _ in range(2):
        assert not next(generator).requires_grad
        assert (x * x).requires_grad  # between the steps of a generator its caller's mode applies
    assert not asyncio.run(later()).requires_grad


def test_a_block_around_a_yield_holds_for_the_caller_and_a_decorated_generator_does_not():
    def leaking():
        with no_grad():
            yield autograd.is_grad_enabled()
        yield autograd.is_grad_enabled()

    @no_grad()
    def tight():
        yield autograd.is_grad_enabled()
        yield autograd.is_grad_enabled()

    steps = leaking()
    assert next(steps) is False and autograd.is_grad_enabled() is False  # as docs/threads.md says
    assert next(steps) is True and autograd.is_grad_enabled() is True
    steps = leaking()
    next(steps)
    steps.close()  # as when it is garbage-collected
    assert autograd.is_grad_enabled()
    for inside in tight():
        assert inside is False and autograd.is_grad_enabled() is True


def test_no_grad_does_not_leak_between_tasks():
    x = leaf(2.0)

    async def off(started, other):
        with no_grad():
            started.set()
            await other.wait()
            return (x * x).requires_grad

    async def on(started, other):
        await started.wait()
        other.set()
        return (x * x).requires_grad

    async def both():
        started, other = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(off(started, other), on(started, other))

    assert asyncio.run(both()) == [False, True]


def test_threads_accumulate_into_one_leaf_exactly():
    x = leaf(0.0)

    def work():
        for _ in range(300):
            (x * 1.0).backward()

    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert x.grad.item() == 2400
