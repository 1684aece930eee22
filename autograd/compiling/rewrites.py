"""Rewrites that change rounding, each by a few ulp; `exact=True` leaves them all out.

- *products*: a matrix product is np.dot, which has less to look at than np.matmul, of either operand's transpose.
- *sums*: a sum along the first axis of a matrix, or of at most 128 numbers, is a product with ones.  (NumPy adds up
  longer rows in pairs, which is more exact than a product, so these stay.)
- *powers*: x ** 2 and x ** 3 are products.
- *ReLU*: max(x, 0) is x with its bits laid over with zeros where x <= 0, as its gradient is (so -0.0 becomes 0.0).
- *scale*: a factor that all gradients are multiplied by in the end, such as the learning rate, is multiplied into the
  gradient that they come from.
- *layout*: a matrix with more rows than columns lies in memory column by column, so that loops are long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .canonical import chosen, is_method, words
from .lines import Draft, Line, Value, values_in
from .tape import Number

SHORT = 128  # up to here NumPy adds up one after the other, too


def faster(draft: Draft, line: Line, _old: Line) -> Value:
    """*products*, *sums* and *powers*."""
    if line.is_call(np.matmul):
        a, b = line.args
        if all(isinstance(x, Value) and x.ndim == 2 and x.dtype == line.dtype and x.dtype.kind in "fc" for x in (a, b)):
            return draft.add("dot", np.dot, (a, b), line.like, line.place)
    if line.kind == "reduce" and line.function is np.add and line.dtype.kind == "f" and line.dtype.itemsize > 2:
        return _sum(draft, line) or draft.again(line)
    if line.is_call(np.multiply):
        return _scaled_sum(draft, line) or draft.again(line)
    if line.is_call(np.power) and type(line.args[1]) in (int, float) and line.args[1] in (2, 3):
        x = line.args[0]
        if isinstance(x, Value) and x.dtype == line.dtype:
            square = draft.add("call", np.multiply, (x, x), line.like, line.place)
            return square if line.args[1] == 2 else draft.add("call", np.multiply, (square, x), line.like, line.place)
    return draft.again(line)


def _sum(draft: Draft, line: Line) -> Value | None:
    x, axis = line.args[0], line.kwargs["axis"]
    if x.dtype != line.dtype or not x.size or not x.order:
        return None
    if x.ndim == 1 and x.size <= SHORT:
        return draft.add("dot", np.dot, (draft.full(x.size, x.dtype), x), line.like, line.place)
    if x.ndim == 2 and axis == 0:
        return draft.add("dot", np.dot, (draft.full(x.shape[0], x.dtype), x), line.like, line.place)
    if x.ndim == 2 and axis == 1 and x.shape[1] <= SHORT:
        return draft.add("dot", np.dot, (x, draft.full(x.shape[1], x.dtype)), line.like, line.place)
    return None


def _scaled_sum(draft: Draft, line: Line) -> Value | None:
    """A number times a sum of few: the product with a vector of that number in place of ones."""
    for total, factor in (line.args, line.args[::-1]):
        if isinstance(total, Line) and total.kind == "dot" and total.shape == () and isinstance(factor, float):
            ones, x = total.args
            if isinstance(ones, np.ndarray) and total.dtype == line.dtype:
                scaled = draft.full(x.size, x.dtype, factor * float(ones[0]))
                return draft.add("dot", np.dot, (scaled, x), line.like, line.place)
    return None


# ---- ReLU


def corners(draft: Draft) -> set[int]:
    """The lines max(x, 0) whose gradient asks where they are 0."""
    found = set()
    for line in draft.lines:
        if line.is_call(np.less_equal) and _is_zero(line.args[1]) and isinstance(line.args[0], Line):
            top = line.args[0]
            if top.is_call(np.maximum) and isinstance(top.args[0], Value) and _is_zero(top.args[1]) and top.shape:
                found.add(id(top))
    return found


def cut_at_zero(draft: Draft, line: Line, old: Line, found: set[int]) -> Value:
    """max(x, 0) by the mask of its own gradient."""
    if id(old) in found and line.args[0].dtype == line.dtype and line.dtype.itemsize in (2, 4, 8):
        x = line.args[0]
        off = draft.call(np.less_equal, x, line.dtype.type(0), place=line.place, dtype=np.bool_, order=x.order)
        bits = words(draft, off, np.dtype(f"i{line.dtype.itemsize}"), line)
        return draft.add("select", None, (x, bits), line.like, line.place)
    if line.is_call(np.less_equal) and _is_zero(line.args[1]) and isinstance(line.args[0], Line):
        top = line.args[0]
        if top.kind == "select" and id(old.args[0]) in found:
            x = top.args[0]
            return draft.call(np.less_equal, x, x.dtype.type(0), place=line.place, dtype=np.bool_, order=x.order)
    return draft.again(line)


def _is_zero(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and x == 0


# ---- scale


class Scaling:
    """Which lines to compute in another scale, so that what is multiplied by `factor` in the end is so from the start.

    Seen from the last line to the first: a line can be scaled if all that read it are scaled by way of it, or are the
    products with the factor themselves (the `ends`).  A line that is itself a product with a plain number (a `source`)
    takes the factor into that number; any other must find its factor in one of its arguments.
    """

    def __init__(self, draft: Draft, gradients: set[int]) -> None:
        self.factor: Number | None = None
        self.ends: set[int] = set()
        self.sources: set[int] = set()
        self.scaled: set[int] = set()
        ends = [line for line in draft.lines if isinstance(_factor(line)[0], Number)]
        if not ends or len({_factor(line)[0].text for line in ends}) > 1:
            return
        self.ends = {id(end) for end in ends}
        fixed = {id(x) for i, x in enumerate(draft.outputs) if i not in gradients}
        fixed |= {id(asked) for asked, _ in draft.guards}
        users, carriers = draft.users(), dict[int, Any]()
        for line in reversed(draft.lines):
            mine = users.get(id(line), [])
            if id(line) in fixed | self.ends or not mine or not all(self._carried(u, line, carriers) for u in mine):
                continue
            carriers |= {id(u): line for u in mine}
            self.scaled.add(id(line))
            if isinstance(_factor(line)[0], float):
                self.sources.add(id(line))
        self.scaled -= self.ends
        found = all(id(_factor(end)[1]) in self.scaled for end in ends)
        if found and all(key in carriers for key in self.scaled - self.sources):
            self.factor = _factor(ends[0])[0]

    def _carried(self, user: Line, line: Line, carriers: dict[int, Any]) -> bool:
        """Whether `user` may be scaled by way of this argument."""
        if id(user) in self.ends:
            return _factor(user)[1] is line
        takes = id(user) in self.scaled and id(user) not in self.sources and _may_carry(user, line)
        return takes and carriers.get(id(user), line) is line

    def __call__(self, draft: Draft, line: Line, old: Line) -> Value:
        number, x = _factor(line)
        if id(old) in self.ends:
            return x  # type: ignore[no-any-return]
        if id(old) in self.sources:
            assert self.factor is not None
            return draft.add("call", np.multiply, (x, self.factor * number), line.like, line.place)
        return draft.again(line)


def _factor(line: Line) -> tuple[Any, Any]:
    """The number of a product of an array with a plain number, and the array; else (None, None)."""
    if line.is_call(np.multiply) and line.dtype in (np.float32, np.float64):
        for number, x in (line.args, line.args[::-1]):
            if (
                isinstance(x, Value)
                and x.shape == line.shape
                and x.dtype == line.dtype
                and not isinstance(number, Value)
            ):
                if isinstance(number, Number | float):
                    return number, x
                if np.shape(number) == () and isinstance(number, np.floating | np.ndarray):
                    return float(number), x
    return None, None


def _may_carry(line: Line, value: Value) -> bool:
    """Whether a factor of this argument is one of the line."""
    if line.kind == "dot" or line.is_call(np.multiply):
        return sum(a is value for a in line.args) == 1
    first = line.args[0] is value and not any(a is value for a in line.args[1:])
    return first and (line.kind in ("T", "reshape", "select") or line.is_call(np.negative, np.divide))


# ---- layout


def laid_out(draft: Draft) -> Draft:
    """*layout*: matrices of one shape that are computed from each other element by element lie in the same way."""
    parent: dict[int, int] = {}

    def root(key: int) -> int:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    users = draft.users()
    pinned = {id(x) for x in (*draft.inputs, *draft.outputs)}
    for line in draft.lines:
        follows = line.elementwise() or line.kind == "put" or is_method(line, "view")
        if line.kind == "T":  # a view, which matrix products take as it is
            if any(user.kind != "dot" for user in users.get(id(line), ())):
                pinned |= {id(line), id(line.args[0])}
            continue
        if not follows and line.kind != "dot":
            pinned.add(id(line))
        for x in values_in((line.args, line.kwargs)):
            if follows and x.shape == line.shape:
                parent[root(id(x))] = root(id(line))
            elif not follows and line.kind not in ("dot", "reduce") and chosen(line) is None:
                pinned.add(id(x))
    held = {root(key) for key in pinned}
    for line in draft.lines:
        if line.kind == "T":
            line.order = {"C": "F", "F": "C", "": ""}[line.args[0].order]
        elif line.ndim == 2 and line.order and root(id(line)) not in held:
            line.order = "F" if line.shape[0] > line.shape[1] else "C"
    return draft
