"""Rules of the functions that work element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import POSITIVE, REAL, UNIT, Case, differentiable, elementwise

# ---- arithmetic

add = elementwise(np.add, lambda g, *_: g, lambda g, *_: g, operator="add")
subtract = elementwise(np.subtract, lambda g, *_: g, lambda g, *_: -g, operator="sub")
multiply = elementwise(
    np.multiply,
    lambda g, _z, _x, y: g * y,
    lambda g, _z, x, _y: g * x,
    operator="mul",
)
divide = elementwise(
    np.divide,
    lambda g, _z, _x, y: g / y,
    lambda g, z, _x, y: -g * z / y,
    operator="truediv",
    domain=[REAL, POSITIVE],
)
negative = elementwise(np.negative, lambda g, *_: -g, operator="neg")
positive = elementwise(np.positive, lambda g, *_: g, operator="pos")


def _power_base(g: Any, _z: Any, x: Any, y: Any) -> Any:
    """y x**(y-1), which is 0 where y is 0, also at x = 0."""
    if y.__class__ in (int, float):
        return np.zeros_like(g) if y == 0 else g * 2.0 * x if y == 2 else g * float(y) * x ** (y - 1)
    return g * y * x ** np.where(y == 0, 1.0, y - 1.0)


def _power_exponent(g: Any, z: Any, x: Any, y: Any) -> Any:
    """x**y log(x), taken as its limit 0 where x is 0 and y > 0."""
    return np.where((x == 0) & (y > 0), 0.0, g * z * np.log(np.where((x == 0) & (y > 0), 1.0, x)))


power = elementwise(
    np.power,
    _power_base,
    _power_exponent,
    operator="pow",
    domain=[POSITIVE, REAL],
    cases=[Case((2, 3), 2), Case((2, 3), -1.5), Case((2, 3), (3,)), Case((3,), (2, 1)), Case(2.0, (3,)), Case((), ())],
)

reciprocal = elementwise(np.reciprocal, lambda g, y, _x: -g * y * y, domain=POSITIVE)
remainder = elementwise(
    np.remainder,
    lambda g, *_: g,
    lambda g, _z, x, y: -g * np.floor_divide(x, y),
    operator="mod",
    domain=[(3.1, 4.9), (1.6, 2.4)],
    cases=[Case((2,), (2,)), Case((2, 1), 1.7), Case((), ())],
)
fmod = elementwise(
    np.fmod,
    lambda g, *_: g,
    lambda g, _z, x, y: -g * np.trunc(x / y),
    domain=[(3.1, 4.9), (1.6, 2.4)],
    cases=[Case((2,), (2,)), Case((2, 1), 1.7), Case((), ())],
)
mod = remainder
true_divide = divide
pow = power

# ---- powers, exponentials and logarithms

LN2, LN10 = math.log(2), math.log(10)

square = elementwise(np.square, lambda g, _y, x: g * 2.0 * x)
sqrt = elementwise(np.sqrt, lambda g, y, _x: g * 0.5 / y, domain=POSITIVE)
cbrt = elementwise(np.cbrt, lambda g, y, _x: g / (3.0 * y * y), domain=POSITIVE)
exp = elementwise(np.exp, lambda g, y, _x: g * y)
exp2 = elementwise(np.exp2, lambda g, y, _x: g * y * LN2)
expm1 = elementwise(np.expm1, lambda g, y, _x: g * (y + 1.0))
log = elementwise(np.log, lambda g, _y, x: g / x, domain=POSITIVE)
log2 = elementwise(np.log2, lambda g, _y, x: g / (x * LN2), domain=POSITIVE)
log10 = elementwise(np.log10, lambda g, _y, x: g / (x * LN10), domain=POSITIVE)
log1p = elementwise(np.log1p, lambda g, _y, x: g / (x + 1.0), domain=POSITIVE)
logaddexp = elementwise(
    np.logaddexp,
    lambda g, z, x, _y: g * np.exp(x - z),
    lambda g, z, _x, y: g * np.exp(y - z),
)
logaddexp2 = elementwise(
    np.logaddexp2,
    lambda g, z, x, _y: g * np.exp2(x - z),
    lambda g, z, _x, y: g * np.exp2(y - z),
)

# ---- trigonometric and hyperbolic

sin = elementwise(np.sin, lambda g, _y, x: g * np.cos(x))
cos = elementwise(np.cos, lambda g, _y, x: -g * np.sin(x))
tan = elementwise(np.tan, lambda g, y, _x: g * (1.0 + y * y), domain=UNIT)
arcsin = elementwise(np.arcsin, lambda g, _y, x: g / np.sqrt(1.0 - x * x), domain=UNIT)
arccos = elementwise(np.arccos, lambda g, _y, x: -g / np.sqrt(1.0 - x * x), domain=UNIT)
arctan = elementwise(np.arctan, lambda g, _y, x: g / (1.0 + x * x))
sinh = elementwise(np.sinh, lambda g, _y, x: g * np.cosh(x))
cosh = elementwise(np.cosh, lambda g, _y, x: g * np.sinh(x))
tanh = elementwise(np.tanh, lambda g, y, _x: g * (1.0 - y * y))  # not g - g*y*y: inf - inf
arcsinh = elementwise(np.arcsinh, lambda g, _y, x: g / np.sqrt(x * x + 1.0))
arccosh = elementwise(np.arccosh, lambda g, _y, x: g / np.sqrt((x - 1.0) * (x + 1.0)), domain=(1.3, 3.0))
arctanh = elementwise(np.arctanh, lambda g, _y, x: g / (1.0 - x * x), domain=UNIT)
acos, asin, atan, acosh, asinh, atanh = arccos, arcsin, arctan, arccosh, arcsinh, arctanh
deg2rad = elementwise(np.deg2rad, lambda g, *_: g * (math.pi / 180.0))
rad2deg = elementwise(np.rad2deg, lambda g, *_: g * (180.0 / math.pi))
radians = elementwise(np.radians, lambda g, *_: g * (math.pi / 180.0))
degrees = elementwise(np.degrees, lambda g, *_: g * (180.0 / math.pi))
hypot = elementwise(
    np.hypot,
    lambda g, z, x, _y: g * (x / np.where(z == 0, 1.0, z)),
    lambda g, z, _x, y: g * (y / np.where(z == 0, 1.0, z)),
)


def _square_norm(y: Any, x: Any) -> Any:
    """x**2 + y**2, and 1 at the origin, where the gradient of arctan2 is chosen to be 0."""
    total = x * x + y * y
    return np.where(total == 0, 1.0, total)


arctan2 = elementwise(
    np.arctan2,
    lambda g, _z, y, x: g * (x / _square_norm(y, x)),
    lambda g, _z, y, x: -g * (y / _square_norm(y, x)),
)
atan2 = arctan2

# ---- with a kink: docs/singular_points.md says which of the possible gradients is taken there

abs = elementwise(np.abs, lambda g, _y, x: g * np.sign(x), name="abs", operator="abs")
fabs = elementwise(np.fabs, lambda g, _y, x: g * np.sign(x))
copysign = elementwise(
    np.copysign,
    lambda g, _z, x, y: np.where(np.signbit(x) == np.signbit(y), g, -g),
    None,
)
maximum = elementwise(
    np.maximum,
    lambda g, _z, x, y: np.where(x > y, g, np.where(x == y, g * 0.5, 0.0)),
    lambda g, _z, x, y: np.where(y > x, g, np.where(x == y, g * 0.5, 0.0)),
)
minimum = elementwise(
    np.minimum,
    lambda g, _z, x, y: np.where(x < y, g, np.where(x == y, g * 0.5, 0.0)),
    lambda g, _z, x, y: np.where(y < x, g, np.where(x == y, g * 0.5, 0.0)),
)
where = differentiable(
    np.where,
    None,
    lambda g, _z, condition, _x, _y: np.where(condition, g, 0.0),
    lambda g, _z, condition, _x, _y: np.where(condition, 0.0, g),
    call=lambda condition, x, y: ((condition, x, y), {}),
    numpy=[np.where],
    cases=[
        Case(np.array([[True, False, True], [False, False, True]]), (2, 3), (3,)),
        Case(np.array([True, False]), (3, 1), ()),
        Case(np.array(True), (2,), 0.5),
    ],
    elementwise=True,
)


def _above(x: Any, low: Any) -> Any:
    return True if low is None else x >= low


def _below(x: Any, high: Any) -> Any:
    return True if high is None else x <= high


clip = differentiable(
    lambda x, low, high: np.clip(x, low, high),
    lambda g, _z, x, low, high: np.where(np.logical_and(_above(x, low), _below(x, high)), g, 0.0),
    lambda g, _z, x, low, high: np.where(np.logical_and(x < low, _below(low, high)), g, 0.0),
    lambda g, _z, x, low, high: np.where(
        np.logical_not(_below(x if low is None else np.maximum(x, low), high)), g, 0.0
    ),
    call=lambda a, a_min=None, a_max=None, *, min=None, max=None: (
        (a, min if a_min is None else a_min, max if a_max is None else a_max),
        {},
    ),
    name="clip",
    numpy=[np.clip],
    cases=[
        Case((2, 3), -1.0, 1.0),
        Case((2, 3), None, 0.5),
        Case((5,), -0.5, None),
        Case((2, 3), np.full(3, -0.5), (3,)),
        Case((2, 3), (2, 1), ()),
        Case((), -1.0, 1.0),
    ],
    elementwise=True,
)
