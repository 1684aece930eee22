"""Arrays in one row of memory: filled with gradients, exchanged between ranks, and cut into views again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd import Tensor, as_tensor

__all__ = ["Part", "Row", "flat", "rows_of", "total"]


def total(comm: Any, numbers: Any) -> Any:
    """The sum over the ranks of an array, as a new array."""
    found = np.empty_like(numbers)
    comm.Allreduce(np.ascontiguousarray(numbers), found)
    return found


def flat(array: Any, order: str) -> Any:
    """The elements in `order`, "C" or "F"; a view if they lie so in memory."""
    return array.reshape(-1, order=order)


class Part(NamedTuple):
    """The elements `first` to `last` of parameter `number`, which this rank moves, at `start` of its part."""

    number: int
    first: int
    last: int
    start: int


class Row:
    """The gradients, or the weights, of parameters of one dtype, one after the other.

    `numbered` are (number, parameter, order in memory).  The row is `size` blocks of equal length, the last one filled
    up with zeros: rank r moves block r.  float16, which MPI cannot add, travels as float32.
    """

    def __init__(self, numbered: Sequence[tuple[int, Tensor, str]], comm: Any) -> None:
        self.numbered, self.comm = list(numbered), comm
        dtype = self.numbered[0][1].dtype
        self.dtype = np.dtype(np.float32) if dtype == np.float16 else dtype
        self.ends = np.cumsum([0, *(p.size for _, p, _ in self.numbered)]).tolist()
        self.block = -(-self.ends[-1] // comm.size)
        self.gradients = np.zeros(self.block * comm.size, self.dtype)
        self.places = self.views(self.gradients)

    def views(self, row: Any) -> list[Any]:
        """The parts of a row in the shapes of the parameters."""
        spans = zip(self.numbered, self.ends, self.ends[1:], strict=False)
        return [row[i:j].reshape(p.shape, order=order) for (_, p, order), i, j in spans]

    def fill(self, share: float) -> None:
        """Write `share` times the gradients into the row, and zeros for parameters without one."""
        for (_, p, _), place in zip(self.numbered, self.places, strict=True):
            if p.grad is None or not p.requires_grad:
                place.fill(0)
            elif share == 1:
                np.copyto(place, p.grad.data)
            else:
                np.multiply(p.grad.data, share, out=place, dtype=self.dtype)

    def average(self, held: Sequence[bool]) -> None:
        """Give every parameter that has a gradient on any rank the sum over the ranks, a view of one new row."""
        found = self.views(total(self.comm, self.gradients))
        for (index, p, _), view in zip(self.numbered, found, strict=True):
            if p.requires_grad:
                p.grad = as_tensor(view.astype(p.dtype, copy=False)) if held[index] else None

    def scattered(self) -> Any:
        """This rank's block of the sum of the ranks' rows."""
        comm, start = self.comm, self.comm.rank * self.block
        if not hasattr(comm, "Reduce_scatter_block"):
            return total(comm, self.gradients)[start : start + self.block]
        own = np.empty(self.block, self.dtype)
        comm.Reduce_scatter_block(self.gradients, own)
        return own

    def gathered(self, own: Any) -> list[Any]:
        """The arrays of all parameters, views of one new row, from the blocks of all ranks."""
        comm, row = self.comm, np.empty_like(self.gradients)
        if hasattr(comm, "Allgather"):
            comm.Allgather(own, row)
        else:
            row.fill(0)
            row[comm.rank * self.block : (comm.rank + 1) * self.block] = own
            row = total(comm, row)
        return self.views(row)

    def parts(self) -> list[Part]:
        """The parts of parameters in this rank's block."""
        begin, found = self.comm.rank * self.block, []
        for (index, _, _), i, j in zip(self.numbered, self.ends, self.ends[1:], strict=False):
            first, last = max(i, begin), min(j, begin + self.block)
            if first < last:
                found.append(Part(index, first - i, last - i, first - begin))
            elif i == j and not begin:  # an empty parameter, which has a state all the same
                found.append(Part(index, 0, 0, 0))
        return found


def rows_of(params: Sequence[Tensor], comm: Any) -> list[Row]:
    """One row per dtype.  Arrays lie in it as rank 0's gradients lie in memory, so that filling it copies straight."""
    arrays = [p.data if p.grad is None else p.grad.data for p in params]
    orders = comm.bcast(["F" if a.flags.f_contiguous and not a.flags.c_contiguous else "C" for a in arrays])
    kinds: dict[Any, list[tuple[int, Tensor, str]]] = {}
    for index, (p, order) in enumerate(zip(params, orders, strict=True)):
        kinds.setdefault(p.dtype, []).append((index, p, order))
    return [Row(numbered, comm) for numbered in kinds.values()]
