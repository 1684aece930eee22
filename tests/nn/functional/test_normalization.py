"""Norms against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn.functional as F
from autograd import Tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 2, 5)) * 3 + 1
W, B = RNG.normal(size=4), RNG.normal(size=4)
COLUMN = np.s_[None, :, None, None]


def standardized(x, axis, eps=1e-5):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


def test_norms_are_their_formulas():
    affine = W[COLUMN], B[COLUMN]
    batch = F.batch_norm(X, None, None, W, B, training=True)
    np.testing.assert_allclose(batch, standardized(X, (0, 2, 3)) * affine[0] + affine[1])
    groups = standardized(X.reshape(3, 2, -1), -1).reshape(X.shape)
    np.testing.assert_allclose(F.group_norm(X, 2, W, B), groups * affine[0] + affine[1])
    np.testing.assert_allclose(F.instance_norm(X, weight=W, bias=B), standardized(X, (2, 3)) * affine[0] + affine[1])
    np.testing.assert_allclose(F.layer_norm(X, (2, 5)), standardized(X, (2, 3)))
    np.testing.assert_allclose(F.rms_norm(X, 5, eps=0.1), X / np.sqrt((X**2).mean(-1, keepdims=True) + 0.1))


def test_derivatives_of_every_order():
    x = X[:2, :, :, :2]
    for norm in (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        lambda x, w, b: F.group_norm(x, 2, w, b),
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
        lambda x, w, b: F.batch_norm(x, Tensor(B), Tensor(abs(W)), w, b),
    ):
        assert autograd.gradcheck(norm, [x, W, B], order=2)


def test_running_averages_move_by_the_share():
    for norm, axes, mean_of in ((F.batch_norm, (0, 2, 3), None), (F.instance_norm, (2, 3), 0)):
        mean, var = Tensor(np.zeros(4)), Tensor(np.ones(4))
        norm(X, mean, var, momentum=0.25, **({"training": True} if mean_of is None else {}))
        means, variances = X.mean(axis=axes), X.var(axis=axes, ddof=1)
        if mean_of is not None:
            means, variances = means.mean(0), variances.mean(0)
        np.testing.assert_allclose(mean.data, 0.25 * means)
        np.testing.assert_allclose(var.data, 0.75 + 0.25 * variances)
        shown = standardized(X, axes)
        assert not np.allclose(norm(X, mean, var, **({} if mean_of is None else {"use_input_stats": False})), shown)


def test_a_large_mean_keeps_its_digits():
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32) + 1000
    exact = standardized(x.astype(float), (0, 2, 3))
    np.testing.assert_allclose(F.batch_norm(x, None, None, training=True), exact, atol=2e-3)


SIZES = {np.float16: [1e-4, 1.0, 300.0, 1.5e4], np.float32: [1e-20, 1.0, 1e19, 1e30, 8e37], np.float64: [1.0, 1e200]}
EVERY = {
    "layer": lambda x: F.layer_norm(x, (4, 5)),
    "group": lambda x: F.group_norm(x, 2),
    "rms": lambda x: F.rms_norm(x, 5, eps=1e-5),
    "batch": lambda x: F.batch_norm(x, None, None, training=True),
    "instance": lambda x: F.instance_norm(x),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", SIZES)
def test_norms_of_every_size_and_their_slopes(dtype, name):
    """As of numbers of a usual size: only eps, and the slope, know the size."""
    norm, eps = EVERY[name], np.finfo(dtype).eps
    x, along = RNG.normal(size=(3, 4, 5)) + 1, RNG.normal(size=(3, 4, 5))
    for size in SIZES[dtype]:
        large = (x * size).astype(dtype)
        large[0] = np.clip(x[0], -4, 4)  # rows of several sizes
        leaf, exact = Tensor(large, requires_grad=True), Tensor(large.astype(np.longdouble), requires_grad=True)
        y, want = norm(leaf), norm(exact)
        assert y.dtype == dtype
        np.testing.assert_allclose(y.data, want.data, rtol=20 * eps, atol=20 * eps)
        for f in (leaf, exact):
            (norm(f) * along.astype(f.dtype)).sum().backward()
        got, slope = leaf.grad.data, exact.grad.data
        bound = 50 * eps * np.max(np.abs(slope), axis=None if name == "batch" else (1, 2), keepdims=True)
        assert (np.abs(got - slope) <= bound + 8 * np.finfo(dtype).smallest_subnormal).all()
        tangent = autograd.jvp(norm, (large,), (along.astype(dtype),))[1]
        assert np.isfinite(np.asarray(tangent.data if isinstance(tangent, Tensor) else tangent)).all()


def test_running_averages_of_float16_are_of_float32():
    x = np.array([[1.0, 100.0], [3.0, 500.0]], np.float16)
    mean, var = Tensor(np.zeros(2, np.float16)), Tensor(np.ones(2, np.float16))
    F.batch_norm(x, mean, var, training=True, momentum=0.5)
    np.testing.assert_allclose(mean.data, [1.0, 150.0])
    np.testing.assert_allclose(var.data, [1.5, 40000.0], rtol=1e-3)
    assert mean.dtype == var.dtype == np.float16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.batch_norm(np.zeros(3), None, None, training=True), r"\(n, channels, ...\); got \(3,\)"),
        (lambda: F.batch_norm(np.zeros((1, 3)), None, None, training=True), r"more than one value.*\(1, 3\)"),
        (lambda: F.group_norm(X, 3), r"3 groups do not divide the channels.*\(3, 4, 2, 5\)"),
        (lambda: F.group_norm(X, 0), "0 groups"),
        (lambda: F.instance_norm(np.zeros((2, 3, 1))), r"more than one value per channel.*\(2, 3, 1\)"),
        (lambda: F.instance_norm(np.zeros((2, 3))), "more than one value"),
        (lambda: F.instance_norm(X, use_input_stats=False), "running_mean and running_var"),
        (lambda: F.layer_norm(X, (3, 5)), r"last axes are \(3, 5\); got shape \(3, 4, 2, 5\)"),
        (lambda: F.batch_norm(X, None, None, np.ones(3), training=True), r"weight.*\(4,\).*\(3,\)"),
        (lambda: F.group_norm(X, 2, bias=np.ones(1)), r"bias.*\(4,\).*\(1,\)"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
