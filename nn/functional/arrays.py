"""Arrays of users' arguments, and fast sums and subtractions on arrays."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy import ndarray

from autograd import Tensor, add_at

from ..placement import is_elsewhere


def array_of(x: Any) -> Any:
    """The array of a Tensor; an object with `__array_function__` unchanged; anything else as np.asarray reads it."""
    return x.data if isinstance(x, Tensor) else x if hasattr(x, "__array_function__") else np.asarray(x)


def only_real(name: str, x: Any) -> None:
    """Raise TypeError for an array of complex numbers: the function is not one of complex analysis."""
    if x.__class__ is np.ndarray and x.dtype.kind == "c":
        raise TypeError(f"{name} takes real numbers; got {x.dtype}")


@functools.lru_cache(16)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def sum_of_rows(x: Any) -> Any:
    """The sum of a matrix along its first axis, as a product with ones: two to five times as fast as NumPy's sum."""
    return x.sum(axis=0) if x.__class__ is not ndarray and is_elsewhere(x) else np.dot(_ones(x.shape[0], x.dtype), x)


def or_nan(losses: Any, wrong: Any) -> Any:
    """Losses, and NaN for the wrong labels on a device, which cannot raise an error unless the program waits for it."""
    return np.where(wrong, math.nan, losses).astype(losses.dtype)


def subtract_at(x: Any, places: Any, amount: Any) -> Any:
    """x minus `amount` at distinct places of the flattened x; an array is changed in place."""
    if isinstance(x, Tensor):
        return add_at(x.reshape(-1), places, -amount).reshape(x.shape)
    x.put(places, x.take(places) - amount)
    return x
