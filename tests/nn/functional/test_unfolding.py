"""Unfold and fold against NumPy's windows, each other, convolution and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn
import nn.functional as F
from autograd import Tensor

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def problems(draw):
    kernel, stride, dilation = draw(PAIR), draw(PAIR), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    sizes = [
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    x = np.random.default_rng(0).normal(size=(2, draw(st.integers(1, 3)), *sizes))
    return x, {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": padding}


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_columns_are_the_windows(problem, dtype):
    x, options = problem
    columns = F.unfold(x.astype(dtype), **options)
    assert columns.dtype == dtype
    (p, q), dilation, kernel = options["padding"], options["dilation"], options["kernel_size"]
    around = np.pad(x, [(0, 0), (0, 0), (p, p), (q, q)])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(around, reach, (2, 3))
    windows = windows[:, :, :: options["stride"][0], :: options["stride"][1], :: dilation[0], :: dilation[1]]
    expected = windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * np.prod(kernel), -1)
    np.testing.assert_allclose(columns, expected.astype(dtype))
    np.testing.assert_array_equal(F.unfold(x[0], **options), F.unfold(x, **options)[0])
    np.testing.assert_array_equal(nn.Unfold(**options)(x), F.unfold(x, **options))


@given(problems())
def test_fold_is_the_transpose_of_unfold(problem):
    x, options = problem
    columns = F.unfold(x, **options)
    g = np.random.default_rng(1).normal(size=columns.shape)
    images = F.fold(g, x.shape[2:], **options)
    np.testing.assert_allclose(np.sum(columns * g), np.sum(x * images), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(F.fold(g[0], x.shape[2:], **options), images[0])
    np.testing.assert_array_equal(nn.Fold(x.shape[2:], **options)(g), images)
    leaf = Tensor(x, requires_grad=True)
    F.unfold(leaf, **options).backward(g)
    np.testing.assert_allclose(leaf.grad.data, images)


@given(problems())
def test_derivatives_of_every_order(problem):
    x, options = problem
    x = x[:1, :1]
    assert autograd.gradcheck(lambda a: F.unfold(a, **options) ** 3, [x], order=2)
    columns = F.unfold(x, **options)
    assert autograd.gradcheck(lambda a: F.fold(a, x.shape[2:], **options) ** 3, [columns], order=2)


def test_a_convolution_is_a_product_with_columns():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2))
    y = (w.reshape(4, -1) @ F.unfold(x, (3, 2), padding=1)).reshape(2, 4, 6, 6)
    np.testing.assert_allclose(y, F.conv2d(x, w, padding=1))


@given(problems())
def test_beside_pytorch(problem):
    torch = pytest.importorskip("torch")
    x, options = problem
    columns = F.unfold(x, **options)
    np.testing.assert_allclose(columns, torch.nn.functional.unfold(torch.tensor(x), **options).numpy())
    images = torch.nn.functional.fold(torch.tensor(columns), x.shape[2:], **options)
    np.testing.assert_allclose(F.fold(columns, x.shape[2:], **options), images.numpy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.unfold(np.zeros((2, 3)), 2), r"unfold needs.*\(n, channels, height, width\); got \(2, 3\)"),
        (lambda: F.unfold(np.zeros((1, 3, 4, 4)), 5), r"unfold: the kernel \(5, 5\) is larger than.*\(4, 4\)"),
        (lambda: F.fold(np.zeros((1, 5, 4)), 3, 2), r"a multiple of 4, 4\); got \(1, 5, 4\)"),
        (lambda: F.fold(np.zeros((1, 4, 3)), 3, 2), r"4\); got \(1, 4, 3\)"),
        (lambda: F.fold(np.zeros((1, 4, 4)), -3, 2), "output_size is a whole number from 1.*got -3"),
        (lambda: F.unfold(np.zeros((1, 3, 4, 4)), 2, stride=0), "stride is a whole number from 1"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
