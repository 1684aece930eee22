"""The program while it is being made: lines that each compute one array, shared where they are the same.

A pass makes a new Draft of an old one, line by line, so the lines always stand in an order in which they can be run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .calls import Number, Ref, order_of
from .calls import nested as nested
from .tape import Tape, Traced


class Value:
    """An array of the program: its shape, dtype and how it lies in memory."""

    __slots__ = ("dtype", "order", "shape")

    shape: Any  # None for several arrays in a tuple
    dtype: Any
    order: str

    def __init__(self, shape: Any, dtype: Any, order: str = "C") -> None:
        self.shape, self.dtype, self.order = shape, dtype, order

    @property
    def ndim(self) -> int:
        return -1 if self.shape is None else len(self.shape)

    @property
    def size(self) -> int:
        return 0 if self.shape is None else int(np.prod(self.shape, dtype=int))

    @property
    def nbytes(self) -> int:
        return self.size * int(self.dtype.itemsize) if self.size else 0

    @property
    def like(self) -> tuple[Any, Any, str]:
        return self.shape, self.dtype, self.order

    shares: Value | None = None  # the value whose memory this one's may be


class Input(Value):
    """An array that is given anew for every run."""

    __slots__ = ("name",)

    def __init__(self, name: str, shape: Any, dtype: Any, order: str) -> None:
        super().__init__(shape, dtype, order)
        self.name = name


class Line(Value):
    """`function(*args, **kwargs)`; the arguments hold Values, Numbers (texts) and constants.

    Kinds, besides those of a tape's calls: "reduce" (`function` is the ufunc; axes in order, no keepdims), "T" (matrix
    transposed), "cast", "dot" (a matrix product), "reshape", "flat" (all elements as they lie in memory), "take" and
    "put_flat" (of a flat array at positions that exist), "select" (an array, and 0 where a word of bits is 0), "spread"
    (repeated along axes) and "part" (of a tuple).
    """

    __slots__ = ("args", "function", "kind", "kwargs", "module", "phase", "shares")

    def __init__(
        self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: tuple[str, str], like: Any
    ) -> None:
        super().__init__(*like)
        self.kind, self.function, self.args, self.kwargs = kind, function, args, kwargs
        self.phase, self.module = place
        self.shares = None

    @property
    def place(self) -> tuple[str, str]:
        return self.phase, self.module

    def elementwise(self) -> bool:
        """Whether an element of the result depends on the same element of the arguments alone."""
        ufunc = self.kind == "call" and isinstance(self.function, np.ufunc) and self.function.signature is None
        return self.kind in ("select", "cast") or (ufunc and self.function.nout == 1 and not self.kwargs)

    def is_call(self, *functions: Any) -> bool:
        """Whether this is a call of one of these NumPy functions, with positional arguments alone."""
        return self.kind == "call" and not self.kwargs and any(self.function is f for f in functions)


Handler = Callable[["Draft", Line, Line], Any]  # the draft that is made, a line of it, and what that was before


class Draft:
    """The lines of a program, what goes in, what comes out, and what must hold for it to be the right program."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.inputs = list(inputs)  # Inputs and Numbers, in the order in which they are given
        self.lines: list[Line] = []
        self.outputs: list[Any] = []
        self.guards: list[tuple[Any, bool]] = []
        self.known: dict[Any, Line] = {}
        self.ones: dict[Any, Any] = {}

    def add(
        self,
        kind: str,
        function: Any,
        args: tuple[Any, ...],
        like: tuple[Any, Any, str],
        place: tuple[str, str],
        kwargs: dict[str, Any] | None = None,
        shares: Value | None = None,
    ) -> Line:
        """A line, or the earlier one that computes the same."""
        line = Line(kind, function, args, kwargs or {}, place, like)
        line.shares = shares
        key = (
            None
            if kind in ("opaque", "put", "put_at", "put_flat")
            else (kind, key_of(function), key_of(args), key_of(line.kwargs))
        )
        if key in self.known:
            return self.known[key]
        if key is not None:
            self.known[key] = line
        self.lines.append(line)
        return line

    def call(self, ufunc: Any, *args: Any, place: tuple[str, str], dtype: Any = None, order: str = "C") -> Line:
        """An elementwise line: its shape and dtype are those that NumPy would give."""
        values = [a for a in args if isinstance(a, Value)]
        shape = np.broadcast_shapes(*(v.shape for v in values))
        dtype = dtype or np.result_type(*(a.dtype if isinstance(a, Value) else a for a in args))
        return self.add("call", ufunc, args, (shape, np.dtype(dtype), order), place)

    def again(self, line: Line, **changes: Any) -> Line:
        """The same line in this draft."""
        made = self.add(line.kind, line.function, line.args, line.like, line.place, line.kwargs, line.shares)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    def full(self, n: int, dtype: Any, value: float = 1.0) -> Any:
        """A constant vector of n equal numbers; the same object for the same numbers."""
        key = n, np.dtype(dtype), value
        if key not in self.ones:
            self.ones[key] = np.full(n, value, dtype)
        return self.ones[key]

    def remade(self, handler: Handler) -> Draft:
        """A new draft of the lines that are needed, each as `handler(draft, line)` makes it."""
        new = Draft(self.inputs)
        new.ones = self.ones
        found: dict[int, Any] = {}

        def now(x: Any) -> Any:
            return found.get(id(x), x) if isinstance(x, Line) else x

        ends = [*self.outputs, *(asked for asked, _ in self.guards), *drawing(self.lines)]
        for line in needed(self.lines, ends):
            copy = Line(
                line.kind, line.function, nested(line.args, now), nested(line.kwargs, now), line.place, line.like
            )
            copy.shares = now(line.shares)
            found[id(line)] = handler(new, copy, line)
        new.outputs = nested(self.outputs, now)
        new.guards = [(now(asked), answer) for asked, answer in self.guards]
        return new

    def users(self) -> dict[int, list[Line]]:
        """The lines that read each value, by its id."""
        found: dict[int, list[Line]] = {}
        for line in self.lines:
            for value in values_in((line.args, line.kwargs)):
                found.setdefault(id(value), []).append(line)
        return found


def values_in(x: Any) -> list[Value]:
    """Every Value in nested arguments."""
    found: list[Value] = []
    nested(x, lambda item: found.append(item) if isinstance(item, Value) else None)
    return found


def drawing(lines: Iterable[Line]) -> list[Line]:
    """The lines that draw from a generator: they run as often, and in the same order, as in the function itself."""
    return [line for line in lines if line.kind == "opaque" and not values_in((line.args, line.kwargs))]


def needed(lines: Iterable[Line], ends: Any) -> list[Line]:
    """Those of the lines that the ends depend on, in their order."""
    lines = list(lines)
    wanted: set[int] = set()
    waiting = values_in(ends)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Line) and id(value) not in wanted:
            wanted.add(id(value))
            waiting += values_in((value.args, value.kwargs))
    return [line for line in lines if id(line) in wanted]


def key_of(x: Any) -> Any:
    """What makes two arguments the same, bit for bit."""
    if isinstance(x, Number):
        return "number", x.text
    if isinstance(x, tuple | list):
        return (type(x), *map(key_of, x))
    if isinstance(x, slice):
        return "slice", key_of((x.start, x.stop, x.step))
    if isinstance(x, dict):
        return tuple((key, key_of(value)) for key, value in x.items())
    if isinstance(x, int | float | complex | str | bool | None) or x is Ellipsis:
        return type(x), repr(x)  # by its digits, for 0.0 == -0.0
    if isinstance(x, np.generic):
        return type(x), x.tobytes()
    return "same", id(x)


def draft_of(tape: Tape, outputs: Sequence[Any], handler: Handler) -> Draft:
    """The draft of what a tape holds, each line as `handler` makes it."""
    draft = Draft([])
    found: dict[Any, Any] = {}
    for name, given in tape.inputs:
        value = Input(name, given.shape, given.dtype, order_of(given.value)) if isinstance(given, Traced) else given
        draft.inputs.append(value)
        found[name] = value

    def now(x: Any) -> Any:
        ref = Ref(x) if isinstance(x, Traced) else x
        if not isinstance(ref, Ref):
            return x
        origin = ref.origin
        if isinstance(origin, tuple):
            whole, i = found[id(origin[0])], origin[1]
            shares = origin[0].parts[i]
            of = whole if shares is None else now(shares)
            return draft.add("part", None, (whole, i), (ref.shape, ref.dtype, ref.order), whole.place, shares=of)
        return found[origin if isinstance(origin, str) else id(origin)]

    for call in tape.calls:
        args, kwargs = nested(call.args, now), nested(call.kwargs, now)
        line = Line(call.kind, call.function, args, kwargs, (call.phase, call.module), call.like)
        line.shares = None if call.shares is None else now(call.shares)
        found[id(call)] = handler(draft, line, line)
    draft.outputs = nested(list(outputs), now)
    draft.guards = [(now(asked), answer) for asked, answer in tape.guards]
    return draft
