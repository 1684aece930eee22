"""The Tensor: what it copies, shares, and says of itself."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from autograd import GraphError, Tensor, as_tensor
from autograd.array import Absent, Array
from leaves import leaf


def test_tensor_copies_and_as_tensor_shares():
    a = np.ones(3)
    t, s = Tensor(a), as_tensor(a)
    a[0] = 5
    assert t.data[0] == 1 and s.data is a and as_tensor(s) is s


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


def test_a_value_that_was_replaced_is_noticed_by_recorded_gradients():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data = np.array([5.0, 5.0])
    with pytest.raises(GraphError, match="replaced"):
        y.backward(create_graph=True)


def test_a_leaf_that_is_frozen_and_freed_again_is_the_same_leaf():
    x, seen = leaf(1.0, 2.0), []
    handle = x.register_hook(seen.append)
    first = (x * 2.0).sum()
    x.requires_grad = False
    constant = (x * 100.0).sum()
    x.requires_grad = np.True_
    second = (x * 3.0).sum()
    (first + second + constant).backward()
    assert x.grad.data.tolist() == [5.0, 5.0] and len(seen) == 1
    for value in (np.True_, True, False):
        x.requires_grad = value
        assert x.grad.data.tolist() == [5.0, 5.0] and x.requires_grad is bool(value)
    x.requires_grad = True
    handle.remove()
    late = (x * x).sum()
    x.requires_grad = False
    x.assign([3.0, 4.0])
    x.requires_grad = True
    with pytest.raises(GraphError, match="replaced"):
        late.backward()


def test_a_leaf_that_was_replaced_costs_no_more_among_many():
    leaves = [Tensor(1.0, requires_grad=True) for _ in range(3000)]
    total = np.stack(leaves).sum()
    total.backward(retain_graph=True)
    for x in leaves:
        x.assign(2.0)
    total.backward()  # stack reads no value
    assert leaves[-1].grad.item() == 2.0
    product = np.concatenate([x[None] * x for x in leaves[:5]]).sum()
    leaves[4].assign(1.0)
    with pytest.raises(GraphError, match="replaced"):
        product.backward()


@pytest.mark.parametrize("name", sorted(name for name, value in vars(Array).items() if isinstance(value, Absent)))
def test_a_subclass_lists_the_names_that_it_defines_itself(name):
    own = type("Own", (Tensor,), {name: lambda self: 5})
    tensor = type("Heir", (own,), {})(1.0)
    tensor.note = "mine"
    assert getattr(tensor, name)() == 5
    assert name in dir(own) and {name, "note"} <= set(dir(tensor)) and name not in dir(Tensor)
