"""Pooling to a given size against the definition of its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn.functional as F
from autograd import Tensor

SHAPES = st.integers(1, 3).flatmap(
    lambda axes: st.tuples(st.tuples(*[st.integers(1, 7)] * axes), st.tuples(*[st.integers(1, 5)] * axes))
)


def parts(size, n):
    return [slice(math.floor(i * size / n), math.ceil((i + 1) * size / n)) for i in range(n)]


@given(SHAPES, st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_every_output_is_of_its_part(shapes, batch, dtype):
    sizes, outputs = shapes
    x = np.random.default_rng(0).permutation(6 * np.prod(sizes)).reshape(2, 3, *sizes).astype(dtype)
    x = x if batch else x[0]
    of_axes = [parts(size, n) for size, n in zip(sizes, outputs, strict=True)]
    axes = tuple(range(x.ndim - len(sizes), x.ndim))
    a, b = Tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    means = getattr(F, f"adaptive_avg_pool{len(sizes)}d")(a, outputs)
    largest, places = getattr(F, f"adaptive_max_pool{len(sizes)}d")(b, outputs, return_indices=True)
    g = np.random.default_rng(1).normal(size=means.shape).astype(dtype)
    means.backward(g)
    largest.backward(g)
    assert means.dtype == largest.dtype == dtype
    of_means, of_largest = np.zeros_like(x), np.zeros_like(x)
    for at in np.ndindex(outputs):
        part = tuple(of_axis[k] for of_axis, k in zip(of_axes, at, strict=True))
        cut = x[..., *part]
        np.testing.assert_allclose(means.data[..., *at], cut.mean(axis=axes), rtol=1e-5)
        np.testing.assert_array_equal(largest.data[..., *at], cut.max(axis=axes))
        tail = (...,) + (None,) * len(sizes)
        of_means[..., *part] += g[..., *at][tail] / np.prod(cut.shape[axes[0] :])
        of_largest[..., *part] += g[..., *at][tail] * (cut == cut.max(axis=axes, keepdims=True))
    np.testing.assert_allclose(a.grad.data, of_means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(b.grad.data, of_largest, rtol=1e-4, atol=1e-5)
    flat = x.reshape(*x.shape[: axes[0]], -1)
    np.testing.assert_array_equal(
        np.take_along_axis(flat, places.reshape(*x.shape[: axes[0]], -1), -1).reshape(places.shape), largest.data
    )


def test_derivatives_of_every_order():
    x = np.random.default_rng(0).permutation(2 * 5 * 3).reshape(1, 2, 5, 3) / 10
    assert autograd.gradcheck(lambda a: F.adaptive_avg_pool2d(a, (2, 2)) ** 3, [x], order=2)
    assert autograd.gradcheck(lambda a: F.adaptive_max_pool2d(a, (2, 2)) ** 3, [x], order=2)


def test_none_keeps_a_size():
    x = np.zeros((2, 3, 4, 5))
    assert F.adaptive_avg_pool2d(x, (None, 2)).shape == (2, 3, 4, 2)
    assert F.adaptive_max_pool2d(x, None).shape == x.shape


@pytest.mark.parametrize("output_size", [-1, (1, 2, 3), (1.5, 2), "2", (2, "a")])
def test_a_wrong_size_is_named(output_size):
    for pool in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        with pytest.raises(ValueError, match=r"pool2d: output_size is 2 whole numbers or None; got"):
            pool(np.zeros((1, 2, 4, 4)), output_size)


def test_a_wrong_number_of_axes_is_named():
    with pytest.raises(ValueError, match=r"a batch, channels and 2 axes; got shape \(4, 4\)"):
        F.adaptive_avg_pool2d(np.zeros((4, 4)), 2)
