"""Calls that every library's arrays take, in place of NumPy's that CuPy or Dask lack; and arrays made like others."""

from __future__ import annotations

from typing import Any

import numpy as np


def identity(x, dtype: Any = None):
    """The identity matrix of the size of the last axis of x, in its dtype: CuPy has no np.eye(like=)."""
    i = np.arange(x.shape[-1], like=x)
    return (i[:, None] == i).astype(x.dtype if dtype is None else dtype)


def array_like(x, like, dtype: Any = None):
    """x as an array, made like another if it is not one: `np.asarray(x, dtype, like=like)` of a list or a number."""
    if not hasattr(x, "dtype"):
        return np.asarray(x, dtype, like=like) if hasattr(like, "__array_function__") else np.asarray(x, dtype)
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def largest(x, axis: Any = None, keepdims: bool = False):
    """The largest of numbers that are not negative, and 0 if there are none: CuPy's max has no `initial`."""
    return (np.sum if 0 in x.shape else np.max)(x, axis=axis, keepdims=keepdims)


def inverse_of(axes) -> list[int]:
    """The order of axes that undoes np.transpose(x, axes)."""
    return sorted(range(len(axes)), key=axes.__getitem__)
