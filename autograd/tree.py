"""Flatten nested lists, tuples and dicts of arrays, and rebuild them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
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


def leaves_like(tree: Any, pattern: Any, what: str) -> list[Any]:
    """The leaves of `tree` in the order of those of `pattern`: the same structure, dicts with keys in any order.

    Raises ValueError, which says `what` they are, for another structure.

    >>> leaves_like({"b": 2.0, "a": [1.0]}, {"a": (0, ), "b": 0}, "tangents")
    [1.0, 2.0]
    """
    if isinstance(pattern, dict):
        if not isinstance(tree, dict) or tree.keys() != pattern.keys():
            raise ValueError(f"{what}: where a dict with {[*pattern]} is needed, there is {_shown(tree)}")
        return [leaf for key, part in pattern.items() for leaf in leaves_like(tree[key], part, what)]
    if isinstance(pattern, list | tuple):
        if not isinstance(tree, list | tuple) or len(tree) != len(pattern):
            raise ValueError(f"{what}: where {_shown(pattern)} is needed, there is {_shown(tree)}")
        return [leaf for one, part in zip(tree, pattern, strict=True) for leaf in leaves_like(one, part, what)]
    if isinstance(tree, dict):
        raise ValueError(f"{what}: where an array is needed, there is {_shown(tree)}")
    return [tree]


def _shown(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with {[*tree]}"
    return f"a {type(tree).__name__}" + (f" of {len(tree)}" if isinstance(tree, list | tuple) else "")


def paths(tree: Any) -> list[str]:
    """Where each leaf is, as it is written in Python.

    >>> paths({"w": 1.0, "rest": [2.0, (3.0,)]})
    ["['w']", "['rest'][0]", "['rest'][1][0]"]
    """
    if isinstance(tree, dict):
        return [f"[{key!r}]{rest}" for key, part in tree.items() for rest in paths(part)]
    if isinstance(tree, list | tuple):
        return [f"[{i}]{rest}" for i, part in enumerate(tree) for rest in paths(part)]
    return [""]


def leaves_of(tree: Any) -> Iterator[Any]:
    """The leaves alone, of any subclass of list, tuple or dict, whether or not it could be built again."""
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        yield tree
        return
    for item in tree:
        yield from leaves_of(item)


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """`tree` with `change(leaf)` for every leaf; a part in which nothing changes stays the same object."""
    if isinstance(tree, dict):
        values = {key: mapped(value, change) for key, value in tree.items()}
        return tree if all(values[key] is value for key, value in tree.items()) else _with(tree, values)
    if not isinstance(tree, list | tuple):
        return change(tree)
    items = [mapped(item, change) for item in tree]
    if all(item is old for item, old in zip(items, tree, strict=True)):
        return tree
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


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
