"""Boxes and primitives: a box is a Tensor here, and a primitive is a function with a derivative rule of its own.

`primitive` makes one op of the call: inside, arrays are plain, also when derivatives nest.  What it returns may be a
list, tuple or dict of arrays, as may its arguments.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable

from .trees import flatten, has_tensors, mapped

# {primitive: (argnums, ans, args, kwargs) -> (g -> gradients of these arguments)}, filled by `defvjp` and its relatives
primitive_vjps: dict[Any, Callable[..., Any]] = {}


class _Boxes(type):
    """The metaclass of `Box`: every Tensor is an instance."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor)


class Box(metaclass=_Boxes):
    """What isinstance asks for a traced value: `isinstance(x, Box)` is true of every Tensor."""

    types = frozenset({Tensor})

    @classmethod
    def register(cls, value_type: type) -> None:
        """Note a type whose values are traced: arrays of NumPy, and of subclasses of these, are in any case."""
        if not issubclass(value_type, np.ndarray | np.generic | float | complex | int):
            raise TypeError(
                f"values of {value_type.__name__} cannot be traced: a Tensor holds an array. Differentiate with "
                f"respect to its arrays, and build it inside the function"
            )


def isbox(x: Any) -> bool:
    """Whether x is traced."""
    return isinstance(x, Tensor)


def getval(x: Any) -> Any:
    """The array or number of a traced value; anything else unchanged.

    >>> getval(Tensor(2.0))
    np.float64(2.0)
    """
    return x.data[()] if isinstance(x, Tensor) else x


def notrace_primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that sees plain arrays and has no derivative."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*(mapped(x, getval) for x in args), **{k: mapped(x, getval) for k, x in kwargs.items()})

    return wrapper


def register_notrace(trace_type: Any, function: Any) -> None:
    """Give a primitive the derivative 0."""
    primitive_vjps[function] = lambda argnums, ans, args, kwargs: lambda g: [None] * len(argnums)


def _rule(g: Any, out: Any, *inputs: Any, call: _Call) -> Callable[[int], Any]:
    return call.gradients(g, out, inputs)


_primitive = differentiable(
    lambda *arrays, call: call.run(arrays),
    every=_rule,
    call=lambda inputs, call: (tuple(inputs), {"call": call}),
    name="primitive",
)


class _Call:
    """One call of a primitive: the Tensors among its arguments, and where they stand."""

    __slots__ = ("args", "build", "build_out", "function", "inputs", "kwargs", "outputs", "places", "shapes")

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.outputs: Any = None
        self.build: Any = None
        self.build_out: Any = None
        self.places: list[int] = []
        self.inputs: list[Any] = []
        for i, x in enumerate(args):
            if x.__class__ is Tensor:
                self.places.append(i)
                self.inputs.append(x)
            elif x.__class__ in _NESTS and has_tensors(x):
                break
        else:
            return
        leaves, self.build = flatten(args)  # some Tensors are inside lists, tuples or dicts
        self.args = tuple(leaves)
        self.places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        self.inputs = [leaves[i] for i in self.places]

    def filled(self, inputs: Any) -> tuple[Any, ...]:
        """The arguments, with `inputs` in place of the Tensors."""
        inputs = [x if x.__class__ is Tensor or x.shape else x[()] for x in inputs]  # numbers, as HIPS's functions get
        if len(inputs) == len(self.args) and self.build is None:
            return tuple(inputs)
        args = list(self.args)
        for i, x in zip(self.places, inputs, strict=True):
            args[i] = x
        return tuple(args if self.build is None else self.build(args))

    def run(self, arrays: Any) -> Any:
        """The value; one array for all of them, if there are several."""
        value = self.function.fun(*self.filled(arrays), **self.kwargs)
        if value.__class__ not in _NESTS:
            self.outputs = None
            return value if value.__class__ in _ARRAYS else np.asarray(value)
        leaves, self.build_out = flatten(value)
        self.outputs = [np.asarray(leaf) for leaf in leaves]
        return np.concatenate([a.reshape(-1) for a in self.outputs]) if leaves else np.zeros(0)

    def parts(self, row: Any) -> Any:
        """The outputs of a call with several, from one array."""
        found, start = [], 0
        for like in self.outputs:
            found.append(row[start : start + like.size].reshape(like.shape))
            start += like.size
        return self.build_out(found)

    def gradients(self, g: Any, out: Any, inputs: Any) -> Callable[[int], Any]:
        """A function of i that returns the gradient of input i."""
        maker = primitive_vjps.get(self.function)
        if maker is None:
            name = getattr(self.function, "__name__", self.function)
            raise NotImplementedError(f"VJP of {name} is not defined; call defvjp({name}, ...)")
        if self.outputs is not None:
            g, out = self.parts(g), self.parts(out)
        elif out.__class__ is not Tensor and not out.shape:
            g, out = g if g.__class__ is Tensor or g.shape else g[()], out[()]
        args = self.filled(inputs)
        if self.build is None:
            found = tuple(maker(tuple(self.places), out, args, self.kwargs)(g))
            return lambda i: _zeros_or(found[i], inputs[i])
        argnums = tuple(k for k, x in enumerate(self.build(range(len(self.args)))) if _touches(x, self.places))
        parts = iter(tuple(maker(argnums, out, args, self.kwargs)(g)))
        spread = [next(parts) if k in argnums else arg for k, arg in enumerate(args)]
        flat = [leaf for got, like in zip(spread, args, strict=True) for leaf in _leaves_like(got, like)]
        return lambda i: _zeros_or(flat[self.places[i]], inputs[i])


_NESTS = {list, tuple, dict}
_ARRAYS = {np.ndarray, np.float64, np.float32, np.complex128, float}


def _zeros_or(gradient: Any, like: Any) -> Any:
    if gradient is None:
        return like * 0.0
    return gradient if hasattr(gradient, "shape") else np.asarray(gradient)


def _touches(tree: Any, places: list[int]) -> bool:
    return any(i in places for i in flatten(tree)[0])


def _leaves_like(gradient: Any, like: Any) -> list[Any]:
    count = len(flatten(like)[0])
    return [None] * count if gradient is None else flatten(gradient)[0]


def primitive(function: Callable[..., Any]) -> Any:
    """A function whose derivative `defvjp` sets; inside it, arrays are plain.

    >>> cube = primitive(lambda x: x ** 3)
    >>> cube(2.0)
    8.0
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if x.__class__ is Tensor or (x.__class__ in _NESTS and has_tensors(x)):
                break
        else:
            return function(*args, **kwargs)
        call = _Call(wrapper, args, kwargs)
        found = _primitive(call.inputs, call=call)
        return found if call.outputs is None else call.parts(found)

    with contextlib.suppress(AttributeError, TypeError):  # a partial, say, has no name
        functools.update_wrapper(wrapper, function)
    wrapper.fun = function  # type: ignore[attr-defined]  # HIPS's name
    wrapper._is_autograd_primitive = True  # type: ignore[attr-defined]  # likewise
    return wrapper


_square = primitive(np.square)
primitive_vjps[_square] = lambda argnums, ans, args, kwargs: lambda g: [g * 2.0 * args[0]]
CASES[_primitive] = [Case([(2, 3)], call=_Call(_square, (Tensor(0.0),), {}))]

# What clients ask of a traced value.
Tensor._value = property(lambda t: t.data[()])  # type: ignore[attr-defined]  # the name that HIPS's boxes have
type(Tensor).register = lambda cls, value_type: Box.register(value_type)  # type: ignore[attr-defined]  # as Box has
type(Tensor).__str__ = lambda cls: (  # type: ignore[method-assign]  # some look for "ArrayBox" in it
    "<class 'autograd.numpy.numpy_boxes.ArrayBox'>" if cls is Tensor else repr(cls)
)
