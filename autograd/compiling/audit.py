"""Audits: what differs between a run of a program and one of the function as written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .program import CompileError
from .state import World


class AuditError(CompileError):
    """A compiled program and the function as written have computed different results."""


class Difference:
    """What differs between a run of a program and one of the function as written, beyond rounding.

    Rounding is measured beside each result, beside how far the state has moved, and beside the largest number that went
    in: what cancels out may leave the last bit of that.
    """

    def __init__(self, leaves: Sequence[Any], before: World, exact: bool) -> None:
        self.before, self.exact = before.results(), exact
        self.given = [x.data if isinstance(x, Tensor) else x for x in leaves] + [t._data for t in before.tensors]

    def between(self, mine: dict[Any, Any], theirs: dict[Any, Any]) -> str:
        """The name of the first output that differs; "" if there is none."""
        with np.errstate(all="ignore"):
            for key, x in theirs.items():
                if key not in mine or not self.agree(mine[key], x, self.before.get(key)):
                    return str(key[0])
        return "" if len(mine) == len(theirs) else "what an optimiser remembers"

    def agree(self, a: Any, b: Any, old: Any = None) -> bool:
        if a is b:
            return True
        x, y = (v.data if isinstance(v, Tensor) else v for v in (a, b))
        if not all(isinstance(v, np.ndarray | np.generic | int | float | complex) for v in (x, y)):
            return type(a) is type(b) and (not isinstance(a, str | bytes) or a == b)
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if self.exact or x.dtype.kind not in "fc" or not x.size:
            return bool(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"))
        eps = float(np.finfo(x.dtype).eps)
        if _largest(x - y) <= 64 * eps * _largest(y) < np.inf:  # mostly so
            return True
        finite = np.isfinite(y)
        if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
            return False
        x, y = x[finite], y[finite]
        moved = y - old[finite] if isinstance(old, np.ndarray) and old.shape == finite.shape else y
        floats = [np.asarray(v) for v in self.given if isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "fc"]
        largest = max(1.0, *(_largest(v[np.isfinite(v)]) for v in (y, *floats)))
        return bool((np.abs(x - y) <= _largest(moved) * eps**0.5 + largest * 64 * eps).all())


def _largest(x: Any) -> float:
    return float(np.maximum.reduce(np.abs(x), axis=None, initial=0.0))
