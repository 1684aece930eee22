"""Nested arrays as one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tracer import getval


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All numbers in nested lists, tuples and dicts (by sorted keys) as one vector, and a function that undoes it.

    >>> vector, unflatten = flatten({"b": 1.0, "a": [np.ones(2)]})
    >>> vector
    array([1., 1., 1.])
    >>> unflatten(vector * 2)
    {'b': np.float64(2.0), 'a': [array([2., 2.])]}
    """
    leaves: list[Any] = []
    plan = _take(value, leaves)
    shapes = [np.shape(x) for x in leaves]
    vector = np.concatenate([np.reshape(x, -1) for x in leaves]) if leaves else np.zeros(0)
    kinds = [np.result_type(getval(x)) for x in leaves]

    def unflatten(row: Any) -> Any:
        parts, start = [], 0
        for shape, kind in zip(shapes, kinds, strict=True):
            size = int(np.prod(shape))
            part = np.reshape(row[start : start + size], shape)
            parts.append(_cast(part, kind))
            start += size
        return _build(plan, iter(parts))

    return vector, unflatten


def _cast(part: Any, kind: Any) -> Any:
    if kind.kind == "f" and part.dtype.kind == "c":
        part = np.real(part)
    part = part.astype(kind) if part.dtype != kind and kind.kind in "fc" else part
    return part if np.ndim(part) else part[()]


def _take(value: Any, leaves: list[Any]) -> Any:
    if isinstance(value, dict):
        parts = {key: _take(value[key], leaves) for key in sorted(value)}
        return {key: parts[key] for key in value}, list(parts)
    if isinstance(value, list | tuple):
        return type(value), [_take(item, leaves) for item in value]
    leaves.append(value)
    return None


def _build(plan: Any, values: Any) -> Any:
    if plan is None:
        return next(values)
    kind, order = plan
    if isinstance(kind, dict):
        made = {key: _build(kind[key], values) for key in order}
        return {key: made[key] for key in kind}
    items = [_build(item, values) for item in order]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Any, Any, Any]:
    """`func` as one from vectors to vectors, the function that unflattens its argument, and the example as a vector."""
    vector, unflatten = flatten(example)
    return lambda row, *args: flatten(func(unflatten(row), *args))[0], unflatten, vector
