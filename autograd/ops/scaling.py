"""Roots of sums of powers, computed again where the powers leave the range of the dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def rescued(compute: Callable[[Any], Any], x: Any, p: float = 2.0, axis: Any = None, keepdims: bool = False) -> Any:
    """`compute(x)`, the root of a sum of p-th powers of x: float32 has no squares of numbers below 1e-23 or above 1e19.

    Where these powers are not exact, x is divided by a power of two first, which is exact, and the result multiplied.

    >>> float(rescued(lambda x: np.sqrt(np.sum(x * x)), np.array([3e-200, 4e-200])))
    5e-200
    """
    y = compute(x)
    info = np.finfo(y.dtype)
    with np.errstate(over="ignore", under="ignore"):
        ends = sorted(np.float64(end) ** (1.0 / p) for end in (info.tiny / info.eps, info.max))
    lost = ~((y >= ends[0]) & (y <= ends[1]))
    if not lost.any():
        return y
    scale = size_of(x, axis, smallest=p < 0)
    z = compute(x / scale) * (scale if keepdims else np.reshape(scale, np.shape(y)))
    return np.where(lost & ~np.isnan(z), z, y).astype(y.dtype, copy=False)


def size_of(x: Any, axis: Any = None, where: Any = True, smallest: bool = False) -> Any:
    """A power of two near the largest (or smallest) size of x along `axis`, which stays with length 1."""
    size = np.abs(x)
    number = np.isfinite(size) & (size > 0) & where
    fill, extreme = (np.inf, np.min) if smallest else (0.0, np.max)
    size = np.where(number, size, fill)
    empty = 0 in np.shape(size)
    size = np.sum(size, axis=axis, keepdims=True) + fill if empty else extreme(size, axis=axis, keepdims=True)
    return np.where(np.isfinite(size) & (size > 0), np.ldexp(np.ones_like(size), np.frexp(size)[1] - 1), 1.0).astype(
        size.dtype
    )
