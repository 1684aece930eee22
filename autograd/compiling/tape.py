"""Tracing: arrays that compute as NumPy does and write down every call, to be made again without the engine.

Rules and ops are plain NumPy that also runs on other kinds of arrays; a Traced is one.  What an op does that no such
array can follow (an array of its own that is made element by element, say) is written down as one opaque call.
"""

from __future__ import annotations

import dis
import operator
import sys
import weakref
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..callsite import in_library, line_of_caller
from ..tensor import Tensor
from .calls import Call as Call
from .calls import CompileError as CompileError
from .calls import Followed, concrete, followed_in, identifier, nested, order_of
from .calls import Number as Number
from .calls import Ref as Ref
from .draws import Draw
from .kinds import OUTLINES, shape_depends, writes

_ADVICE = "return the array from the function that is compiled, and look at it outside, or use autograd.where"
_NO_WRITING = "write x = x + y in place of x += y"
_NO_OUT = "call it without out="


class Tape:
    """The calls of one run, in order; `guards` are the truth values that Python code asked for on the way."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.guards: list[tuple[Ref, bool]] = []  # what was asked, and the answer
        self.inputs: list[tuple[str, Any]] = []
        self.viewed: set[Any] = set()  # the keys of origins whose memory is that of another result, too
        self.replaced: dict[int, tuple[Any, Traced]] = {}  # plain arrays for which `array += traced` put a traced one
        self.outside = False  # whether an opaque call is under way
        self.drawn: dict[int, Draw] = {}  # the generators that are drawn from by `autograd.outside`, by their ids
        self.errors: list[tuple[CompileError, list[Any]]] = []  # what was refused, in which calls of ops
        self.closed = False  # whether the run is over
        self.made: list[weakref.ref[Traced]] = []

    def input(self, name: str, value: Any) -> Any:
        """A value that is given anew for every run: an array, or a Python number."""
        name = identifier(name, {known for known, _ in self.inputs})
        made = Number(self, name, value) if type(value) in (int, float) else Traced(self, name, value)
        self.inputs.append((name, made))
        return made

    def draw_nothing(self) -> None:
        """Put the generators back to where they were: the run comes to nothing, and another one is made."""
        for draw in self.drawn.values():
            draw.put_back()

    def refuse(self, what: str, place: str = "", advice: str = "a program would not do it again") -> NoReturn:
        """Say that the function does what a program cannot; whoever catches it, the function is not compiled."""
        text = f"{what}{place or f', at {line_of_caller()}'}; {advice}"
        self.errors.append((CompileError(text), list(_ops_under_way())))
        raise self.errors[-1][0]  # by no name of its own, which would hold all frames on the way

    def forgive(self) -> None:
        """Forget what the op that is under way was refused, for it has found another way."""
        frame = next(_ops_under_way())
        self.errors = [(error, frames) for error, frames in self.errors if frame not in frames]

    def record(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], into: Any = None) -> Any:
        """Make a call on the concrete values and write it down; the result is laid out, and of a dtype, as `into`."""
        for x in followed_in((args, kwargs)):
            if x.tape is not self or self.closed:
                text = "an array is used that was kept when a function was compiled, in a cache, say"
                raise CompileError(f"{text}, at {line_of_caller()}; clear the cache: it is an array no more")
        if self.replaced:
            nested((args, kwargs), self.check)
        value = self._made(kind, function, concrete(args), concrete(kwargs), concrete(into))
        if into is not None and not order_of(value):
            kind, args = "over", (into, *args)
        call = Call(kind, function, args, kwargs, value)
        self.calls.append(call)
        for i, part in enumerate([call.shares, *call.parts], -1):
            if part is not None:
                self.viewed |= {key_of(part.origin), key_of(call if i < 0 else (call, i))}
        guarded = shape_depends(kind, function, args, followed_in)
        if isinstance(value, tuple | list):
            parts = [self._result(call, i, x, args, guarded) for i, x in enumerate(value)]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return self._result(call, None, value, args, guarded)

    def _made(self, kind: str, function: Any, args: Any, kwargs: Any, into: Any) -> Any:
        """The value of a call."""
        if kind == "method":
            return getattr(args[0], function)(*args[1:], **kwargs)
        if kind == "copy":
            return np.array(args[0], order=args[1])
        if kind == "has_shape":
            return np.bool_(True)
        if kind in ("put", "put_at"):
            value = args[0].copy(order="K")
            function(value, *args[1:])
            return value
        if kind == "opaque":
            self.outside = True
            owner = getattr(function, "__self__", None)
            self.drawn.setdefault(id(owner), Draw(owner))
            value = function(*args, **kwargs)
            self.outside = False
            return value
        return function(*args, **kwargs) if into is None else function(*args, out=np.empty_like(into), **kwargs)

    def _result(self, call: Call, i: int | None, value: Any, args: Any, guarded: bool) -> Any:
        """A result of a call, or one of several, to go on with."""
        if type(value) is bool and call.kind == "call":
            return Traced(self, call, np.bool_(value))
        if not isinstance(value, np.ndarray | np.generic):
            name = getattr(call.function, "__name__", str(call.function))
            if call.kind == "opaque" and isinstance(value, bool | int | float | complex):
                self.refuse(f"{name}, called outside, returns a plain number", advice="ask for an array, with size=1")
            if isinstance(value, bool | int | float | complex | str | bytes):
                self.refuse(f"{name} makes a Python value of the numbers in an array", advice=_ADVICE)
            return value
        if value.dtype.kind not in "biufc":
            self.refuse(f"an array of {value.dtype} is made", advice="a program computes with numbers and truth values")
        made = Traced(self, call if i is None else (call, i), value)
        shares = call.shares if i is None else call.parts[i]
        if shares is not None:  # a view holds on to what it is of: others ask who holds it
            made.owner = next((x for x in followed_in(args) if x.origin is shares.origin), None)
        if guarded:
            asked = self.record("has_shape", None, (made, value.shape), {})
            self.guards.append((Ref(asked), True))
        return made

    def written(self, ufunc: np.ufunc, method: str, out: Any, result: Any, frame: Any) -> Any:
        """The result of a ufunc that was told to write into arrays: what the caller goes on with."""
        if len(out) > 1 or method not in ("__call__", "reduce"):
            self.refuse(f"np.{ufunc.__name__}.{method} writes into an array", advice=_NO_OUT)
        if isinstance(out[0], Traced):
            return out[0].become(result)
        if not in_library(frame):  # which goes on with what is returned
            if not _rebinds(frame):
                self.refuse(f"np.{ufunc.__name__} writes into an array that is made here", advice=_NO_OUT)
            self.replaced[id(out[0])] = out[0], result
        return result

    def check(self, x: Any) -> None:
        """Refuse a plain array in whose place there is a traced one, under another name."""
        if id(x) in self.replaced:
            self.refuse("an array is read that was written into under another name", advice=_NO_WRITING)


def _ops_under_way() -> Iterator[Any]:
    """The frames of the calls of ops that are under way, innermost first."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "function" and in_library(frame):  # as it is called in op.py
            yield frame
        frame = frame.f_back


def key_of(origin: Any) -> Any:
    """What stands for an origin in a set: the place of a result."""
    return (id(origin[0]), origin[1]) if isinstance(origin, tuple) else id(origin)


def _rebinds(frame: Any) -> bool:
    """Whether the frame is at an operator such as +=, after which the name stands for what the operator returned."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return bool(code[at] == dis.opmap["BINARY_OP"] and code[at + 1] >= 13)  # NB_INPLACE_ADD, the first of these


_METHODS = (
    "all any argmax argmin argpartition argsort astype choose clip compress cumprod cumsum diagonal dot flatten max "
    "mean min nonzero prod ravel repeat reshape round searchsorted squeeze std sum swapaxes take trace transpose var "
    "view"
).split()


class Traced(Followed, NDArrayOperatorsMixin):
    """An array of a run that is being traced."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 1000

    def __init__(self, tape: Tape, origin: Any, value: Any) -> None:
        self.tape, self.origin, self.value, self.owner = tape, origin, value, None
        tape.made.append(weakref.ref(self))

    __class__ = property(lambda self: np.ndarray)  # what isinstance(x, np.ndarray) asks
    shape = property(lambda self: self.value.shape)
    strides = property(lambda self: self.value.strides)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.itemsize)
    nbytes = property(lambda self: self.value.nbytes)
    base = property(lambda self: self.value.base if self.owner is None else self.owner)
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
        if method == "at":
            self.tape.refuse(f"np.{ufunc.__name__}.at writes into an array", advice="add to x[index] instead")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if out is None:
            return self.tape.record("call", function, inputs, kwargs)
        result = self.tape.record("call", function, inputs, kwargs, into=out[0])
        return self.tape.written(ufunc, method, out, result, sys._getframe(1))

    def become(self, result: Traced) -> Traced:
        """Take the value of `result`, which was written into this array: nobody else may have its memory."""
        if isinstance(self.value, np.generic):
            raise TypeError(f"{type(self.value).__name__!r} object does not support item assignment")
        if isinstance(self.origin, str) or key_of(self.origin) in self.tape.viewed:
            what = "an array that was given" if isinstance(self.origin, str) else "an array that has views"
            self.tape.refuse(f"{what} is written into", advice=_NO_WRITING)
        self.origin, self.value = result.origin, result.value
        return self

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function in OUTLINES:
            return function(*concrete(args), **concrete(kwargs))
        if writes(function, kwargs):
            name = getattr(function, "__name__", str(function))
            self.tape.refuse(f"np.{name} writes into an array", advice="use what returns a new one, np.where for one")
        return self.tape.record("call", function, tuple(args), dict(kwargs))

    def __getitem__(self, index: Any) -> Any:
        return self.tape.record("item", operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self.become(self.tape.record("put", operator.setitem, (self, index, value), {}))

    def put(self, places: Any, values: Any) -> None:
        self.become(self.tape.record("put_at", np.put, (self, places, values), {}))

    def fill(self, value: Any) -> None:
        self[...] = value

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __pow__(self, other: Any) -> Any:
        if not isinstance(other, bool | int | float | complex):
            return super().__pow__(other)
        return self.tape.record("call", operator.pow, (self, other), {})  # x ** 2 is NumPy's square, and no power

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
        self.tape.forgive()
        known = getattr(np, getattr(function, "__name__", ""), None) is function
        return self.tape.record("call" if known else "opaque", function, tuple(arrays), params)

    def __bool__(self) -> bool:
        answer = bool(self.value)
        if not in_library(sys._getframe(1)):
            self.tape.refuse("Python code depends on the numbers in an array", advice=_ADVICE)
        self.tape.guards.append((Ref(self), answer))
        return answer

    def _number(self, *_: Any, **__: Any) -> Any:
        self.tape.refuse("a traced array cannot become a plain number or array", advice=_ADVICE)

    def __array__(self, *_: Any, **__: Any) -> Any:
        self.tape.refuse(
            "a traced array cannot become a plain number or array", advice=f"it is an array as it is; {_ADVICE}"
        )

    __float__ = __int__ = __index__ = __complex__ = item = tolist = _number
    __round__ = __trunc__ = __floor__ = __ceil__ = __str__ = __repr__ = __format__ = _number
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name[:2] != "__" and hasattr(self.value, name):
            self.tape.refuse(f"the attribute {name} of an array is used", advice="a program has none of that name")
        raise AttributeError(f"{type(self.value).__name__!r} object has no attribute {name!r}", name=name, obj=None)


def _method(name: str) -> Any:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            self.tape.refuse(f"{name}() writes into an array", advice=_NO_OUT)
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
            return self.tape.record("call", ufunc, (self, other), {}, into=self)
        return write(self, other)

    return operate


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "matmul": np.matmul, "truediv": np.divide, "pow": np.power,
    "floordiv": np.floor_divide, "mod": np.remainder, "lshift": np.left_shift, "rshift": np.right_shift,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}.items():  # fmt: skip
    _word = f"__i{_name}__"
    setattr(Traced, _word, _in_place(_ufunc, getattr(NDArrayOperatorsMixin, _word)))
