"""Rules of the functions that work element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import POSITIVE, REAL, Case, Operation, composite, differentiable, elementwise, zero
from ..tensor import Tensor
from .index import own

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
    """`g * y * x ** (y - 1)`, which is 0 where y is 0, also at x = 0 and at infinity.

    (Elsewhere y = 0 is no special case: the derivative of this by y is 1/x there.)
    """
    if y.__class__ in (int, float):
        return zero(g) if y == 0 else g * 2.0 * x if y == 2 else g * float(y) * x ** (y - 1)
    flat = (y == 0) & ((x == 0) | np.isinf(x))
    return np.where(flat, 0.0, g * y * np.where(flat, 1.0, x) ** (y - 1.0))


def _power_exponent(g: Any, z: Any, x: Any, y: Any) -> Any:
    """`g * z * log(x)`, taken as its limit 0 where x is 0 and y is not negative."""
    flat = (x == 0) & (y >= 0)
    return np.where(flat, 0.0, g * z * np.log(np.where(flat, 1.0, x)))


power = elementwise(
    np.power,
    _power_base,
    _power_exponent,
    operator="pow",
    domain=[POSITIVE, REAL],
    cases=[
        *(Case((2, 3), exponent) for exponent in (2, -1.5)),
        *(Case(*shapes) for shapes in [((2, 3), (3,)), ((3,), (2, 1)), ((), ())]),
        Case(2.0, (3,)),
        Case((3,), np.array([0.0, 1.0, 2.0])),
    ],
)

float_power = elementwise(
    np.float_power,
    _power_base,
    _power_exponent,
    domain=[POSITIVE, REAL],
    cases=[Case((2, 3), 2), Case((2, 3), (3,)), Case((), ())],
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


def _frexp(x: Any) -> Any:
    """Mantissa and exponent: x = m * 2**e; the exponent is a plain integer."""
    exponent = np.frexp(x.data if isinstance(x, Tensor) else x)[1]
    return np.ldexp(x, -exponent), exponent


def _modf(x: Any) -> Any:
    whole = np.trunc(x)
    return np.copysign(x - whole, x), whole


def _divmod(x1: Any, x2: Any) -> Any:
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


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


def _below(z: Any, x: Any, y: Any, half: float) -> Any:
    """x - z for z = logaddexp(x, y); where all are the same infinity, `half`: each has half of the gradient."""
    same = x == z
    return np.where(same, np.where(y == z, half, 0.0), np.where(same, 0.0, x) - np.where(same, 0.0, z))


logaddexp = elementwise(
    np.logaddexp,
    lambda g, z, x, y: g * np.exp(_below(z, x, y, -LN2)),
    lambda g, z, x, y: g * np.exp(_below(z, y, x, -LN2)),
)
logaddexp2 = elementwise(
    np.logaddexp2,
    lambda g, z, x, y: g * np.exp2(_below(z, x, y, -1.0)),
    lambda g, z, x, y: g * np.exp2(_below(z, y, x, -1.0)),
)
ldexp = elementwise(
    np.ldexp,
    lambda g, _z, _x, n: np.ldexp(g, n),
    None,
    call=lambda x1, x2: ((x1, own(x2)), {}),
    cases=[Case((2, 3), np.array([1, -2, 3])), Case((), 2)],
)
frexp = composite(_frexp, np.frexp, cases=[Case((2, 3))], domain=POSITIVE)
modf = composite(_modf, np.modf, cases=[Case((2, 3))], domain=(0.1, 0.9))
divmod = composite(_divmod, np.divmod, cases=[Case((2,), (2,))], domain=[(3.1, 4.9), (1.6, 2.4)])


def _bessel(x: Any, order: int) -> Any:
    """The modified Bessel function I_n, the mean of exp(x cos t) cos(n t) over the circle: Abramowitz & Stegun 9.6.19.

    The mean of N points converges faster than any power of N; NumPy itself has I_0 alone.
    """
    n = 48 + 2 * int(np.max(np.abs(x), initial=0.0))
    t = np.pi * (np.arange(n) + 0.5) / n
    values = np.mean(np.exp(np.multiply.outer(np.asarray(x), np.cos(t))) * np.cos(order * t), axis=-1)
    return np.asarray(values).astype(np.result_type(x, np.float16))


_bessel_i: Operation = differentiable(
    _bessel,
    lambda g, _y, x, *, order: g * 0.5 * (_bessel_i(x, order=order - 1) + _bessel_i(x, order=order + 1)),
    name="bessel_i",
    cases=[Case((2, 3), order=1), Case((), order=2)],
)
i0 = differentiable(np.i0, lambda g, _y, x: g * _bessel_i(x, order=1), cases=[Case((2, 3)), Case(())])
