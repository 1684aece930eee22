"""Order statistics and covariances, written with other ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..libraries import on_host
from .portable import array_like, inverse_of
from .register import CASES, Case, composite


def _average(a, axis=None, weights=None, returned: bool = False, *, keepdims: bool = False):
    """The weighted mean; weights have the shape of `a` or that of its `axis`."""
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total: Any = np.full_like(result, math.prod(np.shape(a)) / (math.prod(result.shape) or 1))
    else:
        if np.shape(weights) != np.shape(a):
            if axis is None:
                raise TypeError("average: the axis is needed when weights have another shape than a")
            axes = normalize_axis_tuple(axis, np.ndim(a))
            if np.shape(weights) != tuple(np.shape(a)[i] for i in axes):
                raise ValueError(
                    f"average: weights of shape {np.shape(weights)} do not fit axis {axis} of {np.shape(a)}"
                )
            weights = np.transpose(weights, inverse_of(axes))
            weights = np.reshape(weights, [n if i in axes else 1 for i, n in enumerate(np.shape(a))])
        weights = np.broadcast_to(weights, np.shape(a))
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, total) if returned else result


average = composite(_average, np.average)


def _between(a, q, exact: bool, axis, method: str, keepdims: bool):
    """Interpolate between two neighbours in sorted order; NumPy's quantile of 0, 1, 2, ... shows which and how far.

    The gradient goes to these two elements, and not to q; `exact` means that q was given as a Python number.
    """
    if np.iscomplexobj(a):
        raise TypeError("quantile: complex numbers have no order; take np.abs first")
    ndim = np.ndim(a)
    axes = tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)
    rest = tuple(i for i in range(ndim) if i not in axes)
    row = np.transpose(a, rest + axes)
    row = np.sort(np.reshape(row, (*row.shape[: len(rest)], math.prod(row.shape[len(rest) :]))), axis=-1)
    place: Any = np.quantile(np.arange(row.shape[-1], dtype=float), q, method=method)  # type: ignore[call-overload]  # it checks the method's name itself
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, row.shape[-1] - 1)
    part = np.asarray(place - low, row.dtype if exact else np.result_type(row.dtype, q), like=row)
    above = np.where(part == 0, 0.0, row[..., high])  # which may be infinite
    result = row[..., low] * (1.0 - part) + above * part
    holes = np.isnan(row[..., -1:])  # sorting puts NaN last
    if holes.any():
        result = np.where(np.reshape(holes, holes.shape[:-1] + (1,) * q.ndim), np.nan, result)
    result = np.moveaxis(result, range(len(rest), len(rest) + q.ndim), range(q.ndim)) if q.ndim else result
    return np.expand_dims(result, tuple(i + q.ndim for i in sorted(axes))) if keepdims else result


def _of_shares(whole: float):
    """`q` as shares of `whole`: 1 for quantiles, 100 for percentiles."""

    def function(
        a,
        q,
        axis=None,
        out: None = None,
        overwrite_input=False,
        method="linear",
        keepdims=False,
        *,
        weights: None = None,
    ):
        if weights is not None or out is not None:
            raise TypeError("quantile has no derivative rule for the arguments weights and out")
        return _between(a, np.asarray(on_host(q)) / whole, isinstance(q, int | float), axis, method, keepdims)

    return function


def _median(a, axis=None, out: None = None, overwrite_input: bool = False, keepdims: bool = False):
    axes = range(np.ndim(a)) if axis is None else normalize_axis_tuple(axis, np.ndim(a))
    if 0 in [np.shape(a)[i] for i in axes]:
        return np.mean(a, axis=axis, keepdims=keepdims)  # NaN, with NumPy's warning
    return _between(a, np.asarray(0.5), True, axis, "linear", keepdims)


median = composite(_median, np.median)
quantile = composite(_of_shares(1.0), np.quantile)
percentile = composite(_of_shares(100.0), np.percentile)


def _cov(
    m,
    y=None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights=None,
    aweights=None,
    *,
    dtype=None,
):
    """The covariance of the rows of m (and y): their deviations, weighted, times their transpose, over n - ddof."""

    def rows(x):
        x = np.atleast_2d(x.astype(np.result_type(x.dtype, np.float64) if dtype is None else dtype))
        return x.T if not rowvar and x.shape[0] != 1 else x

    x = rows(m)
    if not x.shape[0]:
        return np.reshape(x, (0, 0))
    x = x if y is None else np.concatenate([x, rows(y)], axis=0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights: Any = 1.0
    if fweights is not None:
        weights = array_like(fweights, x, float)
    if aweights is not None:
        aweights = array_like(aweights, x)
        weights = weights * aweights
    total = x.shape[1] if isinstance(weights, float) else np.sum(weights)
    lost = 1.0 if aweights is None else np.sum(weights * aweights) / total
    d = x - np.sum(x * weights, axis=1, keepdims=True) / total
    scale: Any = total - ddof * lost
    scale = np.maximum(scale, 0.0) if hasattr(scale, "requires_grad") else max(float(scale), 0.0)
    return np.squeeze((d * weights) @ np.conj(d.T) / scale)


cov = composite(_cov, np.cov)


def _corrcoef(x, y=None, rowvar: bool = True, *, dtype=None):
    """Covariances over the product of the standard deviations, kept within -1 and 1 as NumPy does."""
    c = _cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation[None, :]
    return c if c.dtype.kind == "c" else np.clip(c, -1.0, 1.0)


corrcoef = composite(_corrcoef, np.corrcoef)

# ---- test data

_WEIGHTS = np.array([[0.5, 1.0, 2.0], [1.5, 0.3, 0.7]])
_ORDER: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True}]
_QS: list[Any] = [0.3, [0.1, 0.5, 1.0]]
_METHODS = ["lower", "higher", "midpoint", "nearest", "hazen", "median_unbiased", "inverted_cdf", "weibull"]

CASES[average] = [
    Case((2, 3)),
    Case((2, 3), axis=1, weights=_WEIGHTS),
    Case((2, 3), axis=-1, weights=_WEIGHTS[0], keepdims=True),
    Case((2, 3), axis=0, weights=np.array([1.0, 3.0]), returned=True),
]
CASES[median] = [Case((2, 3, 2), **p) for p in _ORDER] + [Case((5,)), Case((1,))]
CASES[quantile] = [Case((2, 3, 2), q, **p) for q in _QS for p in _ORDER] + [
    Case((5,), 0.35, method=m) for m in _METHODS
]
CASES[percentile] = [Case((2, 3), 30.0), Case((4,), [[5.0, 50.0]])]
CASES[cov] = [
    Case((2, 4)),
    Case((4,)),
    Case((4, 3), rowvar=False),
    Case((3,), (3,)),
    Case((2, 3), (1, 3), ddof=0),
    Case((2, 4), fweights=np.array([1, 2, 1, 1]), aweights=np.array([0.5, 1.0, 2.0, 1.0])),
]
CASES[corrcoef] = [Case((3, 5)), Case((5, 2), rowvar=False), Case((5,), (5,))]
