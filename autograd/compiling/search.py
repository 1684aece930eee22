"""The search for all that a function can reach through its names, as far as its code names it."""

from __future__ import annotations

import functools
import io
import operator
import sys
import threading
import types
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import Leaf
from ..tensor import Tensor
from .names import imported, is_library, module_of, names_in, strings
from .places import PLAIN, Place
from .watch import Watch, count

_HARMLESS = (*PLAIN, np.generic, np.dtype, np.ufunc, slice, range, types.CodeType)
_DRAWING = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, np.random.SeedSequence)
_CALLS = (types.BuiltinFunctionType, types.MethodWrapperType)  # those of C, bound to an object
# Classes of the standard library whose objects hold somebody's values in their attributes.
_HOLDERS = {
    "argparse.Namespace", "types.SimpleNamespace", "collections.UserDict", "collections.UserList",
    "collections.ChainMap", "queue.Queue", "queue.LifoQueue", "queue.PriorityQueue",
}  # fmt: skip
# Bases of the standard library that bring no attributes of their own.
_BARE = {"object", "ABC", "Generic", "Protocol", "Enum", "IntEnum", "Exception", "BaseException", "NamedTuple"}


def _items_of(value: Any) -> dict[str, Any] | None:
    """The dict of an object's attributes, or None."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


class Search(Watch):
    """Goes from name to name, and has watched what it comes to."""

    def search(self, function: Any, leaves: list[Any]) -> None:
        """Find all that can be reached: again, as long as there is code that names more."""
        while True:
            known = len(self.names), self.open
            self._search(function, leaves)
            if (len(self.names), self.open) == known:
                return

    def _search(self, function: Any, leaves: list[Any]) -> None:
        self.clear()
        self._look("", function)
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor | np.ndarray):
                self._look(f"argument{i}", leaf)
            elif isinstance(leaf, np.ndarray):
                self._check_array(f"argument {i}", leaf)
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and leaf.node.__class__ is Leaf and id(leaf) not in self.seen:
                self.seen.add(id(leaf))
                self.given[len(self.tensors)] = i
                self.tensors[self._free(f"argument{i}", self.tensors)] = leaf
        self.refs = [f"a{self.given[i]}" if i in self.given else f"t{i}" for i in range(len(self.tensors))]

    # ---- values

    def _look(self, name: str, value: Any, place: Place | None = None) -> None:
        """Look at a value, and at what it leads to."""
        if isinstance(value, np.ndarray):
            self._array(name, value, place)
        elif isinstance(value, np.void):
            self.refuse(name, "a structured number, can be reached, whose fields may change")
        elif not isinstance(value, _HARMLESS) and id(value) not in self.seen:
            self.seen.add(id(value))
            self._look_inside(name, value)

    def _look_inside(self, name: str, value: Any) -> None:
        kind = type(value)
        if isinstance(value, type):
            self._class(value)
        elif isinstance(value, Tensor):
            if value.is_leaf:
                self.tensors[self._free(name, self.tensors)] = value
        elif isinstance(value, types.ModuleType):
            if not is_library(value.__name__):
                self._attributes(name, value, vars(value), self.names)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._look(name, value.__func__)
            self._look("self", value.__self__)
        elif isinstance(value, _CALLS) or kind.__name__ == "cython_function_or_method":
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, types.ModuleType):
                self._look(name, owner)
        elif isinstance(value, functools.partial):
            self._look_at_all(name, (value.func, *value.args))
            self._look(name, value.keywords)
        elif isinstance(value, _DRAWING):
            self.generators.append((name, value))
        elif hasattr(kind, "named_parameters") and hasattr(kind, "modules"):
            self._module(name, value)
        elif hasattr(kind, "update") and {"groups", "state", "params"} <= (_items_of(value) or {}).keys():
            self._optimizer(name, value)
        elif isinstance(value, list | dict | deque | tuple | set | frozenset | types.MappingProxyType):
            self._collection(name, value)
        elif isinstance(value, operator.attrgetter | operator.methodcaller):
            self._getter(value)
        elif isinstance(value, threading.local):
            self.refuse(name, "whose attributes are other ones in each thread, cannot be watched")
        elif hasattr(kind, "__next__") and (not isinstance(value, io.IOBase) or _can_be_read(value)):
            self.refuse(
                name, f"a {kind.__name__}, is used up as it is read, and a program would not read on",
                "call next() outside, and pass what it gives",
            )  # fmt: skip
        else:
            self._object(name, value)

    def _getter(self, value: Any) -> None:
        """What reads an attribute, or calls a method, whose name it has been given."""
        made, given, *_ = value.__reduce__()
        if isinstance(made, functools.partial):  # with keywords
            given = *made.args, *given, *made.keywords.values()
        self.names |= {*strings(given)}
        self._look_at_all("argument", given)

    # ---- functions

    def _function(self, function: Any) -> None:
        if is_library(module_of(function)):
            self._library_function(function)
            return
        self.functions.append(function)
        code, held = function.__code__, self.name(function)
        self.say(f"{held}.__code__ is {self.name(code)}")
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            place = Place(cell, None, name, f"{self.name(cell)}.cell_contents")
            if place.get() is not place:
                self._place(place)
            else:  # of a name that is not yet set
                self.say(f"{self.name(cell)} == {self._constant(types.CellType())}")
        if code.co_argcount:
            self.say(f"{held}.__defaults__ is {self.name(function.__defaults__)}")
            for name, value in zip(
                code.co_varnames[: code.co_argcount][::-1], (function.__defaults__ or ())[::-1], strict=False
            ):
                self._look(name, value)
        if code.co_kwonlyargcount:
            self.say(f"{held}.__kwdefaults__ is {self.name(function.__kwdefaults__)}")
            self._look("default", function.__kwdefaults__)
        names = names_in(code)
        self.names |= names.attributes
        self.open |= names.open
        self._globals(function.__globals__, names.globals)
        for level, name in names.imports:
            self._import(imported(function, level, name))
        self._attributes("function", None, vars(function), self.names)
        self._look("function", getattr(function, "__wrapped__", None))

    def _library_function(self, function: Any) -> None:
        """A function of a library leads only to what it was made of: `grad(f)`, an op, a function that is wrapped."""
        op = getattr(function, "op", None)
        inner = [getattr(function, "__wrapped__", None)]
        self._look("registry", getattr(function, "registry", None))  # of functools.singledispatch
        for cell in function.__closure__ or ():
            try:
                inner.append(cell.cell_contents)
            except ValueError:  # of a name that is not yet set
                continue
        if op is not None:
            inner = [op.forward, *op.rules, op.every]
        for value in inner:
            kind = type(value)
            called = isinstance(value, types.FunctionType | types.MethodType | functools.partial)
            holds = isinstance(value, _DRAWING) or hasattr(kind, "modules") or hasattr(kind, "__next__")
            if called or holds or not is_library(kind.__module__):
                self._look(function.__name__, value)

    def _globals(self, held: dict[str, Any], names: Iterable[str]) -> None:
        names = set(names)
        for name in sorted(names & held.keys()):
            self._place(Place(held, name, name, f"{self.name(held)}[{name!r}]"))
        if missing := names - held.keys():  # a builtin, which a global may come to hide
            self.absent.append((held, missing))
            self.say(f"{self.name(held)}.keys().isdisjoint({self._constant(frozenset(missing))})")

    def _import(self, name: str) -> None:
        """A module that is imported in the function."""
        if name in sys.modules:
            self._place(Place(sys.modules, name, name.rpartition(".")[2], f"{self.name(sys.modules)}[{name!r}]"))
        else:
            self.imports.add(name)

    # ---- objects

    def _object(self, name: str, value: Any) -> None:
        """An object of somebody's class, of nn's, or one of the standard library's that hold values."""
        kind = type(value)
        bases = [base for base in kind.__mro__ if is_library(base.__module__)]
        own = len(bases) < len(kind.__mro__)
        held = _items_of(value)
        full = not own and _holds_values(kind)
        if own or (full and held is not None):
            self.say(f"type({self.name(value)}) is {self.name(kind)}")
            if held is not None:
                whole = full or self.open or any(b.__name__ not in _BARE and b.__module__ != "builtins" for b in bases)
                self._attributes(name, value, held, held.keys() if whole else self.names)
            if own:
                self._class(kind, value)
            return
        held = held or {}  # what a library has made of a function: one that is compiled, or cached
        inner = held.get("function", held.get("__wrapped__", held.get("func")))
        if isinstance(inner, types.FunctionType | types.MethodType):
            self._look(name, inner)
        self._buffer(name, value)

    def _attributes(self, name: str, value: Any, held: dict[str, Any], names: Iterable[str]) -> None:
        """Those of the names that an object has in its dict; it may gain none."""
        text = self.name(held)
        self.say(count(text, held))
        if value is not None and not isinstance(value, types.ModuleType):
            self.say(f"{self.name(value)}.__dict__ is {text}")
        if isinstance(value, types.ModuleType):
            self.absent.append((held, {*names} - held.keys()))
        else:
            self._keep(name, held)
        for key in sorted(key for key in {*names} & held.keys() if isinstance(key, str)):
            self._place(Place(held, key, key, f"{text}[{key!r}]"))

    def _class(self, kind: type, value: Any = None) -> None:
        """What a class and its bases have of the names, for an object of that class or for itself."""
        bases = [base for base in kind.__mro__ if not is_library(base.__module__)]
        if not bases:
            return
        self.say(f"{self.name(kind)}.__mro__ is {self.name(kind.__mro__)}")
        for base in bases:
            self.say(f"len({self._vars(base)}) == {len(vars(base))}")
            for key in sorted(vars(base)):
                special = key.startswith("__") and callable(vars(base)[key]) and (value is None or key != "__init__")
                if key in self.names or key == "forward" or special or (self.open and key[:2] != "__"):
                    self._class_attribute(value, base, key)
        if type(kind) is not type and not is_library(type(kind).__module__):
            self._class(type(kind), kind)

    def _vars(self, base: type) -> str:
        if id(base) not in self._proxies:
            self._proxies[id(base)] = self._constant(vars(base))
        return self._proxies[id(base)]

    def _class_attribute(self, value: Any, base: type, name: str) -> None:
        found = vars(base)[name]
        place = Place(base, name, name, f"{self._vars(base)}[{name!r}]", "class")
        if isinstance(found, types.MemberDescriptorType):
            if value is not None and not isinstance(value, type):
                slot = Place(value, name, name, f"{self.name(value)}.{name}", "slot")
                if slot.get() is not slot:
                    self._place(slot)
            return
        self._place(place)
        if isinstance(found, staticmethod | classmethod):
            self._look(name, found.__func__)
        elif isinstance(found, property):
            self._look_at_all(name, (found.fget, found.fset))
        elif isinstance(found, functools.cached_property):
            self._look(name, found.func)

    # ---- modules and optimisers of nn

    def _module(self, name: str, value: Any) -> None:
        for path, tensor in [*value.named_parameters(), *getattr(value, "named_buffers", lambda: ())()]:
            self._look(path if path not in self.tensors else f"{name}.{path}", tensor)
        modules = list(value.modules())
        self.seen |= {id(module) for module in modules}
        self.modules += [module for module in modules if all(module is not known for known in self.modules)]
        for module in modules:
            held, kind = vars(module), type(module)
            self.say(f"type({self.name(module)}) is {self.name(kind)}")
            self._attributes("", module, held, held.keys())
            if not is_library(kind.__module__):
                self._class(kind, module)

    def _optimizer(self, name: str, value: Any) -> None:
        held = vars(value)
        self.optimizers.append(value)
        rest = held.keys() - {"params", "state", "warned", "used", "groups"}
        for key in sorted(rest):
            self._place(Place(held, key, key, f"{self.name(held)}[{key!r}]"))
        text = f"{self.name(held)}['groups']"
        self._texts.add(text)
        self.places.append(Place(held, "groups", "groups", text))
        self.say(f"len({self.name(value.groups)}) == {len(value.groups)}")
        for i, group in enumerate(value.groups):
            self._group(value.groups, i, group)
        for tensor in value.params:
            self._look("parameter", tensor)
        if not is_library(type(value).__module__):
            self._class(type(value), value)

    def _group(self, groups: list[Any], i: int, group: dict[str, Any]) -> None:
        """The options of a group, besides the learning rate, which is an input of the program."""
        self.seen.add(id(group))
        self.places.append(Place(groups, i, "groups", f"{self.name(groups)}[{i}]"))
        self.say(f"len({self.name(group)}) == {len(group)}")
        for key in group:
            if key != "lr":
                self._place(Place(group, key, key, f"{self.name(group)}[{key!r}]"))


def _can_be_read(file: Any) -> bool:
    return not file.closed and bool(file.readable())


def _holds_values(kind: type) -> bool:
    """Whether the objects of a library's class hold somebody's values: nn's, SciPy's and some of Python's own."""
    top = kind.__module__.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"{kind.__module__}.{kind.__qualname__}" in _HOLDERS
    return top != "autograd"
