"""Collections and iterators that a module does not search for parameters, and the errors that say so."""

from __future__ import annotations

import itertools
import types
from collections import UserDict, UserList, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["ITERATORS", "items_of", "unsearched"]

ITERATORS: tuple[type, ...] = (
    types.GeneratorType, map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice, itertools.starmap,
    type(iter([])), type(iter(())), type(reversed([])), type(iter({}.values())), type(iter({}.items())),
)  # fmt: skip
_VALUES, _ITEMS = type({0: 0}.values()), type({0: 0}.items())


def items_of(value: Any) -> Iterable[Any]:
    """The items of a collection that is not searched for parameters; () for any other value."""
    if isinstance(value, np.ndarray):
        return value.flat if value.dtype.hasobject else ()
    if isinstance(value, UserDict | types.MappingProxyType):
        return value.values()
    if isinstance(value, _ITEMS):
        return (item for _, item in value)
    return value if isinstance(value, set | frozenset | deque | UserList | _VALUES) else ()


def unsearched(where: str, value: Any) -> TypeError:
    """The error for an attribute `where` that holds parameters, or may, which would not be found."""
    kind = type(value).__name__
    if isinstance(value, ITERATORS):
        return TypeError(
            f"{where} is a {kind}, which cannot be searched for parameters: store list(...) of it, or, if it holds "
            f"none, the function that makes it"
        )
    return TypeError(
        f"{where} holds modules or Tensors in a {kind}, where they are not found; use a list, a tuple or a dict"
    )
