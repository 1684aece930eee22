"""The logistic function and the slope of tanh, exact where 1 - y would be 0 long before its value is."""

from __future__ import annotations

import functools

import numpy as np

from ..registry import Operation
from .index import only_real
from .register import elementwise


@functools.cache
def _end(dtype) -> float:
    """A number whose cosh the dtype still holds, and whose slope is 0."""
    return float(np.log(np.finfo(dtype).max))


def _sech2(x):
    """1 / cosh(x)**2, which neither overflows nor cancels; a product of exp(-abs(x)) took twice as long."""
    only_real("the slope of tanh", x)
    if x.dtype == np.float16:
        return _sech2(x.astype(np.float32)).astype(np.float16)
    y = np.reciprocal(np.cosh(np.minimum(np.abs(x), _end(x.dtype))))
    return y * y


def _logistic(x):
    """1 / (1 + exp(-x)), from exp(-abs(x))."""
    only_real("the logistic function", x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (e + 1.0)


# Ops of their own, because abs(x) has a kink at 0 and these have none.
sech2: Operation = elementwise(_sech2, lambda g, y, x: g * -2.0 * y * np.tanh(x), name="sech2")
logistic: Operation = elementwise(_logistic, lambda g, _y, x: g * 0.25 * sech2(0.5 * x), name="logistic")
