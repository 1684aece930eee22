"""What is watched between the runs of a program: tables of it, and the conditions that must hold before every run."""

from __future__ import annotations

import collections
import types
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from operator import is_
from typing import Any, NoReturn

import numpy as np

from ..tensor import Tensor
from .calls import CompileError
from .names import line_of
from .places import PLAIN, SMALL, Container, Place

MANY = 1000  # items from which on a list, dict or set is taken for data: it is compared as a whole
TOO_MANY = 100_000  # more of them would take too long to compare
_ARGUMENT = "pass it, or what is read of it, as an argument"
_PLAIN_TYPES = {
    tuple, frozenset, list, dict, set, deque, types.MappingProxyType, collections.OrderedDict, collections.defaultdict,
    collections.Counter,
}  # fmt: skip


class Watch(ABC):
    """What was found, in tables.

    `tensors`, `arrays` (places of plain arrays), `modules` and `optimizers` are what a program reads and replaces.
    What else its code depends on is watched: `places` by identity, `fixed` (arrays in places that cannot be set, in
    tuples for one) by content, and `conditions` are expressions that must be true.  `space` has the names of these.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()  # every attribute that some code names
        self.open = False  # whether attributes may be read that no code names
        self.functions: list[Any] = []

    def clear(self) -> None:
        """Empty tables."""
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

    @abstractmethod
    def _look(self, name: str, value: Any, place: Place | None = None) -> None:
        """Look at a value, and at what it leads to: the search."""

    @abstractmethod
    def _object(self, name: str, value: Any) -> None:
        """Look at the attributes of an object."""

    def _look_at_all(self, name: str, values: Iterable[Any]) -> None:
        for i, value in enumerate(values):
            self._look(f"{name}.{i}" if name else str(i), value)

    # ---- arrays and other memory

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

    def _buffer(self, name: str, value: Any) -> None:
        """An object that is nothing but memory, a bytearray for one, by content."""
        try:
            size = memoryview(value).nbytes
        except (TypeError, ValueError):
            return
        if size > SMALL:
            self.refuse(name, f"a {type(value).__name__} of {size} bytes, takes too long to compare before every run")
        self.say(f"memoryview({self.name(value)}).tobytes() == {self._constant(memoryview(value).tobytes())}")

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
        if isinstance(value, collections.defaultdict):
            self._look(name, value.default_factory)
        if type(value) not in _PLAIN_TYPES:
            self._object(name, value)

    def _data(self, name: str, value: Any) -> None:
        """A long collection: it is compared as a whole.  Of plain values, or of what is found and watched by itself."""
        items = [*value, *value.values()] if hasattr(value, "values") else [*value]
        inner = [item for item in items if not isinstance(item, PLAIN)]
        if len(value) > TOO_MANY or not all(isinstance(item, Tensor) or id(item) in self.seen for item in inner):
            self.refuse(
                name, f"a {type(value).__name__} of {len(value)} items, takes too long to compare before every run",
                "make it an array, or pass what is read of it as an argument",
            )  # fmt: skip
        self._look_at_all(name, inner)
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
            self.say(count(held, value))
        else:
            self._bulk(value)
        self._look_at_all(name, (key for key in value if not isinstance(key, PLAIN)) if hasattr(value, "keys") else ())
        own = f"{'dict' if isinstance(value, dict) else 'list'}_item({held}, %s)"
        form = f"{held}[%s]" if type(value) in (list, dict, deque, types.MappingProxyType) else own
        for key in range(len(value)) if isinstance(value, list | deque) else [*value]:
            text = form % (repr(key) if type(key) in (str, int, bool) else self.name(key))
            self._place(Place(value, key, f"{name}.{key}" if name else str(key), text))


def count(text: str, value: Any) -> str:
    """That a collection has as many items as it has."""
    return f"len({text}) == {len(value)}" if len(value) else f"not {text}"
