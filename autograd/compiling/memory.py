"""Which memory each result of a program lies in: arrays that are made once, and used again when nobody reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .lines import Line, Value


class Bytes(np.ndarray[Any, Any]):
    """Memory that `aligned` has taken, by whose type it is known.

    NumPy says of a view of a view that it is one of the first array, but not of one of another type: so views of an
    array in such memory hold that array, and its reference count tells of them.
    """


def memory_of(x: Value) -> Value:
    """The value that a view, or a view of a view, is of."""
    while x.shares is not None:
        x = x.shares
    return x


def has_out(line: Value) -> bool:
    """Whether the result of a line can be written into an array that is given."""
    if not isinstance(line, Line) or not line.shape or not line.size or not line.order:
        return False
    return line.elementwise() or line.kind in ("copy", "dot", "reduce", "spread", "take", "put", "put_at", "put_flat")


def making(function: str, shape: Any, dtype: Any, order: str) -> str:
    """The text by which `np.empty` or `aligned` makes an array."""
    column = ", order='F'" if order == "F" and len(shape) > 1 else ""
    return f"{function}({shape}, np.{np.dtype(dtype)}{column})"


def aligned(shape: Any, dtype: Any, order: Any = "C") -> Any:
    """An array to be written into; from 4 KiB on it begins with a line of the cache, which has 64 bytes.

    Those of np.empty begin with any 16 bytes, and every vector of 64 that is read or written lies in two lines.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < 4096:
        return np.empty(shape, dtype, order)
    memory = Bytes(size + 64, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % 64, order=order)


def is_aligned(array: Any) -> bool:
    """Whether an array is as `aligned` makes them, and nobody else's."""
    small = array.flags.owndata and array.nbytes < 4096
    return type(array) is np.ndarray and (small or isinstance(array.base, Bytes))


class Memory:
    """Arrays named `prefix` and a number; `make(name, text)` is told of each once."""

    def __init__(self, prefix: str, make: Callable[[str, str], Any]) -> None:
        self.prefix, self.make = prefix, make
        self.count = 0
        self.free: dict[Any, list[str]] = {}
        self.held: dict[int, tuple[Any, str]] = {}  # {id of a result: what kind of array it has, and its name}

    def take(self, value: Value, shape: Any, order: str, wanted: Sequence[str] = ()) -> str:
        """An array of this shape for a result: one of the `wanted` if it is free, or another, or a new one."""
        key = shape, np.dtype(value.dtype), order
        free = self.free.setdefault(key, [])
        name = next((n for n in wanted if n in free), free[-1] if free else "")
        if name:
            free.remove(name)
        else:
            name = f"{self.prefix}{self.count}"
            self.count += 1
            self.make(name, making("aligned", *key))
        self.held[id(value)] = key, name
        return name

    def let_go(self, dead: Callable[[int], bool]) -> None:
        """The results of whose ids `dead` is true are not read any more."""
        for value in [value for value in self.held if dead(value)]:
            key, name = self.held.pop(value)
            self.free[key].append(name)
