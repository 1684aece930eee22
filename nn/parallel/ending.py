"""What several ranks must agree on: that all go on, and that an error on one of them ends all."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .rows import total

__all__ = ["abort", "checked", "meet", "together", "watch"]


def checked(comm: Any) -> Any:
    """`comm`, if it is what this package needs of a communicator; TypeError otherwise."""
    names = ("rank", "size", "Allreduce", "bcast", "Abort")
    if missing := [name for name in names if not hasattr(comm, name)]:
        raise TypeError(
            f"comm is a communicator such as MPI.COMM_WORLD of mpi4py; {type(comm).__name__} lacks {', '.join(missing)}"
        )
    return comm


MEETING = 64  # numbers in a meeting: one length for all, so that a rank that leaves can take part in any of them


def meet(comm: Any, numbers: Sequence[float]) -> Any:
    """The sums over the ranks of a few numbers; RuntimeError if a rank's program has ended."""
    send = np.zeros(max(MEETING, 1 + len(numbers)))
    send[1 : 1 + len(numbers)] = numbers
    found = total(comm, send[:MEETING])
    if found[0]:
        raise RuntimeError(
            f"{found[0]:.0f} of {comm.size} ranks left the program while the others went on: every rank must take "
            f"the same number of steps"
        )
    if len(send) > MEETING:
        found = np.concatenate([found, total(comm, send[MEETING:])])
    return found[1 : 1 + len(numbers)]


@contextmanager
def together(comm: Any) -> Iterator[None]:
    """An error inside the block, on any rank, is raised on all: no rank waits for one that gave up."""
    error: Exception | None = None
    try:
        yield
    except Exception as raised:
        error = raised
    failed = meet(comm, [float(error is not None and rank == comm.rank) for rank in range(comm.size)])
    if failed.any():
        root = int(np.flatnonzero(failed)[0])
        text = comm.bcast(f"{type(error).__name__}: {error}", root)
        raise error or RuntimeError(f"rank {root} could not begin: {text}")


FORWARDING = 0.2  # seconds that the launcher has for the traceback: it drops what it has not passed on


def abort(comm: Any, error: BaseException) -> None:
    """Show the traceback of an error and end all ranks, which would otherwise wait for this one for ever."""
    text = "".join(traceback.format_exception(error))
    sys.stdout.flush()
    print(f"rank {comm.rank} of {comm.size} ends all ranks:\n{text}", file=sys.stderr, flush=True)
    time.sleep(FORWARDING)
    comm.Abort(1)
    if any(comm is other for other in _watched):
        os._exit(1)  # MPICH comes back from Abort before the launcher ends the process, which must not go on


PATIENCE = 10.0  # seconds after which a rank says that it waits for others
_watched: list[Any] = []


def watch(comm: Any) -> None:
    """From now on an uncaught exception ends all ranks, and so does a program that ends while others take steps.

    The first time it waits until every rank is here, and says so if that takes long.
    """
    if comm.size == 1 or any(comm is other for other in _watched):
        return
    if threading.current_thread() is not threading.main_thread():
        return  # ranks that are threads share one interpreter, whose end is nobody's own
    _watched.append(comm)

    def hook(_kind: Any, error: Any, trace: Any) -> None:
        abort(comm, error.with_traceback(trace))

    sys.excepthook = hook
    atexit.register(_leave, comm)
    waiting = threading.Timer(PATIENCE, _say, [comm])
    waiting.daemon = True
    waiting.start()
    try:
        meet(comm, [])
    finally:
        waiting.cancel()


def _say(comm: Any) -> None:
    print(
        f"rank {comm.rank} of {comm.size} has waited {PATIENCE:g} s for another rank to call fit or begin; it waits "
        f"for ever if that rank has failed or ended. Start as `mpiexec -n {comm.size} python -m mpi4py train.py`: "
        "it ends all ranks at an exception on one.",
        file=sys.stderr,
        flush=True,
    )


def _leave(comm: Any) -> None:
    """Tell the others, when they next meet, that this rank has left; all leave together if the program is over."""
    sys.stdout.flush()
    try:
        total(comm, np.eye(1, MEETING)[0])
    except Exception:  # the communicator was closed before
        return
