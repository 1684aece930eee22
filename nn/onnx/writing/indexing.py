"""Indexing as nodes: slices, single numbers, new axes, and one array of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .writer import Step, Varies, Writer, same

_FAR = 2**62


def getitem(w: Writer, s: Step) -> str:
    indexes = [_entries(made.params["index"], len(s.shape_of(0))) for made in s.versions]
    if s.own.inputs[0] in w.states:
        return _of_states(w, s)
    made, first = s.x(), indexes[0]
    if any([*map(type, other)] != [*map(type, first)] for other in indexes):
        raise s.refuse("has another index for another input")
    kept, dropped, added, arrays = [], [], [], 0
    axis = 0  # of the input
    for i, entry in enumerate(first):
        if entry is None:
            added.append(i)
            continue
        versions = [other[i] for other in indexes]
        if isinstance(entry, slice):
            kept.append((axis, versions))
        elif isinstance(entry, int):
            dropped.append((axis, versions))
        else:
            arrays += 1
            made = _chosen(w, s, made, axis, versions)
        axis += 1
    if arrays > 1 or (arrays and (dropped or added) and np.ndim(_array_of(first)) != 1):
        raise s.refuse("is indexed by arrays in several places at once")
    made = _sliced(w, s, made, kept)
    return _without(w, made, dropped, first, bool(arrays))


def _without(w: Writer, made: str, dropped: Any, first: list[Any], arrays: bool) -> str:
    """Single numbers take an axis away, and None adds one."""
    for axis, versions in reversed(dropped):
        if len(set(versions)) > 1:
            raise Varies
        made = w.node("Gather", made, w.constant(np.array(versions[0], np.int64)), axis=axis)
    places, at = [], 0
    for entry in first:
        if entry is None:
            places.append(at)
        at += not isinstance(entry, int)
    return w.node("Unsqueeze", made, w.constant(np.array(places, np.int64))) if places else made


def _array_of(entries: list[Any]) -> Any:
    return next(entry for entry in entries if isinstance(entry, np.ndarray))


def _entries(index: Any, ndim: int) -> list[Any]:
    """One slice, int, None or array for every axis and every new axis."""
    given = list(index) if isinstance(index, tuple) else [index]
    found: list[Any] = []
    for entry in given:
        if isinstance(entry, np.ndarray | list):
            array = np.asarray(entry)
            found += list(np.nonzero(array)) if array.dtype == bool else [int(array)] if not array.ndim else [array]
        else:
            found.append(int(entry) if isinstance(entry, np.integer) else entry)
    count = sum(entry is not None and entry is not Ellipsis for entry in found)
    rest = [slice(None)] * (ndim - count)
    at = next((i for i, entry in enumerate(found) if entry is Ellipsis), None)
    return found + rest if at is None else found[:at] + rest + found[at + 1 :]


def _chosen(w: Writer, s: Step, x: str, axis: int, versions: Sequence[Any]) -> str:
    sizes = [made.arrays[0].shape[axis] for made in s.versions]
    if all(np.array_equal(v, np.arange(n)) for v, n in zip(versions, sizes, strict=True)):
        return x
    for name, arrays in w.whole:
        if all(np.array_equal(a, b) for a, b in zip(arrays, versions, strict=True)):
            return w.node("Gather", x, name, axis=axis)
    if not same(versions):
        return w.node("Gather", x, w.grown(s, versions, np.int64), axis=axis)
    return w.node("Gather", x, w.constant(np.asarray(versions[0], np.int64)), axis=axis)


def _sliced(w: Writer, s: Step, x: str, kept: list[tuple[int, list[slice]]]) -> str:
    """One Slice for all axes of which not everything is taken."""
    rows = []
    for axis, versions in kept:
        limits = [_limits(part) for part in versions]
        if any(limit != (0, _FAR, 1) for limit in limits):
            rows.append((axis, limits))
    if not rows:
        return x
    columns = [[[limits[v][k] for _, limits in rows] for v in range(len(s.versions))] for k in range(3)]
    axes = w.constant(np.array([axis for axis, _ in rows], np.int64))
    starts, ends, steps = (w.ints(column) for column in columns)
    return w.node("Slice", x, starts, ends, axes, steps)


def _limits(part: slice) -> tuple[int, int, int]:
    step = 1 if part.step is None else int(part.step)
    start = (0 if step > 0 else _FAR) if part.start is None else int(part.start)
    end = (_FAR if step > 0 else -_FAR) if part.stop is None else int(part.stop)
    return start, end, step


def _of_states(w: Writer, s: Step) -> str:
    """What the op `recurrent` made: h of all steps is index 0; of the cell state c only the last step is known."""
    states = w.states[s.own.inputs[0]]
    index = s.params["index"]
    if isinstance(states, tuple):  # c of all steps
        name, end = states
        if index == end:
            return str(name)
        raise s.refuse("reads a state of the LSTM's cell in the middle of a sequence, which ONNX does not return")
    if index == 0:
        return str(states["h"])
    if index == 1 and "c" in states:
        w.states[s.own.node] = states["c"]
        return ""
    raise s.refuse("reads sums of a recurrent layer, which ONNX does not return")
