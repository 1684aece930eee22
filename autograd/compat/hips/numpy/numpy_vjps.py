"""Helpers of rules: undo broadcasting and summation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .numpy_wrapper import metadata


def unbroadcast(x: Any, target_meta: Any, broadcast_idx: int = 0) -> Any:
    """Sum x over the axes along which an array of this `metadata` was repeated.

    >>> unbroadcast(np.ones((3, 2)), metadata(np.ones(2)))
    array([3., 3.])
    """
    shape, ndim, _, iscomplex = target_meta
    while np.ndim(x) > ndim:
        x = np.sum(x, axis=broadcast_idx)
    for axis, size in enumerate(shape):
        if size == 1 and np.shape(x)[axis] != 1:
            x = np.sum(x, axis=axis, keepdims=True)
    return np.real(x) if np.iscomplexobj(x) and not iscomplex else x


def unbroadcast_f(target: Any, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """g -> f(g), summed to the shape of `target`."""
    meta = metadata(target)
    return lambda g: unbroadcast(f(g), meta)


def repeat_to_match_shape(g: Any, shape: Any, dtype: Any, axis: Any, keepdims: bool) -> tuple[Any, int]:
    """The gradient of a sum over `axis`, and how many elements each sum has."""
    if not shape:
        return g, 1
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = [i % len(shape) for i in axes]
    kept = [1 if i in axes else n for i, n in enumerate(shape)]
    repeated = np.broadcast_to(np.reshape(g, kept), shape)
    return repeated.astype(dtype), int(np.prod([shape[i] for i in axes]))
