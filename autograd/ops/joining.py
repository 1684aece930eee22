"""Rules of the functions that join, split and pad arrays."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..libraries import on_host
from ..op import differentiable
from .portable import array_like
from .register import CASES, Case, composite
from .sequence import part


def _parts(g, _y, *_arrays, axis: int | None):
    """`g[start:stop]`, along the axis: for each array, the part that it filled."""
    if axis is None:
        ends = list(accumulate(math.prod(a.shape) for a in _arrays))
        return lambda i: np.reshape(g[ends[i] - math.prod(_arrays[i].shape) : ends[i]], _arrays[i].shape)
    before = (slice(None),) * (axis % g.ndim)
    ends = list(accumulate(a.shape[axis] for a in _arrays))
    return lambda i: g[(*before, slice(ends[i] - _arrays[i].shape[axis], ends[i]))]


def _layers(g, _y, *_arrays, axis: int):
    """`g[i]`, along the axis: for each array, its layer."""
    before = (slice(None),) * (axis % g.ndim)
    return lambda i: g[(*before, i)]


concatenate = differentiable(
    lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    every=_parts,
    call=lambda arrays, axis=0: (tuple(arrays), {"axis": axis}),
    name="concatenate",
    numpy=[np.concatenate],
)
stack = differentiable(
    lambda *arrays, axis: np.stack(arrays, axis=axis),
    every=_layers,
    call=lambda arrays, axis=0: (tuple(arrays), {"axis": axis}),
    name="stack",
    numpy=[np.stack],
)
concat = concatenate


def _assembled(*values, shapes, order, dtype):
    """The elements of all values, each broadcast to its shape, in one row; element i of it is number order[i]."""
    parts = [v if np.shape(v) == shape else np.broadcast_to(v, shape) for v, shape in zip(values, shapes, strict=True)]
    row = np.concatenate([np.reshape(v, (-1,)) for v in parts]) if parts else np.zeros(0)
    return row[order].astype(dtype)


def _portions(g, _y, *_values, shapes, order, dtype):
    """`g`, where the elements of each value went."""
    g = g[np.argsort(order)]
    ends = list(accumulate(math.prod(shape) for shape in shapes))
    return lambda i: np.reshape(g[ends[i] - math.prod(shapes[i]) : ends[i]], shapes[i])


assemble = differentiable(
    _assembled,
    every=_portions,
    call=lambda values, *, shapes, order, dtype: (tuple(values), {"shapes": shapes, "order": order, "dtype": dtype}),
    name="assemble",
)

# ---- joining, written with the two above


def _stacked(at_least, axis: int):
    def function(tup, *, dtype=None, casting: str = "same_kind"):
        joined = np.concatenate([at_least(a) for a in tup], axis=0 if len(at_least(tup[0]).shape) == 1 else axis)
        if dtype is not None and not np.can_cast(joined.dtype, dtype, casting):  # type: ignore[arg-type]  # a string
            raise TypeError(f"cannot cast {joined.dtype} to {np.dtype(dtype)} by the rule {casting!r} of casting=")
        return joined if dtype is None else joined.astype(dtype)

    return function


def _column_stack(tup):
    return np.concatenate([a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in tup], axis=1)


def _block(arrays):
    """Join nested lists: the innermost along the last axis, the next level along the axis before it."""

    def depth(x) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def leaves(x) -> list[Any]:
        return [leaf for item in x for leaf in leaves(item)] if isinstance(x, list) else [x]

    ndim = max(depth(arrays), *(np.ndim(a) for a in leaves(arrays)))

    def join(x, axis: int):
        if isinstance(x, list):
            return np.concatenate([join(item, axis + 1) for item in x], axis=axis)
        return np.reshape(x, (1,) * (ndim - np.ndim(x)) + np.shape(x))

    return join(arrays, -depth(arrays))


def _append(arr, values, axis: int | None = None):
    values = array_like(values, arr)
    if axis is None:
        arr, values, axis = np.reshape(arr, -1), np.reshape(values, -1), 0
    return np.concatenate([arr, values], axis=axis)


def _insert(arr, obj, values, axis: int | None = None):
    """NumPy's own insert, called on 0, 1, 2, ..., shows which element goes where."""
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    obj = obj if isinstance(obj, slice) else np.asarray(on_host(obj))
    values = np.reshape(values, (1,) * (arr.ndim - np.ndim(values)) + np.shape(values))
    while np.ndim(values) > arr.ndim and values.shape[0] == 1:
        values = values[0]
    places = np.arange(n)[obj] if isinstance(obj, slice) else np.nonzero(obj)[0] if obj.dtype == bool else obj
    if places.ndim == 0:
        values = np.moveaxis(values, 0, axis)
    count = values.shape[axis] if places.size == 1 else len(places)  # several values may go to one place
    shape = (*arr.shape[:axis], count, *arr.shape[axis + 1 :])
    order = np.insert(np.arange(n), obj, np.arange(n, n + count))
    joined = np.concatenate([arr, np.broadcast_to(values, shape)], axis=axis)
    return joined[(slice(None),) * axis + (order,)]


def _delete(arr, obj, axis: int | None = None):
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    axis = normalize_axis_index(axis, arr.ndim)
    return arr[(slice(None),) * axis + (np.delete(np.arange(arr.shape[axis]), on_host(obj)),)]


def _meshgrid(*xi, copy: bool = True, sparse: bool = False, indexing: str = "xy"):
    """One coordinate per axis, spread over the whole grid unless `sparse`."""
    n = len(xi)
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [np.reshape(x, [-1 if i == axis else 1 for i in range(n)]) for x, axis in zip(xi, axes, strict=True)]
    return tuple(grids if sparse else np.broadcast_arrays(*grids))


vstack = composite(_stacked(np.atleast_2d, 0), np.vstack)
hstack = composite(_stacked(np.atleast_1d, 1), np.hstack)
dstack = composite(_stacked(np.atleast_3d, 2), np.dstack)
column_stack = composite(_column_stack, np.column_stack)
block = composite(_block, np.block)
append = composite(_append, np.append)
insert = composite(_insert, np.insert)
delete = composite(_delete, np.delete)
meshgrid = composite(_meshgrid, np.meshgrid)

# ---- splitting


def _array_split(ary, indices_or_sections, axis: int = 0):
    """Views between the given indices, or the given number of nearly equal parts."""
    n = ary.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        sections = int(indices_or_sections)
        sizes = [n // sections + (i < n % sections) for i in range(sections)]
        places = list(accumulate(sizes[:-1]))
    else:
        places = list(indices_or_sections)
    return [part(ary, axis, a, b) for a, b in zip([0, *places], [*places, n], strict=True)]


def _split(ary, indices_or_sections, axis: int = 0):
    if np.ndim(indices_or_sections) == 0 and ary.shape[axis] % indices_or_sections:
        raise ValueError(
            f"split: {ary.shape[axis]} elements cannot be split into {indices_or_sections} equal parts; use array_split"
        )
    return _array_split(ary, indices_or_sections, axis)


array_split = composite(_array_split, np.array_split)
split = composite(_split, np.split)
hsplit = composite(
    lambda ary, indices_or_sections: _split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0), np.hsplit
)
vsplit = composite(lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0), np.vsplit)
dsplit = composite(lambda ary, indices_or_sections: _split(ary, indices_or_sections, 2), np.dsplit)
if hasattr(np, "unstack"):  # NumPy 2.1

    def _unstack(x, /, *, axis: int = 0):
        layers = np.moveaxis(x, axis, 0)
        return tuple(layers[i] for i in range(len(layers)))

    unstack = composite(_unstack, np.unstack)

# ---- padding

_EDGE: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


def _pad_axis(x, axis: int, width, mode, options: dict[str, Any]):
    """Pad one axis.  NumPy's pad, called on 0, 1, 2, ..., shows which element goes where."""
    n = x.shape[axis]
    if mode in ("reflect", "symmetric", "wrap", "edge"):
        if options.get("reflect_type") == "odd":  # linear in x: a matrix times x
            matrix = np.pad(np.eye(n), [(0, 0), width], mode=mode, reflect_type="odd").astype(x.dtype)
            matrix = np.asarray(matrix, like=x)
            return np.moveaxis(np.tensordot(x, matrix, axes=(axis, 0)), -1, axis)
        return x[(slice(None),) * axis + (np.pad(np.arange(n), width, mode=mode),)]
    sides = []
    for side, w in enumerate(width):
        zeros = np.zeros_like(x, shape=(*x.shape[:axis], w, *x.shape[axis + 1 :]))
        if mode in ("constant", "empty"):
            fill = zeros + options.get("constant_values", (0, 0))[side]
        elif mode == "linear_ramp":
            end, edge = options.get("end_values", (0, 0))[side], part(x, axis, *[(0, 1), (-1, None)][side])
            steps = np.arange(w, like=x).astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            fill = end + (edge - end) * (steps / max(w, 1))
            fill = np.flip(fill, axis) if side == 1 else fill
        elif mode in _EDGE:
            length = min(options.get("stat_length", (n, n))[side], n)
            near = part(x, axis, *[(0, length), (n - length, None)][side])
            fill = zeros + _EDGE[mode](near, axis=axis, keepdims=True)
        else:
            raise ValueError(f"pad: mode {mode!r} is not supported")
        sides.append(fill)
    return np.concatenate([sides[0], x, sides[1]], axis=axis)


def _per_axis(x, ndim: int) -> list[tuple[Any, Any]]:
    """Expand one number, a pair, or a pair for each axis to a pair for each axis."""
    if isinstance(x, dict):
        given: list[Any] = [x.get(i, x.get(i - ndim, 0)) for i in range(ndim)]
        return [tuple(w) if np.ndim(w) else (w, w) for w in given]
    if np.ndim(x) < 2:
        pair = (x, x) if np.ndim(x) == 0 else (x[0], x[-1])
        return [pair] * ndim
    return [(p[0], p[-1]) for p in (list(x) * ndim if len(x) == 1 else x)]


def _pad(array, pad_width, mode="constant", **kwargs):
    """Pad axis by axis, as NumPy does."""
    if callable(mode):
        raise TypeError("pad: a function as mode has no derivative rule; use one of NumPy's named modes")
    known = {"constant": "constant_values", "linear_ramp": "end_values", "reflect": "reflect_type"}
    known |= {"symmetric": "reflect_type"} | dict.fromkeys(_EDGE, "stat_length")
    if unknown := kwargs.keys() - {known.get(mode, "")}:
        raise ValueError(f"pad: mode {mode!r} does not take {', '.join(unknown)}")
    ndim = np.ndim(array)
    widths = [tuple(int(w) for w in pair) for pair in _per_axis(pad_width, ndim)]
    if mode not in ("constant", "empty") and any(
        n == 0 and any(w) for n, w in zip(np.shape(array), widths, strict=True)
    ):
        raise ValueError(f"pad: mode {mode!r} cannot extend an axis without elements")
    for axis, width in enumerate(widths):
        options = {
            key: value if key == "reflect_type" else _per_axis(value, ndim)[axis]
            for key, value in kwargs.items()
            if value is not None
        }
        array = _pad_axis(array, axis, width, mode, options)
    return array


pad = composite(_pad, np.pad)

# ---- test data

CASES[concatenate] = [
    Case([(2, 3), (1, 3)]),
    Case([(2, 3), (2, 1), (2, 2)], axis=-1),
    Case([(2, 3), (2,)], axis=None),
    Case([(0, 3), (2, 3)], axis=0),
    Case([(2,)]),
]
CASES[stack] = [Case([(2, 3), (2, 3)]), Case([(2, 3), (2, 3)], axis=-1), Case([(), ()]), Case([(2,)], axis=1)]
CASES[assemble] = [
    Case([(2,), (), (1, 2)], shapes=[(2,), (1,), (2, 2)], order=np.array([2, 0, 5, 1, 3, 6, 4]), dtype=np.dtype(float))
]
CASES[vstack] = [Case([(2, 3), (1, 3)]), Case([(3,), (3,)]), Case([(), ()])]
CASES[hstack] = [Case([(2, 3), (2, 1)]), Case([(3,), (2,)]), Case([(), (2,)])]
CASES[dstack] = [Case([(2, 3), (2, 3)]), Case([(3,), (3,)]), Case([(), ()])]
CASES[column_stack] = [Case([(3,), (3, 2)])]
CASES[block] = [Case([(2,), (3,)]), Case([[(2, 2), (2, 1)], [(1, 2), (1, 1)]])]
CASES[append] = [Case((2, 3), (2,)), Case((2, 3), (1, 3), axis=0)]
CASES[insert] = [
    Case((2, 3), 1, (), axis=1),
    Case((4,), 2, (3,)),
    Case((2, 3), np.array([0, 2]), (2, 2), axis=-1),
    Case((2, 3), slice(0, 2), (1, 2), axis=1),
    Case((2, 3, 2), np.array([0, 2]), (2, 2, 2), axis=1),
]
CASES[delete] = [Case((2, 3), 1, axis=1), Case((2, 3), np.array([0, 4])), Case((4,), slice(1, 3))]
CASES[meshgrid] = [Case((2,), (3,)), Case((2,), (3,), (2,), indexing="ij"), Case((2,), (3,), sparse=True)]
CASES[array_split] = [Case((5,), 3), Case((2, 5), [1, 3], axis=1)]
CASES[split] = [Case((4, 2), 2), Case((2, 6), 3, axis=-1), Case((5,), [1, 3, 9])]
CASES[hsplit] = [Case((2, 4), 2), Case((4,), 2)]
CASES[vsplit] = [Case((4, 2), 2)]
CASES[dsplit] = [Case((2, 2, 4), 2)]
if hasattr(np, "unstack"):
    CASES[unstack] = [Case((2, 3)), Case((2, 3), axis=-1)]
CASES[pad] = [
    Case((2, 3), pad_width=1),
    Case((2, 3), pad_width=1, constant_values=0.5),
    Case((3,), pad_width=(1, 2), constant_values=(0.5, -1.0)),
    *(
        Case((3, 4), pad_width=((1, 2), (0, 1)), mode=mode)
        for mode in ["edge", "linear_ramp", "reflect", "symmetric", "wrap", *_EDGE]
    ),
    Case((4,), pad_width=(2, 3), mode="linear_ramp", end_values=(5.0, -4.0)),
    Case((4,), pad_width=2, mode="mean", stat_length=2),
    Case((4,), pad_width=(2, 3), mode="reflect", reflect_type="odd"),
    Case((4,), pad_width=(6, 7), mode="symmetric", reflect_type="odd"),
]
