"""Pooling against the definition: every window of an input padded in full."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn.functional as F
from autograd import Tensor


@st.composite
def problems(draw):
    axes = draw(st.integers(1, 3))
    kernel, stride, dilation = (draw(st.tuples(*[st.integers(1, 3)] * axes)) for _ in range(3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sizes = [
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4 if axes < 3 else 1))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    return (
        sizes,
        {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())},
        dilation,
    )


def windows_of(sizes, kernel_size, stride, padding, ceil_mode, dilation):
    """For each output, the places of its window on every axis, beyond the input too."""
    of_axes = []
    for size, k, s, p, d in zip(sizes, kernel_size, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        starts = [a for a in range(-p, size + p, s) if a + reach <= size + p]
        if ceil_mode and starts[-1] + reach < size + p and starts[-1] + s < size:
            starts.append(starts[-1] + s)
        of_axes.append([[a + d * t for t in range(k)] for a in starts])
    return of_axes


def inside(place, sizes):
    return all(0 <= p < n for p, n in zip(place, sizes, strict=True))


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_max_pooling_is_the_largest_of_each_window(problem, dtype):
    sizes, options, dilation = problem
    x = np.random.default_rng(0).permutation(2 * 3 * np.prod(sizes)).reshape(2, 3, *sizes).astype(dtype)
    of_axes = windows_of(sizes, **options, dilation=dilation)
    leaf = Tensor(x, requires_grad=True)
    y, places = getattr(F, f"max_pool{len(sizes)}d")(leaf, **options, dilation=dilation, return_indices=True)
    assert y.shape == (2, 3, *map(len, of_axes)) == places.shape and y.dtype == dtype
    g = np.random.default_rng(1).integers(1, 9, y.shape).astype(dtype)
    y.backward(g)
    gradient = np.zeros_like(x)
    for i, c, *at in np.ndindex(y.shape):
        window = [p for p in itertools.product(*(a[k] for a, k in zip(of_axes, at, strict=True))) if inside(p, sizes)]
        if not window:
            assert y.data[(i, c, *at)] == -np.inf and places[(i, c, *at)] == -1
            continue
        best = max(window, key=lambda p: x[(i, c, *p)])
        assert y.data[(i, c, *at)] == x[(i, c, *best)]
        assert np.unravel_index(places[(i, c, *at)], sizes) == best
        gradient[(i, c, *best)] += g[(i, c, *at)]
    np.testing.assert_array_equal(leaf.grad.data, gradient)


@given(problems(), st.booleans(), st.sampled_from([None, 3]), st.sampled_from([np.float32, np.float64]))
def test_average_pooling_is_the_mean_of_each_window(problem, count_include_pad, divisor, dtype):
    sizes, options, _ = problem
    if any(k > n + 2 * p for k, n, p in zip(options["kernel_size"], sizes, options["padding"], strict=True)):
        return
    more = {"divisor_override": divisor} if len(sizes) > 1 else {}
    x = np.random.default_rng(0).normal(size=(2, 1, *sizes)).astype(dtype)
    of_axes = windows_of(sizes, **options, dilation=(1,) * len(sizes))
    leaf = Tensor(x, requires_grad=True)
    y = getattr(F, f"avg_pool{len(sizes)}d")(leaf, **options, count_include_pad=count_include_pad, **more)
    assert y.shape == (2, 1, *map(len, of_axes)) and y.dtype == dtype
    g = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
    y.backward(g)
    gradient = np.zeros_like(x)
    far = [n + p for n, p in zip(sizes, options["padding"], strict=True)]  # a window beyond the padding does not count
    for at in np.ndindex(y.shape[2:]):
        window = [*itertools.product(*(a[k] for a, k in zip(of_axes, at, strict=True)))]
        within = [p for p in window if inside(p, sizes)]
        counted = [p for p in window if all(q < n for q, n in zip(p, far, strict=True))]
        by = more.get("divisor_override") or len(counted if count_include_pad else within)
        np.testing.assert_allclose(y.data[:, :, *at], sum(x[:, :, *p] for p in within) / by, rtol=1e-4, atol=1e-5)
        for p in within:
            gradient[:, :, *p] += g[:, :, *at] / by
    np.testing.assert_allclose(leaf.grad.data, gradient, rtol=1e-4, atol=1e-5)


@given(problems())
def test_derivatives_of_every_order(problem):
    sizes, options, _ = problem
    if len(sizes) > 2 or any(
        k > n + 2 * p for k, n, p in zip(options["kernel_size"], sizes, options["padding"], strict=True)
    ):
        return
    x = np.random.default_rng(0).permutation(np.prod(sizes)).reshape(1, 1, *sizes) / 10.0
    for name in ("max_pool", "avg_pool"):
        pool = getattr(F, f"{name}{len(sizes)}d")
        assert autograd.gradcheck(lambda a, f=pool: f(a, **options) ** 3, [x], order=2)


def test_a_window_of_padding_only():
    y, places = F.max_pool1d(np.array([[[1.0, 2.0]]]), 2, 1, 1, dilation=3, return_indices=True)
    assert y.tolist() == [[[-np.inf]]] and places.tolist() == [[[-1]]]


def test_ties_go_to_the_first():
    x = Tensor(np.array([[[2.0, 2.0, 1.0, 1.0, 1.0, 3.0]]]), requires_grad=True)
    F.max_pool1d(x, 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[[1, 0, 0, 0, 0, 1]]])


def test_numbers_that_are_not_finite():
    x = Tensor(np.array([[[-np.inf, -np.inf, np.nan, 5.0, np.inf, 1.0, 5.0, np.nan]]]), requires_grad=True)
    y = F.max_pool1d(x, 2)
    np.testing.assert_array_equal(y.data, [[[-np.inf, np.nan, np.inf, np.nan]]])
    y.backward(np.array([[[np.inf, 2.0, np.nan, 3.0]]]))
    np.testing.assert_array_equal(x.grad.data, [[[np.inf, 0, 2, 0, np.nan, 0, 0, 3]]])


def test_whole_numbers_and_layouts():
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 6, 6))
    y = F.max_pool2d(x, 2, padding=1)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, F.max_pool2d(x.astype(float), 2, padding=1))
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    np.testing.assert_array_equal(F.max_pool2d(last, 2), F.max_pool2d(x, 2))
    np.testing.assert_array_equal(F.max_pool2d(x[0], 2), F.max_pool2d(x, 2)[0])
    np.testing.assert_array_equal(F.avg_pool2d(last[0] * 1.0, 2), F.avg_pool2d(x * 1.0, 2)[0])


X = np.zeros((2, 3, 5, 5))
WRONG = {
    "axes": (lambda: F.max_pool2d(np.zeros((5, 5)), 2), r"\(n, channels, height, width\); got \(5, 5\)"),
    "kernel": (lambda: F.max_pool2d(X, 7), r"kernel \(7, 7\) is larger than the padded input \(5, 5\)"),
    "kernel 0": (lambda: F.max_pool2d(X, 0), "kernel_size is a whole number from 1.*got 0"),
    "stride": (lambda: F.avg_pool2d(X, 2, stride=0), "stride is a whole number from 1.*got 0"),
    "padding": (lambda: F.avg_pool2d(X, 3, padding=2), r"padding 2 is at most half of the kernel \(3, 3\)"),
    "divisor": (lambda: F.avg_pool2d(X, 2, divisor_override=0), "divisor_override is not 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_error_says_what_was_given_and_what_is_needed(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kernel", [(2, 3), (8, 16), (12, 12), (16, 17)])
def test_windows_of_few_and_of_many_numbers_with_channels_first_and_last(kernel, last):
    """The number of a winner is kept in one byte where it fits."""
    x = np.random.default_rng(0).permutation(8 * np.prod(kernel)).reshape(2, 1, 2 * kernel[0], 2 * kernel[1])
    x = np.concatenate([x, -x], axis=1).astype(np.float32)
    x[0, 0, -1, -1] = 1e6  # the last of a window
    leaf = autograd.as_tensor(np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x)
    leaf.requires_grad = True
    y = F.max_pool2d(leaf, kernel)
    g = np.arange(1.0, 1 + y.size, dtype=np.float32).reshape(y.shape)
    y.backward(g)
    wanted = np.zeros_like(x)
    for n, c, i, j in np.ndindex(y.shape):
        window = (n, c, slice(i * kernel[0], (i + 1) * kernel[0]), slice(j * kernel[1], (j + 1) * kernel[1]))
        at = np.unravel_index(x[window].argmax(), kernel)
        assert y.data[n, c, i, j] == x[window][at]
        wanted[window][at] = g[n, c, i, j]
    np.testing.assert_array_equal(leaf.grad.data, wanted)
    assert leaf.grad.data.strides == leaf.data.strides
