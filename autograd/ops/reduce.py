"""Rules of the functions that reduce along axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import Case, differentiable

_CASES = [
    Case((2, 3)),
    Case((2, 3), axis=0),
    Case((2, 3, 4), axis=(0, -1)),
    Case((2, 3), axis=-1, keepdims=True),
    Case((2, 3), keepdims=True),
    Case((2, 3), axis=()),
    Case(()),
]


def _restore(reduced: Any, axis: Any, keepdims: bool) -> Any:
    """Put back the axes that a reduction removed, with length 1, so that the result broadcasts with the input."""
    return reduced if keepdims or axis is None else np.expand_dims(reduced, axis)


def _sum_rule(g: Any, _y: Any, _x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.broadcast_to(_restore(g, axis, keepdims), _x.shape)


def _mean_rule(g: Any, _y: Any, _x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    share = math.prod(g.shape) / (math.prod(_x.shape) or 1)  # a Python float, so that float16 does not overflow
    return np.broadcast_to(_restore(g * share, axis, keepdims), _x.shape)


def _extreme_rule(g: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Equal to the extreme (or, if that is not a number, not a number either): these share the gradient equally."""
    chosen = (x == _restore(y, axis, keepdims)) | (x != x)
    share = _restore(g, axis, keepdims) / np.sum(chosen, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(chosen, share, 0.0)


sum = differentiable(np.sum, _sum_rule, cases=[*_CASES, Case((0, 3), axis=0)])
mean = differentiable(np.mean, _mean_rule, cases=_CASES)
max = differentiable(np.max, _extreme_rule, numpy=[np.max, np.amax], cases=_CASES)
min = differentiable(np.min, _extreme_rule, numpy=[np.min, np.amin], cases=_CASES)
