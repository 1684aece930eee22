"""Gradients that a program has left in memory of its own, and in its own scale, until somebody looks at them."""

from __future__ import annotations

from typing import Any

from ..graph import GraphError
from ..tensor import Tensor


class Scale:
    """What all gradients of a program have in common: the factor that they were computed with, and the run's number."""

    __slots__ = ("broken", "factor", "run")

    def __init__(self) -> None:
        self.factor: float | None = None
        self.run = 0
        self.broken = False  # whether a run has begun to write, and has not come to its end


class Pending(Tensor):
    """The gradient of one parameter: an array of the program's, divided by the scale when it is first read."""

    __slots__ = ("array", "made", "run", "scale")

    def __init__(self, array: Any, scale: Scale, stamp: int) -> None:
        self.array, self.run, self.made = array, -1, None
        self.scale: Scale | None = scale
        self.grad = self.node = self.name = None
        self.requires_grad, self.stamp = False, stamp

    @property
    def data(self) -> Any:
        """The gradient of the last run, as an array of its own."""
        scale = self.scale
        if scale is not None and scale.broken:
            raise GraphError("this gradient was lost, for the compiled function was interrupted; run it again")
        if scale is not None and self.run != scale.run:
            self.made = (
                self.array.copy("K") if scale.factor is None else self.array / self.array.dtype.type(scale.factor)
            )
            self.run = scale.run
        return self.made

    @data.setter
    def data(self, value: Any) -> None:
        self.scale, self.made = None, value

    def settle(self) -> None:
        """Keep the gradient as it is now: the next run is for another."""
        self.data = self.data

    def __reduce__(self) -> tuple[Any, ...]:
        return Tensor(self.data).__reduce__()
