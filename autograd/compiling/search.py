"""The search for all that a function can reach through its names, as far as its code names it."""

from __future__ import annotations

import array
import collections
import functools
import sys
import types
from collections import deque
from collections.abc import Iterable
from operator import is_
from typing import Any, NoReturn

import numpy as np

from ..tensor import Tensor
from .calls import CompileError
from .names import imported, is_library, line_of, module_of, names_in
from .places import PLAIN, Container, Place

MANY = 1000  # items from which on a list, dict or set is taken for data: it may hold plain values alone
TOO_MANY = 100_000  # more of them would take too long to compare
_HARMLESS = (*PLAIN, np.generic, np.dtype, np.ufunc, slice, range, types.CodeType)
_DRAWING = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, np.random.SeedSequence)
_CALLS = (types.BuiltinFunctionType, types.MethodWrapperType)  # those of C, bound to an object
_MADE_OF = collections.OrderedDict, collections.defaultdict, collections.Counter
# Classes of the standard library whose objects hold somebody's values in their attributes.
_HOLDERS = {
    "argparse.Namespace", "types.SimpleNamespace", "collections.UserDict", "collections.UserList",
    "collections.ChainMap", "queue.Queue", "queue.LifoQueue", "queue.PriorityQueue",
}  # fmt: skip
# Bases of the standard library that bring no attributes of their own.
_BARE = {"object", "ABC", "Generic", "Protocol", "Enum", "IntEnum", "Exception", "BaseException", "NamedTuple"}
_ARGUMENT = "pass it, or what is read of it, as an argument"


def _items_of(value: Any) -> dict[str, Any] | None:
    """The dict of an object's attributes, or None."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


class Search:
    """What was found, in tables.

    `tensors`, `arrays` (places of plain arrays), `modules` and `optimizers` are what a program reads and replaces.
    What else its code depends on is watched: `places` by identity, `fixed` (arrays in places that cannot be set, in
    tuples for one) by content, and `conditions` are expressions that must be true.  `space` has the names of these.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()  # every attribute that some code names
        self.open = False  # whether attributes may be read that no code names
        self.functions: list[Any] = []

    def search(self, function: Any, leaves: list[Any]) -> None:
        """Find all that can be reached: again, as long as there is code that names more."""
        while True:
            known = len(self.names), self.open
            self._search(function, leaves)
            if (len(self.names), self.open) == known:
                return

    def _search(self, function: Any, leaves: list[Any]) -> None:
        self.space: dict[str, Any] = {"dict_item": dict.__getitem__, "list_item": list.__getitem__, "is_": is_}
        self._named: dict[int, str] = {}  # {id of an object: its name in the space}
        self._proxies: dict[int, str] = {}  # {id of a class: the name of its vars()}
        self.tensors: dict[str, Tensor] = {}
        self.arrays: dict[str, Place] = {}
        self.fixed: list[tuple[str, Any]] = []
        self.modules: list[Any] = []
        self.optimizers: list[Any] = []
        self.functions = []
        self.generators: list[tuple[str, Any]] = []
        self.imports: set[str] = set()  # modules that are not imported yet
        self.places: list[Place] = []
        self.conditions: list[str] = []
        self.containers: dict[int, Container] = {}
        self.absent: list[tuple[dict[str, Any], set[str]]] = []  # globals that were not there, or a builtin instead
        self.seen: set[int] = set()
        self.given: dict[int, int] = {}  # {number of a tensor: number of the argument that it is}
        self._texts: set[str] = set()
        self._look("", function)
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor | np.ndarray):
                self._look(f"argument{i}", leaf)
            elif isinstance(leaf, np.ndarray):
                self._check_array(f"argument {i}", leaf)
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and leaf.node is None and leaf.requires_grad and id(leaf) not in self.seen:
                self.seen.add(id(leaf))
                self.given[len(self.tensors)] = i
                self.tensors[self._free(f"argument{i}", self.tensors)] = leaf
        self.refs = [f"a{self.given[i]}" if i in self.given else f"t{i}" for i in range(len(self.tensors))]

    def name(self, value: Any) -> str:
        """A name in `space` for an object."""
        if id(value) not in self._named:
            self._named[id(value)] = self._constant(value)
        return self._named[id(value)]

    def _constant(self, value: Any) -> str:
        """A name for an object that nobody else has."""
        name = f"h{len(self.space)}"
        self.space[name] = value
        return name

    def say(self, condition: str) -> None:
        """Have something compared before every run."""
        if condition not in self._texts:
            self._texts.add(condition)
            self.conditions.append(condition)

    def refuse(self, name: str, what: str, advice: str = _ARGUMENT) -> NoReturn:
        """Say that something can be reached that cannot be watched."""
        raise CompileError(f"{name or 'it'}, {what}{line_of(self.functions, name)}; {advice}")

    def _free(self, name: str, table: Any) -> str:
        while name in table:
            name += "_"
        return name

    def _place(self, place: Place) -> None:
        """Watch what is in a place, and look at it."""
        if place.text not in self._texts:
            self._texts.add(place.text)
            self.places.append(place)
            self._look(place.name, place.get(), place)

    def _keep(self, name: str, value: Any) -> None:
        self.containers.setdefault(id(value), Container(name, value))

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

    def _check_array(self, name: str, value: Any) -> None:
        kind = type(value).__name__
        if type(value) is not np.ndarray:
            self.refuse(name, f"a {kind}, is no plain array", "use np.asarray(x), or x.filled() of a masked array")
        if value.dtype.kind in "VO":
            self.refuse(name, f"an array of {value.dtype}, is no array of numbers", "use arrays of numbers, or a list")

    def _array(self, name: str, value: Any, place: Place | None) -> None:
        self._check_array(name, value)
        if place is not None and value.dtype.kind in "fciub" and not isinstance(place.holder, types.MappingProxyType):
            self.arrays[self._free(name, self.arrays)] = place
        elif id(value) not in self.seen:
            self.seen.add(id(value))
            self.fixed.append((name, value))

    def _look_inside(self, name: str, value: Any) -> None:
        kind = type(value)
        if isinstance(value, type):
            self._class(value)
        elif isinstance(value, Tensor):
            if value.node is None:
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
        elif isinstance(value, bytearray | memoryview | array.array):
            held = self.name(value)
            self.say(f"bytes({held}) == {self.name(bytes(value))}")
        elif hasattr(kind, "__next__") and not hasattr(kind, "write"):  # a file is refused when it is read
            self.refuse(
                name, f"a {kind.__name__}, is used up as it is read, and a program would not read on",
                "call next() outside, and pass what it gives",
            )  # fmt: skip
        else:
            self._object(name, value)

    def _look_at_all(self, name: str, values: Iterable[Any]) -> None:
        for i, value in enumerate(values):
            self._look(f"{name}.{i}" if name else str(i), value)

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
            if place.get() is not place:  # else an empty cell, of a name that is not yet set
                self._place(place)
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
        for cell in function.__closure__ or ():
            try:
                inner.append(cell.cell_contents)
            except ValueError:  # of a name that is not yet set
                continue
        if op is not None:
            inner = [op.forward, *(op.rules if isinstance(op.rules, list | tuple) else [op.rules.rule])]
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

    # ---- collections

    def _collection(self, name: str, value: Any) -> None:
        """All that a list, dict, tuple or set holds."""
        if isinstance(value, tuple | frozenset):
            self._look_at_all(name, value)
        elif len(value) >= MANY:
            self._data(name, value)
        else:
            if isinstance(value, set):
                self._bulk(value)
                self._look_at_all(name, value)
            else:
                self._items(name, value)
            if not isinstance(value, types.MappingProxyType):
                self._keep(name, value)
        if type(value) not in (tuple, frozenset, list, dict, set, deque, types.MappingProxyType):
            if isinstance(value, collections.defaultdict):
                self._look(name, value.default_factory)
            if type(value) not in _MADE_OF:
                self._object(name, value)

    def _data(self, name: str, value: Any) -> None:
        """A long collection: it is compared as a whole."""
        items = [*value, *value.values()] if hasattr(value, "values") else [*value]
        if len(value) > TOO_MANY or not all(isinstance(item, PLAIN) for item in items):
            self.refuse(
                name, f"a {type(value).__name__} of {len(value)} items, takes too long to compare before every run",
                "make it an array, or pass what is read of it as an argument",
            )  # fmt: skip
        self._bulk(value)
        if hasattr(value, "values"):
            held, copy = self.name(value), self._constant([*value.values()])
            self.say(f"all(map(is_, {held}.values(), {copy}))")
        if not isinstance(value, types.MappingProxyType):
            self._keep(name, value)

    def _bulk(self, value: Any) -> None:
        """That a collection has the same items, or keys, in the same order."""
        held = self.name(value)
        self.say(f"len({held}) == {len(value)} and all(map(is_, {held}, {self._constant([*value])}))")

    def _items(self, name: str, value: Any) -> None:
        """All that a list, deque or dict holds."""
        held = self.name(value)
        if isinstance(value, list | deque) or len(value) < 2:
            self.say(_count(held, value))
        else:
            self._bulk(value)
        self._look_at_all(name, (key for key in value if not isinstance(key, PLAIN)) if hasattr(value, "keys") else ())
        own = f"{'dict' if isinstance(value, dict) else 'list'}_item({held}, %s)"
        form = f"{held}[%s]" if type(value) in (list, dict, deque, types.MappingProxyType) else own
        for key in range(len(value)) if isinstance(value, list | deque) else [*value]:
            text = form % (repr(key) if type(key) in (str, int, bool) else self.name(key))
            self._place(Place(value, key, f"{name}.{key}" if name else str(key), text))

    # ---- objects

    def _object(self, name: str, value: Any) -> None:
        """An object of somebody's class, of nn's, or one of the standard library's that hold values."""
        kind = type(value)
        bases = [base for base in kind.__mro__ if is_library(base.__module__)]
        own = len(bases) < len(kind.__mro__)
        mine = (kind.__module__ or "").partition(".")[0] == "nn" or _full_name(kind) in _HOLDERS
        if own or mine:
            held = _items_of(value)
            self.say(f"type({self.name(value)}) is {self.name(kind)}")
            if held is not None:
                whole = mine or self.open or any(b.__name__ not in _BARE and b.__module__ != "builtins" for b in bases)
                self._attributes(name, value, held, held.keys() if whole else self.names)
            if own:
                self._class(kind, value)
            return
        held = _items_of(value) or {}  # what a library has made of a function: one that is compiled, or cached
        inner = held.get("function", held.get("__wrapped__", held.get("func", held.get("pyfunc"))))
        if isinstance(inner, types.FunctionType | types.MethodType):
            self._look(name, inner)

    def _attributes(self, name: str, value: Any, held: dict[str, Any], names: Iterable[str]) -> None:
        """Those of the names that an object has in its dict; it may gain none."""
        text = self.name(held)
        self.say(_count(text, held))
        if value is not None and not isinstance(value, types.ModuleType):
            self.say(f"{self.name(value)}.__dict__ is {text}")
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
        rest = held.keys() - {"params", "state", "warned", "groups"}
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


def _count(text: str, value: Any) -> str:
    """That a collection has as many items as it has."""
    return f"len({text}) == {len(value)}" if len(value) else f"not {text}"


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
