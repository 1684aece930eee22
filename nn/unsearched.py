"""Collections and iterators that a module does not search for parameters, and the errors that say so."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import types
from collections import UserDict, UserList, deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["ITERATORS", "loses", "unsearched"]

ITERATORS: tuple[type, ...] = (
    types.GeneratorType, map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice, itertools.starmap,
    type(iter([])), type(iter(())), type(reversed([])), type(iter({}.values())), type(iter({}.items())),
)  # fmt: skip
_CALLS = (types.MethodType, functools.partial)  # functions that hold what they were made from
_VALUES, _ITEMS = type({0: 0}.values()), type({0: 0}.items())


def _items_of(value: Any) -> Iterable[Any]:
    """The items of a collection that is not searched for parameters; () for any other value."""
    if isinstance(value, types.SimpleNamespace):
        return vars(value).values()
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, types.MethodType):
        return (value.__self__,)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    if isinstance(value, np.ndarray):
        return value.flat if value.dtype.hasobject else ()
    if isinstance(value, UserDict | types.MappingProxyType):
        return value.values()
    if isinstance(value, _ITEMS):
        return (item for _, item in value)
    return value if isinstance(value, set | frozenset | deque | UserList | _VALUES) else ()


_PLAIN = {bool, int, float, complex, str, bytes, type(None)}


def _held(value: Any, kinds: tuple[type, ...]) -> list[Any]:
    """What a collection that is not searched for parameters holds of these kinds, at any depth."""
    found, seen = [], set[int]()
    waiting = [] if isinstance(value, kinds) else [*_items_of(value)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, kinds):
            found.append(item)
        elif type(item) not in _PLAIN and id(item) not in seen:
            seen.add(id(item))
            if isinstance(item, dict):
                waiting += [*item.keys(), *item.values()]
            else:
                waiting += item if isinstance(item, list | tuple) else _items_of(item)
    return found


def loses(module: Any, value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether an attribute of `module` that is not searched holds Tensors or modules, which are the `kinds`.

    A function may hold what is found anyway: the module's own parts, and a module around it, as in
    `Layer(self.activation)`.
    """
    held = _held(value, kinds)
    if not held or not isinstance(value, _CALLS):
        return bool(held)
    own = _reachable(module)
    return not all(id(x) in own or id(module) in _reachable(x) for x in held)


def _reachable(start: Any) -> set[int]:
    """The ids of the values in a module and its parts, without any check."""
    found, stack = set[int](), [start]
    while stack:
        value = stack.pop()
        if id(value) not in found:
            found.add(id(value))
            inside = value.contents() if hasattr(type(value), "contents") else value
            if isinstance(inside, Mapping | list | tuple):
                stack += inside.values() if isinstance(inside, Mapping) else inside
    return found


def unsearched(where: str, value: Any) -> TypeError:
    """The error for an attribute `where` that holds parameters, or may, which would not be found."""
    kind = type(value).__name__
    if isinstance(value, ITERATORS):
        return TypeError(
            f"{where} is a {kind}, which cannot be searched for parameters: store list(...) of it, or, if it holds "
            f"none, the function that makes it"
        )
    if isinstance(value, _CALLS):
        return TypeError(
            f"{where} is a function ({kind}) of a module or Tensor that is not found in it; store the module or Tensor "
            f"itself, or a list of them, and call it in forward()"
        )
    if isinstance(value, dict):
        return TypeError(
            f"{where} holds modules or Tensors as the keys of a {kind}, where they are not found; use a list"
        )
    return TypeError(
        f"{where} holds modules or Tensors in a {kind}, where they are not found; use a list, a tuple or a dict"
    )
