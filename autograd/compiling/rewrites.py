"""Rewrites of programs, by name; each is a function of a program and makes another one.

Exact, to the bit:

- *canonical*: one form for what NumPy spells in many ways, so that the same computation is seen to be the same.
- *simpler*: copies and products with 1 go.

Rounding changes by a few ulp (`exact=True` leaves these out):

- *products*: a small matrix product is np.dot, a large one np.matmul, for np.dot clears its whole result first.  A sum
  along the first axis of a matrix, or of at most 128 numbers, is a product with ones.  x ** 2 and x ** 3 are products.
- *scale*: what all gradients are multiplied by in the end, a learning rate, goes into the numbers they come from.
- *layout*: a matrix with more rows than columns lies in memory column by column, so that loops are long.
- *spread*: a small operand is repeated before it is added, and a number before a maximum is taken: the loops of NumPy
  that repeat it are slow to begin, or (for a maximum) do not use vectors.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .program import Line, Number, Program, Value, empty, instances, order_of, rewrite, values_in
from .trace import concrete

FLIPPED = {"C": "F", "F": "C", "": ""}
WIDE = 2**17  # bytes that take longer to clear than the 0.4 us by which a call of np.matmul is longer
SHORT = 128  # up to here NumPy adds up one after the other, too
FEW = 2**14  # elements up to which *spread* is faster
# {function or name of a method: the ufunc that it reduces with, and the axis if none is given}
_REDUCTIONS: dict[Any, tuple[Any, int | None]] = {
    key: (ufunc, None)
    for function, ufunc in ((np.sum, np.add), (np.max, np.maximum), (np.min, np.minimum), (np.prod, np.multiply))
    for key in (function, function.__name__)
} | {u.reduce: (u, 0) for u in (np.add, np.maximum, np.minimum, np.multiply)}
_MOMENTS = {key for function in (np.mean, np.var, np.std) for key in (function, function.__name__)}


def canonical(program: Program, line: Line, _old: Line) -> Value | None:
    """A line of a tape in the form that the passes know."""
    if line.kind in ("call", "method") and line.function in _REDUCTIONS:
        return _reduction(program, line, *_REDUCTIONS[line.function])
    if line.kind in ("call", "method") and line.function in _MOMENTS:
        return _moment(program, line)
    if line.is_call(operator.pow):
        return _power(program, line)
    if line.is_call(np.zeros) and line.shape and line.size:
        return program.add("spread", None, (line.dtype.type(0), line.shape), line.like, line.place)
    if line.is_call(np.add, np.subtract):
        return _signed(program, line) or _part_added(program, line)
    if _is_transpose(line):
        return transposed(program, line.args[0], line)
    if line.is_method("astype") and len(line.args) == 2 and not line.kwargs:
        return program.add("cast", None, line.args, line.like, line.place)
    if line.is_method("view"):
        return _selected(program, line)
    vectors = line.is_call(np.dot) and line.ndim > 0 and all(0 < np.ndim(x) < 3 for x in line.args)
    vectors = vectors and all(getattr(x, "dtype", None) == line.dtype for x in line.args)
    if vectors or (line.is_call(np.matmul) and line.ndim > 2 and line.order == "C"):
        return program.add("dot", line.function, line.args, line.like, line.place)
    return None


def simplified(program: Program, exact: bool) -> Program:
    """*simpler*: where every bit counts, an array must lie in memory as its copy does, for sums depend on it."""
    leaving = {id(output.memory) for output in values_in(program.outputs)}
    return rewrite(program, lambda new, line, old: _simpler(new, line, id(old) in leaving, exact))


def _simpler(program: Program, line: Line, leaves: bool, exact: bool) -> Any:
    """A copy or a product with 1 is the array itself, unless it leaves the program; so is x[()], a view."""
    if line.elementwise() and line.kind == "call":
        line.args = tuple(_as_number(x, line) for x in line.args)
    if line.kind == "item" and isinstance(line.args[1], tuple) and not line.args[1]:
        inside = bool(line.shape) or isinstance(line.args[0], Line)
        return line.args[0] if inside else None  # () makes a number of an array that has no axes
    if not leaves and (line.kind == "copy" or line.is_call(np.positive, np.multiply)):
        one = [x for x in line.args if not isinstance(x, Value | str)]
        rest = [x for x in line.args if isinstance(x, Value)]
        if len(rest) == 1 and all(isinstance(x, int | float | np.generic) and x == 1 for x in one):
            same = rest[0].like == line.like if exact else rest[0].like[:2] == line.like[:2]
            return rest[0] if same else None
    return None


def _moment(program: Program, line: Line) -> Value | None:
    """The sums, products and quotients that NumPy makes of a mean, variance or deviation, which others may need too."""
    x, options, name = line.args[0], dict(line.kwargs), getattr(line.function, "__name__", line.function)
    axis = options.pop("axis", None) if len(line.args) == 1 else line.args[1]
    kept, less = options.pop("keepdims", False), options.pop("ddof", 0)
    fits = isinstance(x, Value) and x.dtype == line.dtype and x.dtype.char in "fd" and line.size and x.order and x.ndim
    if options or len(line.args) > 2 or not fits or (count := x.size // line.size - less) <= 0:
        return None
    if name != "mean":
        shape = empty(*x.like).sum(axis, keepdims=True).shape
        mean = Line(shape, x.dtype, "C", "call", np.mean, (x, axis), line.place, kwargs={"keepdims": True})
        apart = program.add("call", np.subtract, (x, _moment(program, mean)), x.like, line.place)
        x = program.add("call", np.multiply, (apart, apart), x.like, line.place)
    total = Line(*line.like, "call", np.sum, (x, axis), line.place, kwargs={"keepdims": kept})
    found = _reduction(program, total, np.add, None, keepdims=False)
    total = program.add("call", np.divide, (found, count), line.like, line.place)
    return program.add("call", np.sqrt, (total,), line.like, line.place) if name == "std" else total


def _part_added(program: Program, line: Line) -> Line | None:
    """A sum with an array that is zero but for a part: that part is added, in place if the other array dies there."""
    x, part = line.args
    if not (isinstance(x, Line) and isinstance(part, Line) and part.kind == "put" and x.order):
        return None
    zeros, index, values = part.args
    basic = {type(i) for i in (index if isinstance(index, tuple) else (index,))} <= _BASIC
    fits = basic and line.function is np.add and x.like == line.like and part.like[:2] == line.like[:2]
    if not fits or not isinstance(zeros, Line) or zeros.kind != "spread" or _number(zeros.args[0]) != 0:
        return None
    seen = empty(*x.like)[index]
    like = seen.shape, x.dtype, order_of(seen)
    shares = x if isinstance(seen, np.ndarray) else None
    before = program.add("item", operator.getitem, (x, index), like, line.place, shares=shares)
    after = program.add("call", np.add, (before, values), (*like[:2], like[2] or "C"), line.place)
    return program.insert(Line(*x.like, "put", operator.setitem, (x, index, after), line.place))


_BASIC = {int, slice, type(...), type(None)}


def _signed(program: Program, line: Line) -> Line | None:
    """a + (-b) as a - b, and the other way round."""
    first, second = line.args
    if line.function is np.add and isinstance(first, Line) and first.is_call(np.negative):
        first, second = second, first
    if isinstance(second, Line) and second.is_call(np.negative) and second.dtype == line.dtype:
        function = np.subtract if line.function is np.add else np.add
        return program.add("call", function, (first, second.args[0]), line.like, line.place)
    return None


_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}


def _power(program: Program, line: Line) -> Line | None:
    """What NumPy makes of the operator: x ** 0.5 is no np.power, which differs at -0.0 and -inf."""
    x, n = line.args
    if x.dtype.kind != "f" or x.dtype != line.dtype or type(n) not in (int, float):
        return None
    function, *args = (_POWERS[n], x) if n in _POWERS else (np.power, x, n)
    return program.add("call", function, (*args,), line.like, line.place)


def _as_number(x: Any, line: Line) -> Any:
    """A constant array that repeats one number, of which the shape of the result does not depend, as that number."""
    if isinstance(x, np.ndarray) and x.size and not any(x.strides[i] for i in range(x.ndim) if x.shape[i] > 1):
        others = [a.shape for a in line.args if isinstance(a, Value)]
        if others and np.broadcast_shapes(*others) == line.shape:
            return x.reshape(-1)[0]
    return x


def _reduction(program: Program, line: Line, ufunc: Any, axis: int | None, **more: Any) -> Value | None:
    """The ufunc's own `reduce`, which np.sum and x.sum() call in the end; a view puts back the axes that are kept."""
    x, *axes = line.args
    given: dict[str, Any] = {"axis": axis, "keepdims": False} | line.kwargs | ({"axis": axes[0]} if axes else {})
    if len(given) > 2 or len(axes) > 1 or not isinstance(x, Value) or not x.ndim or not line.order:
        return None
    axis = given["axis"]
    along = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    shape = tuple(n for i, n in enumerate(x.shape) if i not in along)
    said = None if len(shape) == 0 else tuple(sorted(along)) if len(along) != 1 else along[0]
    order = order_of(empty(*line.like).reshape(shape))
    found = program.add("reduce", ufunc, (x,), (shape, line.dtype, order), line.place, kwargs={"axis": said, **more})
    if shape == line.shape:
        return found
    return program.add("reshape", None, (found, line.shape), line.like, line.place, shares=found)


def _is_transpose(line: Line) -> bool:
    turns = line.kind in ("call", "method") and line.function in (np.transpose, "transpose", np.swapaxes, "swapaxes")
    x = line.shares if turns and line.ndim == 2 else None
    return x is not None and x is line.args[0] and x.like != line.like  # if not, it is as it was, or a single number


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


def _selected(program: Program, line: Line) -> Value | None:
    """`keep_where`, which multiplies the bits of an array by a mask, as one line."""
    product = line.args[0]
    fits = line.dtype.kind == "f" and line.order and line.shape and line.size
    if not fits or not (isinstance(product, Line) and product.is_call(np.multiply)):
        return None
    mask, x = product.args
    if not (isinstance(mask, Line) and mask.kind == "cast" and isinstance(x, Line) and x.is_method("view")):
        return None
    x = x.args[0]
    if mask.args[0].dtype != np.bool_ or x.dtype != line.dtype or mask.shape != line.shape:
        return None
    return program.add("select", None, (x, mask), line.like, line.place)


# ---- products


def faster(program: Program, line: Line, _old: Line) -> Value | None:
    """*products*, *sums* and *powers*."""
    if line.is_call(np.matmul) or line.kind == "dot":
        a, b = line.args
        if all(isinstance(x, Value) and x.ndim == 2 and x.dtype == line.dtype and x.dtype.kind in "fc" for x in (a, b)):
            function = np.matmul if line.nbytes >= WIDE and line.dtype.char in "fdFD" else np.dot
            return program.add("dot", function, (a, b), line.like, line.place)
    if line.kind == "reduce" and line.function is np.add and line.dtype.kind == "f" and line.dtype.itemsize > 2:
        return _sum(program, line)
    n = line.is_call(np.power) and _number(line.args[1])
    if n in (2, 3) and {x.dtype for x in line.reads} == {line.dtype}:
        square = program.add("call", np.square, line.args[:1], line.like, line.place)
        return square if n == 2 else program.add("call", np.multiply, (square, line.args[0]), line.like, line.place)
    return None


def _sum(program: Program, line: Line) -> Value | None:
    x, axis = line.args[0], line.kwargs["axis"]
    fits = x.dtype == line.dtype and x.size and x.order and (x.ndim, axis) in ((1, None), (2, 0), (2, 1))
    if not fits or len(line.kwargs) > 1 or ((x.ndim, axis) != (2, 0) and x.shape[-1] > SHORT):
        return None
    ones = program.full(x.shape[axis or 0], x.dtype)
    return program.add("dot", np.dot, (x, ones) if axis == 1 else (ones, x), line.like, line.place)


def _number(x: Any) -> float | None:
    """A plain number, or a constant array of one element without axes, as a float."""
    if isinstance(x, Value | Number | bool):
        return None
    array = isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind == "f"
    return float(x) if array or isinstance(x, int | float | np.floating) else None


# Which arguments are to be multiplied by a number for the result of a function, method or kind to be.
_PLACES: dict[Any, set[int]] = {key: {0} for key in (np.negative, np.divide, "take", "T", "reshape", "select")}
_PLACES |= {np.add: {0, 1}, np.subtract: {0, 1}, "put": {0, 2}, "put_at": {0, 2}}


def scaled(program: Program) -> Program:
    """*scale*: products with the one Number go back as far as they can, if there are then fewer lines."""
    numbers: list[Any] = [
        x for line in program.lines if line.is_call(np.multiply) for x in instances(line.args, Number)
    ]
    if len({number.text for number in numbers}) != 1:
        return program
    times: dict[int, Line] = {}  # {id of a line: its product with the number}

    def rule(new: Program, line: Line, _old: Line) -> Any:
        if line.is_call(np.multiply) and any(isinstance(x, Number) for x in line.args):
            return next((times[id(x)] for x in line.args if id(x) in times), None)
        line = new.insert(line)
        if places := _places(line, times):
            args = [*line.args]
            for i in places:
                args[i] = times.get(id(args[i])) or numbers[0] * _number(args[i])
            times[id(line)] = new.insert(replace(line, args=tuple(args), shares=args[0] if line.shares else None))
        return line

    return min(program, rewrite(rewrite(program, rule)), key=lambda p: sum(1 + 99 * (x.kind == "dot") for x in p.lines))


def _places(line: Line, times: dict[int, Line]) -> set[int]:
    """Which arguments are to be multiplied for a line to be; of two factors a number, or else the gradient."""
    mixed = line.kind == "call" and (line.kwargs or any(x.dtype != line.dtype for x in line.reads))
    if mixed or line.dtype not in (np.float32, np.float64):
        return set()
    able = [i for i, x in enumerate(line.args) if id(x) in times or _number(x) is not None]
    if line.kind == "dot" or line.is_call(np.multiply):
        return set(sorted(able, key=lambda i: getattr(line.args[i], "place", ()))[:1])
    places = _PLACES.get(line.function if line.kind in ("call", "method") else line.kind, set())
    return places if places <= set(able) else set()


def laid_out(program: Program) -> Program:
    """*layout*: columns for tall matrices, unless computed element by element from or into fixed ones."""
    fixed = [id(x) for x in (*program.inputs, *program.outputs)]
    beside: dict[int, list[int]] = {}  # {id of a matrix: those that lie as it does}
    for line in program.lines:
        follows = line.elementwise() or line.kind in ("copy", "put", "put_at", "T") or line.is_method("view")
        if not follows and line.kind != "dot":
            fixed.append(id(line))
        for x in line.reads:
            if follows and (line.kind == "T" or x.shape == line.shape):
                beside.setdefault(id(x), []).append(id(line))
                beside.setdefault(id(line), []).append(id(x))
            elif not follows and line.kind not in ("dot", "reduce") and not line.is_method("take"):
                fixed.append(id(x))
    held: set[int] = set()
    while fixed:
        key = fixed.pop()
        if key not in held:
            held.add(key)
            fixed += beside.get(key, [])
    for line in program.lines:
        if line.ndim == 2 and line.order and id(line) not in held:
            tall = line.shape[0] > line.shape[1]
            line.order = FLIPPED[line.args[0].order] if line.kind == "T" else "F" if tall else "C"
    return program


def spread(program: Program, line: Line, _old: Line) -> None:
    """*spread*."""
    binary = line.kind == "call" and line.elementwise() and len(line.args) == 2 and line.order
    if binary and 1 < line.size <= FEW:
        line.args = tuple(_spread(program, x, line) for x in line.args)


def _spread(program: Program, x: Any, line: Line) -> Any:
    number = _number(x)
    if number is not None and line.is_call(np.maximum, np.minimum) and line.dtype.kind == "f":
        return program.full(line.shape, line.dtype, number, line.order)
    full = any(isinstance(a, Value) and a.shape == line.shape and a.order == line.order for a in line.args)
    if not full or not isinstance(x, Value) or x.shape in ((), line.shape):
        return x
    return program.add("spread", None, (x, line.shape), (line.shape, x.dtype, line.order), line.place)


# The rewrites in the order in which they are made: whether they change rounding, and a function of a program.
RULES: dict[str, tuple[bool, Callable[[Program, bool], Program]]] = {
    "canonical": (False, lambda program, _: rewrite(program, canonical)),
    "simpler": (False, simplified),
    "products": (True, lambda program, _: rewrite(program, faster)),
    "scale": (True, lambda program, _: scaled(program)),
    "layout": (True, lambda program, _: laid_out(rewrite(program))),
    "spread": (True, lambda program, _: rewrite(program, spread)),
}


def rewritten(run: Any, exact: bool) -> Program:
    """The program of a traced run after all passes."""
    program: Program = run.tape.program
    program.outputs = [getattr(x.value, "at", x.value) for x in run.outputs]
    for rounds, rule in RULES.values():
        if not (rounds and exact):
            program = rule(program, exact)
    program = rewrite(program)
    apart(program, run)
    return program


def apart(program: Program, run: Any) -> None:
    """Copy an output that shares memory with a constant, or with an input or another output where it did not when the
    function ran: lines that compute the same are one line, but two results are two arrays.
    """
    seen: dict[int, list[Any]] = {}  # {id of memory: the arrays of the run that lie in it here}
    for x, value in zip(program.inputs, run.tape.given, strict=True):
        seen.setdefault(id(x), []).append(value)
    for i, (x, output) in enumerate(zip(program.outputs, run.outputs, strict=True)):
        value = concrete(output.value)
        if isinstance(x, np.ndarray):
            program.outputs[i] = _copied(program, x)
        elif isinstance(x, Value) and isinstance(value, np.ndarray):
            others = seen.setdefault(id(x.memory), [])
            if any(not np.may_share_memory(value, other) for other in others):
                program.outputs[i] = _copied(program, x)
            else:
                others.append(value)
    run.tape.given.clear()  # a program holds no array of the run


def _copied(program: Program, x: Any) -> Line:
    like = x.shape, x.dtype, x.order if isinstance(x, Value) else order_of(x)
    program.lines.append(Line(*like, "copy", np.copy, (x, "K"), ("forward", "")))
    return program.lines[-1]
