"""Flatten nested lists, tuples and dicts of arrays, and rebuild them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[Iterable[Any]], Any]]:
    """The leaves of `tree` in order, and a function that builds the same tree with other leaves.

    >>> leaves, build = flatten({"w": 1.0, "rest": [2.0, (3.0,)]})
    >>> leaves, build(x * 10 for x in leaves)
    ([1.0, 2.0, 3.0], {'w': 10.0, 'rest': [20.0, (30.0,)]})
    """
    leaves: list[Any] = []
    plan = _take(tree, leaves)
    return leaves, lambda values: _build(plan, iter(values))


class _Leaf:
    """Marks the place of a leaf."""


def _take(tree: Any, leaves: list[Any]) -> Any:
    if isinstance(tree, dict):
        return _with(tree, {key: _take(value, leaves) for key, value in tree.items()})
    if isinstance(tree, list | tuple):
        items = [_take(item, leaves) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)  # a namedtuple, or a plain one
    leaves.append(tree)
    return _Leaf


def _with(tree: Any, values: dict[Any, Any]) -> Any:
    """A dict like `tree` (an OrderedDict, say) with other values."""
    if type(tree) is dict:
        return values
    made = copy.copy(tree)
    for key, value in values.items():
        made[key] = value
    return made


def _build(plan: Any, values: Any) -> Any:
    if plan is _Leaf:
        return next(values)
    if isinstance(plan, dict):
        return _with(plan, {key: _build(value, values) for key, value in plan.items()})
    items = [_build(item, values) for item in plan]
    return type(plan)(*items) if hasattr(plan, "_fields") else type(plan)(items)
