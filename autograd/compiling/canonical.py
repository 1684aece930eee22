"""One form for what NumPy spells in many ways, so that the same computation is seen to be the same.

Nothing here changes a bit of a result.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .lines import Draft, Line, Value, values_in
from .memory import memory_of

MANY = 2**15  # elements from which on writing words of bits costs more than making them anew from bytes
FEW = 2**14  # elements up to which repeating a vector before it is added is faster
_REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
_FUNCTIONS = {np.sum: "sum", np.max: "max", np.min: "min", np.prod: "prod"}


def canonical(draft: Draft, line: Line, _old: Line) -> Value:
    """A line of a tape in the form that the passes know."""
    name = line.function if line.kind == "method" else ""
    if line.kind == "call" and line.function in _FUNCTIONS:
        name = _FUNCTIONS[line.function]
    if name in _REDUCTIONS:
        return _reduction(draft, line, _REDUCTIONS[name], None)
    if line.is_call(operator.pow):
        return _power(draft, line)
    owner = getattr(line.function, "__self__", None)
    if line.kind == "call" and owner in _REDUCTIONS.values() and line.function.__name__ == "reduce":
        return _reduction(draft, line, owner, 0)
    if _is_transpose(line, name):
        return transposed(draft, line.args[0], line)
    if name == "astype" and len(line.args) == 2 and not line.kwargs:
        return draft.add("cast", None, line.args, line.like, line.place)
    if name == "view":
        return _selected(draft, line) or draft.again(line)
    if (
        line.is_call(np.dot)
        and line.ndim > 0
        and all(np.ndim(x) in (1, 2) and _dtype(x) == line.dtype for x in line.args)
    ):
        return draft.add("dot", np.dot, line.args, line.like, line.place)
    return draft.again(line)


def simpler(draft: Draft, line: Line, old: Line, outputs: Sequence[Any], exact: bool) -> Any:
    """A copy or a product with 1 is the array itself, unless it leaves the program; so is x[()], a view.

    Where every bit counts, the array must lie in memory as its copy does, for sums depend on it.
    """
    if line.elementwise() and line.kind == "call":
        line.args = tuple(_as_number(x, line) for x in line.args)
    if line.kind == "item" and isinstance(line.args[1], tuple) and not line.args[1]:
        inside = bool(line.shape) or isinstance(line.args[0], Line)
        return line.args[0] if inside else draft.again(line)  # () makes a number of an array that has no axes
    if any(memory_of(output) is old for output in values_in(outputs)):
        return draft.again(line)
    if line.kind == "copy" or line.is_call(np.positive, np.multiply):
        one = [x for x in line.args if not isinstance(x, Value | str)]
        rest = [x for x in line.args if isinstance(x, Value)]
        if len(rest) == 1 and all(_is_one(x) for x in one):
            same = rest[0].like == line.like if exact else rest[0].like[:2] == line.like[:2]
            return rest[0] if same else draft.again(line)
    return draft.again(line)


_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}


def _power(draft: Draft, line: Line) -> Line:
    """What NumPy makes of the operator: x ** 0.5 is no np.power, which differs at -0.0 and -inf."""
    x, n = line.args
    if x.dtype.kind != "f" or x.dtype != line.dtype or type(n) not in (int, float):
        return draft.again(line)
    function = _POWERS.get(n)
    args = (x, n) if function is None else (x,)
    return draft.add("call", function or np.power, args, line.like, line.place)


def _is_one(x: Any) -> bool:
    return isinstance(x, int | float | np.generic) and bool(x == 1)


def _as_number(x: Any, line: Line) -> Any:
    """A constant array that repeats one number, of which the shape of the result does not depend, as that number."""
    if isinstance(x, np.ndarray) and x.size and not any(x.strides[i] for i in range(x.ndim) if x.shape[i] > 1):
        others = [a.shape for a in line.args if isinstance(a, Value)]
        if others and np.broadcast_shapes(*others) == line.shape:
            return x.reshape(-1)[0]
    return x


def _reduction(draft: Draft, line: Line, ufunc: Any, axis: int | None) -> Value:
    """The ufunc's own `reduce`, which np.sum and x.sum() call in the end; a view puts back the axes that are kept."""
    x, *axes = line.args
    given: dict[str, Any] = {"axis": axis, "keepdims": False} | line.kwargs | ({"axis": axes[0]} if axes else {})
    if len(given) > 2 or len(axes) > 1 or not isinstance(x, Value) or not x.ndim or not line.order:
        return draft.again(line)
    axis = given["axis"]
    along = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    shape = tuple(n for i, n in enumerate(x.shape) if i not in along)
    said = None if len(shape) == 0 else tuple(sorted(along)) if len(along) != 1 else along[0]
    found = draft.add("reduce", ufunc, (x,), (shape, line.dtype, line.order), line.place, {"axis": said})
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
    """A matrix transposed: a view; of a product it is the product of the transposes, which is the same call."""
    if isinstance(x, Line) and x.kind == "T":
        inner: Value = x.args[0]
        return inner
    order = {"C": "F", "F": "C", "": ""}[x.order]
    if isinstance(x, Line) and x.kind == "dot" and all(isinstance(a, Value) and a.ndim == 2 for a in x.args):
        a, b = (transposed(draft, a, line) for a in x.args)
        return draft.add("dot", x.function, (b, a), (x.shape[::-1], x.dtype, order), x.place)
    return draft.add("T", None, (x,), (x.shape[::-1], x.dtype, order), line.place, shares=x)


def _dtype(x: Any) -> Any:
    return getattr(x, "dtype", None)


def _selected(draft: Draft, line: Line) -> Value | None:
    """`keep_where`, which multiplies the bits of an array by a mask, as one line."""
    product = line.args[0]
    if line.dtype.kind != "f" or not (isinstance(product, Line) and product.is_call(np.multiply)):
        return None
    mask, x = product.args
    if not (isinstance(mask, Line) and mask.kind == "cast" and is_method(x, "view")):
        return None
    keep, x = mask.args[0], x.args[0]
    if keep.dtype != np.bool_ or x.dtype != line.dtype or keep.shape != line.shape or not line.shape:
        return None
    return draft.add("select", None, (x, keep), line.like, line.place, {"keep": True})


def worded(draft: Draft, line: Line, _old: Line) -> Value:
    """The mask of a selection as words of bits, all 1 for what is kept; where there are many, as bytes."""
    if line.kind != "select":
        return draft.again(line)
    x, mask = line.args
    place, byte = line.place, np.dtype(np.int8)
    like = mask.shape, byte, mask.order
    bits = draft.add("method", "view", (mask, byte), like, place, shares=mask)
    function, args = (np.negative, (bits,)) if line.kwargs["keep"] else (np.subtract, (bits, np.int8(1)))
    words: Value = draft.add("call", function, args, like, place)
    if mask.size <= MANY:
        word = np.dtype(f"i{line.dtype.itemsize}")
        words = draft.add("cast", None, (words, word), (mask.shape, word, mask.order), place)
    return draft.add("select", None, (x, words), line.like, place)


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


def in_range(draft: Draft) -> dict[int, int]:
    """{id of an array of whole numbers: n} where the program checks that all of them are in 0 .. n - 1.

    The check is that of the largest, read as a number without a sign, for so none is below 0.
    """
    found = {}
    for asked, answer in draft.guards:
        if answer or not (
            isinstance(asked, Line) and asked.is_call(np.greater_equal) and isinstance(asked.args[1], int)
        ):
            continue
        largest = asked.args[0]
        if isinstance(largest, Line) and largest.kind == "reduce" and largest.function is np.maximum:
            unsigned = largest.args[0]
            if is_method(unsigned, "view") and unsigned.dtype.kind == "u" and unsigned.args[0].dtype.kind == "i":
                found[id(unsigned.args[0])] = asked.args[1]
    return found


def _bounds(x: Any, known: dict[int, int]) -> tuple[int, int] | None:
    """Between which numbers all of x are: labels that were checked, times a number, plus constants."""
    if id(x) in known:
        return 0, known[id(x)] - 1
    if isinstance(x, np.ndarray) and x.size:
        return int(x.min()), int(x.max())
    if isinstance(x, Line) and x.is_call(np.add):
        a, b = (_bounds(part, known) for part in x.args)
        return (a[0] + b[0], a[1] + b[1]) if a and b else None
    if isinstance(x, Line) and x.is_call(np.multiply) and isinstance(x.args[1], int) and x.args[1] >= 0:
        inner = _bounds(x.args[0], known)
        return (inner[0] * x.args[1], inner[1] * x.args[1]) if inner else None
    return None


def at_places(draft: Draft, line: Line, old: Line, known: dict[int, int]) -> Value:
    """Elements at flat positions that exist, of an array that lies in memory as it is counted, need no check."""
    take = is_method(line, "take") and len(line.args) == 2 and not line.kwargs
    if not take and line.kind != "put_at":
        return draft.again(line)
    x, places = line.args[:2]
    bounds = _bounds(old.args[1], known)
    if x.order != "C" or bounds is None or bounds[0] < 0 or bounds[1] >= x.size or _dtype(places) != np.intp:
        return draft.again(line)
    if take:
        flat = draft.add("flat", None, (x,), ((x.size,), x.dtype, "C"), line.place, shares=x)
        return draft.add("take", None, (flat, places), line.like, line.place)
    return draft.add("put_flat", None, line.args, line.like, line.place)
