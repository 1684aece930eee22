"""Whether an array has other owners: the one place that reads reference counts."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

from numpy import empty, ndarray


def is_ours(array: Any) -> bool:
    """Whether only a dict and one variable refer to an array and its memory, so that it may be written to.

    A view counts too, if nothing else refers to its memory and no element occurs twice.
    """
    if array.__class__ is not ndarray or getrefcount(array) > _ALONE:
        return False
    base, flags = array.base, array.flags
    if base is None:
        return bool(flags.writeable)
    return bool(flags.writeable and flags.forc) and base.__class__ is ndarray and getrefcount(base) <= _OF_A_VIEW


# What `getrefcount` returns in `is_ours` for such an array; it is measured, because interpreters count differently.


def _count(array: Any) -> int:
    return getrefcount(array)


def _count_of_base(view: Any) -> int:
    base = view.base
    return getrefcount(base)


def _held(arrays: dict[int, Any]) -> int:
    array = arrays[0]
    return _count(array)


_ALONE = _held({0: empty(0)})
_OF_A_VIEW = _count_of_base(empty(1)[:])
