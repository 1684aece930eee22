"""Nested lists, tuples and dicts of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autograd import Tensor


def leaves_of(tree: Any) -> Iterator[Any]:
    """Everything in nested lists, tuples and dicts that is none of these, in order."""
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from leaves_of(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves_of(item)
    else:
        yield tree


def has_tensors(tree: Any) -> bool:
    """Whether a Tensor is among the leaves."""
    return any(isinstance(leaf, Tensor) for leaf in leaves_of(tree))


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nesting with `change(leaf)` for every leaf."""
    if isinstance(tree, dict):
        return type(tree)((key, mapped(value, change)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        items = [mapped(item, change) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return change(tree)


def flatten(tree: Any) -> tuple[list[Any], Callable[[Iterable[Any]], Any]]:
    """The leaves, and a function that nests others in the same way.

    >>> leaves, build = flatten([1.0, {"a": 2.0}])
    >>> leaves, build([3.0, 4.0])
    ([1.0, 2.0], [3.0, {'a': 4.0}])
    """

    def build(leaves: Iterable[Any]) -> Any:
        rest = iter(leaves)
        return mapped(tree, lambda _: next(rest))

    return list(leaves_of(tree)), build
