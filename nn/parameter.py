"""Tensors that belong to a module: parameters, which are learned, and buffers."""

from __future__ import annotations

from typing import Any

from autograd import Tensor

from .arguments import accepting

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A Tensor that a network learns; it remains a parameter of its module while frozen (`requires_grad` off).

    >>> Parameter([1.0, 2.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, *, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(data, requires_grad, dtype=dtype, name=name)


class Buffer(Tensor):
    """A Tensor that belongs to a module's state but is not learned, such as a running mean."""

    __slots__ = ()
    __init__ = accepting(Tensor.__init__)


class Parameters(list[Tensor]):
    """A list that `next` takes too, as the generators of PyTorch's modules."""

    taken = 0

    def __next__(self) -> Tensor:
        if self.taken >= len(self):
            raise StopIteration
        self.taken += 1
        return self[self.taken - 1]
