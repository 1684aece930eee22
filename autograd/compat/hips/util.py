"""Small helpers that HIPS's package shares with its users."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any


def subvals(values: Sequence[Any], replacements: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """A tuple of `values` with others at some places.

    >>> subvals((1, 2, 3), [(0, 10)])
    (10, 2, 3)
    """
    changed = list(values)
    for i, value in replacements:
        changed[i] = value
    return tuple(changed)


def subval(values: Sequence[Any], i: int, value: Any) -> tuple[Any, ...]:
    """The same for one place."""
    return subvals(values, [(i, value)])


def func(function: Any) -> Any:
    """The function itself; it unwrapped methods in Python 2."""
    return function


def quick_grad_check(
    fun: Any, arg0: Any, extra_args: Sequence[Any] = (), kwargs: Any = None, **tolerances: Any
) -> None:
    """`check_grads` of the first argument, to first order."""
    from .test_util import check_grads  # which imports this file

    warnings.warn("quick_grad_check is deprecated; call autograd.test_util.check_grads", stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
