"""Gradients where there is none, or more than one: docs/singular_points.md."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from leaves import leaf


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (np.abs, [0.0], [0.0]),
        (lambda x: np.maximum(x, 1.0), [1.0], [0.5]),
        (lambda x: np.minimum(1.0, x), [1.0], [0.5]),
        (np.max, [2.0, 2.0, 1.0], [0.5, 0.5, 0]),
        (np.min, [2.0, 1.0, 1.0, 1.0], [0, 1 / 3, 1 / 3, 1 / 3]),
        (lambda x: np.clip(x, 0, 1), [0.0, 1.0, -1.0, 2.0], [1, 1, 0, 0]),
        (lambda x: x**0, [0.0], [0.0]),
        (lambda x: x ** np.array([0.0, 1.0]), [0.0, 0.0], [0.0, 1.0]),
        (lambda x: 0.0**x, [2.0], [0.0]),
        (lambda x: np.hypot(x, 0.0), [0.0], [0.0]),
        (lambda x: np.arctan2(x, 0.0), [0.0], [0.0]),
        (lambda x: np.copysign(2.0, x), [1.0], [0.0]),
        (nn.functional.relu, [0.0], [0.0]),
        (lambda x: nn.functional.max_pool1d(x[None, None], 3), [1.0, 2.0, 2.0], [0, 1, 0]),
        (lambda x: np.fmax(x, 1.0), [1.0], [0.5]),
        (np.ptp, [1.0, 1.0], [0.0, 0.0]),
        (np.sign, [0.0], [0.0]),
        (np.floor, [1.0], [0.0]),
        (lambda x: np.heaviside(x, 0.5), [0.0], [0.0]),
        (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
        (lambda x: np.linalg.norm(x, 3), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: np.linalg.norm(np.reshape(x, (2, 2)), "nuc"), [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]),
        (lambda x: np.linalg.norm(np.reshape(x, (2, 2)), "nuc"), [0.0] * 4, [0.0] * 4),
        (np.std, [2.0, 2.0], [0.0, 0.0]),
        (np.prod, [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]),
        (lambda x: np.cumprod(x)[-1], [0.0, 3.0, 2.0], [6.0, 0.0, 0.0]),
        (lambda x: np.linalg.det(np.reshape(x, (2, 2))), [1.0, 2.0, 2.0, 4.0], [4.0, -2.0, -2.0, 1.0]),
        (np.sinc, [0.0], [0.0]),
        (autograd.grad(np.sinc), [0.0], [-(np.pi**2) / 3]),
        (np.median, [1.0, 2.0, 2.0, 3.0], [0.0, 0.5, 0.5, 0.0]),
        (np.unique, [1.0, 2.0, 1.0], [1.0, 1.0, 0.0]),
        (lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]), [1.0], [4.0]),
        (lambda x: np.linalg.eigh(x[:, None] * np.eye(2))[0], [1.0, 1.0], [1.0, 1.0]),
        (lambda x: np.linalg.svdvals(x[:, None] * np.eye(2)), [0.0, 1.0], [0.0, 1.0]),
        (lambda x: np.real(np.sign(x + 0j)), [0.0], [0.0]),
        (np.nansum, [np.nan, 1.0], [0.0, 1.0]),
        (lambda x: autograd.special.xlogy(0.0, x), [0.0], [0.0]),
        (lambda x: autograd.special.xlogy(2.0, x), [0.5], [4.0]),
        (lambda x: autograd.special.xlog1py(0.0, x), [-1.0], [0.0]),
    ],
)
def test_gradients_at_singular_points(function, at, expected):
    x = leaf(*at) if len(at) > 1 else Tensor(at, requires_grad=True)
    function(x).sum().backward()
    np.testing.assert_allclose(x.grad.data, expected)


def test_the_gradient_of_sqrt_at_0_is_infinite():
    x = leaf(0.0)
    with np.errstate(divide="ignore"):
        np.sqrt(x).backward()
    assert x.grad.item() == np.inf


def test_masks_select_and_do_not_multiply():
    x = leaf(-1.0, 2.0)
    y = autograd.where(x > 0, x, 0.0)
    y.backward(np.array([np.inf, 1.0]))
    np.testing.assert_array_equal(x.grad.data, [0, 1])


def test_a_slope_of_0_stays_0_under_an_infinite_gradient():
    for f, at in [
        (lambda x: x ** np.array([0.0]), [0.0]),
        (lambda x: np.power(np.array([0.0]), x), [1.0]),
        (lambda x: np.linalg.norm(np.stack([x, np.ones(1)]), ord=3, axis=0), [0.0]),
    ]:
        x = Tensor(at, requires_grad=True)
        with np.errstate(invalid="ignore"):
            f(x).backward(np.array([np.inf]))
        assert x.grad.data.tolist() == [0]


def test_infinities_and_nan():
    for f, at, expected in [
        (lambda x: np.logaddexp(x, 0.0), [np.inf, -np.inf], [1, 0]),
        (lambda x: np.logaddexp(x, x), [-np.inf, np.inf], [1, 1]),
        (lambda x: np.logaddexp2(x, np.array([-np.inf])), [-np.inf], [0.5]),
        (autograd.logsumexp, [0.0, np.inf], [0, 1]),
        (autograd.logsumexp, [-np.inf, -np.inf], [0.5, 0.5]),
        (lambda x: x ** np.array([0.0]), [np.inf], [0]),
        (lambda x: np.power(0.0, x), [0.0, 1.0], [0, 0]),
        (lambda x: np.maximum(x, 1.0), [np.nan, 0.0], [1, 0]),
        (nn.functional.relu, [np.nan, -np.inf], [1, 0]),
        (lambda x: np.clip(x, 0, 1), [np.nan, -np.inf, np.inf], [1, 0, 0]),
    ]:
        x = Tensor(at, requires_grad=True)
        y = f(x)
        y.backward(np.ones(y.shape))
        np.testing.assert_array_equal(x.grad.data, expected)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_relu_of_every_kind_of_number(kind):
    x = Tensor(np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0] * 5, kind), requires_grad=True)
    for order in ("C", "F"):
        t = Tensor(np.asarray(x.data.reshape(8, 5), order=order), requires_grad=True)
        y = nn.functional.relu(t)
        assert y.dtype == kind
        np.testing.assert_array_equal(y.data, np.maximum(t.data, 0))
        for g in (np.inf, np.nan, -0.0, 3.0):
            t.grad = None
            y.backward(np.full((8, 5), g, kind), retain_graph=True)
            np.testing.assert_array_equal(t.grad.data, np.where((t.data > 0) | np.isnan(t.data), kind(g), 0))
    assert nn.functional.relu(np.array([-1, 2])).tolist() == [0, 2] and nn.functional.relu(2.0) == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_medians_beside_infinite_numbers(dtype):
    """A neighbour with a weight of 0 has no effect on the value, and none on the gradient."""
    rows = [[1.0, np.inf, np.inf], [1.0, 2.0, np.inf], [-np.inf, 1.0, 2.0], [1.0, np.inf], [np.inf], [-np.inf, 1, 2, 3]]
    for row, axis in [*((row, None) for row in rows), ([np.inf, 1.0], ())]:
        x = Tensor(np.array(row, dtype), requires_grad=True)
        y = np.median(x, axis=axis)
        np.testing.assert_array_equal(y.data, np.median(x.data, axis=axis), err_msg=str(row))
        assert y.dtype == dtype
        y.sum().backward()
        assert x.grad.data.sum() == y.data.size
