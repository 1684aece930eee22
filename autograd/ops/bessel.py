"""Rules of scipy.special's Bessel functions and incomplete integrals, loaded with the other special functions.

Orders and shape parameters have no rule: their derivatives are no functions of SciPy.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..registry import Operation
from .register import CASES, POSITIVE, Case, composite, domain, elementwise
from .special import _polygamma as polygamma_of
from .special import betaln, digamma, gammaln, xlog1py, xlogy

special: Any = sys.modules["scipy.special"]  # special.py, imported above, says so if it is missing

# ---- Bessel functions: every derivative combines the neighbouring orders (Abramowitz & Stegun 9.1.27 and 9.6.26)


def _no_rule(name: str, of: str):
    """The rule of an input whose derivative is not known in closed form."""

    def rule(g, _out, *_inputs):
        raise TypeError(f"{name} has no derivative rule for its {of}; pass that as a number or array")

    return rule


def _of_order(ufunc, rule, name: str) -> Operation:
    """A function of (order, x)."""
    return elementwise(ufunc, _no_rule(name, "order"), rule, numpy=[ufunc], name=f"{name}_of_order")


jv: Operation = _of_order(special.jv, lambda g, _z, v, x: g * 0.5 * (jv(v - 1, x) - jv(v + 1, x)), "jv")
yv: Operation = _of_order(special.yv, lambda g, _z, v, x: g * 0.5 * (yv(v - 1, x) - yv(v + 1, x)), "yv")
yn: Operation = _of_order(special.yn, lambda g, _z, v, x: g * 0.5 * (yv(v - 1.0, x) - yv(v + 1.0, x)), "yn")
iv: Operation = _of_order(special.iv, lambda g, _z, v, x: g * 0.5 * (iv(v - 1, x) + iv(v + 1, x)), "iv")
ive: Operation = _of_order(
    special.ive, lambda g, z, v, x: g * (0.5 * (ive(v - 1, x) + ive(v + 1, x)) - np.sign(x) * z), "ive"
)
kv: Operation = _of_order(special.kv, lambda g, _z, v, x: g * -0.5 * (kv(v - 1, x) + kv(v + 1, x)), "kv")
y0 = elementwise(special.y0, lambda g, _y, x: -g * yv(1, x), numpy=[special.y0])
y1 = elementwise(special.y1, lambda g, _y, x: g * 0.5 * (yv(0, x) - yv(2, x)), numpy=[special.y1])
i0 = elementwise(special.i0, lambda g, _y, x: g * iv(1, x), numpy=[special.i0], name="bessel_i0")
i1 = elementwise(special.i1, lambda g, _y, x: g * 0.5 * (iv(0, x) + iv(2, x)), numpy=[special.i1])

# ---- incomplete integrals: the derivative by the limit is the integrand there

gammainc = elementwise(
    special.gammainc,
    _no_rule("gammainc", "shape parameter"),
    lambda g, _z, a, x: g * np.exp(xlogy(a - 1.0, x) - x - gammaln(a)),
    numpy=[special.gammainc],
)
gammaincc = elementwise(
    special.gammaincc,
    _no_rule("gammaincc", "shape parameter"),
    lambda g, _z, a, x: -g * np.exp(xlogy(a - 1.0, x) - x - gammaln(a)),
    numpy=[special.gammaincc],
)
betainc = elementwise(
    special.betainc,
    _no_rule("betainc", "shape parameters"),
    _no_rule("betainc", "shape parameters"),
    lambda g, _z, a, b, x: g * np.exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b)),
    numpy=[special.betainc],
)


def _student_density(n, x):
    """The density of Student's t distribution with n degrees of freedom."""
    return np.exp(-0.5 * (n + 1.0) * np.log1p(x * x / n) - betaln(0.5 * n, 0.5)) / np.sqrt(1.0 * n)


stdtr = elementwise(
    special.stdtr,
    _no_rule("stdtr", "degrees of freedom"),
    lambda g, _z, n, x: g * _student_density(n, x),
    numpy=[special.stdtr],
)

# ---- relatives of the gamma and the error function

rgamma = elementwise(special.rgamma, lambda g, y, x: -g * y * digamma(x), numpy=[special.rgamma])
gammasgn = elementwise(special.gammasgn, None, numpy=[special.gammasgn])
erfcinv = elementwise(
    special.erfcinv, lambda g, y, _x: g * (-0.5 * math.sqrt(math.pi)) * np.exp(y * y), numpy=[special.erfcinv]
)


def _polygamma(n, x):
    """The derivative of order n + 1 of log gamma(x), as scipy.special.polygamma; n is a whole number.

    >>> import autograd.special
    >>> autograd.special.polygamma(1, 1.0).round(6)
    np.float64(1.644934)
    """
    orders = np.unique(np.asarray(n))
    if orders.size == 1:
        return _polygamma_of(int(orders[0]), x)
    return sum(np.where(np.asarray(n) == k, _polygamma_of(int(k), x), 0.0) for k in orders)


def _polygamma_of(n: int, x) -> Any:
    return digamma(x) if n == 0 else polygamma_of(x, order=n)


def _multigammaln(a, d: int):
    """log of the multivariate gamma function of dimension d, as scipy.special.multigammaln; a > (d - 1) / 2.

    >>> import autograd.special
    >>> autograd.special.multigammaln(2.0, 1)
    np.float64(0.0)
    """
    return sum(gammaln(a - 0.5 * k) for k in range(d)) + d * (d - 1) / 4.0 * math.log(math.pi)


polygamma = composite(_polygamma, name="scipy_polygamma")
multigammaln = composite(_multigammaln, name="scipy_multigammaln")
OWN = {"polygamma": polygamma, "multigammaln": multigammaln}  # SciPy writes these in Python

# ---- test data

_ORDERS = [Case(np.array([[1, 2, 3], [3, 2, 1]]), (2, 3)), Case(2, ())]
for _function in (jv, yv, yn, iv, ive, kv, gammainc, gammaincc, stdtr):
    CASES[_function] = domain(POSITIVE, *_ORDERS)
CASES[betainc] = domain((0.1, 0.9), Case(np.array([1, 2, 3]), 2, (2, 3)), Case(3, 2, ()))
for _function in (y0, y1, i0, i1, rgamma, gammasgn):
    CASES[_function] = domain(POSITIVE)
CASES[erfcinv] = domain((0.2, 1.8))
CASES[polygamma] = domain(POSITIVE, Case(1, (2, 3)), Case(np.array([0, 2, 2]), (2, 3)))
CASES[multigammaln] = domain((2.0, 4.0), Case((2, 3), 2), Case((), 3))
