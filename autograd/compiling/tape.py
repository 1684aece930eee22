"""Tracing: arrays that compute as NumPy does and write down every call, to be made again without the engine.

Rules and ops are plain NumPy that also runs on other kinds of arrays; a Traced is one.  What an op does that no such
array can follow (an array of its own that is made element by element, say) is written down as one opaque call.
"""

from __future__ import annotations

import keyword
import operator
import re
import sys
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..graph import walk
from ..source import in_library, line_of_caller, path_of_module
from ..tensor import Tensor
from .draws import Draw


class CompileError(TypeError):
    """A function cannot be compiled: its Python code depends on the numbers in an array, for one."""


def order_of(array: Any) -> str:
    """How an array lies in memory: "C" (row by row), "F" (column by column), or "" (neither)."""
    flags = getattr(array, "flags", None)
    return "C" if flags is None or flags.c_contiguous else "F" if flags.f_contiguous else ""


class Ref:
    """A traced array as the argument of a call: where it is from, and its outline; its numbers are not kept."""

    __slots__ = ("dtype", "order", "origin", "shape")

    def __init__(self, x: Traced) -> None:
        self.origin, self.shape, self.dtype, self.order = x.origin, x.shape, x.dtype, order_of(x.value)


class Call:
    """One call of the run that is traced: `function(*args, **kwargs)`, with Refs in the place of traced arrays.

    `kind` is "call", "method" (of the first argument), "item" (indexing), "put" (a copy with the elements at an index
    replaced), "put_at" (a copy with those at flat positions replaced), "copy" or "opaque" (not
    NumPy's); `phase` is forward, backward or update, and `module` the path of the module whose call was
    under way.  `like` is the shape, dtype and order of the result, `shares` the argument in whose memory it lies, if it
    is a view.
    """

    __slots__ = ("args", "function", "kind", "kwargs", "like", "module", "phase", "shares")

    def __init__(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> None:
        self.kind, self.function = kind, function
        self.args, self.kwargs = nested((args, kwargs), lambda x: Ref(x) if isinstance(x, Traced) else x)
        self.phase, self.module = _where()
        single = isinstance(value, np.ndarray | np.generic)
        self.like = (value.shape, value.dtype, order_of(value)) if single else (None, None, "")
        self.shares: Ref | None = None
        if isinstance(value, np.ndarray) and kind not in ("put", "put_at"):
            arrays = (x for x in traced_in((args, kwargs)) if isinstance(x.value, np.ndarray))
            self.shares = next((Ref(x) for x in arrays if np.may_share_memory(x.value, value)), None)


class Tape:
    """The calls of one run, in order; `guards` are the truth values that Python code asked for on the way."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.guards: list[tuple[Ref, bool]] = []  # what was asked, and the answer
        self.inputs: list[tuple[str, Any]] = []
        self.viewed: set[int] = set()  # the calls whose memory is that of another result, too
        self.outside = False  # whether an opaque call is under way
        self.drawn: dict[int, Draw] = {}  # the generators that are drawn from by `autograd.outside`, by their ids

    def input(self, name: str, value: Any) -> Any:
        """A value that is given anew for every run: an array, or a Python number."""
        name = identifier(name, {known for known, _ in self.inputs})
        made = Number(self, name, value) if isinstance(value, float | int) else Traced(self, name, value)
        self.inputs.append((name, made))
        return made

    def draw_nothing(self) -> None:
        """Put the generators back to where they were: the run comes to nothing, and another one is made."""
        for draw in self.drawn.values():
            draw.put_back()

    def refuse(self, what: str, place: str = "") -> None:
        """Say that the function does what a program would not do again."""
        raise CompileError(f"{what}{place or f', at {line_of_caller()}'}: a program would not do it again")

    def record(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], into: Any = None) -> Any:
        """Make a call on the concrete values and write it down; the result is laid out, and of a dtype, as `into`."""
        plain_args, plain_kwargs = concrete(args), concrete(kwargs)
        if kind == "method":
            value = getattr(plain_args[0], function)(*plain_args[1:], **plain_kwargs)
        elif kind == "copy":
            value = np.array(plain_args[0], order=plain_args[1])
        elif kind in ("put", "put_at"):
            value = plain_args[0].copy(order="K")
            function(value, *plain_args[1:])
        elif kind == "opaque":
            self.outside = True
            owner = getattr(function, "__self__", None)
            self.drawn.setdefault(id(owner), Draw(owner))
            value = function(*plain_args, **plain_kwargs)
            self.outside = False
        elif into is not None:
            value = function(*plain_args, out=np.empty_like(into), **plain_kwargs)
        else:
            value = function(*plain_args, **plain_kwargs)
        call = Call(kind, function, args, kwargs, value)
        self.calls.append(call)
        if call.shares is not None:
            self.viewed |= {id(call), id(call.shares.origin)}
        if isinstance(value, tuple | list):
            arrays = np.ndarray | np.generic
            parts = [Traced(self, (call, i), x) if isinstance(x, arrays) else x for i, x in enumerate(value)]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if not isinstance(value, np.ndarray | np.generic):
            return value
        made = Traced(self, call, value)
        if call.shares is not None:  # a view holds on to what it is of: others ask who holds it
            made.owner = next(x for x in traced_in((args, kwargs)) if x.origin is call.shares.origin)
        return made


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
    return nested(x, lambda item: item.value if isinstance(item, Traced | Number) else item)


def traced_in(x: Any) -> list[Traced]:
    """Every Traced in nested arguments."""
    found: list[Traced] = []
    nested(x, lambda item: found.append(item) if isinstance(item, Traced) else None)
    return found


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


_SHAPES_ONLY = {np.ones_like, np.zeros_like, np.full_like, np.empty_like, np.shape, np.ndim, np.size, np.result_type}
_METHODS = (
    "all any argmax argmin argsort astype cumprod cumsum diagonal max mean min prod ravel repeat reshape round squeeze "
    "std sum swapaxes take trace transpose var view flatten clip"
).split()


class Traced(NDArrayOperatorsMixin):
    """An array of a run that is being traced: `value` is what it is there, `origin` the call or input it is from."""

    __slots__ = ("origin", "owner", "tape", "value")
    __array_priority__ = 1000

    def __init__(self, tape: Tape, origin: Any, value: Any) -> None:
        self.tape, self.origin, self.value, self.owner = tape, origin, value, None

    __class__ = property(lambda self: np.ndarray)  # what isinstance(x, np.ndarray) asks
    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    nbytes = property(lambda self: self.value.nbytes)
    base = property(lambda self: self.owner)
    flags = property(lambda self: self.value.flags)
    T = property(lambda self: self.tape.record("method", "transpose", (self,), {}) if self.ndim > 1 else self)
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: self.tape.record("call", np.real, (self,), {}) if self.dtype.kind == "c" else self)
    imag = property(lambda self: self.tape.record("call", np.imag, (self,), {}))

    def __len__(self) -> int:
        return len(self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented  # the Tensor records the op, and its forward comes here with arrays
        out = kwargs.pop("out", None)
        if method == "at" or (out is not None and any(isinstance(x, Traced) for x in out) and method != "__call__"):
            raise CompileError(f"np.{ufunc.__name__}.{method} writes into an array, at {line_of_caller()}")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if out is None:
            return self.tape.record("call", function, inputs, kwargs)
        result = self.tape.record("call", function, inputs, kwargs, into=concrete(out[0]))
        if not isinstance(out[0], Traced):
            return result  # a plain array stays as it is, and `array += traced` is the traced sum
        return out[0]._become(result)

    def _become(self, result: Traced) -> Traced:
        """Take the value of `result`, which was written into this array: nobody else may have its memory."""
        if isinstance(self.origin, str) or id(self.origin) in self.tape.viewed:
            what = "an array that was given" if isinstance(self.origin, str) else "an array that has views"
            raise CompileError(f"{what} is written into, at {line_of_caller()}; write x = x + y in place of x += y")
        self.origin, self.value = result.origin, result.value
        return self

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function in _SHAPES_ONLY:
            return function(*concrete(args), **concrete(kwargs))
        return self.tape.record("call", function, tuple(args), dict(kwargs))

    def __getitem__(self, index: Any) -> Any:
        return self.tape.record("item", operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self._become(self.tape.record("put", operator.setitem, (self, index, value), {}))

    def put(self, places: Any, values: Any) -> None:
        self._become(self.tape.record("put_at", np.put, (self, places, values), {}))

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def conj(self) -> Any:
        return self.tape.record("call", np.conjugate, (self,), {}) if self.dtype.kind == "c" else self

    conjugate = conj

    def copy(self, order: str = "C") -> Any:
        return self.tape.record("copy", np.copy, (self, order), {})

    def astype(self, dtype: Any, copy: bool = True, **kwargs: Any) -> Any:
        if self.dtype == dtype:
            return self.copy("K") if copy else self
        return self.tape.record("method", "astype", (self, np.dtype(dtype)), {})

    def opaque(self, function: Any, arrays: Any, params: dict[str, Any]) -> Any:
        """Write a whole function down as one call, for it cannot be followed."""
        known = getattr(np, getattr(function, "__name__", ""), None) is function
        return self.tape.record("call" if known else "opaque", function, tuple(arrays), params)

    def __bool__(self) -> bool:
        answer = bool(self.value)
        if not in_library(sys._getframe(1)):
            raise CompileError(
                f"Python code depends on the numbers in an array, at {line_of_caller()}; use autograd.where, or leave "
                f"this line out of the function that is compiled"
            )
        self.tape.guards.append((Ref(self), answer))
        return answer

    def _number(self, *_: Any, **__: Any) -> Any:
        raise CompileError(
            f"a traced array cannot become a plain number or array, at {line_of_caller()}; return it from the function "
            f"that is compiled, and convert it outside"
        )

    __float__ = __int__ = __index__ = __complex__ = item = tolist = __array__ = _number
    __hash__ = object.__hash__


def _method(name: str) -> Any:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        return self.tape.record("method", name, (self, *args), kwargs)

    return method


for _name in _METHODS:
    if _name not in vars(Traced):
        setattr(Traced, _name, _method(_name))


def _in_place(ufunc: np.ufunc, write: Any) -> Any:
    def operate(self: Traced, other: Any) -> Any:
        if isinstance(self.value, np.generic):
            return NotImplemented  # a number is never changed, so `n += x` is `n = n + x`
        if in_library(sys._getframe(1)):  # which holds this array alone; the sum is laid out in memory as it is
            return self.tape.record("call", ufunc, (self, other), {}, into=self.value)
        return write(self, other)

    return operate


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "matmul": np.matmul, "truediv": np.divide, "pow": np.power,
    "floordiv": np.floor_divide, "mod": np.remainder, "lshift": np.left_shift, "rshift": np.right_shift,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}.items():  # fmt: skip
    _word = f"__i{_name}__"
    setattr(Traced, _word, _in_place(_ufunc, getattr(NDArrayOperatorsMixin, _word)))


class Number:
    """A Python number that is given anew for every run, a learning rate for one, and what is computed from it."""

    def __init__(self, tape: Tape, text: str, value: float) -> None:
        self.tape, self.text, self.value = tape, text, value

    def _of(self, other: Any, sign: str, function: Any, swapped: bool = False) -> Any:
        if isinstance(other, Traced):
            return NotImplemented
        if not isinstance(other, Number | float | int):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        texts = [x.text if isinstance(x, Number) else literal(x) for x in (a, b)]
        return Number(self.tape, f"({texts[0]} {sign} {texts[1]})", function(concrete(a), concrete(b)))

    def __neg__(self) -> Number:
        return Number(self.tape, f"(-{self.text})", -self.value)

    def _number(self, *_: Any) -> Any:
        raise CompileError(f"Python code depends on a number that changes from run to run, at {line_of_caller()}")

    __bool__ = __float__ = __int__ = _number
    __hash__ = object.__hash__


for _sign, _word in (("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("**", "pow")):
    _function = getattr(operator, _word)
    setattr(Number, f"__{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f))
    setattr(Number, f"__r{_word}__", lambda a, b, s=_sign, f=_function: a._of(b, s, f, swapped=True))
