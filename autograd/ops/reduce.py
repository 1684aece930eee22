"""Rules of the functions that reduce along axes: sums, products, extremes, variances; and those that skip NaN."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..op import differentiable
from ..registry import Operation
from .index import array_of
from .portable import array_like, inverse_of
from .register import CASES, Case, composite
from .scaling import rescued, size_of
from .sequence import before


def restore(reduced, x, axis, keepdims: bool):
    """Put back the axes of x that a reduction removed, with length 1, so that the result broadcasts with x.

    NumPy takes axis 0 and -1 for a number, which has none.
    """
    return reduced if keepdims or axis is None or not x.shape else np.expand_dims(reduced, axis)


def cast(a, dtype):
    """`a` in another dtype, if one is given."""
    return a if dtype is None else a.astype(dtype)


def wide(a):
    """`a` in float32 if it is float16, as NumPy adds many of these."""
    return a.astype(np.float32) if a.dtype == np.float16 else a


def _sum_rule(g, _y, _x, *, axis=None, keepdims: bool = False):
    """`g`, for every element that was added."""
    return np.broadcast_to(restore(g, _x, axis, keepdims), _x.shape)


def _chosen(a, where, fill):
    """`a` with `fill` where it is not chosen."""
    if where is True:
        return a
    if np.broadcast_shapes(np.shape(where), np.shape(a)) != np.shape(a):
        raise ValueError(f"where= of shape {np.shape(where)} does not broadcast to the shape {np.shape(a)}")
    return np.where(where, a, fill)


def _sum_beyond(a, axis=None, keepdims: bool = False, dtype=None, initial=None, where=True):
    a = cast(a, dtype)
    total = sum(_chosen(a, where, 0.0), axis=axis, keepdims=keepdims)
    return total if initial is None else total + initial


sum: Operation = differentiable(np.sum, _sum_rule, beyond=_sum_beyond)


def share(_x, count: int) -> float:
    """The weight of each element in `count` means: a Python float, so that float16 does not overflow."""
    return count / (math.prod(_x.shape) or 1)


def _mean_rule(g, _y, _x, *, axis=None, keepdims: bool = False):
    """`g / n`, for each of the n elements of a mean."""
    return np.broadcast_to(restore(g * share(_x, math.prod(g.shape)), _x, axis, keepdims), _x.shape)


def _count(a, axis, keepdims: bool, where):
    """How many elements are chosen, in float32 at least: float16 ends at 65,504."""
    chosen = np.broadcast_to(array_like(where, a), np.shape(a))
    return np.sum(chosen, axis=axis, keepdims=keepdims).astype(np.result_type(a.dtype, np.float32))


def _mean_beyond(a, axis=None, keepdims: bool = False, dtype=None, where=True):
    a = cast(a, dtype)
    if where is True:
        return mean(a, axis=axis, keepdims=keepdims)
    total = _sum_beyond(wide(a), axis, keepdims, where=where)
    return (total / _count(a, axis, keepdims, where)).astype(a.dtype)


mean: Operation = differentiable(np.mean, _mean_rule, beyond=_mean_beyond)


def _prod_rule(g, _y, x, *, axis=None, keepdims: bool = False):
    """For each element, the product of those before it and those after it, so zeros do no harm."""
    if not x.shape:
        return g
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    if not rest:
        row = np.reshape(x, (-1,))
        return restore(g, x, axis, keepdims) * np.reshape(before(row) * before(row[::-1])[::-1], x.shape)
    moved = np.transpose(x, rest + axes)
    row = np.reshape(moved, (*moved.shape[: len(rest)], -1)) if x.size else moved
    others = before(row) * np.flip(before(np.flip(row, -1)), -1) if axes else np.ones_like(x)
    back = np.transpose(np.reshape(others, moved.shape), inverse_of(rest + axes))
    return restore(g, x, axis, keepdims) * back


def _prod_beyond(a, axis=None, keepdims: bool = False, dtype=None, initial=None, where=True):
    a = cast(a, dtype)
    product = prod(_chosen(a, where, 1.0), axis=axis, keepdims=keepdims)
    return product if initial is None else product * initial


prod: Operation = differentiable(np.prod, _prod_rule, beyond=_prod_beyond)


def _extreme_rule(g, y, x, *, axis=None, keepdims: bool = False):
    """`where(x == y, g, 0)`, shared equally if several equal the extreme (or are nan, if it is nan)."""
    chosen = (x == restore(y, x, axis, keepdims)) | (x != x)
    shared = restore(g, x, axis, keepdims) / _count(x, axis, True, chosen)
    return np.where(chosen, shared, 0.0)


def _extreme(reduce, combine, a, axis, keepdims: bool, initial, where):
    if where is not True and initial is None:
        raise ValueError(f"{reduce.__name__}: where= needs initial=, the result where nothing is chosen")
    a = _chosen(a, where, initial)
    if initial is not None and 0 in np.shape(a):  # a sum of nothing is 0, and has the shape of the result
        return sum(a, axis=axis, keepdims=keepdims) + initial
    extreme = reduce(a, axis=axis, keepdims=keepdims)
    return combine(extreme, initial)


def _max_beyond(a, axis=None, keepdims: bool = False, initial=None, where=True):
    return _extreme(max, np.maximum, a, axis, keepdims, initial, where)


def _min_beyond(a, axis=None, keepdims: bool = False, initial=None, where=True):
    return _extreme(min, np.minimum, a, axis, keepdims, initial, where)


max = differentiable(np.max, _extreme_rule, numpy=[np.max, np.amax], beyond=_max_beyond)
min = differentiable(np.min, _extreme_rule, numpy=[np.min, np.amin], beyond=_min_beyond)
amax, amin = max, min
ptp = composite(
    lambda a, axis=None, out=None, keepdims=False: (
        max(a, axis=axis, keepdims=keepdims) - min(a, axis=axis, keepdims=keepdims)
    ),
    np.ptp,
)


@np.errstate(divide="ignore")  # the logarithm of 0 is -inf, as intended
def _logsumexp(a, axis=None, keepdims: bool = False):
    """log(sum(exp(a))) along `axis` (all axes, if None), shifted by the largest finite a, so that nothing overflows.

    The gradient is the softmax; where the sum is infinite, its largest elements share it.

    >>> logsumexp(np.array([1000.0, 1000.0]))
    array(1000.69314718)
    """
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(wide(np.exp(a - top)), axis=axis, keepdims=True)
    y = (np.log(total) + top).astype(top.dtype)
    return y if keepdims else np.reshape(y, ()) if axis is None else np.squeeze(y, axis)


def _logsumexp_rule(g, y, x, *, axis=None, keepdims: bool = False):
    """The softmax; where the sum is infinite, its largest elements share equally."""
    g, y = restore(g, x, axis, keepdims), restore(y, x, axis, keepdims)
    finite = np.isfinite(y)
    part = np.where(finite, np.exp(np.where(finite, x, 0.0) - np.where(finite, y, 0.0)), x == y)
    total = np.sum(part, axis=axis, keepdims=True)  # 1, except that y is rounded: 1000 in float32 to 6e-5
    return g * (part / np.where(total == 0, 1.0, total))


logsumexp: Operation = differentiable(_logsumexp, _logsumexp_rule, name="logsumexp")

# ---- reductions that ignore NaN


def _filled(reduce, fill: float):
    """A sum or product with `fill` in place of NaN."""

    def function(a, axis=None, dtype=None, out: None = None, keepdims: bool = False, initial=None, where=True):
        a = cast(a, dtype)
        return reduce(np.where(np.isnan(a), fill, a), axis=axis, keepdims=keepdims, **_given(initial, where))

    return function


def _extreme_number(reduce, fill: float):
    """An extreme with `fill` in place of NaN; NaN where all elements are NaN."""

    def function(a, axis=None, out: None = None, keepdims: bool = False, initial=None, where=True):
        number = ~np.isnan(a)
        result = reduce(np.where(number, a, fill), axis=axis, keepdims=keepdims, **_given(initial, where))
        return result if initial is not None else np.where(np.any(number, axis=axis, keepdims=keepdims), result, np.nan)

    return function


def _given(initial, where):
    """The keywords that differ from their defaults; with these, a reduction takes more ops."""
    return ({} if initial is None else {"initial": initial}) | ({} if where is True else {"where": where})


def _numbers(a, dtype, where):
    """`a` with 0 for NaN, and a mask of the rest; with the mask alone, gradients would be NaN * 0."""
    number = ~np.isnan(a)
    return np.where(number, cast(a, dtype), 0.0), number & where


def _nanmean(a, axis=None, dtype=None, out: None = None, keepdims: bool = False, *, where=True):
    numbers, where = _numbers(a, dtype, where)
    return mean(numbers, axis=axis, keepdims=keepdims, where=where)


def _nan_spread(reduce):
    def function(
        a, axis=None, dtype=None, out: None = None, ddof=0, keepdims: bool = False, *,
        where=True, mean=None, correction=None,
    ):  # fmt: skip
        numbers, where = _numbers(a, dtype, where)
        spread = reduce(numbers, axis, ddof=ddof, keepdims=keepdims, where=where, mean=mean, correction=correction)
        return cast(spread, dtype)

    return function


def _ddof(ddof, correction):
    if ddof and correction is not None:
        raise ValueError("ddof and correction are two names of one argument")
    return ddof if correction is None else correction


def _var_beyond(a, axis=None, keepdims: bool = False, dtype=None, ddof=0, correction=None, mean=None, where=True):
    a, ddof = cast(a, dtype), _ddof(ddof, correction)
    if where is True and mean is None:
        return cast(var(a, axis=axis, keepdims=keepdims, ddof=ddof), dtype)
    x = wide(a)
    d = x - (_mean_beyond(x, axis, True, where=where) if mean is None else mean)
    if mean is None:  # which was rounded, so what does not vary has deviations
        d = d - _mean_beyond(d, axis, True, where=where)
    squares = np.real(_sum_beyond(d * d.conj(), axis, keepdims, where=where))
    count = np.real(_count(a, axis, keepdims, where))
    found = squares / np.maximum(count - ddof, 0.0)
    return cast(found.astype(a.dtype) if a.dtype == np.float16 else found, dtype)


def _var_rule(g, _y, x, *, axis=None, keepdims: bool = False, ddof=0):
    n = math.prod(x.shape) // (math.prod(g.shape) or 1)
    d = x - np.mean(x, axis=axis, keepdims=True)
    return restore(g * (2.0 / (n - ddof) if n != ddof else math.nan), x, axis, keepdims) * d.conj()


def _std_forward(x, axis=None, keepdims: bool = False, ddof=0):
    def root(x):
        return np.std(x, axis=axis, keepdims=keepdims, ddof=ddof)

    y = rescued(root, wide(x), 2.0, axis=axis, keepdims=keepdims)
    return y.astype(x.dtype) if x.dtype == np.float16 else y


def _std_rule(g, y, x, *, axis=None, keepdims: bool = False, ddof=0):
    """`g * d / (n * y)` with the deviations d; 0 where nothing varies."""
    n = math.prod(x.shape) // (math.prod(g.shape) or 1)
    d = x - np.mean(x, axis=axis, keepdims=True)
    d = d - np.mean(d, axis=axis, keepdims=True)  # the mean was rounded, so what does not vary has deviations
    y = restore(np.where(y == 0, 1.0, y), x, axis, keepdims)
    return d.conj() / y * restore(g * (1.0 / (n - ddof) if n != ddof else math.nan), x, axis, keepdims)


def _std_beyond(a, axis=None, keepdims: bool = False, dtype=None, ddof=0, correction=None, mean=None, where=True):
    """The root of the variance, with the gradient 0 at 0."""
    a, ddof = cast(a, dtype), _ddof(ddof, correction)
    if where is True and mean is None:
        return cast(std(a, axis=axis, keepdims=keepdims, ddof=ddof), dtype)
    size = size_of(array_of(a), axis, where if where is True else array_of(where))
    x = _var_beyond(a / size, axis, True, None, ddof, None, mean if mean is None else mean / size, where)
    root = np.where(x == 0, 0.0, np.sqrt(np.where(x == 0, 1.0, x))) * size
    return cast(root if keepdims else np.reshape(root, ()) if axis is None else np.squeeze(root, axis), dtype)


var: Operation = differentiable(np.var, _var_rule, beyond=_var_beyond)
std: Operation = differentiable(_std_forward, _std_rule, name="std", numpy=[np.std], beyond=_std_beyond)

nansum = composite(_filled(sum, 0.0), np.nansum)
nanprod = composite(_filled(prod, 1.0), np.nanprod)
nanmax = composite(_extreme_number(max, -np.inf), np.nanmax)
nanmin = composite(_extreme_number(min, np.inf), np.nanmin)
nanmean = composite(_nanmean, np.nanmean)
nanvar = composite(_nan_spread(var), np.nanvar)
nanstd = composite(_nan_spread(std), np.nanstd)

# ---- test data

_AXES = [
    Case((2, 3)),
    Case((2, 3), axis=0),
    Case((2, 3, 4), axis=(0, -1)),
    Case((2, 3), axis=-1, keepdims=True),
    Case((2, 3), keepdims=True),
]
_EVERY = [*_AXES, Case((2, 3), axis=()), Case(())]
_MASK = np.array([[True, False, True], [True, True, False]])
_HOLES = np.array([[1.0, np.nan, 0.5], [2.5, -1.0, np.nan]])
_NAN = [Case((2, 3)), Case(_HOLES), Case(_HOLES, axis=1), Case(_HOLES, axis=0, keepdims=True)]

CASES[sum] = [*_EVERY, Case((0, 3), axis=0), Case((2, 3), axis=0, where=_MASK, initial=2.0)]
CASES[mean] = [*_EVERY, Case((2, 3), axis=1, where=_MASK)]
CASES[prod] = [
    *_EVERY,
    Case(np.array([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0]]), axis=1),
    Case((2, 3), axis=0, where=_MASK, initial=2.0),
]
CASES[max] = CASES[min] = [*_EVERY, Case((2, 3), axis=0, where=_MASK, initial=0.1)]
CASES[ptp] = _AXES
CASES[logsumexp] = [*_AXES, Case(())]
CASES[std] = [*_AXES, Case((2, 3), axis=1, ddof=1), Case((2, 3), axis=1, correction=1), Case((2, 3), mean=0.5)]
CASES[var] = [*CASES[std], Case((2, 3), axis=0, where=_MASK)]
CASES[nansum] = CASES[nanprod] = CASES[nanmax] = CASES[nanmin] = [*_NAN, Case(_HOLES, axis=0, initial=0.1)]
CASES[nanmean] = _NAN
CASES[nanvar] = CASES[nanstd] = [*_NAN, Case(_HOLES, axis=1, ddof=1), Case(_HOLES, mean=0.5)]
