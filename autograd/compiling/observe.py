"""What takes part in a run, seen while the function runs: leaves, modules, optimisers, and the function's own names."""

from __future__ import annotations

import functools
import random
import types
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..callsite import name_within, place_of_caller
from ..mode import Observer
from ..tensor import Tensor


class Watcher(Observer):
    """Sees the leaves that ops read, the modules that are called and the optimisers that step."""

    def __init__(self, tape: Any = None) -> None:
        self.tracing = tape is not None
        self.tape = tape or types.SimpleNamespace(place=("forward", ""), errors=[])
        self.leaves: dict[int, Any] = {}  # weak references: what the function makes itself goes with it
        self.modules: dict[int, Any] = {}
        self.optimizers: dict[int, Any] = {}
        self.running: list[Any] = []
        self.paths: dict[int, str] = {}  # {number of a node: the module that recorded it}

    def around(self, kind: str, owner: Any, function: Any) -> Any:
        if kind == "module":
            self.modules[id(owner)] = owner
            return self._inside("forward", self._path(owner), function, owner)
        if kind == "step":
            self.optimizers[id(owner)] = owner
            return self._inside("update", "", function)
        if kind == "op":
            self.tape.before = len(self.tape.errors)
        if kind == "outside" and self.tracing:
            return lambda *args: self.tape.record("opaque", function, args, {})
        return function

    def _path(self, module: Any) -> str:
        return f"{self.tape.place[1]}.{name_within(self.running[-1], module)}".lstrip(".") if self.running else ""

    def _inside(self, phase: str, path: str, function: Any, module: Any = None) -> Any:
        """`function`, with its calls written down as being in this phase and module."""

        def run(*args: Any, **kwargs: Any) -> Any:
            before = self.tape.place
            self.tape.place = phase if before[0] != "backward" else "backward", path
            self.running += [] if module is None else [module]
            try:
                return function(*args, **kwargs)
            finally:
                self.tape.place = before
                del self.running[len(self.running) - (module is not None) :]

        return run

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        self._see(inputs)
        self.paths[node.number] = self.tape.place[1]

    def unrecorded(self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any], inputs: Any = ()) -> None:
        self._see(inputs)

    def _see(self, inputs: Sequence[Any]) -> None:
        for x in inputs:
            if isinstance(x, Tensor) and x.is_leaf:
                self.leaves.setdefault(id(x), weakref.ref(x))

    def begin(self, seeds: Any) -> None:
        self.tape.place = "backward", ""

    def backward(self, node: Any, gradient: Any) -> None:
        self.tape.place = "backward", self.paths.get(node.number, "")

    def arrived(self, gradients: Any) -> None:
        """A leaf takes part too if no op here reads it: behind a result that was computed outside, for example."""
        self._see([x for end in gradients if (x := getattr(end, "tensor", lambda: None)()) is not None])

    def attribute(self) -> None:
        if self.tracing:
            self.tape.attributes.append(place_of_caller())

    def finish(self) -> None:
        self.tape.place = "forward", ""


class Draw:
    """The state of a random number generator; `put_back()` lets it go on from there."""

    def __init__(self, generator: Any) -> None:
        self.owner = generator
        self.state: Any = None
        self.put_back: Any = lambda: None
        bits = getattr(generator, "bit_generator", getattr(generator, "_bit_generator", generator))
        if isinstance(generator, np.random.RandomState):  # it keeps every second normal number, too
            self.state = generator.get_state(legacy=False)
            self.put_back = functools.partial(generator.set_state, self.state)
        elif isinstance(bits, np.random.BitGenerator):
            self.state = bits.state
            self.put_back = functools.partial(setattr, bits, "state", self.state)
        elif bits is random or isinstance(bits, random.Random):
            self.state = bits.getstate()
            self.put_back = functools.partial(bits.setstate, self.state)

    def moved(self) -> bool:
        """Whether the generator has drawn numbers since."""
        return repr(self.state) != repr(Draw(self.owner).state)


class Name(NamedTuple):
    """A name that the function's own code reads, by `text` with `holder` in its place; `key` None is a cell."""

    name: str
    holder: Any
    key: Any

    @property
    def text(self) -> str:
        """How what is in the holder is read."""
        return ".cell_contents" if self.key is None else f"[{self.key!r}]"

    def get(self) -> Any:
        try:
            return self.holder.cell_contents if self.key is None else self.holder[self.key]
        except (ValueError, KeyError):
            return self

    def set(self, value: Any) -> None:
        if self.key is None:
            self.holder.cell_contents = value
        else:
            self.holder[self.key] = value


def is_array(x: Any) -> bool:
    """Whether an argument is read in every call: an array, or one of NumPy's numbers."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fciub"


def alike(now: Sequence[Any], before: Sequence[Any], inputs: Any = None) -> bool:
    """Whether `same` holds for all; other arrays are allowed at the places that are `inputs`, or at all."""
    return len(now) == len(before) and all(
        same(a, b, inputs is None or i in inputs) for i, (a, b) in enumerate(zip(now, before, strict=True))
    )


def same(a: Any, b: Any, arrays: bool = True) -> bool:
    """Whether a program for one value is right for the other: the same object, an equal plain value.

    With `arrays` an array is right for another of its outline.
    """
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return arrays and is_array(a) and bool(a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides)
    if isinstance(a, float | complex):
        return repr(a) == repr(b)  # -0.0 is not 0.0, and nan is nan
    if isinstance(a, np.generic):
        return bool(a.dtype == b.dtype and a.tobytes() == b.tobytes())
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y, arrays) for x, y in zip(a, b, strict=True))
    return isinstance(a, int | str | bytes | types.MethodType) and bool(a == b)


def functions_in(function: Any) -> Iterator[types.FunctionType]:
    """The Python functions that a callable runs itself: behind methods, partials and wrappers."""
    while function is not None:
        if isinstance(function, types.FunctionType):
            yield function
        if isinstance(function, types.MethodType):
            function = function.__func__
        elif isinstance(function, functools.partial):
            function = function.func
        else:
            call = type(function).__call__ if callable(function) and not hasattr(function, "modules") else None
            call = call if isinstance(call, types.FunctionType) else None
            function = getattr(function, "__wrapped__", None) or call


def names_in(functions: Sequence[types.FunctionType]) -> Iterator[Name]:
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            yield Name(name, cell, None)
        held = function.__globals__
        yield from (Name(name, held, name) for name in sorted(_globals(function.__code__) & held.keys()))


def _globals(code: types.CodeType) -> set[str]:
    """The names, attributes among them, in a code object and in those inside it."""
    return set(code.co_names).union(*(_globals(x) for x in code.co_consts if isinstance(x, types.CodeType)))
