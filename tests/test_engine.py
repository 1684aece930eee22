"""The Tensor, the walk, and what they promise."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
from collections import Counter

import numpy as np
import pytest

import autograd
from autograd import GraphError, Tensor, as_tensor, enable_grad, no_grad
from autograd.mode import Switch


def leaf(*numbers):
    return Tensor(np.array(numbers) if len(numbers) != 1 else numbers[0], requires_grad=True, dtype=float)


# ---- walking


def chain(n):
    x = y = leaf(1.0)
    for _ in range(n):
        y = y + 1.0
    return x, y


def test_a_million_ops_forward_backward_and_deletion():
    x, y = chain(1_000_000)
    y.backward()
    assert x.grad.item() == 1
    x, y = chain(1_000_000)
    del y  # a graph that was never walked is freed without recursion too


class Visits(autograd.mode.Observer):
    """An observer that counts how often the walk comes to each node."""

    def __init__(self):
        self.counts = Counter()

    def forward(self, node, data, arrays):
        pass

    def backward(self, node, gradient):
        self.counts[node.number] += 1


def test_a_diamond_of_depth_60_is_walked_once_per_node():
    x = y = leaf(1.0)
    for _ in range(60):
        y = y + y
    visits = Visits()
    with Switch(observer=visits):
        y.backward()
    assert x.grad.item() == 2.0**60
    assert list(visits.counts.values()) == [1] * 60
    assert sorted(visits.counts, reverse=True) == list(visits.counts)  # newest first


def test_many_uses_of_one_leaf():
    x = leaf(1.0, 2.0)
    total = x
    for _ in range(1000):
        total = total + x
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1001, 1001])


def test_second_backward_raises_and_says_what_to_pass():
    y = leaf(2.0) ** 2
    y.backward()
    with pytest.raises(GraphError, match="retain_graph=True"):
        y.backward()


def test_retain_graph_accumulates_exactly():
    x = leaf(1.0, 2.0, 3.0)
    loss = (x * x).sum()
    for times in (1, 2, 3):
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, times * 2 * x.data)


def test_two_losses_accumulate():
    x = leaf(3.0)
    (x * x).backward()
    (5 * x).backward()
    assert x.grad.item() == 11


def test_the_third_derivative_of_x_to_the_fourth():
    x = leaf(2.0)
    y = x**4
    for expected in (32, 48, 48, 24):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        assert y.item() == expected


def test_an_error_on_the_way_changes_no_gradient():
    x, y = leaf(1.0), leaf(2.0)

    def fails(g, *_):
        raise ArithmeticError("planted")

    broken = autograd.differentiable(lambda x: x * 1.0, fails, name="broken_rule")
    try:
        loss = y * 2 + broken(x)
        with pytest.raises(ArithmeticError):
            loss.backward()
    finally:
        del autograd.OPS["broken_rule"]
    assert x.grad is None and y.grad is None


def test_a_node_keeps_only_what_its_rules_read():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    constant = np.ones(2)
    assert not any(isinstance(a, np.ndarray) for a in (x + w + constant).node.kept)
    assert any(a is constant for a in (x * constant).node.kept)
    assert x.data is (w * x.detach()).node.kept[2]
    assert np.tanh(x).node.kept[1] is x.node


def test_graphs_are_freed_by_reference_counting_alone():
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            x = leaf(1.0, 2.0)
            loss = autograd.concatenate([np.exp(x) * x, x[::-1]]).sum()
            loss.backward()
            autograd.grad(autograd.grad(lambda t: t**3))(2.0)
            assert gc.collect() == 0
    finally:
        gc.enable()


# ---- modes


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
        assert (x * x).requires_grad  # between the steps of a generator its caller's mode holds
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
    steps.close()  # as when it is garbage
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


# ---- the Tensor


def test_tensor_copies_and_as_tensor_shares():
    a = np.ones(3)
    t, s = Tensor(a), as_tensor(a)
    a[0] = 5
    assert t.data[0] == 1 and s.data is a and as_tensor(s) is s


def test_reflected_operators_and_numpy_scalars_record():
    t = leaf(1.0, 2.0)
    for y in (
        np.ones(2) * t,
        np.float64(2) * t,
        2 * t,
        2.0 - t,
        np.ones((2, 2)) @ t,
        2**t,
        np.exp(t),
        np.concatenate([t, t]),
    ):
        assert type(y) is Tensor and y.requires_grad
    t32 = Tensor(np.float32([1, 2]))
    assert (t32 * 2.0).dtype == np.float32 and (np.float64(2) * t32).dtype == np.float64


def test_zero_dimensional_results_are_arrays():
    y = np.exp(leaf(1.0))
    assert type(y.data) is np.ndarray and y.data.shape == ()
    assert f"{y:.2f}" == "2.72" and bool(y) and y.item() == np.exp(1.0)
    assert float(y.detach()) == y.item() and int(y.detach()) == 2


def test_float32_gradients_of_mixed_computations():
    x = Tensor(np.float32([1, 2]), requires_grad=True)
    (x.astype(np.float64) * np.array([1.0, 2.0])).sum().backward()
    assert x.grad.dtype == np.float32
    assert not x.astype(int).requires_grad


def test_assign_replaces_a_leaf_and_a_stale_graph_says_so():
    w = leaf(1.0, 2.0)
    old = w.data
    stale, linear = (w * w).sum(), (w + 1).sum()
    w.assign([3, 4.0])
    np.testing.assert_array_equal(old, [1, 2])
    with pytest.raises(GraphError, match="run the forward pass again"):
        stale.backward()
    linear.backward()  # an addition never reads the value
    np.testing.assert_array_equal(w.grad.data, [1, 1])
    with pytest.raises(TypeError, match="leaves"):
        (w * 2).assign([1.0, 2.0])
    with pytest.raises(ValueError, match="shape"):
        w.assign(1.0)


def test_copying_and_pickling():
    x = Tensor([1.0], requires_grad=True, name="x")
    (x * 2).backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.requires_grad and y.name == "x" and y.grad.item() == 2 and y.data is not x.data
    with pytest.raises(TypeError, match="detach"):
        copy.deepcopy(x * 2)


def test_index_arrays_are_copied():
    x, index = leaf(1.0, 2.0, 3.0), np.array([0, 0])
    y = x[index]
    index[:] = 2
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.data, [2, 0, 0])


def test_plain_results():
    x = leaf(1.0, 3.0)
    assert type(x > 2) is np.ndarray and np.argmax(x) == 1 and x.argmax() == 1
    assert type(np.zeros_like(x)) is np.ndarray
    assert [t.item() for t in x] == [1, 3] and len(x) == 2 and x.tolist() == [1, 3]


def test_masks_and_lists_may_change_after_the_forward_pass():
    x, mask, axes = leaf(1.0, 2.0), np.array([True, False]), [1, 0]
    y, z = np.where(mask, x, 0.0).sum(), np.transpose(x * np.ones((3, 2)), axes).sum()
    mask[:], axes[:] = False, [0, 1]
    (y + z).backward()
    assert x.grad.data.tolist() == [4, 3]


def test_a_value_that_was_replaced_is_noticed_by_recorded_gradients():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data = np.array([5.0, 5.0])
    with pytest.raises(GraphError, match="replaced"):
        y.backward(create_graph=True)


def test_keywords_that_say_nothing_are_taken():
    x = leaf(1.0, 2.0)
    assert np.exp(x, out=None, casting="same_kind", dtype=None).shape == np.outer(x, x, out=None).shape[:1]
    assert np.einsum("i,i", x, x, out=None).data == 5
    assert (x * np.ones((3, 2))).mT.shape == (2, 3)
    np.testing.assert_array_equal(np.einsum(x * np.ones((3, 2)), [26, 0]).data.shape, (2, 3))


@pytest.mark.parametrize("join", [np.stack, np.hstack, lambda xs: np.concatenate([x[None] for x in xs])])
def test_an_op_of_a_hundred_thousand_inputs_is_as_good_as_one_of_two(join):
    leaves = [Tensor(float(i), requires_grad=True) for i in range(100_000)]  # anything quadratic would never end
    (join([*leaves, 1.0] if join is np.stack else leaves)[:100_000] * np.arange(100_000.0)).sum().backward()
    assert [leaf.grad.item() for leaf in leaves[:3]] == [0, 1, 2] and leaves[-1].grad.item() == 99_999


def test_the_rule_of_an_op_of_any_number_of_inputs_is_called_once():
    calls = []

    def every(g, _y, *_arrays):
        calls.append(len(_arrays))
        return lambda i: g[i]

    joined = autograd.differentiable(
        lambda *arrays: np.stack(arrays), every=every, call=lambda *arrays: (arrays, {}), name="joined_once"
    )
    x, y = leaf(1.0), leaf(2.0)
    (joined(x, 5.0, y) * np.array([1.0, 2.0, 3.0])).sum().backward()
    assert calls == [3] and (x.grad.item(), y.grad.item()) == (1, 3)
    del autograd.OPS["joined_once"]
