"""Write a program as Python source that calls NumPy."""

from __future__ import annotations

import keyword
import operator
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from .program import CompileError, Line, Number, Value, literal, memory_of

# Names that the text of a program, or the file that it is saved in, uses itself.
_RESERVED = set(
    "np math os operator functools contextvars base64 io deque chain starmap Any Callable Iterator Sequence Changed "
    "pool run_blocks run_through update moves program state found held slice float complex map setattr range "
    "len min list hasattr RuntimeError Exception BaseException ValueError".split()
)


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """`name` as a Python identifier that is not taken: `_0_weight` for `0.weight`."""
    text = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name), flags=re.ASCII)
    if (
        not text
        or text[0].isdigit()
        or keyword.iskeyword(text)
        or text in _RESERVED
        or re.fullmatch(r"([bcfgnpstu]|block|scratch)\d+\w*", text)
    ):
        text = f"_{text}"
    while text in taken:
        text += "_"
    return text


def comment(text: str) -> str:
    """`text` as a comment: one line, and nothing in it that could end the line or hide."""
    return "# " + "".join(c if c.isprintable() else " " for c in text)


COMPARISONS = {
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
    np.equal: "==",
    np.not_equal: "!=",
}
# Ufuncs that compute in the dtype of their arrays, whatever kind of number the other operand is.
_UNIFORM = {
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power, np.bitwise_and, *COMPARISONS,
}  # fmt: skip
FLAT = {"C": "{}.reshape(-1)", "F": "{}.T.reshape(-1)"}  # all elements of an array as they lie in memory


class Constants:
    """What is outside of a program's functions: constants, functions that are not NumPy's, and arrays made once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.prepared: dict[str, str] = {}  # {name: the text that makes it}, in order
        self.names: dict[Any, str] = {}  # {key of an object: its name}

    def name_of(self, x: Any, table: dict[str, Any], prefix: str) -> str:
        """The name of an object; numbers of one dtype that are equal, bit for bit, share one."""
        number = (type(x), x.dtype, x.tobytes()) if isinstance(x, np.generic | np.ndarray) and x.shape == () else None
        key = number if number and self.shared(x) else id(x)
        if key not in self.names:
            self.names[key] = f"{prefix}{len(table)}"
            table[self.names[key]] = x
        return self.names[key]

    def shared(self, x: Any) -> bool:
        """Whether nobody can change this number in place."""
        return isinstance(x, np.generic) or not x.flags.writeable

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
        if x is None or type(x) in (bool, int, str) or x is Ellipsis:
            return repr(x)
        if type(x) in (float, complex) and np.isfinite(x):
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


class Scope(ABC):
    """Lines of one function: `names` says how each value is written, `fixed` which lie in the program's own memory."""

    def __init__(self, constants: Constants, memory: Any) -> None:
        self.constants, self.memory = constants, memory
        self.names: dict[int, str] = {}
        self.fixed: dict[int, str] = {}
        self.lines: list[str] = []

    # ---- for the two kinds of function to say

    @abstractmethod
    def target(self, line: Line) -> str:
        """The array that the result of a line is written into; "" for a new one."""

    @abstractmethod
    def give(self, line: Line, text: str, array: str = "") -> None:
        """The result of a line is `text`, which has been written into `array` if that is not empty."""

    def number(self, number: Number) -> str:
        """How a number that is given anew for every run is written."""
        return number.text

    def operand(self, line: Line, x: Any) -> str:
        """How an operand is written: a number as an array of no axes, which NumPy takes in half the time."""
        if isinstance(x, Value) or not line.shape or line.function not in _UNIFORM:
            return self.text(x)
        dtypes = {a.dtype for a in line.args if isinstance(a, Value)}
        if len(dtypes) != 1:
            return self.text(x)
        dtype = dtypes.pop()
        kinds = {"f": (int, float), "i": (int,)}.get(dtype.kind, ())
        if not (type(x) in kinds or (isinstance(x, np.generic) and x.dtype == dtype)):
            return self.text(x)
        return self.constants.array(x, dtype)

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

    def index(self, index: Any) -> str:
        """An index as one writes it: `[:, 0]` and not `[(slice(None), 0)]`."""
        parts = index if isinstance(index, tuple) else (index,)
        if not parts:
            return "()"
        said = []
        for part in parts:
            if isinstance(part, slice):
                start, stop, step = ("" if p is None else self.text(p) for p in (part.start, part.stop, part.step))
                said.append(f"{start}:{stop}" + (f":{step}" if step else ""))
            else:
                said.append("..." if part is Ellipsis else self.text(part))
        return ", ".join(said) + ("," if isinstance(index, tuple) and len(parts) < 2 else "")

    # ---- lines

    def write(self, line: Line) -> None:
        """Write a line, and remember how its result is to be written."""
        writer = getattr(self, f"_write_{line.kind}", None)
        if writer is not None:
            writer(line)
            return
        arguments = [self.text(a) for a in line.args] + [f"{k}={self.text(v)}" for k, v in line.kwargs.items()]
        if line.kind == "method" and self._looks_otherwise(line):
            rest = ", ".join(arguments[1:])
            suffix = line.dtype.name if line.function == "view" else f"{line.function}{len(self.constants.prepared)}"
            self.see(line, line.args[0], suffix, f"{{}}.{line.function}({rest})")
        elif line.kind == "method":
            self.give(line, f"{arguments[0]}.{line.function}({', '.join(arguments[1:])})")
        elif line.elementwise() and (array := self.target(line)):
            arguments = [self.operand(line, a) for a in line.args]
            self.give(line, f"{self.constants.function(line)}({', '.join([*arguments, f'out={array}'])})", array)
        elif line.is_call(*COMPARISONS) and not line.shape:
            self.give(line, f"({arguments[0]} {COMPARISONS[line.function]} {arguments[1]})")
        elif line.is_call(operator.pow):
            self.give(line, f"({arguments[0]} ** {arguments[1]})")
        elif line.is_call(np.matmul) and line.order == "C" and (array := self.target(line)):
            self.give(line, f"np.matmul({', '.join([*arguments, f'out={array}'])})", array)
        else:
            self.give(line, f"{self.constants.function(line)}({', '.join(arguments)})")

    def _looks_otherwise(self, line: Line) -> bool:
        """Whether a method only looks in another way at memory that is always the same."""
        own = line.shares is line.args[0] and id(line.args[0]) in self.fixed and not line.kwargs
        return own and not any(isinstance(a, Value | Number | dict | set) for a in line.args[1:])

    def _write_has_shape(self, line: Line) -> None:
        self.give(line, f"({self.text(line.args[0])}.shape == {line.args[1]})")

    def _write_T(self, line: Line) -> None:
        self.see(line, line.args[0], "T", "{}.T")

    def _write_reshape(self, line: Line) -> None:
        x, shape = line.args
        self.see(line, x, "x".join(map(str, shape)) or "0d", f"{{}}.reshape({shape})")

    def _write_part(self, line: Line) -> None:
        self.names[id(line)] = f"{self.names[id(line.args[0])]}[{line.args[1]}]"

    def _write_over(self, line: Line) -> None:
        like, *arguments = map(self.text, line.args)
        arguments += [f"{key}={self.text(value)}" for key, value in line.kwargs.items()]
        self.give(line, f"{self.constants.function(line)}({', '.join(arguments)}, out=np.empty_like({like}))")

    def _write_item(self, line: Line) -> None:
        self.give(line, f"{self.text(line.args[0])}[{self.index(line.args[1])}]")

    def _write_reduce(self, line: Line) -> None:
        axis = self.text(line.kwargs["axis"])
        array = self.target(line)
        out = f", out={array}" if array else ""
        self.give(line, f"np.{line.function.__name__}.reduce({self.text(line.args[0])}, axis={axis}{out})", array)

    def _write_cast(self, line: Line) -> None:
        x, dtype = line.args
        array = self.target(line)
        if array:
            casting = "" if np.can_cast(x.dtype, dtype, "same_kind") else ", casting='unsafe'"
            self.lines.append(f"np.copyto({array}, {self.text(x)}{casting})")
            self.give(line, array, array)
        else:
            self.give(line, f"{self.text(x)}.astype({self.text(np.dtype(dtype))})")

    def _write_spread(self, line: Line) -> None:
        array = self.target(line)
        self.lines.append(f"np.copyto({array}, {self.text(line.args[0])})")
        self.give(line, array, array)

    def bits(self, x: Value, dtype: Any) -> str:
        """The bits of a floating-point array as whole numbers."""
        return self.view(x, dtype.name, f"{{}}.view(np.{dtype.name})")

    def _write_select(self, line: Line) -> None:
        x, mask = line.args
        array = self.target(line)
        if array:
            self.names[id(line)] = array
            self.lines.append(
                f"np.multiply({self.bits(x, mask.dtype)}, {self.text(mask)}, out={self.bits(line, mask.dtype)})"
            )
            self.give(line, array, array)
        else:
            text = f"np.multiply({self.bits(x, mask.dtype)}, {self.text(mask)}).view(np.{line.dtype.name})"
            self.give(line, text)

    def _write_dot(self, line: Line) -> None:
        a, b = line.args
        array, function = self.target(line), self.constants.function(line)
        if array and line.order == "F":  # both write rows only: the transpose of a product is that of transposes
            self.names[id(line)] = array
            x, y, out = map(self.transposed, (b, a, line))
            self.lines.append(f"{function}({x}, {y}, out={out})")
            self.give(line, array, array)
            return
        out = f", out={array}" if array else ""
        self.give(line, f"{function}({self.text(a)}, {self.text(b)}{out})", array)

    def transposed(self, x: Any) -> str:
        """How the transpose of a matrix is written."""
        if not isinstance(x, Value):
            return f"{self.text(x)}.T"
        if isinstance(x, Line) and x.kind == "T":
            return self.names[id(x.args[0])]
        return self.view(x, "T", "{}.T")

    def _write_copy(self, line: Line) -> None:
        x = self.text(line.args[0])
        array = self.target(line)
        if array:
            self.lines.append(f"np.copyto({array}, {x})")
        self.give(line, array or f"np.array({x}, order={line.args[1]!r})", array)

    def _write_put(self, line: Line) -> None:
        x, index, value = line.args
        array = self._over(line, x)
        self.lines.append(f"{array}[{self.index(index)}] = {self.text(value)}")
        self.give(line, array, array)

    def _write_put_at(self, line: Line) -> None:
        x, places, values = line.args
        array = self._over(line, x)
        self.lines.append(f"{array}.put({self.text(places)}, {self.text(values)})")
        self.give(line, array, array)

    def _over(self, line: Line, x: Value) -> str:
        """The array of a line that replaces elements of x: that of x itself if x dies here, a copy of it otherwise."""
        array = self.target(line)
        if not array:
            array = f"u{len(self.lines)}"
            self.lines.append(f"{array} = {self.text(x)}.copy(order='K')")
        elif array != self.fixed.get(id(memory_of(x))):
            self.lines.append(f"np.copyto({array}, {self.text(x)})")
        self.names[id(line)] = array
        return array
