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


def g_over_cosh2(g, x):
    """g / cosh(x)**2, which neither overflows nor cancels; a product of exp(-abs(x)) took twice as long."""
    if x.dtype.char == "e":
        return g_over_cosh2(g, x.astype(np.float32)).astype(np.result_type(g.dtype, x.dtype))
    size, end = np.abs(x), _end(x.dtype)
    if type(size) is not np.ndarray or not size.size or not size.item(size.argmax()) <= end:
        size = np.minimum(size, end)  # with a number, takes five times as long as looking for the largest
    steep = np.cosh(size)
    return g / steep / steep


def _tanh_slope(g, x):
    only_real("the slope of tanh", x)
    return g_over_cosh2(g, x)


def _logistic(x):
    """1 / (1 + exp(-x)), from exp(-abs(x))."""
    only_real("the logistic function", x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (e + 1.0)


# Ops of their own, because abs(x) has a kink at 0 and these have none.
tanh_slope: Operation = elementwise(
    _tanh_slope,
    lambda g, _y, _g, x: tanh_slope(g, x),
    lambda g, y, _g, x: g * -2.0 * y * np.tanh(x),
    name="tanh_slope",
)
logistic: Operation = elementwise(_logistic, lambda g, _y, x: tanh_slope(g * 0.25, 0.5 * x), name="logistic")
