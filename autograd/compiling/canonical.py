"""One form for what NumPy spells in many ways, so that the same computation is seen to be the same.

Nothing here changes a bit of a result.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .program import Line, Program, Value, memory_of, order_of, values_in
from .trace import concrete

FLIPPED = {"C": "F", "F": "C", "": ""}
_REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
_FUNCTIONS = {np.sum: "sum", np.max: "max", np.min: "min", np.prod: "prod"}


def canonical(program: Program, line: Line, _old: Line) -> Value:
    """A line of a tape in the form that the passes know."""
    name = line.function if line.kind == "method" else ""
    if line.kind == "call" and line.function in _FUNCTIONS:
        name = _FUNCTIONS[line.function]
    if name in _REDUCTIONS:
        return _reduction(program, line, _REDUCTIONS[name], None)
    if line.is_call(operator.pow):
        return _power(program, line)
    owner = getattr(line.function, "__self__", None)
    if line.kind == "call" and owner in _REDUCTIONS.values() and line.function.__name__ == "reduce":
        return _reduction(program, line, owner, 0)
    if _is_transpose(line, name):
        return transposed(program, line.args[0], line)
    if name == "astype" and len(line.args) == 2 and not line.kwargs:
        return program.add("cast", None, line.args, line.like, line.place)
    if name == "view":
        return _selected(program, line) or program.again(line)
    if (
        line.is_call(np.dot)
        and line.ndim > 0
        and all(np.ndim(x) in (1, 2) and _dtype(x) == line.dtype for x in line.args)
    ):
        return program.add("dot", np.dot, line.args, line.like, line.place)
    return program.again(line)


def simpler(program: Program, line: Line, old: Line, outputs: Sequence[Any], exact: bool) -> Any:
    """A copy or a product with 1 is the array itself, unless it leaves the program; so is x[()], a view.

    Where every bit counts, the array must lie in memory as its copy does, for sums depend on it.
    """
    if line.elementwise() and line.kind == "call":
        line.args = tuple(_as_number(x, line) for x in line.args)
    if line.kind == "item" and isinstance(line.args[1], tuple) and not line.args[1]:
        inside = bool(line.shape) or isinstance(line.args[0], Line)
        return line.args[0] if inside else program.again(line)  # () makes a number of an array that has no axes
    if any(memory_of(output) is old for output in values_in(outputs)):
        return program.again(line)
    if line.kind == "copy" or line.is_call(np.positive, np.multiply):
        one = [x for x in line.args if not isinstance(x, Value | str)]
        rest = [x for x in line.args if isinstance(x, Value)]
        if len(rest) == 1 and all(_is_one(x) for x in one):
            same = rest[0].like == line.like if exact else rest[0].like[:2] == line.like[:2]
            return rest[0] if same else program.again(line)
    return program.again(line)


_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}


def _power(program: Program, line: Line) -> Line:
    """What NumPy makes of the operator: x ** 0.5 is no np.power, which differs at -0.0 and -inf."""
    x, n = line.args
    if x.dtype.kind != "f" or x.dtype != line.dtype or type(n) not in (int, float):
        return program.again(line)
    function = _POWERS.get(n)
    args = (x, n) if function is None else (x,)
    return program.add("call", function or np.power, args, line.like, line.place)


def _is_one(x: Any) -> bool:
    return isinstance(x, int | float | np.generic) and bool(x == 1)


def _as_number(x: Any, line: Line) -> Any:
    """A constant array that repeats one number, of which the shape of the result does not depend, as that number."""
    if isinstance(x, np.ndarray) and x.size and not any(x.strides[i] for i in range(x.ndim) if x.shape[i] > 1):
        others = [a.shape for a in line.args if isinstance(a, Value)]
        if others and np.broadcast_shapes(*others) == line.shape:
            return x.reshape(-1)[0]
    return x


def _reduction(program: Program, line: Line, ufunc: Any, axis: int | None) -> Value:
    """The ufunc's own `reduce`, which np.sum and x.sum() call in the end; a view puts back the axes that are kept."""
    x, *axes = line.args
    given: dict[str, Any] = {"axis": axis, "keepdims": False} | line.kwargs | ({"axis": axes[0]} if axes else {})
    if len(given) > 2 or len(axes) > 1 or not isinstance(x, Value) or not x.ndim or not line.order:
        return program.again(line)
    axis = given["axis"]
    along = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    shape = tuple(n for i, n in enumerate(x.shape) if i not in along)
    said = None if len(shape) == 0 else tuple(sorted(along)) if len(along) != 1 else along[0]
    found = program.add("reduce", ufunc, (x,), (shape, line.dtype, line.order), line.place, {"axis": said})
    return reshaped(program, found, line.shape, line) if line.shape != shape else found


def reshaped(program: Program, x: Value, shape: Any, line: Line) -> Value:
    """A contiguous array in another shape: a view."""
    if x.shape == shape:
        return x
    return program.add("reshape", None, (x, shape), (shape, x.dtype, x.order), line.place, shares=x)


def _is_transpose(line: Line, name: str) -> bool:
    if line.shape is None or len(line.shape) != 2 or line.kwargs or not isinstance(line.args[0], Value):
        return False
    axes = line.args[1:]
    if name == "transpose" or (line.kind == "call" and line.function is np.transpose):
        return not axes or (type(axes[0]) in (int, tuple) and axes in ((1, 0), ((1, 0),)))
    if name == "swapaxes" or (line.kind == "call" and line.function is np.swapaxes):
        return len(axes) == 2 and {axes[0] % 2, axes[1] % 2} == {0, 1}
    return False


def transposed(program: Program, x: Value, line: Line) -> Value:
    """A matrix transposed: a view; of a product it is the product of the transposes, which is the same call."""
    if isinstance(x, Line) and x.kind == "T":
        inner: Value = x.args[0]
        return inner
    order = FLIPPED[x.order]
    if isinstance(x, Line) and x.kind == "dot" and all(isinstance(a, Value) and a.ndim == 2 for a in x.args):
        a, b = (transposed(program, a, line) for a in x.args)
        return program.add("dot", x.function, (b, a), (x.shape[::-1], x.dtype, order), x.place)
    return program.add("T", None, (x,), (x.shape[::-1], x.dtype, order), line.place, shares=x)


def _dtype(x: Any) -> Any:
    return getattr(x, "dtype", None)


def _selected(program: Program, line: Line) -> Value | None:
    """`keep_where`, which multiplies the bits of an array by a mask, as one line."""
    product = line.args[0]
    if line.dtype.kind != "f" or not (isinstance(product, Line) and product.is_call(np.multiply)):
        return None
    mask, x = product.args
    if not (isinstance(mask, Line) and mask.kind == "cast" and isinstance(x, Line) and x.is_method("view")):
        return None
    x = x.args[0]
    if mask.args[0].dtype != np.bool_ or x.dtype != line.dtype or mask.shape != line.shape or not line.shape:
        return None
    return program.add("select", None, (x, mask), line.like, line.place)


def apart(program: Program, run: Any) -> None:
    """Copy an output that shares memory with a constant, or with an input or another output where it did not when the
    function ran: lines that compute the same are one line, but two results are two arrays.
    """
    values = [concrete(x) for x in run.outputs]
    seen: dict[int, list[Any]] = {}  # {id of memory: the arrays of the run that lie in it here}
    for x, value in zip(program.inputs, run.tape.given, strict=True):
        seen.setdefault(id(x), []).append(value)
    for i, (x, value) in enumerate(zip(program.outputs, values, strict=False)):
        if isinstance(x, np.ndarray):
            program.outputs[i] = _copied(program, x)
        elif isinstance(x, Value) and isinstance(value, np.ndarray):
            others = seen.setdefault(id(memory_of(x)), [])
            if any(not np.may_share_memory(value, other) for other in others):
                program.outputs[i] = _copied(program, x)
            else:
                others.append(value)
    run.tape.given.clear()  # a program holds no array of the run


def _copied(program: Program, x: Any) -> Line:
    line = Line(
        "copy", np.copy, (x, "K"), {}, ("forward", ""), (x.shape, x.dtype, getattr(x, "order", "") or order_of(x))
    )
    program.lines.append(line)
    return line
