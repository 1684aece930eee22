"""Rules of scipy.special, loaded only when needed (`autograd.special`, or a Tensor passed to one of its ufuncs)."""

from __future__ import annotations

import math

import numpy as np

from ..libraries import of_library
from ..op import differentiable
from ..registry import Operation
from .reduce import logsumexp as _logsumexp
from .register import CASES, POSITIVE, UNIT, Case, composite, domain, elementwise
from .saturating import tanh_slope

try:
    from scipy import special
except ImportError as error:
    raise ImportError("autograd.special needs SciPy: pip install plaingrad[scipy]") from error

_ROOT_PI, _ROOT_2PI = math.sqrt(math.pi), math.sqrt(2.0 * math.pi)


def _special(ufunc, *rules, **about) -> Operation:
    return elementwise(ufunc, *rules, numpy=[ufunc], **about)


def _array(x):
    """SciPy returns numbers for 0-d arrays."""
    return x if hasattr(x, "shape") else np.asarray(x)


def _erfcx_slope(y, x):
    """2 x erfcx(x) - 2 / root(pi); for large x, where that cancels, from Abramowitz & Stegun 7.1.23."""
    large = x > 20.0
    u = 0.5 / np.square(np.where(large, x, 20.0))
    series = 1.0
    for k in range(9, 0, -1):
        series = 1.0 - (2 * k + 1) * u * series
    return np.where(large, -u * series, x * np.where(large, 0.0, y) * _ROOT_PI - 1.0) * (2.0 / _ROOT_PI)


# ---- the error function and the normal distribution

erf = _special(special.erf, lambda g, _y, x: g * (2.0 / _ROOT_PI) * np.exp(-x * x))
erfc = _special(special.erfc, lambda g, _y, x: g * (-2.0 / _ROOT_PI) * np.exp(-x * x))
erfcx: Operation = _special(special.erfcx, lambda g, y, x: g * _erfcx_slope(y, x))
erfinv = _special(special.erfinv, lambda g, y, _x: g * (_ROOT_PI / 2.0) * np.exp(y * y))
ndtr = _special(special.ndtr, lambda g, _y, x: g * np.exp(-0.5 * x * x) / _ROOT_2PI)
log_ndtr = _special(special.log_ndtr, lambda g, _y, x: g * math.sqrt(2.0 / math.pi) / erfcx(x * -math.sqrt(0.5)))
expit = _special(special.expit, lambda g, _y, x: tanh_slope(g * 0.25, 0.5 * x))
logit = _special(special.logit, lambda g, _y, x: g / (x * (1.0 - x)))

# ---- the gamma function and its relatives

_polygamma: Operation = differentiable(
    lambda x, order: _array(of_library(special.polygamma, x)(order, x)).astype(np.result_type(x, np.float16)),
    lambda g, _y, x, *, order: g * _polygamma(x, order=order + 1),
    name="polygamma",
)
gamma = _special(special.gamma, lambda g, y, x: g * y * digamma(x))
gammaln = _special(special.gammaln, lambda g, _y, x: g * digamma(x))
digamma: Operation = _special(special.digamma, lambda g, _y, x: g * _polygamma(x, order=1), name="digamma")
beta = _special(
    special.beta,
    lambda g, z, x, y: g * z * (digamma(x) - digamma(x + y)),
    lambda g, z, x, y: g * z * (digamma(y) - digamma(x + y)),
)
betaln = _special(
    special.betaln,
    lambda g, _z, x, y: g * (digamma(x) - digamma(x + y)),
    lambda g, _z, x, y: g * (digamma(y) - digamma(x + y)),
)

# ---- x log y, which is 0 where x is 0


def _quotient(g, x, y):
    """g x / y, and 0 where x is 0, even if y is 0."""
    return np.where(x == 0, 0.0, g * x / np.where(x == 0, 1.0, y))


def _log_quotient(x, y):
    """log(x / y), also where the quotient leaves the range of the dtype."""
    q = x / y
    inside = (q > np.finfo(q.dtype).tiny) & np.isfinite(q)
    return np.where(inside, np.log(np.where(inside, q, 1.0)), np.log(x) - np.log(y))


xlogy = _special(
    special.xlogy,
    lambda g, _z, x, y: g * np.log(np.where((x == 0) & (y <= 0), 1.0, y)),
    lambda g, _z, x, y: _quotient(g, x, y),
)
xlog1py = _special(
    special.xlog1py,
    lambda g, _z, x, y: g * np.log1p(np.where((x == 0) & (y <= -1), 0.0, y)),
    lambda g, _z, x, y: _quotient(g, x, y + 1.0),
)
entr = _special(special.entr, lambda g, _y, x: -g * (np.log(x) + 1.0))
rel_entr = _special(
    special.rel_entr, lambda g, _z, x, y: g * (_log_quotient(x, y) + 1.0), lambda g, _z, x, y: -_quotient(g, x, y)
)

# ---- Bessel functions: every derivative combines the neighbouring orders (Abramowitz & Stegun 9.1.27 and 9.6.26)

_jv: Operation = differentiable(
    lambda x, order: _array(special.jv(order, x)),
    lambda g, _y, x, *, order: g * 0.5 * (_jv(x, order=order - 1) - _jv(x, order=order + 1)),
    name="jv",
)


def _scaled_bessel(x, order: int):
    if np.iscomplexobj(x):  # scaled by exp(-abs(x.real)), it has no complex derivative
        raise TypeError("the scaled Bessel functions take real numbers")
    return _array(special.ive(order, x))


_ive: Operation = differentiable(
    _scaled_bessel,
    lambda g, y, x, *, order: g * (0.5 * (_ive(x, order=order - 1) + _ive(x, order=order + 1)) - np.sign(x) * y),
    name="ive",
)
j0 = _special(special.j0, lambda g, _y, x: -g * _jv(x, order=1))
j1 = _special(special.j1, lambda g, _y, x: g * 0.5 * (_jv(x, order=0) - _jv(x, order=2)))
i0e = _special(special.i0e, lambda g, y, x: g * (_ive(x, order=1) - np.sign(x) * y))
i1e = _special(special.i1e, lambda g, y, x: g * (0.5 * (_ive(x, order=0) + _ive(x, order=2)) - np.sign(x) * y))

# ---- functions that SciPy writes in Python, which do not dispatch on Tensors: call these instead


def _logsumexp_of_weighted(a, axis=None, b=None, keepdims: bool = False):
    """log(sum(b exp(a))) along `axis` (all axes, if None), as scipy.special.logsumexp; b is 1 by default.

    >>> import numpy as np, autograd.special
    >>> autograd.special.logsumexp(np.array([1000.0, 1000.0]), b=0.5)
    np.float64(1000.0)
    """
    if b is None:
        return _logsumexp(a, axis=axis, keepdims=keepdims)
    top = np.max(a.data if hasattr(a, "requires_grad") else a)
    return np.log(np.sum(b * np.exp(a - top), axis=axis, keepdims=keepdims)) + top


def _log_softmax(x, axis=None):
    """x - log(sum(exp(x))) along `axis` (all axes, if None), as scipy.special.log_softmax; the shape of x.

    >>> import numpy as np, autograd.special
    >>> autograd.special.log_softmax(np.array([0.0, 0.0])).round(4)
    array([-0.6931, -0.6931])
    """
    return x - _logsumexp(x, axis=axis, keepdims=True)


def _softmax(x, axis=None):
    """exp(x) / sum(exp(x)) along `axis` (all axes, if None), as scipy.special.softmax; the shape of x.

    >>> import numpy as np, autograd.special
    >>> autograd.special.softmax(np.array([0.0, 1000.0]))
    array([0., 1.])
    """
    return np.exp(_log_softmax(x, axis))


logsumexp = composite(_logsumexp_of_weighted, name="scipy_logsumexp")
log_softmax = composite(_log_softmax, name="scipy_log_softmax")
softmax = composite(_softmax, name="scipy_softmax")

# ---- test data

_AXES = [Case((2, 3)), Case((2, 3), axis=0)]

CASES[erfinv] = domain(UNIT)
CASES[logit] = domain((0.1, 0.9))
CASES[_polygamma] = domain(POSITIVE, Case((2, 3), order=1), Case((), order=2))
CASES[gamma] = domain(POSITIVE)
CASES[gammaln] = domain(POSITIVE)
CASES[digamma] = domain(POSITIVE)
CASES[beta] = domain(POSITIVE)
CASES[betaln] = domain(POSITIVE)
CASES[xlogy] = domain(POSITIVE)
CASES[xlog1py] = domain(POSITIVE)
CASES[entr] = domain(POSITIVE)
CASES[rel_entr] = domain(POSITIVE)
CASES[_jv] = [Case((2, 3), order=1), Case((), order=0)]
CASES[_ive] = [Case((2, 3), order=1), Case((), order=0)]
CASES[logsumexp] = [*_AXES, Case((2, 3), axis=1, b=2.0)]
CASES[log_softmax] = _AXES
CASES[softmax] = _AXES
