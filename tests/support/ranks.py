"""Ranks that are threads: a communicator with mpi4py's names, for tests in one process."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np


class Aborted(BaseException):
    """What other ranks get when one of them ended all."""


class Threads:
    """One rank of `size` threads; `full` ones also have the calls that divide a step."""

    def __init__(self, rank: int, shared: Shared) -> None:
        self.rank, self.size, self.shared = rank, shared.size, shared

    def _all(self, given: Any) -> list[Any]:
        """What every rank gave."""
        shared = self.shared
        shared.given[self.rank] = given
        self._wait()
        found = list(shared.given)
        self._wait()
        return found

    def _wait(self) -> None:
        try:
            self.shared.barrier.wait(30)
        except threading.BrokenBarrierError:
            raise Aborted from None

    def Allreduce(self, send: Any, receive: Any) -> None:
        parts = self._all(send.copy())
        assert len({(part.shape, part.dtype) for part in parts}) == 1, "the ranks exchange different arrays"
        receive[...] = sum(parts[1:], start=parts[0])

    def bcast(self, value: Any, root: int = 0) -> Any:
        return copy.deepcopy(self._all(value)[root])

    def Abort(self, code: int = 0) -> None:
        self.shared.aborted.append(self.rank)
        self.shared.barrier.abort()


class Full(Threads):
    """With mpi4py's calls that divide a step."""

    def Reduce_scatter_block(self, send: Any, receive: Any) -> None:
        whole = np.empty_like(send)
        self.Allreduce(send, whole)
        receive[...] = np.split(whole, self.size)[self.rank]

    def Allgather(self, send: Any, receive: Any) -> None:
        receive[...] = np.concatenate(self._all(send.copy()))


class Shared:
    """What the ranks share."""

    def __init__(self, size: int) -> None:
        self.size, self.given, self.barrier = size, [None] * size, threading.Barrier(size)
        self.aborted: list[int] = []


def on_ranks(size: int, work: Callable[[Any], Any], kind: Any = Full) -> tuple[list[Any], list[Any], list[int]]:
    """Call `work(comm)` on each of `size` ranks; return their results, their errors, and the ranks that ended all."""
    shared, results, errors = Shared(size), [None] * size, [None] * size

    def one(rank: int) -> None:
        try:
            results[rank] = work(kind(rank, shared))
        except BaseException as error:
            errors[rank] = error
            if not isinstance(error, Exception) or shared.aborted:
                shared.barrier.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a rank waits for ever"
    return results, errors, shared.aborted
