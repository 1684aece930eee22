"""Solve with a triangular matrix in a rule: by SciPy, where it is there and the matrix is large enough to gain."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import numpy as np

from .index import array_of

LARGE = 48  # rows: below, SciPy's checks of its arguments take longer than they save


@functools.cache
def _scipys() -> Any:
    """Our op of scipy.linalg.solve_triangular, or None without SciPy."""
    if importlib.util.find_spec("scipy") is None:
        return None
    return importlib.import_module(".triangular", __package__).solve_triangular


def solve_upper(a, b):
    """The solution of a x = b for upper triangular matrices a (..., n, n) and b (..., n, k)."""
    plain = array_of(a)
    if type(plain) is np.ndarray and plain.ndim == 2 and len(plain) >= LARGE and _scipys() is not None:
        return _scipys()(a, b)
    return np.linalg.solve(a, b)
