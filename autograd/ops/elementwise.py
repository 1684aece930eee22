"""Rules of elementwise functions: arithmetic, powers, exponentials and logarithms."""

from __future__ import annotations

import math

import numpy as np

from ..op import differentiable
from ..registry import Operation, zero
from ..tensor import Tensor, tensor_of
from .index import own
from .portable import array_like, largest
from .register import CASES, POSITIVE, REAL, Case, composite, domain, elementwise, methods
from .saturating import logistic

# ---- arithmetic

add = elementwise(np.add, lambda g, *_: g, lambda g, *_: g, operator="add")
subtract = elementwise(np.subtract, lambda g, *_: g, lambda g, *_: -g, operator="sub")
multiply = elementwise(np.multiply, lambda g, _z, _x, y: g * y, lambda g, _z, x, _y: g * x, operator="mul")
divide = elementwise(np.divide, lambda g, _z, _x, y: g / y, lambda g, z, _x, y: -g * z / y, operator="truediv")
negative = elementwise(np.negative, lambda g, *_: -g, operator="neg")
positive = elementwise(np.positive, lambda g, *_: g, operator="pos")


def _power_base(g, _z, x, y):
    """`g * y * x ** (y - 1)`, which is 0 where y is 0, even at x = 0 and at infinity.

    (Elsewhere y = 0 is not a special case: the derivative of this by y is 1/x there.)
    """
    if y.__class__ in (int, float):
        return zero(g) if y == 0 else g * 2.0 * x if y == 2 else g * float(y) * x ** (y - 1)
    flat = (y == 0) & ((x == 0) | np.isinf(x))
    return np.where(flat, 0.0, g * y * np.where(flat, 1.0, x) ** (y - 1.0))


def _power_exponent(g, z, x, y):
    """`g * z * log(x)`, taken as its limit 0 where x is 0 and y is not negative."""
    flat = (x == 0) & (y >= 0)
    return np.where(flat, 0.0, g * z * np.log(np.where(flat, 1.0, x)))


def _raised(x, y, modulo=None):
    """x to the power of y, elementwise."""
    if modulo is not None:
        raise TypeError("pow() of a Tensor takes no third argument, the modulus; write t ** n % modulus")
    if x._data.dtype.kind == "b" and y.__class__ is int:  # NumPy gives the square of booleans another dtype
        return tensor_of(x._data**y)
    return power(x, y)


power: Operation = elementwise(np.power, _power_base, _power_exponent, operator="pow", methods=methods(__pow__=_raised))
float_power = elementwise(np.float_power, _power_base, _power_exponent)
reciprocal = elementwise(np.reciprocal, lambda g, y, _x: -g * y * y)
remainder = elementwise(np.remainder, lambda g, *_: g, lambda g, _z, x, y: -g * np.floor_divide(x, y), operator="mod")
fmod = elementwise(np.fmod, lambda g, *_: g, lambda g, _z, x, y: -g * np.trunc(x / y))
mod = remainder
true_divide = divide
pow = power


def _frexp(x):
    """Mantissa and exponent: x = m * 2**e; the exponent is a plain integer."""
    exponent = np.frexp(x.data if isinstance(x, Tensor) else x)[1]
    return np.ldexp(x, -exponent), exponent


def _modf(x):
    whole = np.trunc(x)
    return np.copysign(x - whole, x), whole


def _divmod(x1, x2):
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


# ---- powers, exponentials and logarithms

LN2, LN10 = math.log(2), math.log(10)

square = elementwise(np.square, lambda g, _y, x: g * 2.0 * x)
sqrt = elementwise(np.sqrt, lambda g, y, _x: g * 0.5 / (y + 0.0))  # infinite also at -0.0
cbrt = elementwise(np.cbrt, lambda g, y, _x: g / (3.0 * y) / y)
exp = elementwise(np.exp, lambda g, y, _x: g * y)
exp2 = elementwise(np.exp2, lambda g, y, _x: g * y * LN2)
expm1 = elementwise(np.expm1, lambda g, _y, x: g * np.exp(x))
log = elementwise(np.log, lambda g, _y, x: g / x)
log2 = elementwise(np.log2, lambda g, _y, x: g * (1.0 / LN2) / x)
log10 = elementwise(np.log10, lambda g, _y, x: g * (1.0 / LN10) / x)
log1p = elementwise(np.log1p, lambda g, _y, x: g / (x + 1.0))


def _above(x, y):
    """x - y, and 0 where both are the same infinity."""
    same = (x == y) & np.isinf(x)
    return np.where(same, 0.0, x) - np.where(same, 0.0, y)


logaddexp = elementwise(
    np.logaddexp,
    lambda g, _z, x, y: g * logistic(_above(x, y)),
    lambda g, _z, x, y: g * logistic(_above(y, x)),
)
logaddexp2 = elementwise(
    np.logaddexp2,
    lambda g, _z, x, y: g * logistic(_above(x, y) * LN2),
    lambda g, _z, x, y: g * logistic(_above(y, x) * LN2),
)
ldexp = elementwise(np.ldexp, lambda g, _z, _x, n: np.ldexp(g, n), None, call=lambda x1, x2: ((x1, own(x2)), {}))
frexp = composite(_frexp, np.frexp)
modf = composite(_modf, np.modf)
divmod = composite(_divmod, np.divmod)


def _bessel(x, order: int):
    """The modified Bessel function I_n, the mean of exp(x cos t) cos(n t) over the circle: Abramowitz & Stegun 9.6.19.

    The mean of N points converges faster than any power of N; NumPy itself has only I_0.
    """
    x = array_like(x, x)
    n = 48 + 2 * int(largest(np.abs(x)))
    t = np.pi * (np.arange(n, like=x) + 0.5) / n
    values = np.mean(np.exp(x[..., None] * np.cos(t)) * np.cos(order * t), axis=-1)
    return values.astype(np.result_type(x, np.float16))


_bessel_i: Operation = differentiable(
    _bessel,
    lambda g, _y, x, *, order: g * 0.5 * (_bessel_i(x, order=order - 1) + _bessel_i(x, order=order + 1)),
    name="bessel_i",
)
i0 = differentiable(np.i0, lambda g, _y, x: g * _bessel_i(x, order=1))

# ---- test data

CASES[divide] = domain([REAL, POSITIVE])
CASES[power] = domain(
    [POSITIVE, REAL],
    *(Case((2, 3), exponent) for exponent in (2, -1.5)),
    *(Case(*shapes) for shapes in [((2, 3), (3,)), ((3,), (2, 1)), ((), ())]),
    Case(2.0, (3,)),
    Case((3,), np.array([0.0, 1.0, 2.0])),
)
CASES[float_power] = domain([POSITIVE, REAL], Case((2, 3), 2), Case((2, 3), (3,)), Case((), ()))
CASES[reciprocal] = domain(POSITIVE)
CASES[remainder] = domain([(3.1, 4.9), (1.6, 2.4)], Case((2,), (2,)), Case((2, 1), 1.7), Case((), ()))
CASES[fmod] = domain([(3.1, 4.9), (1.6, 2.4)], Case((2,), (2,)), Case((2, 1), 1.7), Case((), ()))
CASES[sqrt] = domain(POSITIVE)
CASES[cbrt] = domain(POSITIVE)
CASES[log] = domain(POSITIVE)
CASES[log2] = domain(POSITIVE)
CASES[log10] = domain(POSITIVE)
CASES[log1p] = domain(POSITIVE)
CASES[ldexp] = [Case((2, 3), np.array([1, -2, 3])), Case((), 2)]
CASES[frexp] = domain(POSITIVE, Case((2, 3)))
CASES[modf] = domain((0.1, 0.9), Case((2, 3)))
CASES[divmod] = domain([(3.1, 4.9), (1.6, 2.4)], Case((2,), (2,)))
CASES[_bessel_i] = [Case((2, 3), order=1), Case((), order=2)]
CASES[i0] = [Case((2, 3)), Case(())]
