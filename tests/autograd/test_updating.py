"""The gradients of leaves: separate arrays, whatever rules return, summed in place or not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import autograd
from autograd import Tensor
from leaves import leaf


def peak_of_backward(y):
    tracemalloc.start()
    y.backward(np.ones(y.shape))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_leaf_gradients_share_no_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = np.ones(2)
    (x + y).backward(seed)
    assert not np.shares_memory(x.grad.data, y.grad.data)
    assert not np.shares_memory(x.grad.data, seed)
    x.grad = y.grad = None
    (x + y).sum().backward()
    assert not np.shares_memory(x.grad.data, y.grad.data)
    x.grad.data += 1
    np.testing.assert_array_equal(y.grad.data, [1, 1])
    x.grad = None
    x.backward(seed)
    assert not np.shares_memory(x.grad.data, seed)


def test_memory_of_an_intermediate_gradient_is_let_go_of():
    x = leaf(*np.ones(200_000))
    y = x
    for _ in range(20):
        y = np.tanh(y)
    tracemalloc.start()
    y.backward(np.ones(200_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.data.nbytes


def test_gradients_add_up_in_place_when_nobody_else_holds_them():
    x = leaf(*np.ones(100_000))
    assert peak_of_backward(x * 2.0 + x * 3.0 + x * 4.0) < 3.5 * x.data.nbytes  # the seed, the sum, what is added
    first, kept = x.grad, x.grad.data
    assert peak_of_backward(x * 2.0) < 2.5 * x.data.nbytes  # the old gradient is added to the new one
    assert first.data is kept and kept[0] == 9 and x.grad.data[0] == 11


@pytest.mark.parametrize("loss", [np.mean, lambda x: np.sum(x) * 3.0, lambda x: np.broadcast_to(x, (2, 3)).T[0].sum()])
def test_a_gradient_may_be_changed_and_added_to_whatever_view_a_rule_returns(loss):
    x = leaf(1.0, 2.0, 3.0)
    y = loss(x)
    y.backward(retain_graph=True)
    once = x.grad.data.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad.data, 2 * once)
    x.grad.data[0] = 7.0
    np.testing.assert_array_equal(x.grad.data[1:], 2 * once[1:])


def test_what_a_rule_holds_on_to_is_not_added_to():
    held = [np.ones(2), np.ones(4)[::2], np.broadcast_to(1.0, (2,)), np.ones(2)]
    held[3].flags.writeable = False
    for array in held:
        made = iter([array, np.full(2, 5.0), np.full(2, 7.0)])
        op = autograd.differentiable(lambda x: x * 1.0, lambda g, *_, made=made: next(made), name="held")
        x = leaf(0.0, 0.0)
        (op(x) + op(x) + op(x)).sum().backward()
        assert x.grad.data.tolist() == [13, 13] and array.tolist() == [1, 1]
        del autograd.OPS["held"]


def test_the_gradient_that_a_walk_begins_with_is_nobodys():
    for _ in range(2):
        x = leaf(2.0).sum().detach()
        x.requires_grad = True
        x.backward()
        assert x.grad.item() == 1
        x.grad.data += 1.0


def test_recorded_gradients_are_tensors_with_memory_of_their_own():
    x, y = leaf(1.5, 2.0), leaf(1.0, 2.0)
    (x**2 + np.floor(x) + np.ceil(x) + x**0 + y).sum().backward(create_graph=True)
    assert type(x.grad) is Tensor and x.grad.data.tolist() == [3, 4]
    assert not np.shares_memory(x.grad.data, y.grad.data)
    seed = np.ones(2)
    x.grad = None
    (x + 0.0).backward(seed, create_graph=True)
    assert not np.shares_memory(x.grad.data, seed)


@pytest.mark.parametrize("wrong", [Tensor(1.0), Tensor([1.0, 2.0, 3.0]), np.ones(2), 5])
def test_what_is_no_gradient_of_a_leaf_is_refused(wrong):
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match=r"must be a Tensor of shape \(2,\), or None; .* leaf\.grad = Tensor\(array\)"):
        x.grad = wrong
    assert x.grad is None
    x.grad = Tensor(np.ones(2))
    (x * 2.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("recorded", [(True, False), (False, True), (True, True)])
def test_a_recorded_gradient_to_which_another_is_added_stays_recorded(recorded):
    x = leaf(2.0)
    for create_graph in recorded:
        (x**3).backward(create_graph=create_graph)
    total, x.grad = x.grad, None
    assert total.item() == 24.0
    total.backward()
    assert x.grad.item() == 12.0 * sum(recorded)


def test_the_gradient_of_a_leaf_has_its_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    x.backward(np.array([1, 2]))
    assert x.grad.dtype == np.float32
