"""Gradients that a program has left in memory of its own, and in its own scale, until somebody looks at them."""

from __future__ import annotations

from typing import Any

from ..errors import GraphError
from ..tensor import Tensor


class Scale:
    """What all gradients of a program have in common: the factor that they were computed with, and the run's number."""

    __slots__ = ("broken", "factor", "run", "settled")

    def __init__(self) -> None:
        self.factor: float | None = None
        self.run = 0
        self.broken = False  # whether a run has begun to write, and has not come to its end
        self.settled: list[Pending] = []  # those with a value of their own: by being here, they are held by others


LOST = Scale()  # of the gradients of a run that was broken off
LOST.broken = True


class Pending(Tensor):
    """The gradient of one parameter: an array of the program's, divided by the scale when it is first read."""

    __slots__ = ("array", "made", "run", "scale")

    def __init__(self, array: Any, scale: Scale) -> None:
        self.array, self.run, self.made = array, -1, None
        self.scale: Scale | None = scale
        self.node = self.name = None

    @property
    def _data(self) -> Any:
        """The gradient of the last run, as an array of its own."""
        scale = self.scale
        if is_lost(self):
            raise GraphError("this gradient was lost, for the compiled function was interrupted; run it again")
        if scale is not None and self.run != scale.run:
            self.made = (
                self.array.copy("K") if scale.factor is None else self.array / self.array.dtype.type(scale.factor)
            )
            self.run = scale.run
        return self.made

    @_data.setter
    def _data(self, value: Any) -> None:
        if self.scale is not None:
            self.scale.settled.append(self)  # first, so that the next run does not take it for its own
        self.scale, self.made = None, value

    def settle(self) -> None:
        """Keep the gradient as it is now: the next run is for another."""
        self._data = self._data

    def __reduce__(self) -> tuple[Any, ...]:
        return Tensor(self.data).__reduce__()


def is_lost(gradient: Tensor) -> bool:
    """Whether this is a gradient of a run that has not come to its end, whose value nobody knows."""
    return isinstance(gradient, Pending) and gradient.scale is not None and gradient.scale.broken
