"""Write a program as Python source that calls NumPy."""

from __future__ import annotations

import itertools
import keyword
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from .program import CompileError, Line, Number, Outline, Value, axes_of, has_out, literal, values_in

# Names that the text of a program, or the file that it is saved in, uses itself.
_RESERVED = set(
    """np math os operator functools contextvars base64 io deque chain starmap Any Callable Iterator Sequence Changed
    pool aligned memory run_blocks run_through update moves program state found held slice float complex map setattr
    range len min list hasattr RuntimeError Exception BaseException ValueError""".split()
)


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """`name` as a Python identifier that is not taken: `_0_weight` for `0.weight`."""
    text = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name), flags=re.ASCII)
    ours = keyword.iskeyword(text) or text in _RESERVED or re.fullmatch(r"([bcfgnpstu]|block|scratch)\d+\w*", text)
    if ours or not text or text[0].isdigit():
        text = f"_{text}"
    while text in taken:
        text += "_"
    return text


def comment(text: str) -> str:
    """`text` as a comment: one line, and nothing in it that could end the line or hide."""
    return "# " + "".join(c if c.isprintable() else " " for c in text)


WORTH = 2**12  # bytes of an array that is let go of as soon as no line reads it; this takes 15 ns
OPERATORS = {
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", operator.pow: "**",
}  # fmt: skip
# Ufuncs that compute in the dtype of their arrays, whatever kind of number the other operand is.
_UNIFORM = {*OPERATORS, np.maximum, np.minimum, np.power, np.bitwise_and}


def making(shape: Any, dtype: Any, order: str, start: int | None = None) -> str:
    """The text that makes an array to be written into: in new memory, or from byte `start` of the program's own."""
    if order not in ("C", "F"):
        axes, back = axes_of(order)
        return f"{making(tuple(shape[i] for i in axes), dtype, 'C', start)}.transpose({back})"
    function, where = ("np.empty", "") if start is None else ("np.ndarray", f", memory, {start}")
    column = ", order='F'" if order == "F" and len(shape) > 1 else ""
    return f"{function}({shape}, np.{np.dtype(dtype)}{where}{column})"


class Constants:
    """What is outside of a program's functions: constants, functions that are not NumPy's, and arrays made once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.prepared: dict[str, str] = {}  # {name: the text that makes it}, in order
        self.names: dict[Any, str] = {}  # {key of an object: its name}

    def name_of(self, x: Any, table: dict[str, Any], prefix: str) -> str:
        """The name of an object; numbers that nobody can change share one if they are equal, bit for bit."""
        number = isinstance(x, np.generic) or (isinstance(x, np.ndarray) and not x.shape and not x.flags.writeable)
        key = (type(x), x.dtype, x.tobytes()) if number else id(x)
        if key not in self.names:
            self.names[key] = f"{prefix}{len(table)}"
            table[self.names[key]] = x
        return self.names[key]

    def array(self, x: Any, dtype: Any) -> str:
        """A number as an array without axes, which NumPy reads in half the time."""
        made = np.array(x, dtype)
        made.flags.writeable = False
        return self.text(made)

    def text(self, x: Any) -> str:
        """How a constant is written."""
        if isinstance(x, np.dtype):
            return f"np.{x.name}" if np.dtype(x.name) == x else f"np.dtype({x.str!r})"
        if isinstance(x, type) and issubclass(x, np.generic):
            return f"np.{np.dtype(x).name}"
        if x is Ellipsis:
            return "..."
        if x is None or type(x) in (bool, int, str) or (type(x) in (float, complex) and np.isfinite(x)):
            return repr(x)
        return self.name_of(x, self.arrays, "c")

    def function(self, line: Line) -> str:
        """How the function of a call is written: as NumPy's, or by a name that stands for it."""
        function: Any = line.function
        owner = getattr(function, "__self__", None)
        if isinstance(owner, np.ufunc):
            return f"np.{owner.__name__}.{function.__name__}"
        called = getattr(function, "__name__", "")
        for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
            if line.kind != "opaque" and getattr(module, called, None) is function:
                return f"{prefix}.{called}"
        return self.name_of(function, self.functions, "f")


class Text:
    """A part of a result, as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "..."


def _nest(x: Any, text: Callable[[Any], str]) -> str | None:
    """The text of a tuple, list or dict of what `text` writes; None for anything else."""
    if isinstance(x, tuple):
        return f"({''.join(f'{text(item)}, ' for item in x)})"
    if isinstance(x, list):
        return f"[{', '.join(map(text, x))}]"
    if isinstance(x, dict):
        return f"{{{', '.join(f'{text(key)}: {text(value)}' for key, value in x.items())}}}"
    return None


def written(x: Any) -> str:
    """The text of a nest of Texts and plain values; CompileError for what has none."""
    if isinstance(x, Text):
        return x.text
    if (nest := _nest(x, written)) is not None:
        return nest
    if isinstance(x, np.ndarray):  # in the state of a generator
        return f"np.array({x.tolist()}, np.{x.dtype})"
    if type(x) not in (int, float, complex, str, bytes, bool, type(None), np.float64):
        raise CompileError(f"the function returns {x!r:.60}, which a file cannot hold")
    return literal(x)


class Writer:
    """The lines of one function of the program.

    `names` says how each value is read, `outs` which arrays are given to be written into, and `fixed` which values lie
    in the `memory` that the program has made once, of `top` bytes; it is used again as soon as no line reads it.
    """

    def __init__(self, constants: Constants, exact: bool, outs: dict[int, str], prefix: str) -> None:
        self.constants, self.exact, self.outs, self.prefix = constants, exact, outs, prefix
        self.names: dict[int, str] = {}
        self.fixed: dict[int, str] = {}
        self.lines: list[str] = []
        self.new_names = map("t{}".format, itertools.count())
        self.made: dict[str, str] = {}  # {the text that makes an array in `memory`: its name}
        self.gaps: dict[int, float] = {0: math.inf}  # {where memory that no line reads any more begins: where it ends}
        self.top = 0
        self.held: dict[
            int, tuple[int, int, Outline]
        ] = {}  # {id of a result: where its memory begins, ends; its outline}
        self.ending: Sequence[int] = ()  # ids of the values that are read last by the line that is written
        self.large: dict[int, str] = {}  # {id of a result in new memory that is worth letting go of: its name}

    def live(self, items: Sequence[Sequence[Line]], ends: Any) -> None:
        """Find after which item the memory of each result is free; that of the `ends` never is."""
        last: dict[int, int] = {}
        for i, lines in enumerate(items):
            for line in lines:
                for x in (line, *line.reads):
                    last |= dict.fromkeys(map(id, x.viewed()), i)
        self.kept = {id(x) for end in values_in(ends) for x in end.viewed()}
        self.dying: dict[int, list[int]] = {}
        for value, i in last.items():
            if value not in self.kept:
                self.dying.setdefault(i, []).append(value)

    def step(self, i: int, line: Line) -> None:
        """Write item `i`, a line."""
        self.ending = self.dying.get(i, ())
        self.write(line)
        self.release(i)

    def release(self, i: int) -> None:
        """Let go of the memory that no line reads after item `i`, and of the names."""
        self.ending = self.dying.pop(i, ())
        for value in self.ending:
            if value in self.held:
                self._free(*self.held.pop(value))
        if gone := [self.large[value] for value in self.ending if value in self.large]:
            self.lines.append(f"del {', '.join(gone)}")
        self.ending = ()

    def _free(self, start: int, stop: float, *_: Any) -> None:
        """Make a gap, one with those beside it."""
        for a, b in [*self.gaps.items()]:
            if a == stop or b == start:
                del self.gaps[a]
                start, stop = min(a, start), max(b, stop)
        self.gaps[start] = stop

    def target(self, line: Line) -> str:
        """The array that the result of a line is written into; "" for a new one."""
        if id(line) in self.outs:
            return self.outs[id(line)]
        if not has_out(line):
            return ""
        if id(line) in self.kept:
            return self.fresh(line)
        self.held[id(line)] = found = self._place(line, self.outline(line))
        self.fixed[id(line)] = self.made.setdefault(making(*found[2], found[0]), f"{self.prefix}{len(self.made)}")
        return self.fixed[id(line)]

    def _place(self, line: Line, outline: Outline) -> tuple[int, int, Outline]:
        """The memory for a result: that of an argument that ends here, or of the smallest gap that it fits into.

        In the first case each element is read before it is written; for complex numbers that overlap NumPy has another
        loop, which rounds in another way.
        """
        by_element = line.elementwise() and not (self.exact and outline[1].kind == "c")
        for x in values_in(line.args[:1] if line.kind in ("put", "put_at") else line.args if by_element else ()):
            held = self.held.get(id(x.memory))
            if held and held[2] == outline and x.like[::2] == x.memory.like[::2] and id(x.memory) in self.ending:
                return self.held.pop(id(x.memory))
        size = -(-int(np.prod(outline[0])) * outline[1].itemsize // 64) * 64  # whole lines of the cache
        start = min((a for a, b in self.gaps.items() if b - a >= size), key=lambda a: self.gaps[a] - a)
        stop = self.gaps.pop(start)
        if start + size < stop:
            self.gaps[start + size] = stop
        self.top = max(self.top, start + size)
        return start, start + size, outline

    def outline(self, line: Line) -> tuple[Any, Any, str]:
        """Shape, dtype and layout of the array for a result."""
        return line.like

    def fresh(self, line: Line) -> str:
        """The array for a result that leaves the program, or ""."""
        return ""

    def give(self, line: Line, text: str, array: str = "") -> None:
        """The result of a line is `text`, which has been written into `array` if that is not empty."""
        self.names[id(line)] = array or next(self.new_names)
        if not array:
            self.lines.append(f"{self.names[id(line)]} = {text}")
            if line.shape is None or line.nbytes >= WORTH:
                self.large[id(line)] = self.names[id(line)]
        elif text != array:
            self.lines.append(text)

    def view(self, x: Value, suffix: str, text: str) -> str:
        """A view of x: `text` with {} in the place of x, or the name that such a view of fixed memory has."""
        return text.format(self.names[id(x)])

    def see(self, line: Line, x: Value, suffix: str, text: str) -> None:
        """The result of a line is a view of x."""
        self.names[id(line)] = self.view(x, suffix, text)
        if id(x) in self.fixed:
            self.fixed[id(line)] = self.names[id(line)]

    # ---- arguments

    def text(self, x: Any) -> str:
        """How an argument is written."""
        if isinstance(x, Value):
            return self.names[id(x)]
        if isinstance(x, Number):
            return self.number(x)
        if isinstance(x, slice):
            return f"slice({', '.join(map(self.text, (x.start, x.stop, x.step)))})"
        nest = _nest(x, self.text)
        return self.constants.text(x) if nest is None else nest

    def arguments(self, line: Line, first: int = 0) -> str:
        """All arguments of a line from number `first` on."""
        return ", ".join([*map(self.text, line.args[first:]), *(f"{k}={self.text(v)}" for k, v in line.kwargs.items())])

    def number(self, number: Number, dtype: Any = None) -> str:
        """How a number that is given anew for every run is written, where it may be an array of this dtype."""
        return number.text

    def operand(self, line: Line, x: Any) -> str:
        """How an operand is written: a number as an array of no axes, which NumPy takes in half the time."""
        dtypes = {a.dtype for a in line.args if isinstance(a, Value)}
        if not isinstance(x, Value) and line.shape and line.function in _UNIFORM and len(dtypes) == 1:
            dtype = dtypes.pop()
            if isinstance(x, Number):
                return self.number(x, dtype if dtype.kind == "f" else None)
            kinds = {"f": (int, float), "i": (int,)}.get(dtype.kind, ())
            if type(x) in kinds or (isinstance(x, np.generic) and x.dtype == dtype):
                return self.constants.array(x, dtype)
        return self.text(x)

    def index(self, index: Any) -> str:
        """How an index is written between brackets."""
        parts = index if isinstance(index, tuple) else (index,)
        texts = []
        for part in parts:
            if isinstance(part, slice):
                ends = ["" if x is None else self.text(x) for x in (part.start, part.stop, part.step)]
                texts.append(":".join(ends if ends[2] else ends[:2]))
            else:
                texts.append(self.text(part))
        return ", ".join(texts) + ("," if isinstance(index, tuple) and len(parts) == 1 else "") or "()"

    # ---- lines

    def write(self, line: Line) -> None:
        """Write a line, and remember how its result is read."""
        if writer := getattr(self, f"_write_{line.kind}", None):
            writer(line)
        elif line.is_call(*OPERATORS) and (
            (line.shape == () and line.dtype.kind in "bf") or line.is_call(operator.pow)
        ):
            a, b = map(self.text, line.args)  # numbers take a tenth of the time so
            self.give(line, f"({a} {OPERATORS[line.function]} {b})")
        elif line.elementwise() and (array := self.target(line)):
            out = f"out={array}" if line.function in (np.maximum, np.minimum) else array  # NumPy wants it so
            operands = ", ".join([self.operand(line, x) for x in line.args])
            self.give(line, f"{self.constants.function(line)}({operands}, {out})", array)
        else:
            self.give(line, f"{self.constants.function(line)}({self.arguments(line)})")

    def _write_method(self, line: Line) -> None:
        x, *rest = line.args
        text = f"{{}}.{line.function}({self.arguments(line, 1)})"
        plain = not line.kwargs and not any(isinstance(a, Value | Number | dict | set) for a in rest)
        if isinstance(x, Value) and line.shares is x and id(x) in self.fixed and plain:
            suffix = line.dtype.name if line.function == "view" else f"{line.function}{len(self.constants.prepared)}"
            self.see(line, x, suffix, text)
        else:
            self.give(line, text.format(self.text(x)))

    def _write_has_shape(self, line: Line) -> None:
        self.give(line, f"({self.text(line.args[0])}.shape == {line.args[1]})")

    def _write_T(self, line: Line) -> None:
        self.see(line, line.args[0], "T", "{}.T")

    def _write_reshape(self, line: Line) -> None:
        x, shape = line.args
        self.see(line, x, "x".join(map(str, shape)) or "0d", f"{{}}.reshape({shape})")

    def _write_part(self, line: Line) -> None:
        self.give(line, f"{self.names[id(line.args[0])]}[{line.args[1]}]")

    def _write_item(self, line: Line) -> None:
        self.give(line, f"{self.text(line.args[0])}[{self.index(line.args[1])}]")

    def _write_reduce(self, line: Line) -> None:
        array = self.target(line)
        out = f", out={array}" if array else ""
        self.give(line, f"np.{line.function.__name__}.reduce({self.arguments(line)}{out})", array)

    def _write_copy(self, line: Line, otherwise: str = "np.array({}, order={})", casting: str = "") -> None:
        x = self.text(line.args[0])
        array = self.target(line)
        if array:
            self.lines.append(f"np.copyto({array}, {x}{casting})")
        self.give(line, array or otherwise.format(x, *map(self.text, line.args[1:])), array)

    def _write_spread(self, line: Line) -> None:
        self._write_copy(line, "np.broadcast_to({}, {})")

    def _write_cast(self, line: Line) -> None:
        casting = "" if np.can_cast(line.args[0].dtype, line.dtype, "same_kind") else ", casting='unsafe'"
        self._write_copy(line, "{}.astype({})", casting)

    def _write_select(self, line: Line) -> None:
        x, mask = line.args
        array = self.names[id(line)] = self.target(line)
        a, out = (self.view(a, mask.dtype.name, f"{{}}.view(np.{mask.dtype.name})") for a in (x, line))
        self.give(line, f"np.multiply({a}, {self.text(mask)}, {out})", array)

    def _write_dot(self, line: Line) -> None:
        array, function = self.target(line), self.constants.function(line)
        if array and line.order == "F":  # both write rows only: the transpose of a product is that of transposes
            self.names[id(line)] = array
            x, y, out = map(self.transposed, (*line.args[::-1], line))
            self.give(line, f"{function}({x}, {y}, {out})", array)
        else:
            self.give(line, f"{function}({self.arguments(line)}{array and ', '}{array})", array)

    def transposed(self, x: Any) -> str:
        """How the transpose of a matrix is written."""
        if isinstance(x, Line) and x.kind == "T":
            return self.names[id(x.args[0])]
        return self.view(x, "T", "{}.T") if isinstance(x, Value) else f"{self.text(x)}.T"

    def _write_put(self, line: Line) -> None:
        """Elements of x are replaced: in the array of x itself if x dies here, in a copy of it otherwise."""
        x, where, values = line.args
        array = self.target(line)
        if not array:
            array = next(self.new_names)
            self.lines.append(f"{array} = {self.text(x)}.copy(order='K')")
        elif array != self.fixed.get(id(x.memory)):
            self.lines.append(f"np.copyto({array}, {self.text(x)})")
        at = f".put({self.text(where)}, " if line.kind == "put_at" else f"[{self.index(where)}] = "
        self.lines.append(f"{array}{at}{self.text(values)}{')' if line.kind == 'put_at' else ''}")
        self.give(line, array, array)

    _write_put_at = _write_put
