"""Rewrites that change rounding, each by a few ulp; `exact=True` leaves them all out.

- *products*: a small matrix product is np.dot, which has less to look at than np.matmul, a large one np.matmul, for
  np.dot clears its whole result first.  Either may be computed as the transpose of the product of the transposes.
- *sums*: a sum along the first axis of a matrix, or of at most 128 numbers, is a product with ones.  (NumPy adds up
  longer rows in pairs, which is more exact than a product, so these stay.)
- *powers*: x ** 2 and x ** 3 are products.
- *scale*: a factor that all gradients are multiplied by in the end, such as the learning rate, is multiplied into the
  gradient that they come from.
- *layout*: a matrix with more rows than columns lies in memory column by column, so that loops are long.
- *spread*: a small operand is repeated before it is added, and a number before a maximum is taken: the loops of NumPy
  that repeat it are slow to begin, or (for a maximum) do not use vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .canonical import FLIPPED, apart, canonical, simpler
from .program import Line, Number, Program, Value, rewrite, values_in

WIDE = 2**17  # bytes that take longer to clear than the 0.4 us by which a call of np.matmul is longer
SHORT = 128  # up to here NumPy adds up one after the other, too
FEW = 2**14  # elements up to which *spread* is faster


def faster(program: Program, line: Line, _old: Line) -> Value:
    """*products*, *sums* and *powers*."""
    if line.is_call(np.matmul) or line.kind == "dot":
        a, b = line.args
        if all(isinstance(x, Value) and x.ndim == 2 and x.dtype == line.dtype and x.dtype.kind in "fc" for x in (a, b)):
            function = np.matmul if line.nbytes >= WIDE and line.dtype.char in "fdFD" else np.dot
            return program.add("dot", function, (a, b), line.like, line.place)
    if line.kind == "reduce" and line.function is np.add and line.dtype.kind == "f" and line.dtype.itemsize > 2:
        return _sum(program, line) or program.again(line)
    if line.is_call(np.multiply):
        return _scaled_sum(program, line) or program.again(line)
    if line.is_call(np.power) and type(line.args[1]) in (int, float) and line.args[1] in (2, 3):
        x = line.args[0]
        if isinstance(x, Value) and x.dtype == line.dtype:
            square = program.add("call", np.multiply, (x, x), line.like, line.place)
            return square if line.args[1] == 2 else program.add("call", np.multiply, (square, x), line.like, line.place)
    return program.again(line)


def _sum(program: Program, line: Line) -> Value | None:
    x, axis = line.args[0], line.kwargs["axis"]
    if x.dtype != line.dtype or not x.size or not x.order:
        return None
    if x.ndim == 1 and x.size <= SHORT:
        return program.add("dot", np.dot, (program.full(x.size, x.dtype), x), line.like, line.place)
    if x.ndim == 2 and axis == 0:
        return program.add("dot", np.dot, (program.full(x.shape[0], x.dtype), x), line.like, line.place)
    if x.ndim == 2 and axis == 1 and x.shape[1] <= SHORT:
        return program.add("dot", np.dot, (x, program.full(x.shape[1], x.dtype)), line.like, line.place)
    return None


def _scaled_sum(program: Program, line: Line) -> Value | None:
    """A number times a sum of few: the product with a vector of that number in place of ones."""
    for total, factor in (line.args, line.args[::-1]):
        if isinstance(total, Line) and total.kind == "dot" and total.shape == () and isinstance(factor, float):
            ones, x = total.args
            if isinstance(ones, np.ndarray) and (ones == ones[0]).all() and total.dtype == line.dtype:
                scaled = program.full(x.size, x.dtype, factor * float(ones[0]))
                return program.add("dot", np.dot, (scaled, x), line.like, line.place)
    return None


# ---- scale


def scaled(program: Program) -> Program:
    """*scale*: the lines that lead from the products with the one Number back to plain numbers are scaled with it."""
    ends = {id(line): _product(line) for line in program.lines if isinstance(_product(line)[0], Number)}
    if len({number.text for number, _ in ends.values()}) != 1:
        return program
    ways: dict[int, list[Any]] = {}  # {id of a line that can be scaled: the arguments to scale for it}
    for line in program.lines:
        found = _ways(line, ways)
        if id(line) not in ends and found is not None:
            ways[id(line)] = found
    fixed = {id(x) for x in (*program.outputs, *(asked for asked, _ in program.guards))}
    chosen: dict[int, Line] = {}
    waiting = [x for _, x in ends.values()]
    while waiting:
        line = waiting.pop()
        if id(line) not in ways or id(line) in fixed:
            return program
        if id(line) not in chosen:
            chosen[id(line)] = line
            waiting += ways[id(line)]
    for line in program.lines:  # what is scaled is read where it is meant to be, and only there
        by_way = ends[id(line)][1:] if id(line) in ends else ways[id(line)] if id(line) in chosen else []
        if {id(x) for x in values_in((line.args, line.kwargs)) if id(x) in chosen} != {id(x) for x in by_way}:
            return program
    factor = next(iter(ends.values()))[0]

    def rule(program: Program, line: Line, old: Line) -> Any:
        if id(old) in ends:
            return _product(line)[1]
        if id(old) in chosen and (not ways[id(old)] or line.is_call(np.add, np.subtract)):
            numbers = [_number(x) for x in line.args]
            line.args = tuple(x if n is None else factor * n for x, n in zip(line.args, numbers, strict=True))
        return program.again(line)

    return rewrite(program, rule)


def _ways(line: Line, ways: dict[int, list[Any]]) -> list[Any] | None:
    """The arguments to scale for a line to be so: none if it has a plain number to take the factor in; None if not."""
    quotient = line.is_call(np.divide) and _number(line.args[0]) is not None and line.dtype in (np.float32, np.float64)
    if quotient or _number(_product(line)[0]) is not None:
        return []
    args = [x for x in line.args if isinstance(x, Value)]
    if line.kind == "dot" or line.is_call(np.multiply):  # one of the two, and a gradient if there is one
        able = [x for x in args if isinstance(x, Line) and id(x) in ways]
        able = [x for x in able if x.phase == "backward"] or able
        return able[:1] if able and args.count(able[0]) == 1 else None
    if line.is_call(np.add, np.subtract):
        rest = [x for x in line.args if not isinstance(x, Value)]
        found = args if all(_number(x) is not None for x in rest) else []
    elif line.kind in ("put", "put_at"):
        found = [line.args[0], line.args[2]] if isinstance(line.args[2], Value) else []
    else:
        first = (
            line.kind in ("T", "reshape", "select") or line.is_call(np.negative, np.divide) or line.is_method("take")
        )
        found = args[:1] if first and args[:1] == [*line.args[:1]] else []
    return found if found and all(id(x) in ways for x in found) else None


def _number(x: Any) -> float | None:
    """A plain number, or a constant array of one element without axes, as a float."""
    if isinstance(x, Value | Number | bool):
        return None
    array = isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind == "f"
    return float(x) if array or isinstance(x, int | float | np.floating) else None


def _product(line: Line) -> tuple[Any, Any]:
    """(number, array) of a product of an array with a number, given or constant; else (None, None)."""
    if line.is_call(np.multiply) and line.dtype in (np.float32, np.float64):
        for number, x in (line.args, line.args[::-1]):
            whole = isinstance(x, Value) and x.shape == line.shape and x.dtype == line.dtype
            if whole and (isinstance(number, Number) or _number(number) is not None):
                return number, x
    return None, None


# ---- layout


def laid_out(program: Program) -> Program:
    """*layout*: columns for tall matrices, unless computed element by element from or into fixed ones."""
    fixed = [id(x) for x in (*program.inputs, *program.outputs)]
    beside: dict[int, list[int]] = {}  # {id of a matrix: those that lie as it does}
    for line in program.lines:
        follows = line.elementwise() or line.kind in ("copy", "put", "put_at", "T") or line.is_method("view")
        if not follows and line.kind != "dot":
            fixed.append(id(line))
        for x in values_in((line.args, line.kwargs)):
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


# ---- spread


def spread(program: Program, line: Line, _old: Line) -> Value:
    """*spread*."""
    binary = line.kind == "call" and line.elementwise() and len(line.args) == 2 and line.order
    if binary and 1 < line.size <= FEW:
        line.args = tuple(_spread(program, x, line) for x in line.args)
    return program.again(line)


def _spread(program: Program, x: Any, line: Line) -> Any:
    number = _number(x)
    if number is not None and line.is_call(np.maximum, np.minimum) and line.dtype.kind == "f":
        return program.full(line.shape, line.dtype, number, line.order)
    full = any(isinstance(a, Value) and a.shape == line.shape and a.order == line.order for a in line.args)
    if not full or not isinstance(x, Value) or x.shape in ((), line.shape):
        return x
    return program.add("spread", None, (x, line.shape), (line.shape, x.dtype, line.order), line.place)


# The rewrites by name, in the order in which they are made; each is a function of a program.
RULES: dict[str, Callable[[Program], Program]] = {
    "products": lambda program: rewrite(program, faster),
    "scale": scaled,
    "layout": lambda program: laid_out(rewrite(program, same)),
    "spread": lambda program: rewrite(program, spread),
}


def same(program: Program, line: Line, _old: Line) -> Value:
    """The line itself; lines that have become the same are one."""
    return program.again(line)


def rewritten(program: Program, run: Any, exact: bool) -> Program:
    """The program of a run after all passes."""
    program = rewrite(program, canonical)
    outputs = program.outputs
    program = rewrite(program, lambda new, line, old: simpler(new, line, old, outputs, exact))
    for rule in () if exact else RULES.values():
        program = rule(program)
    program = rewrite(program, same)
    apart(program, run)
    return program
