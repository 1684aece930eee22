"""Norms and GELU by NumPy's own calls, in place of passes over blocks of an array."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..placement import is_elsewhere

__all__ = ["formulas"]

_CHOSEN = ContextVar("formulas", default=False)


@contextmanager
def _chosen() -> Iterator[None]:
    token = _CHOSEN.set(True)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def formulas() -> Any:
    """Inside `with formulas():`, norms and GELU are computed by NumPy's own calls: slower, but programs can be saved.

    A program that is compiled here consists of these calls.  Call it here too: the passes in blocks round otherwise.

    >>> import nn, numpy as np
    >>> with nn.functional.formulas():
    ...     nn.functional.layer_norm(np.array([1.0, 3.0]), 2).round(3)
    array([-1.,  1.])
    """
    return _chosen()


def wants_formulas(x: Any) -> bool:
    """Whether to compute with NumPy's own calls: inside `formulas()`, and for arrays of other libraries."""
    return _CHOSEN.get() or is_elsewhere(x)
