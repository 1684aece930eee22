"""Arrays of other libraries that compute NumPy's functions, such as CuPy's and Dask's: whose they are, and moves."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np


def is_foreign(data: Any) -> bool:
    """Whether `data` is another library's array that implements NumPy's functions."""
    return not issubclass(type(data), np.ndarray) and hasattr(data, "__array_function__")


def on_host(data: Any) -> Any:
    """Another library's array as NumPy's, for which the program waits; anything else unchanged."""
    read = is_foreign(data) and (getattr(data, "get", None) or getattr(data, "compute", None))
    return read() if read else data


def library_of(data: Any) -> Any:
    """The module that makes arrays like this one: NumPy, cupy, dask.array, ..."""
    root = type(data).__module__.partition(".")[0]
    modules = (sys.modules.get(name) for name in (root, f"{root}.array"))
    return next((module for module in modules if hasattr(module, "asarray")), np)


def carried(data: Any, library: Any) -> Any:
    """The array as one of this library: itself, or a copy on its device or in memory."""
    if library_of(data) is library:
        return data if is_foreign(data) else np.asarray(data)
    return library.asarray(on_host(data))


# Where the libraries of foreign arrays keep what SciPy has, by which no array is asked to compute a function itself.
LIKE_SCIPY = {"cupy": "cupyx.scipy"}


def of_library(function: Any, *arrays: Any) -> Any:
    """What the library of the arrays has in place of a function of SciPy; the function itself if it has nothing."""
    for x in arrays:
        library = LIKE_SCIPY.get(type(x).__module__.partition(".")[0])
        if library is not None:
            space = "special" if isinstance(function, np.ufunc) else function.__module__.split(".")[1]
            return getattr(importlib.import_module(f"{library}.{space}"), function.__name__, function)
    return function


def only_numpys(values: Any, kind: type[Exception]) -> None:
    """Raise an error for an array, or a Tensor of one, of another library."""
    for x in values:
        data = x.data if hasattr(x, "requires_grad") else x
        if is_foreign(data) and not hasattr(data, "__autograd_forward__"):
            raise kind(
                f"compile makes programs for NumPy's arrays; got one of {library_of(data).__name__}: call the function "
                f"itself, or move its arrays and models with .to(np)"
            )
