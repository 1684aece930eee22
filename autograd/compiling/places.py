"""Where values are kept that a function reads, and when one value is as good as another."""

from __future__ import annotations

import types
from collections import OrderedDict
from collections.abc import Collection
from operator import is_
from typing import Any

import numpy as np

SMALL = 2**16  # bytes of arrays that may be constants, whose content is then compared before every run
PLAIN = (int, float, complex, str, bytes, bool, type(None))


class Place:
    """Where a value is kept: in a cell (no key), under a key of a dict or list, or in an attribute of an object.

    `text` reads it, with `holder` by the name that it has in the surroundings' `space`.  `how` is "item", "slot" (an
    attribute that is no item of an object's dict) or "class" (what a class itself has, and not its bases).
    """

    def __init__(self, holder: Any, key: Any, name: str, text: str, how: str = "item") -> None:
        self.holder, self.key, self.name, self.text, self.how = holder, key, name, text, how

    def get(self) -> Any:
        """What is there now; this place itself, if nothing is there any more."""
        try:
            if self.how == "slot":
                return object.__getattribute__(self.holder, self.key)
            if self.how == "class":
                return vars(self.holder)[self.key]
            return self.holder.cell_contents if self.key is None else self.holder[self.key]
        except (KeyError, IndexError, ValueError, AttributeError):
            return self

    def set(self, value: Any) -> None:
        """Put something else there."""
        if self.how == "slot":
            object.__setattr__(self.holder, self.key, value)
        elif self.how == "class":
            setattr(self.holder, self.key, value)
        elif self.key is None:
            self.holder.cell_contents = value
        else:
            self.holder[self.key] = value


class Container:
    """A list, dict, set or deque as it was: a copy of it, and a way back."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value
        self.keys = list(value)
        self.items = list(value.values()) if isinstance(value, dict) else []

    def put_back(self) -> list[tuple[Place, Any]]:
        """Make it again what it was; the places that had changed, and what was there."""
        now = self.value
        if alike_items(now, self.keys) and (not self.items or alike_items(now.values(), self.items)):
            return []
        changed = [(place, None if place.key is None else place.get()) for place in self._changed()]
        self._fill()
        return changed

    def _changed(self) -> list[Place]:
        """What is new, gone or in another place: keys of a dict, or the whole."""
        now = self.value
        whole = [Place(now, None, self.name, self.name)]
        if not isinstance(now, dict):
            return whole
        before = dict(zip(self.keys, self.items, strict=True))
        moved = [
            key for key in {**before, **now} if key not in now or key not in before or not same(now[key], before[key])
        ]
        own = [Place(now, key, str(key), f"{id(now)}[{key!r}]") for key in moved]
        return own or ([] if alike_items(now, self.keys) else whole)  # of a dict whose keys are in another order

    def _fill(self) -> None:
        now = self.value
        if isinstance(now, dict):
            kind = OrderedDict if isinstance(now, OrderedDict) else dict  # not somebody's own methods
            if not alike_items(now, self.keys):
                kind.clear(now)
            for key, item in zip(self.keys, self.items, strict=True):
                kind.__setitem__(now, key, item)
        elif isinstance(now, list):
            list.__setitem__(now, slice(None), self.keys)
        else:
            now.clear()
            now.update(self.keys) if isinstance(now, set) else now.extend(self.keys)


def alike_items(a: Any, b: Collection[Any]) -> bool:
    """Whether two collections have the same objects in the same order."""
    return len(a) == len(b) and all(map(is_, a, b))


def same(a: Any, b: Any) -> bool:
    """Whether a program that has one value as a constant is right for the other, too."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float | complex):
        return repr(a) == repr(b)  # -0.0 is not 0.0, and nan is nan
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.dtype.kind in "biufcmMSU" and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, types.MethodType | types.BuiltinMethodType):
        return bool(a == b)
    return type(a) in PLAIN and bool(a == b)


def alike(a: Any, b: Any) -> bool:
    """Whether a program that has one value as an input can be given the other."""
    if isinstance(a, np.ndarray) and type(a) is type(b):
        return bool(a.shape == b.shape and a.dtype == b.dtype and a.strides == b.strides)
    return same(a, b)
