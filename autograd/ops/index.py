"""Rules of indexing, its reverse, and functions that pick elements: take, diagonals, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..libraries import is_foreign
from ..numpy_calls import NUMPY
from ..op import differentiable
from ..parts import Part
from ..registry import Operation
from ..tensor import Tensor
from .portable import array_like
from .register import CASES, Case, composite, methods


def array_of(x):
    """The array of a Tensor; another array unchanged; a list converted by NumPy."""
    return x.data if isinstance(x, Tensor) else x if hasattr(x, "dtype") else np.asarray(x)


def only_real(name: str, x) -> None:
    """Raise TypeError for complex numbers."""
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: takes real numbers here; got {x.dtype}")


def own(index):
    """The index with its arrays copied, so that it cannot change before the backward pass reads it again."""
    if isinstance(index, tuple):
        return tuple(map(own, index))
    if isinstance(index, Tensor):
        index = index.data
    if isinstance(index, list):
        return np.array(index, dtype=np.intp if not index else None)
    if isinstance(index, np.ndarray):
        return index.copy("K")  # its memory layout decides that of the result
    return index.copy() if is_foreign(index) else index


def _is_basic(index) -> bool:
    """Whether NumPy returns a view, in which no element can occur twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or type(i) is int or isinstance(i, slice | np.integer) for i in parts)


def _put(g, shape: tuple[int, ...], index):
    whole = np.zeros_like(g, shape=shape)
    if _is_basic(index):
        whole[index] = g
    else:
        np.add.at(whole, index, g)  # an element that was taken twice gets both gradients
    return whole


def _item(x, index):
    """The elements of x that `index` names, in every form that NumPy accepts."""
    return getitem(x, index=own(index))


def _item_rule(g, _y, _x, *, index):
    """`g` at the index, and zeros elsewhere"""
    if (type(g) is np.ndarray or isinstance(g, np.generic)) and g.dtype is _x.dtype and _is_basic(index):
        return Part(g, _x.shape, index)
    return scatter(g, shape=_x.shape, index=index)


getitem: Operation = differentiable(
    lambda x, index: x[index],
    _item_rule,
    methods=methods(__getitem__=_item),
    name="getitem",
    view=True,
)
scatter: Operation = differentiable(_put, lambda g, *_, shape, index: getitem(g, index=index), name="scatter")


def _replace(x, value, index):
    """A copy of x with `value` at `index`, the functional form of `x[index] = value`.

    `value` broadcasts to the shape of `x[index]`; the result has the shape of x.  Gradients go to both.  Raises
    ValueError for an index that names an element twice, and IndexError for one outside x.

    >>> set_at(np.zeros(3), 1, 5.0)
    array([0., 5., 0.])
    """
    whole = np.copy(array_like(x, value))
    whole = whole if whole.dtype.kind == "f" else whole.astype(np.result_type(whole, value))
    whole[index] = value
    return whole


def _settable(x, index, value) -> tuple[tuple[Any, Any], dict[str, Any]]:
    index = own(index)
    if not _is_basic(index):
        shape = np.shape(x)
        places = np.arange(int(np.prod(shape)), like=array_of(x)).reshape(shape)[index]
        if len(np.unique(places)) != places.size:
            raise ValueError("set_at: the index names an element twice, so which value stays is undefined")
    return (x, value), {"index": index}


set_at: Operation = differentiable(
    _replace, lambda g, *_, index: set_at(g, index, 0.0), lambda g, *_, index: g[index], call=_settable, name="set_at"
)


def _add_at(x, index, value):
    """A copy of x with `value` added at `index`, as often as the index names an element; see np.add.at.

    `value` broadcasts to the shape of `x[index]`; the result has the shape of x.  Gradients go to both.  Raises
    IndexError for an index outside x.

    >>> add_at(np.zeros(3), np.array([0, 0, 2]), 1.0)
    array([2., 0., 1.])
    """
    index = own(index)
    value = array_like(value, x)
    places = np.shape(np.empty(np.shape(x), bool, like=array_of(x))[index])
    return x + scatter(np.broadcast_to(value, places), shape=np.shape(x), index=index)


add_at = composite(_add_at, name="add_at")

# ---- written with getitem


def _along(x, axis: int) -> list[Any]:
    """Index arrays that select every element of x in its place, for all axes except `axis`."""
    shape = np.shape(x)
    like = array_of(x)
    grids = [
        np.arange(n, like=like).reshape([-1 if i == j else 1 for j in range(len(shape))]) for i, n in enumerate(shape)
    ]
    return grids[:axis] + grids[axis + 1 :]


def _take_along_axis(arr, indices, axis: int | None = -1):
    indices = array_of(indices)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    axis = normalize_axis_index(axis, np.ndim(arr))
    if np.ndim(indices) != np.ndim(arr):
        raise ValueError(f"take_along_axis: the indices have {np.ndim(indices)} axes; the array has {np.ndim(arr)}")
    rest = _along(arr, axis)
    return arr[(*rest[:axis], indices, *rest[axis:])]


def within(indices, n: int, mode: str):
    """Indices below n: those out of range wrapped around, clipped, or left to raise an error."""
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"mode is 'raise', 'wrap' or 'clip'; got {mode!r}")
    return indices % n if mode == "wrap" else np.clip(indices, 0, n - 1) if mode == "clip" else indices


def _take(a, indices, axis: int | None = None, out: None = None, mode: str = "raise"):
    """a[..., indices, ...] along an axis; out of range, mode "wrap" wraps around and "clip" clips."""
    if axis is None or not np.ndim(a):
        a, axis = np.reshape(a, -1), 0 if axis is None else axis
    axis = normalize_axis_index(axis, np.ndim(a))
    indices = within(array_of(indices), np.shape(a)[axis], mode)
    return a[(slice(None),) * axis + (indices,)]


def _compress(condition, a, axis: int | None = None, out: None = None):
    return _take(a, np.flatnonzero(condition), axis)


def _compressed(a, condition, axis: int | None = None):
    """The slices of this Tensor along an axis where `condition` is true; see `compress`."""
    return _compress(condition, a, axis)


def _on_diagonal(g, shape: tuple[int, ...], offset: int, axis1: int, axis2: int):
    """Zeros of a shape, except for g on the diagonals of two axes; a last axis of length 1 repeats."""
    rows, columns = shape[axis1], shape[axis2]
    if g.shape[-1] not in (1, columns):  # one element for each column
        zeros = np.zeros_like(g, shape=(*g.shape[:-1], columns))
        before = zeros[..., : max(offset, 0)]
        g = np.concatenate([before, g, zeros[..., : columns - g.shape[-1] - before.shape[-1]]], axis=-1)
    chosen = np.arange(rows, like=g)[:, None] + offset == np.arange(columns, like=g)
    whole = np.where(chosen, g[..., None, :], 0.0)
    last = len(shape) - 2, len(shape) - 1
    return whole if (axis1 % len(shape), axis2 % len(shape)) == last else np.moveaxis(whole, (-2, -1), (axis1, axis2))


diagonal: Operation = differentiable(
    np.diagonal,
    lambda g, _y, _x, *, offset=0, axis1=0, axis2=1: _on_diagonal(g, _x.shape, offset, axis1, axis2),
    view=True,
)
trace: Operation = differentiable(
    np.trace,
    lambda g, _y, _x, *, offset=0, axis1=0, axis2=1: _on_diagonal(g[..., None], _x.shape, offset, axis1, axis2),
    beyond=lambda a, offset=0, axis1=0, axis2=1, dtype=None: trace(a.astype(dtype), offset, axis1, axis2),
)


def _diagonal(a, offset: int = 0, axis1: int = 0, axis2: int = 1):
    return diagonal(a, offset=offset, axis1=axis1, axis2=axis2)


def _diag(v, k: int = 0):
    """The diagonal of a matrix, or a matrix with this diagonal."""
    if np.ndim(v) == 2:
        return _diagonal(v, k)
    n = np.shape(v)[0]
    i = np.arange(n, like=array_of(v))
    return scatter(v, shape=(n + abs(k), n + abs(k)), index=(i - min(k, 0), i + max(k, 0)))


def _triangle(lower: bool):
    def function(m, k: int = 0):
        rows, columns = (np.shape(m)[-2:] * 2)[:2]  # NumPy turns a row into a square matrix
        below = np.tri(rows, columns, k if lower else k - 1, dtype=bool, like=array_of(m))
        return np.where(below if lower else ~below, m, 0)

    return function


def _sort(a, axis: int | None = -1, kind=None, order: None = None, *, stable: bool | None = None):
    """A new array, also as the method: a Tensor is never sorted in place."""
    if order is not None:
        raise ValueError("sort: the argument order is for arrays with fields, which a Tensor is not")
    if axis is None:
        a, axis = np.reshape(a, -1), -1
    axis = normalize_axis_index(axis, np.ndim(a))
    how: Any = {name: x for name, x in (("kind", kind), ("stable", stable)) if x is not None}
    return _take_along_axis(a, np.argsort(a, axis=axis, **how), axis)


def _partition(a, kth, axis: int | None = -1, kind: str = "introselect", order: None = None):
    if order is not None or kind != "introselect":
        raise ValueError("partition: there is no order among fields, and the only kind is introselect")
    if axis is None:
        a, axis = np.reshape(a, -1), -1
    axis = normalize_axis_index(axis, np.ndim(a))
    return _take_along_axis(a, np.argpartition(a, kth, axis=axis), axis)


def _unique(
    ar,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
):
    """The sorted unique elements (or slices along `axis`); the gradient goes to the first of equal ones."""
    plain = ar.data if isinstance(ar, Tensor) else ar
    unique_of: Any = np.unique
    _, index, *others = unique_of(plain, True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values = _take(ar, index, axis)
    extra = ([index] if return_index else []) + others
    return (values, *extra) if extra else values


def _bincount(x, /, weights=None, minlength: int = 0):
    """How often each integer occurs in x, or the sum of its weights."""
    x = array_of(x)
    if weights is None:
        return np.bincount(x, minlength=minlength)
    weights = weights.astype(float)
    return scatter(weights, shape=(max(minlength, int(x.max()) + 1 if x.size else 0),), index=x)


take = composite(_take, np.take)
take_along_axis = composite(_take_along_axis, np.take_along_axis)
compress = composite(_compress, np.compress, methods=methods(compress=_compressed))
extract = composite(lambda condition, arr: _compress(np.ravel(condition), np.reshape(arr, -1)), np.extract)
bincount = composite(_bincount, np.bincount)
composite(lambda x, /, *, offset=0: _diagonal(x, offset, -2, -1), np.linalg.diagonal, name="linalg_diagonal")
composite(lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype), np.linalg.trace, name="linalg_trace")
diag = composite(_diag, np.diag)
diagflat = composite(lambda v, k=0: _diag(np.reshape(v, -1), k), np.diagflat)
tril = composite(_triangle(True), np.tril)
triu = composite(_triangle(False), np.triu)
sort = composite(_sort, np.sort)
partition = composite(_partition, np.partition)
unique = composite(_unique, np.unique)
unique_values = composite(lambda x, /: _unique(x), np.unique_values, name="unique_values")

# ---- test data

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
CASES[getitem] = [
    *(Case((2, 3), index=index) for index in _INDICES),
    Case((2, 3, 4), index=(0, slice(None), np.array([1, 1]))),
]
CASES[scatter] = [
    Case((3,), shape=(2, 3), index=1),
    Case((4,), shape=(2, 3), index=(np.array([0, 1, 1, 0]), np.array([2, 2, 2, 0]))),
]
CASES[set_at] = [
    Case((2, 3), 1, (3,)),
    Case((2, 3), (slice(None), np.array([0, 2])), ()),
    Case((2, 3), np.array([[True, False, True], [False, True, True]]), 0.5),
]
CASES[add_at] = [Case((2, 3), 1, (3,)), Case((3,), np.array([0, 0, 2]), (3,)), Case((2, 3), (slice(None), 0), ())]
CASES[take] = [
    Case((2, 3), np.array([0, 5, 5])),
    Case((2, 3), np.array([[0, 2], [2, 2]]), axis=1),
    Case((4,), np.array([-1, 6]), mode="wrap"),
    Case((4,), np.array([-1, 6]), mode="clip"),
]
CASES[take_along_axis] = [Case((2, 3), np.array([[0, 0], [2, 1]]), axis=1), Case((2, 3), np.array([[1, 0, 1]]), axis=0)]
CASES[compress] = [Case(np.array([True, False, True]), (3, 2), axis=0)]
CASES[extract] = [Case(np.array([[True, False, True], [False, True, True]]), (2, 3))]
CASES[bincount] = [Case(np.array([0, 2, 2, 1]), (4,)), Case(np.array([1, 1]), (2,), minlength=5)]
CASES[diagonal] = [
    Case((3, 3)),
    Case((2, 3), 1),
    Case((3, 2), -1),
    Case((2, 3, 4), 0, 1, 2),
    Case((2, 3), 5),
    Case((2, 3, 4), 1, 2, 0),
]
CASES[trace] = [Case((3, 3)), Case((2, 3), 1), Case((2, 3, 4), -1, 1, 2), Case((2, 3, 4), 1, -1, 0)]
CASES[NUMPY[np.linalg.trace]] = [Case((3, 3)), Case((2, 3, 4), offset=1)]
CASES[NUMPY[np.linalg.diagonal]] = [Case((3, 3)), Case((2, 3, 4), offset=1)]
CASES[diag] = [Case((3,)), Case((2,), -1), Case((2, 3)), Case((3, 3), 1)]
CASES[diagflat] = [Case((2, 2)), Case((2,), 1)]
CASES[tril] = [Case((3, 3)), Case((2, 3, 4), 1), Case((2, 3), -1)]
CASES[triu] = [Case((3, 3)), Case((2, 3, 4), 1), Case((2, 3), -1)]
CASES[sort] = [Case((5,)), Case((3, 2), axis=0), Case((2, 3), axis=None)]
CASES[partition] = [Case((5,), 2), Case((2, 4), 1, axis=1)]
CASES[unique] = [Case((5,)), Case((2, 3), axis=0)]
CASES[unique_values] = [Case((2, 3))]
