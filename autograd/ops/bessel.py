"""Rules of scipy.special's Bessel functions and incomplete integrals, loaded with the other special functions.

Orders and shape parameters have no rule: their derivatives are no functions of SciPy.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..libraries import on_host
from ..op import differentiable
from ..registry import Operation
from ..tensor import Tensor
from .portable import array_like
from .register import CASES, POSITIVE, Case, composite, domain, elementwise
from .special import _polygamma as polygamma_of
from .special import betaln, digamma, gammaln, xlog1py, xlogy

special: Any = sys.modules["scipy.special"]  # special.py, imported above, says so if it is missing

# ---- Bessel functions: every derivative combines the neighbouring orders (Abramowitz & Stegun 9.1.27 and 9.6.26)


def _given(name: str, fixed: int):
    """How a function is called whose first `fixed` arguments, orders or shape parameters, have no derivative."""

    def call(*inputs):
        if len(inputs) != fixed + 1:
            raise TypeError(f"it takes {fixed + 1} arguments; got {len(inputs)}")
        if any(isinstance(x, Tensor) and x.requires_grad for x in inputs[:fixed]):
            raise TypeError(f"no derivative rule for the first {fixed} of {name}'s arguments; pass numbers or arrays")
        return inputs, {}

    return call


def _of_last(ufunc, rule, name: str = "", fixed: int = 1) -> Operation:
    """An op of a ufunc that is differentiable in its last argument alone."""
    called = name or ufunc.__name__
    return differentiable(ufunc, *[None] * fixed, rule, call=_given(called, fixed), numpy=[ufunc], name=name or None)


jv: Operation = _of_last(special.jv, lambda g, _z, v, x: g * 0.5 * (jv(v - 1, x) - jv(v + 1, x)), "jv_of_order")
yv: Operation = _of_last(special.yv, lambda g, _z, v, x: g * 0.5 * (yv(v - 1, x) - yv(v + 1, x)), "yv_of_order")
yn: Operation = _of_last(special.yn, lambda g, _z, v, x: g * 0.5 * (yv(v - 1.0, x) - yv(v + 1.0, x)), "yn_of_order")
iv: Operation = _of_last(special.iv, lambda g, _z, v, x: g * 0.5 * (iv(v - 1, x) + iv(v + 1, x)), "iv_of_order")


def _ive_rule(g, z, v, x):
    if np.iscomplexobj(x):
        raise TypeError("ive: scaled by the real part of a complex number, it is no function of this alone")
    return g * (0.5 * (ive(v - 1, x) + ive(v + 1, x)) - np.sign(x) * z)


ive: Operation = _of_last(special.ive, _ive_rule, "ive_of_order")
kv: Operation = _of_last(special.kv, lambda g, _z, v, x: g * -0.5 * (kv(v - 1, x) + kv(v + 1, x)), "kv_of_order")
y0 = elementwise(special.y0, lambda g, _y, x: -g * yv(1, x), numpy=[special.y0])
y1 = elementwise(special.y1, lambda g, _y, x: g * 0.5 * (yv(0, x) - yv(2, x)), numpy=[special.y1])
i0 = elementwise(special.i0, lambda g, _y, x: g * iv(1, x), numpy=[special.i0], name="bessel_i0")
i1 = elementwise(special.i1, lambda g, _y, x: g * 0.5 * (iv(0, x) + iv(2, x)), numpy=[special.i1])

# ---- incomplete integrals: the derivative by the limit is the integrand there

gammainc = _of_last(special.gammainc, lambda g, _z, a, x: g * np.exp(xlogy(a - 1.0, x) - x - gammaln(a)))
gammaincc = _of_last(special.gammaincc, lambda g, _z, a, x: -g * np.exp(xlogy(a - 1.0, x) - x - gammaln(a)))
betainc = _of_last(
    special.betainc,
    lambda g, _z, a, b, x: g * np.exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b)),
    fixed=2,
)


def _student_density(n, x):
    """The density of Student's t distribution with n degrees of freedom."""
    return np.exp(-0.5 * (n + 1.0) * np.log1p(x * x / n) - betaln(0.5 * n, 0.5)) / np.sqrt(1.0 * n)


stdtr = _of_last(special.stdtr, lambda g, _z, n, x: g * _student_density(n, x))

# ---- relatives of the gamma and the error function

rgamma = elementwise(special.rgamma, lambda g, y, x: -g * y * digamma(x), numpy=[special.rgamma])
gammasgn = elementwise(special.gammasgn, None, numpy=[special.gammasgn])
erfcinv = elementwise(
    special.erfcinv, lambda g, y, _x: g * (-0.5 * math.sqrt(math.pi)) * np.exp(y * y), numpy=[special.erfcinv]
)


def _polygamma(n, x):
    """The derivative of order n + 1 of log gamma(x), as scipy.special.polygamma; n is a whole number.

    >>> import autograd.special
    >>> float(autograd.special.polygamma(1, 1.0).round(6))
    1.644934
    """
    orders = np.unique(np.asarray(on_host(n)))
    if orders.size == 1:
        return _polygamma_of(int(orders[0]), x)
    return sum(np.where(array_like(n, x) == k, _polygamma_of(int(k), x), 0.0) for k in orders)


def _polygamma_of(n: int, x) -> Any:
    x = x if hasattr(x, "dtype") else np.asarray(x, float)
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
