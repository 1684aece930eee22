"""Indexing as nodes: slices, single numbers, new axes, and one array of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .writer import Step, Varies, Writer, same

_FAR = 2**62


def getitem(w: Writer, s: Step) -> str:
    """Slices first, which keep all axes; then numbers and an array, from the last axis on; then new axes."""
    if s.own.inputs[0] in w.states:
        return _of_states(w, s)
    indexes = [_entries(made.params["index"], len(s.shape_of(0))) for made in s.versions]
    first = indexes[0]
    if any([*map(type, other)] != [*map(type, first)] for other in indexes):
        raise s.refuse("has another index for another input")
    columns = [column for column in zip(*indexes, strict=True) if column[0] is not None]
    made = _sliced(w, s, s.x(), columns)
    _one_array(s, first)
    for axis, versions in reversed([*enumerate(columns)]):
        if isinstance(versions[0], int):
            if len(set(versions)) > 1:
                raise Varies
            made = w.node("Gather", made, w.constant(np.array(versions[0], np.int64)), axis=axis)
        elif not isinstance(versions[0], slice):
            made = _chosen(w, s, made, axis, versions)
    places, at = [], 0
    for entry in first:
        places += [at] if entry is None else []
        at += np.ndim(entry) if isinstance(entry, np.ndarray) else 0 if isinstance(entry, int) else 1
    return w.node("Unsqueeze", made, w.constant(np.array(places, np.int64))) if places else made


def _one_array(s: Step, entries: list[Any]) -> None:
    """Refuse several arrays; and one apart from numbers, since NumPy moves its axes to the front."""
    arrays = sum(isinstance(entry, np.ndarray) for entry in entries)
    fixed = [i for i, entry in enumerate(entries) if isinstance(entry, np.ndarray | int)]
    if arrays > 1 or (arrays and fixed[-1] - fixed[0] >= len(fixed)):
        raise s.refuse("is indexed by arrays and numbers in several places")


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


def _sliced(w: Writer, s: Step, x: str, columns: Sequence[Sequence[Any]]) -> str:
    """One Slice for all axes of which not everything is taken."""
    rows = []
    for axis, versions in enumerate(columns):
        if isinstance(versions[0], slice):
            limits = [_limits(part) for part in versions]
            if any(limit != (0, _FAR, 1) for limit in limits):
                rows.append((axis, limits))
    if not rows:
        return x
    axes = w.constant(np.array([axis for axis, _ in rows], np.int64))
    given = (w.ints([[limits[v][k] for _, limits in rows] for v in range(len(s.versions))]) for k in range(3))
    starts, ends, steps = given
    return str(w.node("Slice", x, starts, ends, axes, steps))


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
