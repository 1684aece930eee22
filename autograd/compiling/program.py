"""The one form of a program: values and lines, in an order in which they can run; a pass makes a new program."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..callsite import place_of_caller
from ..tensor import Tensor

Outline = tuple[Any, Any, str]  # shape, dtype and layout


class CompileError(TypeError):
    """A function cannot be compiled: its Python code depends on the numbers in an array, for example."""


class AuditError(CompileError):
    """A compiled program and the function as written have computed different results."""


@dataclass(eq=False, slots=True)
class Value:
    """An array of the program: shape (None for a tuple of arrays), dtype and layout (see `order_of`).

    It may be a view of the memory of another one, which it `shares`.
    """

    shape: Any
    dtype: Any
    order: str
    shares: Value | None = field(default=None, kw_only=True)

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
    def like(self) -> Outline:
        return self.shape, self.dtype, self.order

    @property
    def memory(self) -> Value:
        """The value that owns the memory of this one, which may be a view of a view."""
        return self.viewed()[-1]

    def viewed(self) -> list[Value]:
        """This value, the one that it is a view of, and so on."""
        return [self] if self.shares is None else [self, *self.shares.viewed()]


@dataclass(eq=False, slots=True)
class Input(Value):
    """An array that every run is given, which Python reads by the text `place`."""

    name: str
    place: str


@dataclass(eq=False, slots=True)
class Line(Value):
    """`function(*args, **kwargs)`, whose arguments hold Values, Numbers and constants.

    `kind` is "call", "method" (of the first argument), "item" (indexing), "put" (a copy with the elements at an index
    replaced), "put_at" (a copy with those at flat positions replaced), "copy", "has_shape", "opaque" (a function that
    is not NumPy's and may return another result each time) or "part" (of a tuple); after `canonical` also "reduce"
    (`function` is the ufunc; axes in order, no keepdims), "T" (a matrix transposed), "select" (an array, times the 0
    and 1 of a mask), "spread" (repeated along axes), "cast", "dot" (a product of matrices, or of stacks of them) and
    "reshape".  `place` is the phase (forward, backward or update) and the path of the module that was running.
    """

    kind: str
    function: Any
    args: tuple[Any, ...]
    place: tuple[str, str]
    kwargs: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def reads(self) -> list[Value]:
        """The values in the arguments."""
        return values_in((self.args, self.kwargs))

    def elementwise(self) -> bool:
        """Whether an element of the result depends only on the same element of the arguments."""
        ufunc = self.kind == "call" and isinstance(self.function, np.ufunc) and self.function.signature is None
        return self.kind in ("cast", "select") or (ufunc and self.function.nout == 1 and not self.kwargs)

    def is_call(self, *functions: Any) -> bool:
        """Whether this is a call of one of these functions, with positional arguments only."""
        return self.kind == "call" and not self.kwargs and any(self.function is f for f in functions)

    def is_method(self, name: str) -> bool:
        """Whether this is the result of this method."""
        return self.kind == "method" and self.function == name


class Number:
    """A Python number that may differ in every run, such as a learning rate, and what is computed from it."""

    def __init__(self, tape: Any, text: str, value: float, place: str = "") -> None:
        self.tape, self.text, self.value, self.place, self.line = tape, text, value, place, place_of_caller()

    def _of(self, other: Any, sign: str, function: Any, swapped: bool = False) -> Any:
        if not isinstance(other, Number | float | int):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        value = function(*(x.value if isinstance(x, Number) else x for x in (a, b)))
        return Number(self.tape, f"({_operand(a)} {sign} {_operand(b)})", value)

    def __neg__(self) -> Number:
        return Number(self.tape, f"(-{self.text})", -self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        if method != "__call__" or "out" in kwargs:
            self.tape.refuse(f"np.{ufunc.__name__} is called with a number that changes", "compute it outside")
        return self.tape.record("call", ufunc, inputs, kwargs)

    def _refused(self, *_: Any) -> Any:
        self.tape.refuse("Python code depends on a number that changes from run to run", "look at it outside")

    __bool__ = __float__ = __int__ = __index__ = __abs__ = __round__ = __lt__ = __le__ = __gt__ = __ge__ = _refused
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _refused
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr(self.value)


def _operand(x: Any) -> str:
    """A number inside an expression, in brackets if negative, because `-1 ** t` is not `(-1) ** t`."""
    text = x.text if isinstance(x, Number) else literal(x)
    return f"({text})" if text[0] == "-" else text


for _sign, _word in (("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("**", "pow")):
    _function = getattr(operator, _word)
    setattr(Number, f"__{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f))
    setattr(Number, f"__r{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f, True))


def literal(x: Any) -> str:
    """A plain value as Python source, infinity and NaN included."""
    if isinstance(x, complex) and not np.isfinite(x):
        return f"complex({literal(x.real)}, {literal(x.imag)})"
    if isinstance(x, float) and not np.isfinite(x):
        return f"float({str(x)!r})"
    return repr(x)


Rule = Callable[["Program", Line, Line], Any]  # the new program, a copy of a line for it, and the old line


class Program:
    """Lines, what goes in, what comes out, and the truth values (`guards`) that must hold for it to be right."""

    def __init__(self, inputs: Sequence[Any] = ()) -> None:
        self.inputs = list(inputs)  # Inputs and Numbers, in the order in which they are given
        self.lines: list[Line] = []
        self.outputs: list[Any] = []
        self.guards: list[tuple[Any, bool]] = []
        self.known: dict[Any, Line] = {}  # {key: the line that computes it}: common subexpressions are one line
        self.full_arrays: dict[Any, Any] = {}

    def add(self, kind: str, function: Any, args: Any, like: Outline, place: Any, **more: Any) -> Line:
        """The line of these arguments, or the earlier one that computes the same."""
        return self.insert(Line(*like, kind, function, args, place, **more))

    def insert(self, line: Line) -> Line:
        """A line, or the earlier one that computes the same."""
        if line.kind not in ("opaque", "put", "put_at"):
            args = key_of(line.args)
            if line.is_call(np.add, np.multiply) and line.elementwise():  # x * y is y * x, if it lies as that does
                args = frozenset(args[1:]), line.order
            key = line.kind, key_of(line.function), args, key_of(line.kwargs)
            if (found := self.known.setdefault(key, line)) is not line:
                return found
        self.lines.append(line)
        return line

    def full(self, shape: Any, dtype: Any, value: float = 1.0, order: str = "C") -> Any:
        """A constant array of equal numbers; the same object for the same numbers."""
        key = shape, np.dtype(dtype), repr(value), order
        if key not in self.full_arrays:
            self.full_arrays[key] = empty(shape, dtype, order)
            self.full_arrays[key][...] = value
        return self.full_arrays[key]

    def ends(self) -> list[Any]:
        """What the program is run for: its outputs, its guards, and the numbers that it draws."""
        return [*self.outputs, *(asked for asked, _ in self.guards), *drawing(self.lines)]


def rewrite(program: Program, rule: Rule = lambda *_: None) -> Program:
    """A program of the lines that are needed, each as `rule(new program, copy of the line, old line)` makes it.

    Where the rule gives None it is the copy, which the rule may have changed; lines that are the same become one.
    """
    new = Program(program.inputs)
    new.full_arrays = program.full_arrays
    found: dict[int, Any] = {}

    def now(x: Any) -> Any:
        return found.get(id(x), x) if isinstance(x, Line) else x

    for line in needed(program.lines, program.ends()):
        args, kwargs = nested(line.args, now), nested(line.kwargs, now)
        shares = now(line.shares)
        copy = Line(*line.like, line.kind, line.function, args, line.place, kwargs=kwargs, shares=shares)
        made = rule(new, copy, line)
        found[id(line)] = new.insert(copy) if made is None else made
    new.outputs = nested(program.outputs, now)
    new.guards = [(now(asked), answer) for asked, answer in program.guards]
    return new


def nested(x: Any, change: Callable[[Any], Any]) -> Any:
    """Nested arguments, with `change` applied to all that is not a tuple, list, slice or dict."""
    if isinstance(x, tuple | list):
        items = (nested(item, change) for item in x)
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if isinstance(x, slice):
        return slice(nested(x.start, change), nested(x.stop, change), nested(x.step, change))
    if isinstance(x, dict):
        return {key: nested(value, change) for key, value in x.items()}
    return change(x)


def instances(x: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """Every instance of `kind` in nested arguments."""
    found: list[Any] = []
    nested(x, lambda item: found.append(item) if isinstance(item, kind) else None)
    return found


def values_in(x: Any) -> list[Value]:
    """Every Value in nested arguments."""
    return instances(x, Value)


def drawing(lines: Iterable[Line]) -> list[Line]:
    """The lines that draw random numbers: they run as often, and in the same order, as in the function."""
    return [line for line in lines if line.kind == "opaque" and not line.reads]


def needed(lines: Iterable[Line], ends: Any) -> list[Line]:
    """The lines that the ends depend on, in their order."""
    lines = list(lines)
    wanted: set[int] = set()
    waiting = values_in(ends)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Line) and id(value) not in wanted:
            wanted.add(id(value))
            waiting += value.reads
    return [line for line in lines if id(line) in wanted]


def key_of(x: Any) -> Any:
    """Equal for two arguments that are the same, bit for bit."""
    if isinstance(x, Number):
        return "number", x.text
    if isinstance(x, tuple | list):
        return (type(x), *map(key_of, x))
    if isinstance(x, slice):
        return "slice", key_of((x.start, x.stop, x.step))
    if isinstance(x, dict):
        return tuple((key, key_of(value)) for key, value in x.items())
    if isinstance(x, int | float | complex | str | bool | None) or x is Ellipsis:
        return type(x), repr(x)  # by its digits, because 0.0 == -0.0
    if isinstance(x, np.generic):
        return type(x), x.tobytes()
    return "same", id(x)


def order_of(array: Any) -> str:
    """The layout of an array: "C" (row by row), "F" (column by column), its axes as they lie ("0231"), or "" (gaps)."""
    flags = getattr(array, "flags", None)
    if flags is None or flags.c_contiguous or flags.f_contiguous:
        return "C" if flags is None or flags.c_contiguous else "F"
    axes = sorted(range(array.ndim), key=lambda i: (array.shape[i] != 1, -array.strides[i]))
    return "".join(map(str, axes)) if array.ndim <= 10 and array.transpose(axes).flags.c_contiguous else ""


def axes_of(order: str) -> tuple[list[int], list[int]]:
    """The axes as they lie in memory, and how such an array is transposed to be as it is named."""
    axes = [*map(int, order)]
    return axes, [axes.index(i) for i in range(len(axes))]


def empty(shape: Any, dtype: Any, order: Any) -> Any:
    """An array to be written into."""
    if order in ("C", "F"):
        return np.empty(shape, dtype, order)
    axes, back = axes_of(order)
    return np.empty([shape[i] for i in axes], dtype).transpose(back)


def has_out(line: Any) -> bool:
    """Whether the result of a line can be written into an array that is given."""
    if not isinstance(line, Line) or not line.shape or not line.size or not line.order:
        return False
    return line.elementwise() or line.kind in ("copy", "dot", "reduce", "spread", "put", "put_at")
