"""What a function reads and changes besides its arguments: found before it is traced, watched between its runs."""

from __future__ import annotations

import dis
import functools
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..tensor import Tensor

_LIBRARIES = {"numpy", "scipy", "autograd", "nn", "builtins", *sys.stdlib_module_names}
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_NAMESPACES = ("Namespace", "SimpleNamespace")  # classes of the standard library that hold somebody's options
MANY = 1000  # items from which on a list or dict is taken for data, and not looked through


@functools.cache
def _library(module: str | None) -> bool:
    """Whether a module is part of a library, whose names do not change while a program runs."""
    if (module or "").partition(".")[0] in _LIBRARIES:
        return True
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    return f"-packages{os.sep}" in file  # site-packages, dist-packages


class Place:
    """Where a value is kept: in a cell (no key), under a key of a dict or list, or in an attribute of an object.

    `text` reads it, with `holder` by the name that it has in the surroundings' `space`.
    """

    def __init__(self, holder: Any, key: Any, name: str, text: str, attribute: bool = False) -> None:
        self.holder, self.key, self.name, self.text, self.attribute = holder, key, name, text, attribute

    def get(self) -> Any:
        """What is there now; this place itself, if nothing is there any more."""
        try:
            if self.attribute:
                return getattr(self.holder, self.key)
            return self.holder.cell_contents if self.key is None else self.holder[self.key]
        except (KeyError, IndexError, ValueError, AttributeError):
            return self

    def set(self, value: Any) -> None:
        """Put something else there."""
        if self.attribute:
            setattr(self.holder, self.key, value)
        elif self.key is None:
            self.holder.cell_contents = value
        else:
            self.holder[self.key] = value


class Surroundings:
    """Everything that a function can reach through its names, as far as its code names it.

    `tensors`, `arrays` (places of plain arrays), `modules` and `optimizers` are what a program reads and replaces;
    `places` and the lengths of `holders` are watched: where a name stands for something else, a list is longer or an
    option has another value, a program is not for this function any more.
    """

    def __init__(self, function: Any, leaves: list[Any]) -> None:
        self.constant = False  # whether `arrays` are constants, as long as their content is the same
        self.names: set[str] = set()  # every name in the code that can be reached
        while True:
            known = len(self.names)
            self._search(function, leaves)
            if len(self.names) == known:
                break

    def _search(self, function: Any, leaves: list[Any]) -> None:
        self.space: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.arrays: dict[str, Place] = {}
        self.modules: list[Any] = []
        self.optimizers: list[Any] = []
        self.functions: list[Any] = []
        self.generators: list[tuple[str, Any]] = []
        self.places: list[Place] = []
        self.holders: list[str] = []
        self.seen: set[int] = set()
        self.given: dict[int, int] = {}  # {number of a tensor: number of the argument that it is}
        self._look("", function)
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor | np.ndarray):
                self._look(f"argument{i}", leaf)
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and leaf.node is None and leaf.requires_grad and id(leaf) not in self.seen:
                self.seen.add(id(leaf))
                self.given[len(self.tensors)] = i
                self.tensors[self._free(f"argument{i}", self.tensors)] = leaf
        self.refs = [f"a{self.given[i]}" if i in self.given else f"t{i}" for i in range(len(self.tensors))]

    def tensors_of(self, leaves: Any) -> list[Tensor]:
        """The tensors of a call with these arguments."""
        tensors = list(self.tensors.values())
        for i, argument in self.given.items():
            tensors[i] = leaves[argument]
        return tensors

    def name(self, value: Any) -> str:
        """A name in `space` for an object."""
        found = f"h{len(self.space)}"
        self.space[found] = value
        return found

    # ---- the search

    def _look(self, name: str, value: Any, place: Place | None = None) -> None:
        """Look at a value, and at what it leads to."""
        if isinstance(value, np.ndarray):
            if place is not None and type(value) is np.ndarray and value.dtype.kind in "fciub":
                self.arrays[self._free(name, self.arrays)] = place
        elif isinstance(value, types.ModuleType):
            if not _library(value.__name__):
                self._attributes(value)
        elif isinstance(value, np.random.Generator):
            self.generators.append((name, value))
        elif not isinstance(value, _PLAIN) and id(value) not in self.seen:
            self.seen.add(id(value))
            self._look_inside(name, value)

    def _look_inside(self, name: str, value: Any) -> None:
        if isinstance(value, type):
            self._class_attributes(value, value)
        elif isinstance(value, Tensor):
            if value.node is None:
                self.tensors[self._free(name, self.tensors)] = value
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._look(name, value.__func__)
            self._look("self", value.__self__)
        elif isinstance(value, functools.partial):
            for i, part in enumerate((value.func, *value.args, *value.keywords.values())):
                self._look(f"{name}{i}", part)
        elif hasattr(value, "named_parameters") and hasattr(value, "modules"):
            self._module(name, value)
        elif hasattr(value, "groups") and hasattr(value, "state") and hasattr(value, "params"):
            self._optimizer(value)
        elif isinstance(value, list | dict | deque):
            if len(value) < MANY:
                self._items(name, value)
        elif isinstance(value, tuple | set | frozenset):
            for i, item in enumerate(value if len(value) < MANY else ()):
                self._look(f"{name}.{i}", item)
        elif not _library(type(value).__module__) or type(value).__name__ in _NAMESPACES:
            self._attributes(value)
        else:  # what a library has made of a function: one that is compiled, or remembers its results
            inner = getattr(value, "function", getattr(value, "__wrapped__", None))
            if isinstance(inner, types.FunctionType | types.MethodType):
                self._look(name, inner)

    def _free(self, name: str, table: Any) -> str:
        while name in table:
            name += "_"
        return name

    def _function(self, function: Any) -> None:
        if _library(function.__module__):
            self._library_function(function)
            return
        self.functions.append(function)
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            place = Place(cell, None, name, f"{self.name(cell)}.cell_contents")
            if place.get() is not place:  # else an empty cell, of a name that is not yet set
                self.places.append(place)
                self._look(name, place.get(), place)
        for i, default in enumerate([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]):
            self._look(f"default{i}", default)
        names = set(_names(code))
        self.names |= names
        self._keys(function.__globals__, names)

    def _library_function(self, function: Any) -> None:
        """A function of a library leads only to functions and modules that it was made of: `grad(f)`, an op."""
        op = getattr(function, "op", None)
        inner = [cell.cell_contents for cell in function.__closure__ or ()]
        if op is not None:
            inner = [op.forward, *(op.rules if isinstance(op.rules, list | tuple) else [op.rules.rule])]
        for value in inner:
            if isinstance(value, types.FunctionType | types.MethodType | functools.partial) or hasattr(
                value, "modules"
            ):
                self._look(function.__name__, value)

    def _keys(self, holder: Any, names: Any) -> None:
        """Those of the names that a dict has."""
        held = self.name(holder)
        for name in sorted(name for name in names if name in holder):
            place = Place(holder, name, name, f"{held}[{name!r}]")
            self.places.append(place)
            self._look(name, holder[name], place)

    def _items(self, name: str, value: Any) -> None:
        """All that a list or a dict holds; keys of other kinds than strings and numbers are left alone."""
        held = self.name(value)
        self.holders.append(held)
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if isinstance(key, str | int):
                place = Place(value, key, str(key), f"{held}[{key!r}]")
                self.places.append(place)
                self._look(f"{name}.{key}" if name else str(key), item, place)

    def _attributes(self, value: Any) -> None:
        """Those attributes that some code names, and those methods that are Python's."""
        if hasattr(value, "__dict__"):
            self.holders.append(self.name(vars(value)))
            self._keys(vars(value), self.names)
        self._class_attributes(value, type(value))

    def _class_attributes(self, value: Any, kind: type) -> None:
        for base in kind.__mro__:
            if not _library(base.__module__):
                for name in sorted((self.names | {"__call__", "forward"}) & vars(base).keys()):
                    self._class_attribute(value, base, name)

    def _class_attribute(self, value: Any, base: type, name: str) -> None:
        found = vars(base)[name]
        if isinstance(found, types.MemberDescriptorType):  # a slot
            if hasattr(value, name):
                place = Place(value, name, name, f"{self.name(value)}.{name}", attribute=True)
                self.places.append(place)
                self._look(name, place.get(), place)
        elif isinstance(found, staticmethod | classmethod):
            self._look(name, found.__func__)
        elif isinstance(found, property):
            self._look(name, found.fget)
        else:
            self.places.append(Place(base, name, name, f"{self.name(base)}.{name}", attribute=True))
            self._look(name, found)

    def _module(self, name: str, value: Any) -> None:
        for path, tensor in [*value.named_parameters(), *getattr(value, "named_buffers", lambda: ())()]:
            self._look(path if path not in self.tensors else f"{name}.{path}", tensor)
        modules = list(value.modules())
        self.seen |= {id(module) for module in modules}
        self.modules += modules
        for module in modules:
            self._items("", vars(module))
            if not _library(type(module).__module__):
                self._attributes(module)

    def _optimizer(self, value: Any) -> None:
        self.optimizers.append(value)
        self._keys(vars(value), vars(value).keys() - {"params", "state", "warned"})
        self.places = [p for p in self.places if not (p.key == "lr" and any(p.holder is g for g in value.groups))]
        for tensor in value.params:
            self._look("parameter", tensor)

    # ---- what a run changes

    def keep(self) -> Callable[[], list[tuple[Place, Any]]]:
        """A function that puts everything back as it is now, and returns what was changed: places, and their values."""
        values = [(place, place.get()) for place in self.places]
        holders = [(self.space[name], self.space[name].copy()) for name in self.holders]

        def put_back() -> list[tuple[Place, Any]]:
            changed = [(place, place.get()) for place, value in values if not alike(place.get(), value)]
            for place, value in values:
                if place.get() is not value:
                    place.set(value)
            for holder, copy in holders:
                if isinstance(holder, list) and len(holder) != len(copy):
                    name = next((place.name for place, value in values if value is holder), "a list")
                    changed.append((Place(holder, None, name, name), None))
                    holder[:] = copy
                elif isinstance(holder, dict):
                    for key in holder.keys() - copy.keys():
                        changed.append((Place(holder, key, str(key), f"{id(holder)}[{key!r}]"), holder.pop(key)))
            return changed

        return put_back

    def line_that_sets(self, name: str) -> str:
        """Where the code that can be reached sets this name: ` at file.py:12`, or nothing."""
        for function in self.functions:
            for instruction in dis.get_instructions(function.__code__):
                if instruction.opname in ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF") and instruction.argval == name:
                    line = instruction.positions and instruction.positions.lineno
                    return f", at {os.path.basename(function.__code__.co_filename)}:{line}"
        return ""


def alike(a: Any, b: Any) -> bool:
    """Whether a program that was made for one value is for the other, too."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) and type(a) is type(b):
        same: bool = a.shape == b.shape and a.dtype == b.dtype and a.strides == b.strides
        return same
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, types.MethodType) and isinstance(b, types.MethodType):
        return a == b
    return type(a) is type(b) and isinstance(a, _PLAIN) and (a == b or (a != a and b != b))


def _names(code: Any) -> Iterator[str]:
    """The names in a code object, and in the functions that are made in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
