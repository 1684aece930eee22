"""Rewrites that change rounding, each by a few ulp; `exact=True` leaves them all out.

- *products*: a small matrix product is np.dot, which has less to look at than np.matmul, a large one np.matmul, for
  np.dot clears its whole result first.  Either may be computed as the transpose of the product of the transposes.
- *sums*: a sum along the first axis of a matrix, or of at most 128 numbers, is a product with ones.  (NumPy adds up
  longer rows in pairs, which is more exact than a product, so these stay.)
- *powers*: x ** 2 and x ** 3 are products.
- *scale*: a factor that all gradients are multiplied by in the end, such as the learning rate, is multiplied into the
  gradient that they come from.
- *layout*: a matrix with more rows than columns lies in memory column by column, so that loops are long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .canonical import apart, canonical, simpler
from .program import Line, Number, Program, Value, rewrite, values_in

WIDE = 2**17  # bytes that take longer to clear than the 0.4 us by which a call of np.matmul is longer
SHORT = 128  # up to here NumPy adds up one after the other, too


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


class Scaling:
    """Which lines to compute in another scale, so that what is multiplied by `factor` in the end is so from the start.

    Seen from the last line to the first: a line can be scaled if all that read it are, by way of it, or are the
    products with the factor themselves (the `ends`).  A line that has a plain number for a factor (a `source`) takes it
    in there; any other must find it in its arguments.
    """

    def __init__(self, program: Program) -> None:
        self.factor: Any = None  # the Number
        self.scaled: set[int] = set()
        ends = [line for line in program.lines if isinstance(_product(line)[0], Number)]
        if not ends or len({_product(line)[0].text for line in ends}) > 1:
            return
        self.ends = {id(end): _product(end)[1] for end in ends}
        fixed = {id(x) for x in program.outputs}
        fixed |= {id(asked) for asked, _ in program.guards} | self.ends.keys()
        users, ways = program.users(), dict[int, list[Any]]()
        for line in reversed(program.lines):
            mine = users.get(id(line), [])
            if id(line) not in fixed and mine and all(self._by_way_of(user, line, ways) for user in mine):
                self.scaled.add(id(line))
                for user in mine:
                    ways.setdefault(id(user), []).append(line)
        complete = all(self._complete(line, ways.get(id(line), [])) for line in program.lines if id(line) in self.scaled)
        if complete and all(id(x) in self.scaled for x in self.ends.values()):
            self.factor = _product(ends[0])[0]

    def _by_way_of(self, user: Line, line: Line, ways: dict[int, list[Any]]) -> bool:
        """Whether `user` may be scaled by way of this argument."""
        if id(user) in self.ends:
            return self.ends[id(user)] is line
        if id(user) not in self.scaled or _is_source(user):
            return False
        if user.kind == "dot" or user.is_call(np.multiply):  # by way of one of the two
            return sum(a is line for a in user.args) == 1 and all(way is line for way in ways.get(id(user), []))
        return any(a is line for a in _carriers(user))

    def _complete(self, line: Line, found: list[Any]) -> bool:
        """Whether a line has the factor from its arguments, or takes it in itself."""
        if _is_source(line):
            return True
        if line.kind == "dot" or line.is_call(np.multiply):
            return len(found) == 1
        carriers = _carriers(line)
        rest = [x for x in line.args if not isinstance(x, Value)] if line.is_call(np.add, np.subtract) else []
        return (
            bool(carriers) and {*map(id, carriers)} == {*map(id, found)} and all(_number(x) is not None for x in rest)
        )

    def __call__(self, program: Program, line: Line, old: Line) -> Any:
        if id(old) in self.ends:
            return _product(line)[1]
        if id(old) in self.scaled and (_is_source(line) or line.is_call(np.add, np.subtract)):
            numbers = [_number(x) for x in line.args]
            args = tuple(x if n is None else self.factor * n for x, n in zip(line.args, numbers, strict=True))
            return program.add("call", line.function, args, line.like, line.place)
        return program.again(line)


def _number(x: Any) -> float | None:
    """A plain number, or a constant array of one element without axes, as a float."""
    if isinstance(x, Value | Number | bool):
        return None
    plain = isinstance(x, int | float | np.floating) or (
        isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind == "f"
    )
    return float(x) if plain else None


def _product(line: Line) -> tuple[Any, Any]:
    """(number, array) of a product of an array with a number, given or constant; else (None, None)."""
    if line.is_call(np.multiply) and line.dtype in (np.float32, np.float64):
        for number, x in (line.args, line.args[::-1]):
            whole = isinstance(x, Value) and x.shape == line.shape and x.dtype == line.dtype
            if whole and (isinstance(number, Number) or _number(number) is not None):
                return number, x
    return None, None


def _is_source(line: Line) -> bool:
    """Whether a line is a constant number times, or over, an array."""
    quotient = line.is_call(np.divide) and _number(line.args[0]) is not None and line.dtype in (np.float32, np.float64)
    return quotient or _number(_product(line)[0]) is not None


def _carriers(line: Line) -> list[Any]:
    """The arguments that must all have a factor for the line to have it."""
    if line.is_call(np.add, np.subtract):
        return [x for x in line.args if isinstance(x, Value)]
    if line.kind in ("put", "put_at"):
        return [line.args[0], line.args[2]] if isinstance(line.args[2], Value) else []
    first = line.kind in ("T", "reshape", "select") or line.is_call(np.negative, np.divide) or line.is_method("take")
    return [line.args[0]] if first else []


# ---- layout

FLIPPED = {"C": "F", "F": "C", "": ""}


class Layouts:
    """Matrices that must lie in memory in the same way, or (a matrix and its transpose) in opposite ways."""

    def __init__(self) -> None:
        self.parent: dict[int, tuple[int, bool]] = {}  # {id: (id of another, whether it lies in the opposite way)}

    def root(self, key: int) -> tuple[int, bool]:
        """The matrix that stands for those that `key` was joined with, and whether it lies in the opposite way."""
        path, flipped = [], False
        while key in self.parent:
            path.append(key)
            key, turn = self.parent[key]
            flipped ^= turn
        rest = flipped
        for step in path:  # shortened, so that chains stay linear
            turn = self.parent[step][1]
            self.parent[step] = key, rest
            rest ^= turn
        return key, flipped

    def join(self, a: int, b: int, opposite: bool = False) -> None:
        (x, turn), (y, other) = self.root(a), self.root(b)
        if x != y:
            self.parent[x] = y, turn ^ other ^ opposite


def laid_out(program: Program) -> Program:
    """*layout*: matrices of one shape that are computed from each other element by element lie in the same way."""
    layouts = Layouts()
    pinned = {id(x) for x in (*program.inputs, *program.outputs)}
    for line in program.lines:
        follows = line.elementwise() or line.kind in ("copy", "put", "put_at", "T") or line.is_method("view")
        free = follows or line.kind == "dot"
        if not free:
            pinned.add(id(line))
        for x in values_in((line.args, line.kwargs)):
            if line.kind == "T":
                layouts.join(id(x), id(line), opposite=True)
            elif follows and x.shape == line.shape:
                layouts.join(id(x), id(line))
            elif not free and line.kind != "reduce" and not line.is_method("take"):
                pinned.add(id(x))
    held = {layouts.root(key)[0] for key in pinned}
    orders: dict[int, str] = {}
    for line in program.lines:
        root, flipped = layouts.root(id(line))
        if line.ndim == 2 and line.order and root not in held:
            if root not in orders:
                order = "F" if line.shape[0] > line.shape[1] else "C"
                orders[root] = FLIPPED[order] if flipped else order
            line.order = FLIPPED[orders[root]] if flipped else orders[root]
    return program


def same(program: Program, line: Line, _old: Line) -> Value:
    """The line itself; lines that have become the same are one."""
    return program.again(line)


def scaled(program: Program) -> Program:
    """*scale*."""
    scaling = Scaling(program)
    return program if scaling.factor is None else rewrite(program, scaling)


# The rewrites by name, in the order in which they are made; each is a function of a program.
RULES: dict[str, Callable[[Program], Program]] = {
    "products": lambda program: rewrite(program, faster),
    "scale": scaled,
    "layout": lambda program: laid_out(rewrite(program, same)),
}


def rewritten(program: Program, run: Any, exact: bool) -> Program:
    """The program of a run after all passes."""
    program = rewrite(program, canonical)
    outputs = program.outputs
    program = rewrite(program, lambda new, line, old: simpler(new, line, old, outputs, exact))
    for rule in () if exact else RULES.values():
        program = rule(program)
    apart(program, run)
    return program
