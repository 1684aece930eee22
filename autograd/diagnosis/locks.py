"""Lock recorded arrays against writing, for several blocks and threads at once."""

from __future__ import annotations

import contextlib
import threading
import zlib
from typing import Any

import numpy as np


class _Held:
    """A locked array, and how many blocks still want it locked."""

    def __init__(self, array: Any) -> None:
        self.array, self.blocks = array, 0


_guard = threading.Lock()
_held: dict[int, _Held] = {}  # by the id of the array, which is kept here so that the id stays unique


class Locks:
    """The arrays that one block has locked: each with the arrays that own its memory.

    NumPy keeps no list of an array's views, so a view that was made before the block stays writable; `fingerprint`
    detects writes through it.
    """

    def __init__(self) -> None:
        self.mine: set[int] = set()

    def lock(self, *arrays: Any) -> None:
        """Make arrays read-only until every block that locked them has unlocked them."""
        with _guard:
            for array in arrays:
                for a in _owners(array):
                    if id(a) not in self.mine and (a.flags.writeable or id(a) in _held):
                        self.mine.add(id(a))
                        _held.setdefault(id(a), _Held(a)).blocks += 1
                        a.flags.writeable = False

    def unlock(self) -> None:
        """Release the locks of this block; arrays that no other block has locked become writable again."""
        with _guard:
            for key in self.mine:
                _held[key].blocks -= 1
            self.mine.clear()
            free = [key for key, held in _held.items() if held.blocks <= 0]
            for key in sorted(free, key=lambda key: len(_owners(_held[key].array))):  # a view only after its owner
                array = _held[key].array
                if not any(id(owner) in _held for owner in _owners(array)[1:]):  # otherwise later, with its owner
                    with contextlib.suppress(ValueError):  # other code has locked its owner meanwhile
                        array.flags.writeable = True
                    del _held[key]


def _owners(array: Any) -> list[Any]:
    """The array, the array that it is a view of, and so on."""
    found = []
    while isinstance(array, np.ndarray):
        found.append(array)
        array = array.base
    return found


def fingerprint(array: Any) -> int | None:
    """A number that changes when the array does; None for anything but an array."""
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        return None
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
