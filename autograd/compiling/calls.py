"""What is written down of a run that is traced: its calls, and what they were made of."""

from __future__ import annotations

import keyword
import operator
import re
import sys
from collections.abc import Collection
from typing import Any

import numpy as np

from ..callsite import path_of_module
from ..graph import walk
from ..tensor import Tensor


class CompileError(TypeError):
    """A function cannot be compiled: its Python code depends on the numbers in an array, for one."""


class Followed:
    """A value of a run that is traced: `value` is what it is there, `origin` the call or input that it is from."""

    __slots__ = ("origin", "owner", "tape", "value")

    origin: Any
    owner: Any  # the array whose memory this one looks at, or None
    tape: Any
    value: Any


class Ref:
    """A traced array as the argument of a call: where it is from, and its outline; its numbers are not kept."""

    __slots__ = ("dtype", "order", "origin", "shape")

    def __init__(self, x: Followed) -> None:
        self.origin, self.shape, self.dtype, self.order = x.origin, x.value.shape, x.value.dtype, order_of(x.value)


class Call:
    """One call of the run that is traced: `function(*args, **kwargs)`, with Refs in the place of traced arrays.

    `kind` is "call", "method" (of the first argument), "item" (indexing), "put" (a copy with the elements at an index
    replaced), "put_at" (a copy with those at flat positions replaced), "copy", "over" (of the arguments after the
    first, laid out as that one, which is neither row by row nor column by column), "has_shape" (whether an array has a
    shape) or "opaque" (not NumPy's); `phase` is forward, backward or update, and `module` the path of the module whose
    call was under way.  `like` is the shape, dtype and order of the result, `shares` the argument in whose memory it
    lies, if it is a view; of several results, each has its own in `parts`.
    """

    __slots__ = ("args", "function", "kind", "kwargs", "like", "module", "parts", "phase", "shares")

    def __init__(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> None:
        self.kind, self.function = kind, function
        self.args, self.kwargs = nested((args, kwargs), lambda x: Ref(x) if isinstance(x, Followed) else x)
        self.phase, self.module = _where()
        single = isinstance(value, np.ndarray | np.generic)
        self.like = (value.shape, value.dtype, order_of(value)) if single else (None, None, "")
        self.shares: Ref | None = None
        self.parts: list[Ref | None] = []
        if kind not in ("put", "put_at"):
            arrays = [x for x in followed_in((args, kwargs)) if isinstance(x.value, np.ndarray)]
            self.shares = _of_which(value, arrays)
            self.parts = [_of_which(x, arrays) for x in value] if isinstance(value, tuple | list) else []


def _of_which(value: Any, arrays: list[Followed]) -> Ref | None:
    """That of the arrays in whose memory `value` lies."""
    if not isinstance(value, np.ndarray):
        return None
    return next((Ref(x) for x in arrays if np.may_share_memory(x.value, value)), None)


def order_of(array: Any) -> str:
    """How an array lies in memory: "C" (row by row), "F" (column by column), or "" (neither)."""
    flags = getattr(array, "flags", None)
    return "C" if flags is None or flags.c_contiguous else "F" if flags.f_contiguous else ""


def nested(x: Any, change: Any) -> Any:
    """Nested arguments, with `change` made to all that is no tuple, list, slice or dict."""
    if isinstance(x, tuple | list):
        items = (nested(item, change) for item in x)
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if isinstance(x, slice):
        return slice(nested(x.start, change), nested(x.stop, change), nested(x.step, change))
    if isinstance(x, dict):
        return {key: nested(value, change) for key, value in x.items()}
    return change(x)


def concrete(x: Any) -> Any:
    """Nested arguments with values in place of what is traced."""
    return nested(x, lambda item: item.value if isinstance(item, Followed | Number) else item)


def followed_in(x: Any) -> list[Followed]:
    """Every traced array in nested arguments."""
    found: list[Followed] = []
    nested(x, lambda item: found.append(item) if isinstance(item, Followed) else None)
    return found


# What the text of a program, and the file that it may be saved in, call something.
_RESERVED = set(
    "np math os operator functools contextvars base64 io deque chain starmap Any Callable Iterator Sequence Changed "
    "pool run_blocks run_through update moves program state slots found held slice float complex map setattr range "
    "len min list hasattr RuntimeError Exception BaseException ValueError".split()
)


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """A name as Python takes it, and nobody has it yet: `_0_weight` for `0.weight`."""
    text = re.sub(r"\W", "_", name)
    if (
        text[:1].isdigit()
        or keyword.iskeyword(text)
        or text in _RESERVED
        or re.fullmatch(r"([bcfgnpstu]|block|scratch)\d+\w*", text)
    ):
        text = f"_{text}"
    while text in taken:
        text += "_"
    return text


def literal(x: Any) -> str:
    """A plain value as Python reads it, infinity and NaN included."""
    if isinstance(x, complex) and not np.isfinite(x):
        return f"complex({literal(x.real)}, {literal(x.imag)})"
    return f"float({str(x)!r})" if isinstance(x, float) and not np.isfinite(x) else repr(x)


def _where() -> tuple[str, str]:
    """The phase of the pass that is under way, and the module."""
    frame: Any = sys._getframe(3)
    phase = "forward"
    while frame is not None:
        if frame.f_code is walk.__code__:
            phase = "backward"
        elif frame.f_code.co_name == "step" and hasattr(frame.f_locals.get("self"), "groups"):
            phase = "update"
        frame = frame.f_back
    return phase, path_of_module() if phase == "forward" else ""


class Number:
    """A Python number that is given anew for every run, a learning rate for one, and what is computed from it."""

    def __init__(self, tape: Any, text: str, value: float) -> None:
        self.tape, self.text, self.value = tape, text, value

    def _of(self, other: Any, sign: str, function: Any, swapped: bool = False) -> Any:
        if isinstance(other, Followed) or not isinstance(other, Number | float | int):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        return Number(self.tape, f"({_text(a)} {sign} {_text(b)})", function(_plain(a), _plain(b)))

    def __neg__(self) -> Number:
        return Number(self.tape, f"(-{self.text})", -self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        if method != "__call__" or "out" in kwargs:
            self.tape.refuse(f"np.{ufunc.__name__} is called with a number that changes", advice="compute it outside")
        return self.tape.record("call", ufunc, inputs, kwargs)

    def _number(self, *_: Any) -> Any:
        self.tape.refuse("Python code depends on a number that changes from run to run", advice="look at it outside")

    __bool__ = __float__ = __int__ = __index__ = __abs__ = __round__ = __str__ = __repr__ = __format__ = _number
    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _number
    __hash__ = object.__hash__


def _plain(x: Any) -> Any:
    return x.value if isinstance(x, Number) else x


def _text(x: Any) -> str:
    """A number as a part of an expression, for `-1 ** t` is not `(-1) ** t`."""
    if isinstance(x, Number):
        return x.text
    said = literal(x)
    return f"({said})" if said[0] == "-" else said


for _sign, _word in (("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("**", "pow")):
    _function = getattr(operator, _word)
    setattr(Number, f"__{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f))
    setattr(Number, f"__r{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f, True))
