"""One form for what NumPy spells in many ways, so that the same computation is seen to be the same.

Nothing here changes a bit of a result.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .lines import Draft, Line, Value

MANY = 2**15  # elements from which on writing words of bits costs more than making them anew from bytes
FEW = 2**12  # elements up to which repeating a vector before it is added is faster
_REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
_FUNCTIONS = {np.sum: "sum", np.max: "max", np.min: "min", np.prod: "prod"}


def canonical(draft: Draft, line: Line, _old: Line) -> Value:
    """A line of a tape in the form that the passes know."""
    name = line.function if line.kind == "method" else ""
    if line.kind == "call" and line.function in _FUNCTIONS:
        name = _FUNCTIONS[line.function]
    if name in _REDUCTIONS:
        return _reduction(draft, line, _REDUCTIONS[name])
    if _is_transpose(line, name):
        return transposed(draft, line.args[0], line)
    if name == "astype" and len(line.args) == 2 and not line.kwargs:
        return draft.add("cast", None, line.args, line.like, line.place)
    if name == "view":
        return _masked(draft, line) or draft.again(line)
    return draft.again(line)


def simpler(draft: Draft, line: Line, old: Line, outputs: Sequence[Any]) -> Any:
    """A copy (+x) or a product with 1 is the array itself, unless it leaves the program; so is x[()], a view."""
    if line.elementwise() and line.kind == "call":
        line.args = tuple(_as_number(x, line) for x in line.args)
    if line.kind == "item" and isinstance(line.args[1], tuple) and not line.args[1]:
        inside = bool(line.shape) or isinstance(line.args[0], Line)
        return line.args[0] if inside else draft.again(line)  # () makes a number of an array that has no axes
    leaves = any(old is output for output in outputs)
    if line.is_call(np.positive, np.multiply) and not leaves:
        one = [x for x in line.args if not isinstance(x, Value)]
        rest = [x for x in line.args if isinstance(x, Value)]
        if len(rest) == 1 and rest[0].like == line.like and all(_is_one(x) for x in one):
            return rest[0]
    return draft.again(line)


def _is_one(x: Any) -> bool:
    return isinstance(x, int | float | np.generic) and bool(x == 1)


def _as_number(x: Any, line: Line) -> Any:
    """A constant array that repeats one number, of which the shape of the result does not depend, as that number."""
    if isinstance(x, np.ndarray) and x.size and not any(x.strides[i] for i in range(x.ndim) if x.shape[i] > 1):
        others = [a.shape for a in line.args if isinstance(a, Value)]
        if others and np.broadcast_shapes(*others) == line.shape:
            return x.reshape(-1)[0]
    return x


def _reduction(draft: Draft, line: Line, ufunc: Any) -> Value:
    """The ufunc's own `reduce`, which np.sum and x.sum() call in the end; a view puts back the axes that are kept."""
    x, *axes = line.args
    given: dict[str, Any] = {"axis": None, "keepdims": False} | line.kwargs | ({"axis": axes[0]} if axes else {})
    if len(given) > 2 or len(axes) > 1 or not isinstance(x, Value) or line.shape is None or not line.order:
        return draft.again(line)
    axis = given["axis"]
    along = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    shape = tuple(n for i, n in enumerate(x.shape) if i not in along)
    said = None if len(shape) == 0 else tuple(sorted(along)) if len(along) != 1 else along[0]
    order = line.order if shape == line.shape else "C"
    found = draft.add("reduce", ufunc, (x,), (shape, line.dtype, order), line.place, {"axis": said})
    return reshaped(draft, found, line.shape, line) if line.shape != shape else found


def reshaped(draft: Draft, x: Value, shape: Any, line: Line) -> Value:
    """A contiguous array in another shape: a view."""
    if x.shape == shape:
        return x
    return draft.add("reshape", None, (x, shape), (shape, x.dtype, x.order), line.place, shares=x)


def _is_transpose(line: Line, name: str) -> bool:
    if line.shape is None or len(line.shape) != 2 or line.kwargs or not isinstance(line.args[0], Value):
        return False
    axes = line.args[1:]
    if name == "transpose" or (line.kind == "call" and line.function is np.transpose):
        return not axes or (type(axes[0]) in (int, tuple) and axes in ((1, 0), ((1, 0),)))
    if name == "swapaxes" or (line.kind == "call" and line.function is np.swapaxes):
        return len(axes) == 2 and {axes[0] % 2, axes[1] % 2} == {0, 1}
    return False


def transposed(draft: Draft, x: Value, line: Line) -> Value:
    """A matrix transposed: a view."""
    if isinstance(x, Line) and x.kind == "T":
        inner: Value = x.args[0]
        return inner
    order = {"C": "F", "F": "C", "": ""}[x.order]
    return draft.add("T", None, (x,), (x.shape[::-1], x.dtype, order), line.place, shares=x)


def _masked(draft: Draft, line: Line) -> Value | None:
    """`zero_where`, which lays words of bits over an array, as one line; its words are made by way of single bytes."""
    both = line.args[0]
    if line.dtype.kind != "f" or not (isinstance(both, Line) and both.is_call(np.bitwise_and)):
        return None
    x, bits = both.args
    if not (
        is_method(x, "view")
        and isinstance(bits, Line)
        and bits.is_call(np.subtract)
        and type(bits.args[1]) is int
        and bits.args[1] == 1
    ):
        return None
    mask = bits.args[0]
    if not (isinstance(mask, Line) and mask.kind == "cast" and mask.args[0].dtype == np.bool_):
        return None
    off: Value = mask.args[0]
    if x.args[0].dtype != line.dtype or off.shape != line.shape or not line.shape:
        return None
    return draft.add("select", None, (x.args[0], words(draft, off, mask.dtype, line)), line.like, line.place)


def words(draft: Draft, off: Value, dtype: Any, line: Line) -> Value:
    """0 where the mask `off` is true, and a word of ones elsewhere; for many, a byte, which NumPy makes a word of."""
    place = line.place
    byte = draft.add(
        "method", "view", (off, np.dtype(np.int8)), (off.shape, np.dtype(np.int8), off.order), place, shares=off
    )
    ones = draft.add("call", np.subtract, (byte, np.int8(1)), (off.shape, np.dtype(np.int8), off.order), place)
    return ones if off.size > MANY else draft.add("cast", None, (ones, dtype), (off.shape, dtype, off.order), place)


def is_method(x: Any, name: str) -> bool:
    """Whether a value is the result of this method."""
    return isinstance(x, Line) and x.kind == "method" and x.function == name


def spread(draft: Draft, line: Line, _old: Line) -> Value:
    """A small operand that is repeated is repeated first: NumPy takes long to begin a loop that repeats an operand."""
    ufunc = line.kind == "call" and line.elementwise() and len(line.args) == 2
    if not ufunc or not line.order or not 1 < line.size <= FEW:
        return draft.again(line)
    full = [x for x in line.args if isinstance(x, Value) and x.shape == line.shape and x.order == line.order]
    args = tuple(
        draft.add("spread", None, (x, line.shape), (line.shape, x.dtype, line.order), line.place)
        if full and isinstance(x, Value) and x.shape not in ((), line.shape)
        else x
        for x in line.args
    )
    return draft.add("call", line.function, args, line.like, line.place)


# ---- labels: one element of each row


def _bound(asked: Any, answer: bool) -> tuple[Value, str, int] | None:
    """(labels, "low" or "high", n) where it is checked that no label is below 0, or that all are below n."""
    if not (answer and isinstance(asked, Line) and len(asked.args) == 2 and isinstance(asked.args[0], Line)):
        return None
    extreme, n = asked.args
    if extreme.kind != "reduce" or extreme.kwargs["axis"] is not None or not isinstance(n, int):
        return None
    if asked.is_call(np.greater_equal) and extreme.function is np.minimum and n == 0:
        return extreme.args[0], "low", 0
    if asked.is_call(np.less) and extreme.function is np.maximum:
        return extreme.args[0], "high", n
    return None


def in_range(draft: Draft) -> dict[int, int]:
    """{id of an array of whole numbers: n} where the program checks that all of them are in 0 .. n - 1."""
    found: dict[str, dict[int, int]] = {"low": {}, "high": {}}
    for guard in draft.guards:
        bound = _bound(*guard)
        if bound is not None:
            labels, side, n = bound
            if is_method(labels, "view") and labels.dtype.kind == "u":  # as unsigned numbers none is below 0
                labels = labels.args[0]  # type: ignore[attr-defined]
                found["low"][id(labels)] = 0
            found[side][id(labels)] = n
    return {key: n for key, n in found["high"].items() if key in found["low"]}


def checked_once(draft: Draft) -> Draft:
    """Whole numbers in 0 .. n - 1 are checked by one maximum: that of the same bits as unsigned numbers."""
    known, guards = in_range(draft), []
    for asked, answer in draft.guards:
        bound = _bound(asked, answer)
        if bound is None or id(bound[0]) not in known or bound[0].dtype.kind != "i":
            guards.append((asked, answer))
        elif bound[1] == "high":
            x, place, kind = bound[0], asked.place, np.dtype(f"u{bound[0].dtype.itemsize}")
            raw = draft.add("method", "view", (x, kind), (x.shape, kind, x.order), place, shares=x)
            top = draft.add("reduce", np.maximum, (raw,), ((), kind, "C"), place, {"axis": None})
            guards.append((draft.call(np.less, top, bound[2], place=place, dtype=np.bool_), True))
    draft.guards = guards
    return draft


def chosen(line: Line) -> tuple[Value, Value] | None:
    """(x, labels) where a line reads or replaces x[arange(n), labels], one element of each row."""
    if line.kind not in ("item", "put") or not isinstance(line.args[1], tuple) or len(line.args[1]) != 2:
        return None
    x, (rows, labels) = line.args[:2]
    if x.ndim != 2 or not isinstance(rows, np.ndarray) or not isinstance(labels, Value):
        return None
    each = rows.shape == labels.shape == x.shape[:1] and np.array_equal(rows, np.arange(x.shape[0]))
    return (x, labels) if each and labels.dtype == np.intp else None


def at_labels(draft: Draft, line: Line, old: Line, known: dict[int, int]) -> Value:
    """x[arange(n), labels] by flat positions, where the labels are known to be in range."""
    found, before = chosen(line), chosen(old)
    if found is None or before is None or not found[0].order or known.get(id(before[1])) != found[0].shape[1]:
        return draft.again(line)
    x, labels = found
    n, classes = x.shape
    step, base = (1, np.arange(n) * classes) if x.order == "C" else (n, np.arange(n))
    key = "positions", n, classes, x.order
    base = draft.ones.setdefault(key, base)
    at: Value = labels if step == 1 else draft.call(np.multiply, labels, step, place=line.place)
    at = draft.call(np.add, at, base, place=line.place)
    if line.kind == "item":
        flat = draft.add("flat", None, (x,), ((x.size,), x.dtype, "C"), line.place, shares=x)
        return draft.add("take", None, (flat, at), line.like, line.place)
    return draft.add("put_flat", operator.setitem, (x, at, line.args[2]), (x.shape, x.dtype, x.order), line.place)
