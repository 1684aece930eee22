"""Rules of the functions that choose or step: maximum, where, clip, abs, floor and the like.

docs/singular_points.md lists the gradient chosen at each kink.  A mask selects and never multiplies, because infinity
times 0 is not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import differentiable
from ..registry import Operation, zero
from .index import own, set_at, within
from .portable import array_like
from .register import CASES, REAL, Case, composite, domain, elementwise

_WORDS = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}


def _keep_where(x, *, mask):
    """np.where(mask, x, 0), without a branch per element: the bits of x, read as an integer, are multiplied by 1 or 0.

    np.where takes 15 times as long if the mask has no pattern, as after a ReLU.
    """
    word = _WORDS.get(x.dtype)
    if word is None or not x.shape or mask.shape != x.shape:
        return np.where(mask, x, 0.0)
    bits = mask.astype(word)
    bits *= x.view(word)
    return bits.view(x.dtype)


_kept: Operation = differentiable(_keep_where, lambda g, _y, _x, *, mask: keep_where(g, mask=mask), name="keep_where")


def keep_where(x: Any, *, mask: Any) -> Any:
    """x where the mask is true, and 0 elsewhere, even in place of infinity and NaN.

    `mask` has the shape of x, or one that broadcasts with it (ValueError otherwise); the shape of x is fastest, because
    it needs no branch per element.

    >>> keep_where(np.array([1.0, np.inf]), mask=np.array([True, False]))
    array([1., 0.])
    """
    return _keep_where(x, mask=mask) if x.__class__ is np.ndarray else _kept(x, mask=mask)


def _signed(g, x):
    """g with the sign of x, 0 where x is 0, and NaN where x is."""
    return np.where(x > 0, g, np.where(x < 0, -g, 0.0 * x))


def _abs_rule(g, y, x):
    return g * x.conj() / np.where(y == 0, 1.0, y) if x.dtype.kind == "c" else _signed(g, x)


def _sign_rule(g, _y, x):
    """The sign of a complex number is x / abs(x), which does not depend on its length; at 0 the gradient is 0."""
    if x.dtype.kind != "c":
        return zero(g)
    flat = x == 0
    size = np.abs(np.where(flat, 1.0, x))
    turn = x / size
    return np.where(flat, 0.0, (g - np.real(g * turn) * turn.conj()) / size)


abs = elementwise(np.abs, _abs_rule, name="abs", operator="abs")
fabs = elementwise(np.fabs, lambda g, _y, x: _signed(g, x))
sign = elementwise(np.sign, _sign_rule)
copysign = elementwise(
    np.copysign, lambda g, _z, x, y: np.where(x == 0, 0.0, np.where(np.signbit(x) == np.signbit(y), g, -g)), zero
)
absolute = abs

# ---- steps: the gradient is 0

floor = elementwise(np.floor, zero)
ceil = elementwise(np.ceil, zero)
trunc = elementwise(np.trunc, zero)
rint = elementwise(np.rint, zero)
fix = composite(lambda x, out=None: np.trunc(x), np.fix)
round = differentiable(np.round, lambda g, *_, decimals=0: zero(g), numpy=[np.round, np.around])
floor_divide = elementwise(np.floor_divide, zero, zero, operator="floordiv")
heaviside = elementwise(np.heaviside, zero, lambda g, _z, x, _y: np.where(x == 0, g, 0.0))

# ---- choices

maximum = elementwise(  # if either is NaN, so is the result, and both get the gradient
    np.maximum,
    lambda g, _z, x, y: np.where(x < y, 0.0, np.where(x == y, g * 0.5, g)),
    lambda g, _z, x, y: np.where(y < x, 0.0, np.where(x == y, g * 0.5, g)),
)
minimum = elementwise(
    np.minimum,
    lambda g, _z, x, y: np.where(x > y, 0.0, np.where(x == y, g * 0.5, g)),
    lambda g, _z, x, y: np.where(y > x, 0.0, np.where(x == y, g * 0.5, g)),
)
where = differentiable(
    np.where,
    None,
    lambda g, _z, condition, _x, _y: np.where(condition, g, 0.0),
    lambda g, _z, condition, _x, _y: np.where(condition, 0.0, g),
    call=lambda condition, x, y: ((own(condition), x, y), {}),
    numpy=[np.where],
    elementwise=True,
)


def _less(x, y):
    """x < y, where None is not a bound."""
    return False if x is None or y is None else x < y


def _bounds(a, a_min=None, a_max=None, *, min=None, max=None):
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ValueError("clip: a bound is given twice, as a_min or a_max and as min or max")
    return (a, min if a_min is None else a_min, max if a_max is None else a_max), {}


clip = differentiable(
    lambda x, low, high: np.clip(x, low, high),
    lambda g, _z, x, low, high: np.where(np.logical_or(_less(x, low), _less(high, x)), 0.0, g),
    lambda g, _z, x, low, high: np.where(np.logical_and(x < low, np.logical_not(_less(high, low))), g, 0.0),
    lambda g, _z, x, low, high: np.where(_less(high, x if low is None else np.maximum(x, low)), g, 0.0),
    call=_bounds,
    name="clip",
    numpy=[np.clip],
    elementwise=True,
)
fmax = elementwise(
    np.fmax,
    lambda g, _z, x, y: np.where(np.isnan(y) | (x > y), g, np.where(x == y, g * 0.5, 0.0)),
    lambda g, _z, x, y: np.where(np.isnan(x) | (y > x), g, np.where(x == y, g * 0.5, 0.0)),
)
fmin = elementwise(
    np.fmin,
    lambda g, _z, x, y: np.where(np.isnan(y) | (x < y), g, np.where(x == y, g * 0.5, 0.0)),
    lambda g, _z, x, y: np.where(np.isnan(x) | (y < x), g, np.where(x == y, g * 0.5, 0.0)),
)
nan_to_num = differentiable(
    np.nan_to_num, lambda g, _y, x, *, nan=0.0, posinf=None, neginf=None: np.where(np.isfinite(x), g, 0.0)
)


def _select(condlist, choicelist, default=0):
    """The first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    result = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        result = np.where(condition, choice, result)
    return result


select = composite(_select, np.select)


def _choose(a, choices, out: None = None, mode: str = "raise"):
    """For each element, the one of `choices` that the integer in `a` selects."""
    n = len(choices)
    like = next((c for c in choices if hasattr(c, "dtype")), a)
    a = within(array_like(a, like), n, mode)
    if ((a < 0) | (a >= n)).any():
        raise ValueError(f"choose: an index is not one of the {n} choices")
    return _select([a == i for i in range(n)], list(choices))


choose = composite(_choose, np.choose)


def _piecewise(x, condlist, funclist, *args, **kw):
    """The function (or number) of the last condition that holds, evaluated only there."""
    one = isinstance(condlist, list | tuple) and all(isinstance(c, bool | np.bool_) for c in condlist)
    one = one or (not isinstance(condlist, list | tuple) and np.ndim(condlist) == np.ndim(x))
    conditions = [array_like(c, x) for c in ([condlist] if one else condlist)]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(np.stack(conditions), axis=0))
    if len(funclist) != len(conditions):
        raise ValueError(f"piecewise: {len(funclist)} functions for {len(conditions)} conditions")
    result = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result = np.where(condition, function, result)
        elif condition.any():
            result = set_at(result, condition, function(x[condition], *args, **kw))
    return result


piecewise = composite(_piecewise, np.piecewise)

# ---- test data

_INSIDE = (0.1, 0.9)  # between two steps
_MASK = np.array([[True, False, True], [False, False, True]])

CASES[_kept] = [
    Case((2, 3), mask=np.array([[True, False, True], [False, False, True]])),
    Case((3,), mask=np.array(True)),
    Case((), mask=np.array(False)),
]
CASES[floor] = domain(_INSIDE)
CASES[ceil] = domain(_INSIDE)
CASES[trunc] = domain(_INSIDE)
CASES[rint] = domain((0.6, 1.4))
CASES[fix] = domain(_INSIDE, Case((2, 3)))
CASES[round] = domain((0.6, 1.4), Case((2, 3)), Case((2, 3), decimals=0), Case(()))
CASES[floor_divide] = domain([(3.1, 4.9), (1.6, 2.4)], Case((2,), (2,)), Case((2, 1), 1.7), Case((), ()))
CASES[heaviside] = domain([_INSIDE, REAL], Case((2, 3), (3,)), Case(np.array([0, 1]), (2,)), Case((), ()))
CASES[where] = [
    Case(np.array([[True, False, True], [False, False, True]]), (2, 3), (3,)),
    Case(np.array([True, False]), (3, 1), ()),
    Case(np.array(True), (2,), 0.5),
]
CASES[clip] = [
    Case((2, 3), -1.0, 1.0),
    Case((2, 3), None, 0.5),
    Case((5,), -0.5, None),
    Case((2, 3), np.full(3, -0.5), (3,)),
    Case((2, 3), (2, 1), ()),
    Case((), -1.0, 1.0),
]
CASES[nan_to_num] = [Case((2, 3)), Case((2, 3), nan=1.0, posinf=2.0, neginf=3.0)]
CASES[select] = [Case([_MASK, ~_MASK], [(2, 3), (3,)]), Case([_MASK], [(2, 3)], 0.5)]
CASES[choose] = [
    Case(np.array([[0, 1, 0], [1, 1, 0]]), [(2, 3), (3,)]),
    Case(np.array([5, -1]), [(2,), (2,)], mode="wrap"),
]
CASES[piecewise] = [Case((2, 3), [_MASK], [np.square, np.exp]), Case((2, 3), [_MASK, ~_MASK], [2.0, np.sin])]
