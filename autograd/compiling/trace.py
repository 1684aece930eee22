"""Run a function once on arrays that write down their NumPy calls: these calls are the program.

Ops and rules are plain NumPy, which also runs on other kinds of arrays; a Traced is one.  It computes too, so that the
function sees every shape and dtype, and the shape of what is selected.
"""

from __future__ import annotations

import operator
import sys
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..callsite import in_library, line_of_caller
from ..inputs import CONSTANTS
from ..tensor import Tensor
from .observe import Draw
from .program import CompileError, Input, Line, Number, Outline, Program, Value, instances, nested, order_of

_ADVICE = "return the array from the compiled function and look at it outside, or use autograd.where"
_NO_WRITING = "write x = x + y in place of x += y"
_NO_OUT = "call it without out="

LONG = 5000  # lines from which on a program is long, most likely because of a loop in the function

# Functions that look only at shapes and dtypes: their results are constants of the program.
_OUTLINES = {
    np.ones_like, np.zeros_like, np.full_like, np.empty_like, np.shape, np.ndim, np.size, np.result_type, np.can_cast,
    np.iscomplexobj, np.isrealobj, np.common_type, np.may_share_memory, np.shares_memory, np.min_scalar_type,
}  # fmt: skip
_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}
# Functions and methods whose result has a shape that depends on the numbers in their arguments.
_SELECTING = {
    np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.unique, np.unique_all, np.unique_counts,
    np.unique_inverse, np.unique_values, np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.trim_zeros,
    np.bincount, np.delete, np.roots, np.histogram, np.histogram_bin_edges, np.linalg.lstsq, "nonzero", "compress",
}  # fmt: skip


class Tape:
    """The program that a run writes down."""

    def __init__(self) -> None:
        self.program = Program()
        self.names: set[str] = set()
        self.given: list[Any] = []  # the values of the inputs
        self.place = "forward", ""  # the phase, and the module that is running
        self.viewed: set[int] = set()  # ids of values whose memory another result shares
        self.replaced: dict[int, tuple[Any, Any]] = {}  # {id: (plain array, result)} after `array += traced`
        self.drawn: dict[int, Draw] = {}  # {id: generator that `autograd.outside` draws from}
        self.errors: list[CompileError] = []  # a refusal stands, whatever the function makes of the error
        self.attributes: list[Any] = []  # the lines where attributes of modules are changed
        self.loop, self.before = "", 0  # where the program became a long one; refusals when the last op began
        self.closed = False  # after the run its arrays compute as plain ones

    def input(self, name: str, place: str, value: Any) -> Any:
        """A value that every run is given, read by the text `place`: an array, or a Python number."""
        if type(value) in (int, float):
            made: Any = Number(self, name, value, place)
        else:
            made = Traced(self, Input(value.shape, value.dtype, order_of(value), name, place), value)
        self.program.inputs.append(made if isinstance(made, Number) else made.at)
        self.given.append(value)
        return made

    def refuse(self, what: str, advice: str = "a program would not do it again") -> NoReturn:
        """Raise a CompileError that names the line; the function is not compiled, whoever catches it."""
        self.errors.append(CompileError(f"{what}, at {line_of_caller()}; {advice}"))
        raise self.errors[-1]

    def raise_first(self) -> None:
        """Raise the first refusal, if there is one."""
        if self.errors:
            raise self.errors[0]

    def record(self, kind: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], into: Any = None) -> Any:
        """Make a call on the concrete values and write it down; the result has the layout and dtype of `into`."""
        if self.closed:
            return self._made(kind, function, concrete(args), concrete(kwargs), concrete(into))
        args, kwargs = nested((args, kwargs), self.own)
        value = self._made(kind, function, concrete(args), concrete(kwargs), concrete(into))
        given = instances((args, kwargs), Traced)
        ats, named = nested((args, kwargs), lambda x: x.at if isinstance(x, Traced) else x)
        single = isinstance(value, np.ndarray | np.generic)
        line = self._line(kind, function, ats, named, value, given if single and kind not in ("put", "put_at") else ())
        guarded = _shape_depends(kind, function, args)
        if not isinstance(value, tuple | list):
            return self._result(line, function, value, given, guarded)
        parts = []
        for i, part in enumerate(value):
            at = self._line("part", None, (line, i), {}, part, given)
            parts.append(self._result(at, function, part, given, guarded))
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)

    def own(self, x: Any) -> Any:
        """An argument of a call; an array that another run has left behind is a constant."""
        if isinstance(x, Traced) and x.tape is not self:
            return x.value
        if id(x) in self.replaced:
            self.refuse("an array is read that was written into under another name", _NO_WRITING)
        return x

    def _line(self, kind: str, function: Any, args: Any, kwargs: Any, value: Any, given: Any) -> Line:
        single = isinstance(value, np.ndarray | np.generic)
        like: Outline = (value.shape, value.dtype, order_of(value)) if single else (None, None, "")
        of = next((x.at for x in given if _is_view(value, x.value)), None)
        line = Line(*like, kind, function, args, self.place, kwargs=kwargs, shares=of)
        self.program.lines.append(line)
        if len(self.program.lines) == LONG:
            self.loop = line_of_caller()
        if of is not None:
            self.viewed |= {id(of), id(line)}
        return line

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
            owner = getattr(function, "__self__", None)
            self.drawn.setdefault(id(owner), Draw(owner))
        return function(*args, **kwargs) if into is None else function(*args, out=np.empty_like(into), **kwargs)

    def _result(self, line: Line, function: Any, value: Any, given: Any, guarded: bool) -> Any:
        """A result of a call, or one of several, to go on with."""
        if type(value) is bool and line.kind == "call":
            line.shape, line.dtype, line.order = (), np.dtype(bool), "C"
            return Traced(self, line, np.bool_(value))
        if not isinstance(value, np.ndarray | np.generic):
            name = getattr(function, "__name__", str(function))
            if line.kind == "opaque" and isinstance(value, bool | int | float | complex):
                self.refuse(f"{name}, called outside, returns a plain number", "ask for an array, with size=1")
            if isinstance(value, bool | int | float | complex | str | bytes):
                self.refuse(f"{name} makes a Python value of the numbers in an array", _ADVICE)
            return value
        if value.dtype.kind not in "biufc":
            self.refuse(f"an array of {value.dtype} is made", "a program computes with numbers and truth values")
        made = Traced(self, line, value)
        if line.shares is not None:  # a view keeps a reference to its array: others ask who holds it
            made.owner = next((x for x in given if x.at is line.shares), None)
        if guarded:
            asked = self.record("has_shape", None, (made, value.shape), {})
            self.program.guards.append((asked.at, True))
        return made

    def written(self, ufunc: np.ufunc, method: str, inputs: Any, out: Any, result: Any) -> Any:
        """The result of a ufunc that was given an `out`: what the caller goes on with."""
        if len(out) > 1 or method not in ("__call__", "reduce"):
            self.refuse(f"np.{ufunc.__name__}.{method} writes into an array", _NO_OUT)
        if isinstance(out[0], Traced):
            return out[0].become(result)
        if not in_library(sys._getframe(2)):  # the library goes on with what is returned, as `array += traced` does
            if out[0] is not inputs[0]:
                self.refuse(f"np.{ufunc.__name__} writes into an array that is made here", _NO_OUT)
            self.replaced[id(out[0])] = out[0], result
        return result


def concrete(x: Any) -> Any:
    """Nested arguments with values in place of what is traced."""
    return nested(x, lambda item: item.value if isinstance(item, Traced | Number) else item)


def _is_view(value: Any, of: Any) -> bool:
    return isinstance(value, np.ndarray) and isinstance(of, np.ndarray) and np.may_share_memory(of, value)


def _shape_depends(kind: str, function: Any, args: Any) -> bool:
    """Whether the shape of a call's result depends on the numbers in its arguments."""
    if kind == "item":
        return any(x.value.dtype == np.bool_ for x in instances(args[1:], Traced))
    if function in (np.repeat, "repeat"):
        return bool(instances(args[1:], Traced))
    if function is np.where:
        return len(args) == 1
    return kind in ("call", "method") and function in _SELECTING


_METHODS = """all any argmax argmin argpartition argsort astype choose clip compress cumprod cumsum diagonal dot flatten
max mean min nonzero prod ravel repeat reshape round searchsorted squeeze std sum swapaxes take trace transpose var
view""".split()


class Traced(NDArrayOperatorsMixin):
    """An array of a run that is traced: `value` is the array itself, `at` its place in the program."""

    __slots__ = ("at", "owner", "tape", "value")
    __array_priority__ = 1000

    def __init__(self, tape: Tape, at: Value, value: Any) -> None:
        self.tape, self.at, self.value = tape, at, value
        self.owner: Any = None  # the array that this one is a view of

    __class__ = property(lambda self: np.ndarray)  # what isinstance(x, np.ndarray) asks
    base = property(lambda self: self.value.base if self.owner is None else self.owner)
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
            self.tape.refuse(f"np.{ufunc.__name__}.at writes into an array", "add to x[index] instead")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if out is None or self.tape.closed:
            return self.tape.record("call", function, inputs, kwargs)
        result = self.tape.record("call", function, inputs, kwargs, into=out[0])
        return self.tape.written(ufunc, method, inputs, out, result)

    def become(self, result: Any) -> Any:
        """Take the value of `result`, which was written into this array: no other array may share its memory."""
        if isinstance(self.value, np.generic):
            raise TypeError(f"{type(self.value).__name__!r} object does not support item assignment")
        if isinstance(self.at, Input) or id(self.at) in self.tape.viewed:
            what = "an array that was given" if isinstance(self.at, Input) else "an array that has views"
            self.tape.refuse(f"{what} is written into", _NO_WRITING)
        if isinstance(result, Traced):
            self.at, self.value = result.at, result.value
        else:
            self.value = result
        return self

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function is np.zeros_like and "shape" in kwargs and not self.tape.closed:  # is written into: see `scatter`
            made = function(*concrete(args), **kwargs)
            outline = made.shape, made.dtype, order_of(made)
            return self.tape.record("call", np.zeros, outline, {}) if outline[2] in ("C", "F") else made
        if function in _OUTLINES:
            return function(*concrete(args), **concrete(kwargs))
        if (function in _WRITERS or kwargs.get("out") is not None) and not self.tape.closed:
            name = getattr(function, "__name__", str(function))
            self.tape.refuse(f"np.{name} writes into an array", "use what returns a new one, such as np.where")
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
        return self.tape.record("call", operator.pow, (self, other), {})  # x ** 2 is NumPy's square, not its power

    def conj(self) -> Any:
        return self.tape.record("call", np.conjugate, (self,), {}) if self.dtype.kind == "c" else self

    conjugate = conj

    def copy(self, order: str = "C") -> Any:
        return self.tape.record("copy", np.copy, (self, order), {})

    def astype(self, dtype: Any, copy: bool = True, **kwargs: Any) -> Any:
        if self.dtype == dtype:
            return self.copy("K") if copy else self
        return self.tape.record("method", "astype", (self, np.dtype(dtype)), {})

    def __autograd_forward__(self, op: Any, arrays: Any, params: dict[str, Any]) -> Any:
        """The result of an op whose forward failed on this kind of array: one call of it as a whole."""
        if any(callable(x) for x in params.values()):
            raise  # its backward pass would be that of this run
        del self.tape.errors[self.tape.before :]  # the op has found another way
        function = op.forward
        known = getattr(np, getattr(function, "__name__", ""), None) is function
        return self.tape.record("call" if known else "opaque", function, tuple(arrays), params)

    def __bool__(self) -> bool:
        answer = bool(self.value)
        if not self.tape.closed:
            if not in_library(sys._getframe(1)):
                self.tape.refuse("Python code depends on the numbers in an array", _ADVICE)
            self.tape.program.guards.append((self.at, answer))
        return answer

    def _plain(self) -> Any:
        """The array itself, once the run is over; before, it would be a constant of the program."""
        if not self.tape.closed:
            self.tape.refuse("a traced array cannot become a plain number or array", _ADVICE)
        return self.value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._plain(), dtype=dtype, copy=copy)

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name[:2] != "__" and hasattr(self.value, name):
            if self.tape.closed:
                return getattr(self.value, name)
            self.tape.refuse(f"the attribute {name} of an array is used", "a program cannot follow it")
        raise AttributeError(f"{type(self.value).__name__!r} object has no attribute {name!r}", name=name, obj=None)


CONSTANTS.add(Traced)


def _method(name: str) -> Any:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            self.tape.refuse(f"{name}() writes into an array", _NO_OUT)
        return self.tape.record("method", name, (self, *args), kwargs)

    return method


for _name in _METHODS:
    if _name not in vars(Traced):
        setattr(Traced, _name, _method(_name))

for _name in "__float__ __int__ __index__ __complex__ __round__ __trunc__ __floor__ __ceil__ item tolist".split():
    setattr(Traced, _name, lambda self, *args, _name=_name: getattr(self._plain(), _name)(*args))

for _name in ("__repr__", "__str__", "__format__"):  # may be printed: a program does not print again
    setattr(Traced, _name, lambda self, *args, _name=_name: getattr(self.value, _name)(*args))

for _name in ("shape", "strides", "dtype", "ndim", "size", "itemsize", "nbytes", "flags"):
    setattr(Traced, _name, property(operator.attrgetter(f"value.{_name}")))


def _in_place(ufunc: np.ufunc, write: Any) -> Any:
    def operate(self: Traced, other: Any) -> Any:
        if isinstance(self.value, np.generic):
            return NotImplemented  # a number is never changed: `n += x` is `n = n + x`
        if in_library(sys._getframe(1)):  # the library alone holds this array, and keeps its layout
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
