"""Arrays of users' arguments, and fast sums and subtractions on arrays."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from autograd import Tensor, add_at


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
    return np.dot(_ones(x.shape[0], x.dtype), x)


def subtract_at(x: Any, places: Any, amount: Any) -> Any:
    """x minus `amount` at distinct places of the flattened x; an array is changed in place."""
    if isinstance(x, Tensor):
        return add_at(x.reshape(-1), places, -amount).reshape(x.shape)
    x.put(places, x.take(places) - amount)
    return x
