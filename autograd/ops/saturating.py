"""The logistic function and the slope of tanh, exact where 1 - y would be 0 long before its value is."""

from __future__ import annotations

import numpy as np

from ..registry import Operation
from .index import only_real
from .register import elementwise


def _sech2(x):
    """1 / cosh(x)**2 = 4 q / (1 + q)**2 with q = exp(-2 abs(x)): nothing overflows or cancels.

    In place, and with abs, because copysign takes five times as long.
    """
    only_real("the logistic function", x)
    if x.dtype == np.float16:  # where 2 abs(x) could overflow
        return _sech2(x.astype(np.float32)).astype(np.float16)
    q = np.abs(x)
    q *= -2.0
    q = np.exp(q)
    total = q + 1.0
    total *= total
    q /= total
    q *= 4.0
    return q


def _logistic(x):
    """1 / (1 + exp(-x)), from exp(-abs(x))."""
    only_real("the logistic function", x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (e + 1.0)


# Ops of their own, because abs(x) has a kink at 0 and these have none.
sech2: Operation = elementwise(_sech2, lambda g, y, x: g * -2.0 * y * np.tanh(x), name="sech2")
logistic: Operation = elementwise(_logistic, lambda g, _y, x: g * 0.25 * sech2(0.5 * x), name="logistic")
