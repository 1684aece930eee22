"""Rules of the trigonometric and hyperbolic functions, their inverses, and sinc."""

from __future__ import annotations

import math

import numpy as np

from ..op import differentiable
from ..registry import Operation
from .portable import array_like
from .register import CASES, UNIT, Case, domain, elementwise
from .saturating import g_over_cosh2, tanh_slope

sin = elementwise(np.sin, lambda g, _y, x: g * np.cos(x))
cos = elementwise(np.cos, lambda g, _y, x: -g * np.sin(x))
tan = elementwise(np.tan, lambda g, y, _x: g * (1.0 + y * y))
arcsin = elementwise(np.arcsin, lambda g, _y, x: g / np.sqrt((1.0 - x) * (1.0 + x)))
arccos = elementwise(np.arccos, lambda g, _y, x: -g / np.sqrt((1.0 - x) * (1.0 + x)))


def _arctan_rule(g, _y, x):
    """`g / (1 + x**2)`, by a root that does not overflow."""
    return g / (1.0 + x * x) if x.dtype.kind == "c" else g / (h := np.hypot(x, 1.0)) / h


arctan = elementwise(np.arctan, _arctan_rule)
sinh = elementwise(np.sinh, lambda g, _y, x: g * np.cosh(x))
cosh = elementwise(np.cosh, lambda g, _y, x: g * np.sinh(x))


def _tanh_rule(g, _y, x):
    """`g / cosh(x)**2`; 1 - y * y would be 0 where y is nearly 1."""
    if x.dtype.kind == "c":
        return g * (1.0 - np.tanh(x) ** 2)
    return g_over_cosh2(g, x) if type(x) is np.ndarray else tanh_slope(g, x)  # an op takes 0.8 us more


tanh = elementwise(np.tanh, _tanh_rule)
arcsinh = elementwise(
    np.arcsinh, lambda g, _y, x: g / (np.sqrt(x * x + 1.0) if x.dtype.kind == "c" else np.hypot(x, 1.0))
)
arccosh = elementwise(np.arccosh, lambda g, _y, x: g / (np.sqrt(x - 1.0) * np.sqrt(x + 1.0)))
arctanh = elementwise(np.arctanh, lambda g, _y, x: g / ((1.0 - x) * (1.0 + x)))
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


def _over_square(a, y, x):
    """`a / (x**2 + y**2)`, and 0 at the origin, by the radius: its square could under- or overflow.

    Where the radius overflows, a quarter of everything is taken.
    """
    whole = np.hypot(y, x)
    share = np.where(np.isinf(whole), 0.25, 1.0).astype(whole.dtype)
    r = np.hypot(share * y, share * x)
    r = np.where(r == 0, 1.0, r)
    return share * (share * a / r / r)


arctan2 = elementwise(
    np.arctan2, lambda g, _z, y, x: g * _over_square(x, y, x), lambda g, _z, y, x: -g * _over_square(y, y, x)
)
atan2 = arctan2


def _sinc(x, order: int):
    """The `order`-th derivative of sin(pi x) / (pi x), exact at 0 too, where every quotient would be 0/0.

    With u = pi x it is pi**n f_n(u), f_n = d^n/du^n (sin u / u): near 0 from the power series of sin u / u, elsewhere
    from u f_n + n f_(n-1) = d^n/du^n sin u.
    """
    u = np.pi * array_like(x, x, np.result_type(x, float))
    edge, terms = (1.0, 11) if order == 1 else (order + 3.0, 31)
    near = np.abs(u) < edge
    small, large = np.where(near, u, 0.0), np.where(near, 1.0, u)
    series, square, first = np.zeros_like(small), small * small, order + order % 2
    last = first + 2 * terms if near.any() else first
    for m in range(last - 2, first - 1, -2):  # (-1)**(m/2) u**(m-n) / ((m+1) (m-n)!), m even, by Horner
        series = series * square + (-1) ** (m // 2) / ((m + 1) * math.factorial(m - order))
    if order % 2:
        series = series * small
    f = np.sin(large) / large
    for n in range(1, order + 1):
        f = (np.sin(large + n * np.pi / 2) - n * f) / large
    return (np.pi**order * np.where(near, series, f)).astype(np.result_type(x, np.float16))


_sinc_derivative: Operation = differentiable(
    _sinc, lambda g, _y, x, *, order: g * _sinc_derivative(x, order=order + 1), name="sinc_derivative"
)
sinc = elementwise(np.sinc, lambda g, _y, x: g * _sinc_derivative(x, order=1))

# ---- test data

CASES[tan] = domain(UNIT)
CASES[arcsin] = domain(UNIT)
CASES[arccos] = domain(UNIT)
CASES[arccosh] = domain((1.3, 3.0))
CASES[arctanh] = domain(UNIT)
CASES[_sinc_derivative] = [Case((2, 3), order=1), Case(np.array([-3.3, 0.0, 1e-3, 1.4]), order=2), Case((), order=3)]
CASES[sinc] = [Case((2, 3)), Case(np.array([-1.0, 0.0, 1e-9, 2.5]))]
