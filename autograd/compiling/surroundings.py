"""What a function reads and changes besides its arguments: found before it is traced, watched between its runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .calls import CompileError
from .names import is_library, line_of
from .places import SMALL, Place, same
from .search import Search


class Surroundings(Search):
    """Everything that a function can reach through its names, as far as its code names it."""

    def __init__(self, function: Any, leaves: list[Any]) -> None:
        super().__init__()
        self.constant = False  # whether `arrays` are constants, as long as their content is the same
        self.search(function, leaves)
        if sum(array.nbytes for _, array in self.fixed) > SMALL:
            name, array = max(self.fixed, key=lambda pair: pair[1].nbytes)
            self.refuse(
                name, f"an array of {array.nbytes} bytes that is in a tuple, a default or another place that cannot be "
                f"set, is a constant, and takes too long to compare before every run",
            )  # fmt: skip

    def tensors_of(self, leaves: Any) -> list[Tensor]:
        """The tensors of a call with these arguments."""
        tensors = list(self.tensors.values())
        for i, argument in self.given.items():
            tensors[i] = leaves[argument]
        return tensors

    def keep(self) -> Callable[[], list[tuple[Place, Any]]]:
        """A function that puts everything back as it is now, and returns what was changed: places, and their values."""
        values = [(place, place.get()) for place in self.places]
        copies = [(name, array, array.copy()) for name, array in self._small()]

        def put_back() -> list[tuple[Place, Any]]:
            changed = [(place, place.get()) for place, value in values if not same(place.get(), value)]
            for place, value in values:
                if place.get() is not value:
                    place.set(value)
            for container in self.containers.values():
                changed += container.put_back()
            for held, names in self.absent:
                changed += [(Place(held, name, name, name), held.pop(name)) for name in names & held.keys()]
            for name, array, copy in copies:
                if array.tobytes() != copy.tobytes():
                    changed.append((Place(array, name, name, name), None))
                    np.copyto(array, copy)
            self._refuse_imports()
            return changed

        return put_back

    def _small(self) -> list[tuple[str, Any]]:
        """The arrays that a run could write into without being seen, if they are not too large to be kept."""
        arrays = [*self.fixed, *((name, place.get()) for name, place in self.arrays.items())]
        return arrays if sum(array.nbytes for _, array in arrays) <= SMALL else self.fixed

    def _refuse_imports(self) -> None:
        for name in self.imports:
            if name in sys.modules and not is_library(name):
                raise CompileError(
                    f"{name} is imported for the first time in the function{line_of(self.functions, name)}; import it "
                    f"outside, so that it can be watched"
                )

    def line_that_sets(self, name: str) -> str:
        """Where the code that can be reached sets this name, or at least names it: ` at file.py:12: text`."""
        return line_of(self.functions, name, storing=True)
