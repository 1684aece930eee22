"""Dense layers on any number of leading axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn.functional as F
from autograd import Tensor


@given(
    st.lists(st.integers(0, 3), max_size=3), st.integers(0, 3), st.integers(1, 3), st.booleans(),
    st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_rows_are_multiplied_one_by_one(lead, inputs, outputs, has_bias, dtype):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((*lead, inputs), (outputs, inputs), (outputs,)))
    leaves = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    y = F.linear(leaves[0], leaves[1], leaves[2] if has_bias else None)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, np.einsum("...i,oi->...o", x, w) + b * has_bias, rtol=1e-4, atol=1e-5)
    g = rng.normal(size=y.shape).astype(dtype)
    y.backward(g)
    axes = tuple(range(len(lead)))
    expected = [np.einsum("...o,oi->...i", g, w), np.tensordot(g, x, (axes, axes)), g.sum(axis=axes)]
    for leaf, gradient in zip(leaves if has_bias else leaves[:2], expected, strict=False):
        assert leaf.grad.dtype == dtype
        np.testing.assert_allclose(leaf.grad.data, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_derivatives_of_every_order(lead):
    rng = np.random.default_rng(0)
    given_arrays = [rng.normal(size=s) for s in ((*lead, 3), (2, 3), (2,))]
    assert autograd.gradcheck(lambda *a: F.linear(*a) ** 3, given_arrays, order=2)


def test_layouts_of_memory_do_not_matter():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    y = F.linear(x, w, b)
    for other in (np.asfortranarray(x), x[::-1][::-1], np.swapaxes(np.swapaxes(x, 0, 1).copy(), 0, 1)):
        np.testing.assert_allclose(F.linear(other, np.asfortranarray(w), b), y)
