"""Rules along one axis: cumulative sums and products, differences, convolution, interpolation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..op import differentiable
from ..registry import Operation
from .index import getitem
from .portable import array_like
from .register import CASES, Case, composite


def part(x, axis: int, start: int | None, stop: int | None, step: int | None = None):
    """x[start:stop:step] along `axis`."""
    return x[(slice(None),) * normalize_axis_index(axis, np.ndim(x)) + (slice(start, stop, step),)]


def _cast(a, dtype):
    return a if dtype is None else a.astype(dtype)


# ---- cumulative sums and products


def _cumsum_rule(g, _y, _x, *, axis: int | None = None):
    if axis is None:
        return np.reshape(_cumsum_rule(g, _y, g, axis=0), _x.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


def _suffix(g, x):
    """s[i] = g[i] + x[i+1] s[i+1] along the last axis, in log2(n) steps: each doubles how far every s looks ahead."""
    n = x.shape[-1]

    def ahead(a, d: int):
        return np.concatenate([a[..., d:], np.zeros_like(a[..., :d])], axis=-1)

    s, factor, d = g, ahead(x, 1), 1
    while d < n:
        s = s + factor * ahead(s, d)
        factor = factor * ahead(factor, d)
        d *= 2
    return s


def before(x):
    """The product of all elements before each one, along the last axis."""
    return np.concatenate([np.ones_like(x[..., :1]), np.cumprod(x, axis=-1)[..., :-1]], axis=-1)


def _cumprod_rule(g, _y, x, *, axis: int | None = None):
    """There is no division by x, so zeros need no special case."""
    if axis is None or not x.shape:
        return np.reshape(_cumprod_rule(g, _y, np.reshape(x, (-1,)), axis=0), x.shape)
    g, x = np.swapaxes(g, axis, -1), np.swapaxes(x, axis, -1)
    return np.swapaxes(before(x) * _suffix(g, x), axis, -1)


cumsum: Operation = differentiable(
    np.cumsum, _cumsum_rule, beyond=lambda a, axis=None, dtype=None: cumsum(_cast(a, dtype), axis=axis)
)
cumprod: Operation = differentiable(
    np.cumprod, _cumprod_rule, beyond=lambda a, axis=None, dtype=None: cumprod(_cast(a, dtype), axis=axis)
)


def _cumulative(scan, identity: float):
    def cumulative(x, /, *, axis: int | None = None, dtype=None, out: None = None, include_initial: bool = False):
        """NumPy 2's spelling: the axis may be left out only for one dimension."""
        x = x if np.ndim(x) else np.reshape(x, 1)
        if axis is None and np.ndim(x) != 1:
            raise ValueError("the axis is needed for an array that is not one-dimensional")
        axis = normalize_axis_index(0 if axis is None else axis, np.ndim(x))
        x = _cast(x, dtype)
        if include_initial:
            shape = [1 if i == axis else n for i, n in enumerate(np.shape(x))]
            x = np.concatenate([np.full_like(x, identity, shape=shape), x], axis=axis)
        return scan(x, axis=axis)

    return cumulative


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    cumulative_sum = composite(_cumulative(cumsum, 0.0), np.cumulative_sum)
    cumulative_prod = composite(_cumulative(cumprod, 1.0), np.cumulative_prod)


def _skip_nan(scan, fill: float):
    """Replace NaN by `fill`, which has no effect."""

    def function(a, axis: int | None = None, dtype=None, out: None = None):
        return scan(np.where(np.isnan(a), fill, _cast(a, dtype)), axis=axis)

    return function


nancumsum = composite(_skip_nan(cumsum, 0.0), np.nancumsum)
nancumprod = composite(_skip_nan(cumprod, 1.0), np.nancumprod)

# ---- differences and integrals


def _diff(a, n: int = 1, axis: int = -1, prepend=None, append=None):
    """a[i+1] - a[i], n times."""
    if n < 0:
        raise ValueError(f"diff: the order must not be negative; got {n}")
    if n == 0:
        return a

    def edge(x):
        shape = list(a.shape)
        shape[axis] = 1
        return np.broadcast_to(array_like(x, a), shape) if np.ndim(x) == 0 else x

    parts = [*([] if prepend is None else [edge(prepend)]), a, *([] if append is None else [edge(append)])]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    for _ in range(n):
        a = part(a, axis, 1, None) - part(a, axis, None, -1)
    return a


diff = composite(_diff, np.diff)
ediff1d = composite(
    lambda ary, to_end=None, to_begin=None: np.concatenate(
        [np.reshape(x, (-1,)) for x in (to_begin, _diff(np.reshape(ary, -1)), to_end) if x is not None]
    ),
    np.ediff1d,
)


def _trapezoid(y, x=None, dx=1.0, axis: int = -1):
    """The integral of y along an axis, by the trapezoidal rule."""
    if x is not None:
        dx = np.diff(x, axis=-1 if np.ndim(x) == 1 else axis)
        if np.ndim(x) == 1:
            dx = np.reshape(dx, [-1 if i == axis % np.ndim(y) else 1 for i in range(np.ndim(y))])
    return np.sum(0.5 * dx * (part(y, axis, 1, None) + part(y, axis, None, -1)), axis=axis)


trapezoid = composite(_trapezoid, np.trapezoid)


def _slope(f, h, axis: int, edge_order: int):
    """Second-order differences inside, first- or second-order ones on the edges; h: one step, or all of them."""
    n = f.shape[axis]
    if n <= edge_order:
        raise ValueError(f"gradient: axis {axis} needs at least {edge_order + 1} elements for this edge_order; got {n}")
    steps = np.zeros_like(f, shape=(n - 1,)) + h
    steps = np.reshape(steps, [-1 if i == axis % f.ndim else 1 for i in range(f.ndim)])
    rises = np.diff(f, axis=axis) / steps
    left, right = part(rises, axis, None, -1), part(rises, axis, 1, None)
    hl, hr = part(steps, axis, None, -1), part(steps, axis, 1, None)
    inside = (hr * left + hl * right) / (hl + hr)
    first, last = part(rises, axis, 0, 1), part(rises, axis, -1, None)
    if edge_order == 2:  # the parabola through the last three points
        bend = (right - left) / (hl + hr)
        first = first - part(hl * bend, axis, 0, 1)
        last = last + part(hr * bend, axis, -1, None)
    return np.concatenate([first, inside, last], axis=axis)


def _gradient(f, *varargs, axis=None, edge_order: int = 1):
    """NumPy's finite differences: one array per axis; varargs are steps, or coordinates along each axis."""
    axes = range(f.ndim) if axis is None else normalize_axis_tuple(axis, f.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is 1 or 2; got {edge_order}")
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(spacings)} spacings for {len(axes)} axes")
    slopes = [_slope(f, np.diff(h) if np.ndim(h) else h, a, edge_order) for h, a in zip(spacings, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


gradient = composite(_gradient, np.gradient)

# ---- convolution


def _whole(g, n: int, m: int, mode: str):
    """The gradient of a convolution in `mode`, padded to that of a full one, of length n + m - 1."""
    start = {"full": 0, "same": (min(n, m) - 1) // 2, "valid": min(n, m) - 1}[mode]
    left, right = np.zeros_like(g, shape=start), np.zeros_like(g, shape=n + m - 1 - start - g.shape[0])
    return np.concatenate([left, g, right])


def _convolve_rule(g, _x, other, mode: str):
    whole = _whole(g, _x.shape[0], other.shape[0], mode)
    return np.convolve(whole, np.flip(other), mode="valid")


convolve = differentiable(
    np.convolve,
    lambda g, _y, _a, v, *, mode="full": _convolve_rule(g, _a, v, mode),
    lambda g, _y, a, _v, *, mode="full": _convolve_rule(g, _v, a, mode),
)


def _correlate(a, v, mode="valid"):
    """A convolution with v reversed (and conjugated)."""
    if np.shape(v)[0] > np.shape(a)[0]:
        return np.flip(np.conj(_correlate(v, a, mode)))
    return np.convolve(a, np.flip(np.conj(v)), mode)


correlate = composite(_correlate, np.correlate)

# ---- polynomials and interpolation


def _polyval(p, x):
    """p[0] x**(n-1) + ... + p[n-1], by Horner's scheme."""
    y: Any = np.zeros_like(x) if np.shape(p)[0] else (np.zeros_like(x) + np.sum(p)).astype(x.dtype)
    for i in range(np.shape(p)[0]):
        y = y * x + p[i]
    return y


def _linspace(start, stop, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype=None, axis: int = 0):
    """`num` numbers from start to stop, along a new axis."""
    parts = num - 1 if endpoint else num
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop))
    step = (stop - start) / parts if parts > 0 else (stop - start) * math.nan
    places = np.arange(num, dtype=np.result_type(start, stop, 1.0)).reshape([-1, *(1 for _ in shape)])
    places = array_like(places.tolist(), start if hasattr(start, "dtype") else stop, places.dtype)
    line = start + (stop - start) * (places / max(parts, 1))
    line = np.moveaxis(line if dtype is None else line.astype(dtype), 0, axis)
    return (line, step) if retstep else line


polyval = composite(_polyval, np.polyval)
linspace = composite(_linspace, np.linspace)


def _interp(x, xp, fp, left=None, right=None, period=None):
    """The piecewise linear function through the points (xp, fp), at x; the slope is that of the piece on the right."""
    x, xp, fp = (array_like(a, x, np.result_type(getattr(a, "dtype", float), float)) for a in (x, xp, fp))
    if not np.shape(xp)[0] or np.shape(xp) != np.shape(fp):
        raise ValueError(f"interp: xp and fp are as long, and not empty; got shapes {np.shape(xp)} and {np.shape(fp)}")
    if np.shape(xp)[0] == 1:  # two points in one place, with a slope that nothing reads
        xp, fp = np.concatenate([xp, xp + 1.0]), np.concatenate([fp, fp])
        right = fp[0] if right is None else right
    if period is not None:
        x, xp = np.remainder(x, period), np.remainder(xp, period)
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, np.shape(xp)[0] - 2)
    inside = np.clip(x, xp[0], xp[-1])
    (x0, x1), (y0, y1) = ((getitem(a, index=i), getitem(a, index=i + 1)) for a in (xp, fp))
    y = y0 + (y1 - y0) / (x1 - x0) * (inside - x0)
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[-1], fp[-1] if right is None else right, y)


interp = composite(_interp, np.interp)


def _unwrap(p, discont=None, axis: int = -1, *, period: float = 2 * math.pi):
    """p plus the multiples of the period that make its jumps small; these do not depend smoothly on p."""
    plain = p.data if hasattr(p, "requires_grad") else p
    return p + (np.unwrap(plain, discont=discont, axis=axis, period=period) - plain)


unwrap = composite(_unwrap, np.unwrap)

# ---- test data

_AXES = [Case((5,)), Case((2, 3)), Case((2, 3), axis=0), Case((2, 3, 2), axis=-2), Case((0, 3), axis=0)]
_CUMULATIVE = [Case((4,)), Case((2, 3), axis=1), Case((2, 3), axis=0, include_initial=True)]
_HOLES = np.array([[1.0, np.nan, 0.5], [2.5, -1.0, np.nan]])
_XP = np.array([-1.6, -0.4, 0.7, 1.3])

CASES[cumsum] = _AXES
CASES[cumprod] = [*_AXES, Case(np.array([2.0, 0.0, 3.0, 0.0, 1.5]))]
if hasattr(np, "cumulative_sum"):
    CASES[cumulative_sum] = CASES[cumulative_prod] = _CUMULATIVE
CASES[nancumsum] = [Case(_HOLES), Case(_HOLES, axis=1)]
CASES[nancumprod] = [Case(_HOLES), Case(_HOLES, axis=1)]
CASES[diff] = [
    Case((4,)),
    Case((2, 4), n=2),
    Case((3, 2), axis=0),
    Case((3, 2), axis=0, prepend=1.5, append=np.ones((1, 2))),
    Case((3,), n=0),
]
CASES[ediff1d] = [Case((2, 3)), Case((4,), (2,), (1,))]
CASES[trapezoid] = [Case((5,)), Case((2, 3), (2,), axis=0), Case((2, 3), (2, 3)), Case((2, 3), dx=0.5)]
CASES[gradient] = [
    Case((5,)),
    Case((5,), 0.5, edge_order=2),
    Case((5,), np.array([0.0, 1.0, 1.5, 3.0, 3.2]), edge_order=2),
    Case((3, 4)),
    Case((3, 4), 2.0, np.array([0.0, 1.0, 1.5, 3.0])),
    Case((3, 4), axis=-1),
]
CASES[convolve] = [
    Case((5,), (3,)),
    Case((2,), (4,)),
    Case((5,), (3,), mode="same"),
    Case((5,), (2,), mode="same"),
    Case((2,), (5,), mode="same"),
    Case((5,), (3,), mode="valid"),
    Case((2,), (5,), mode="valid"),
]
CASES[correlate] = [
    Case((5,), (3,)),
    Case((5,), (2,), mode="same"),
    Case((2,), (4,), mode="full"),
    Case((2,), (5,), mode="same"),
]
CASES[polyval] = [Case((3,), (2, 2)), Case((4,), ())]
CASES[linspace] = [
    Case((), (), num=4),
    Case((2,), (3, 1), num=3, endpoint=False, axis=-1),
    Case((), 2.0, num=5, retstep=True),
]
CASES[interp] = [
    Case((2, 3), _XP, (4,)),
    Case((5,), _XP, (4,), left=-1.0, right=2.0),
    Case((5,), _XP, (4,), period=3.1),
]
CASES[unwrap] = [Case((6,), period=1.5), Case((2, 3), axis=0, period=1.5)]
