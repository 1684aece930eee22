"""Rules of indexing, and of its reverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import Case, Operation, differentiable
from ..tensor import Tensor


def _own(index: Any) -> Any:
    """The index with its arrays copied, so that nobody can change it before the backward pass reads it again."""
    if isinstance(index, tuple):
        return tuple(map(_own, index))
    if isinstance(index, Tensor):
        index = index.data
    if isinstance(index, list):
        return np.array(index, dtype=np.intp if not index else None)
    return index.copy() if isinstance(index, np.ndarray) else index


def _is_basic(index: Any) -> bool:
    """Whether NumPy answers with a view, in which no element can come twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or type(i) is int or isinstance(i, slice | np.integer) for i in parts)


def _put(g: Any, shape: tuple[int, ...], index: Any) -> Any:
    whole = np.zeros_like(g, shape=shape)
    if _is_basic(index):
        whole[index] = g
    else:
        np.add.at(whole, index, g)  # an element that was taken twice gets both gradients
    return whole


_INDICES = [
    1,
    -1,
    (slice(None), slice(None, None, -2)),
    (Ellipsis, None, 0),
    (slice(0, 0),),
    np.array([0, 1, 1, -1]),
    (np.array([[0], [1]]), np.array([2, 2])),
    (slice(None), np.array([0, 0, 2])),
    (np.array([0, 1]), slice(None), None),
    np.array([[True, False, True], [False, True, True]]),
    (np.array([True, False]), 1),
]

getitem: Operation = differentiable(
    lambda x, index: x[index],
    lambda g, _y, _x, *, index: scatter(g, shape=_x.shape, index=index),
    methods={"__getitem__": lambda x, index: getitem(x, index=_own(index))},
    name="getitem",
    cases=[
        *(Case((2, 3), index=index) for index in _INDICES),
        Case((2, 3, 4), index=(0, slice(None), np.array([1, 1]))),
    ],
)
scatter: Operation = differentiable(
    _put,
    lambda g, *_, shape, index: getitem(g, index=index),
    name="scatter",
    cases=[
        Case((3,), shape=(2, 3), index=1),
        Case((4,), shape=(2, 3), index=(np.array([0, 1, 1, 0]), np.array([2, 2, 2, 0]))),
    ],
)


def _replace(x: Any, value: Any, index: Any) -> Any:
    whole = np.array(x, dtype=None if np.asarray(x).dtype.kind == "f" else np.result_type(x, value))
    whole[index] = value
    return whole


def _settable(x: Any, index: Any, value: Any) -> tuple[tuple[Any, Any], dict[str, Any]]:
    index = _own(index)
    if not _is_basic(index):
        shape = np.shape(x)
        places = np.arange(int(np.prod(shape))).reshape(shape)[index]
        if len(np.unique(places)) != places.size:
            raise ValueError("set_at: the index names an element twice, so which value stays is undefined")
    return (x, value), {"index": index}


set_at: Operation = differentiable(
    _replace,
    lambda g, *_, index: set_at(g, index, 0.0),
    lambda g, *_, index: g[index],
    call=_settable,
    name="set_at",
    cases=[
        Case((2, 3), 1, (3,)),
        Case((2, 3), (slice(None), np.array([0, 2])), ()),
        Case((2, 3), np.array([[True, False, True], [False, True, True]]), 0.5),
    ],
)
"""`set_at(x, index, value)`: a copy of x with `value` at `index`, the functional form of `x[index] = value`."""
