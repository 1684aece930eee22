"""Audits: what differs between a run of a program and one of the function as written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..tree import flatten
from .plan import Plan
from .program import CompileError
from .state import World


class AuditError(CompileError):
    """A compiled program and the function as written have computed different results."""


class Difference:
    """What differs between a run of a program and one of the function as written, beyond rounding.

    Rounding is measured beside each result, beside how far the state has moved, and beside the largest number that went
    in: what cancels out may leave the last bit of that.
    """

    def __init__(self, leaves: Sequence[Any], before: World | None, exact: bool) -> None:
        self.old, self.exact = [] if before is None else before.before, exact
        self.arrays = [x.data if isinstance(x, Tensor) else x for x in leaves] + [tensor[1] for tensor in self.old]

    def _largest(self) -> float:
        """The largest finite number that went in, at least 1."""
        floats = [np.asarray(x) for x in self.arrays if isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"]
        with np.errstate(all="ignore"):
            largest = [np.abs(x[np.isfinite(x)]).max(initial=0.0) for x in floats]
        return float(max([1.0, *largest]))

    def between(self, plan: Plan, found: Any, written: Any, after: World, now: World) -> str:
        """The name of the first output that differs; "" if there is none."""
        mine, theirs = flatten(found)[0], flatten(written)[0]
        if len(mine) != len(theirs):
            return "the number of results"
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            if not self.agree(a, b):
                return f"result {i}" if len(mine) > 1 else "the result"
        for i, name in enumerate(plan.state.tensors):
            a, b, old = after.before[i], now.before[i], self.old[i]
            if not self.agree(a[1], b[1], old[1]):
                return f"the new value of {name}"
            if i in plan.kept and not self.agree(a[4][0], b[4][0]):
                return f"the gradient of {name}"
        for a, b in zip(after.optimizers, now.optimizers, strict=True):
            for j, (x, y) in enumerate(zip(a[2], b[2], strict=True)):
                if x.keys() != y.keys():
                    return f"the state of parameter {j}"
                if differing := [key for key in x if not self.agree(x[key], y[key])]:
                    return f"{differing[0]} in the state of parameter {j}"
        return ""

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
        with np.errstate(all="ignore"):
            eps = float(np.finfo(x.dtype).eps)
            if np.abs(x - y).max() <= 64 * eps * np.abs(y).max() < np.inf:  # mostly so
                return True
            finite = np.isfinite(y)
            if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
                return False
            x, y = x[finite], y[finite]
            moved = y if old is None or old.shape != finite.shape else y - old[finite]
            largest = max(self._largest(), float(np.abs(y).max(initial=0.0)))
            return bool((np.abs(x - y) <= float(np.abs(moved).max(initial=0.0)) * eps**0.5 + largest * 64 * eps).all())
