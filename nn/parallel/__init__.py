"""Training on several processes: `fit(comm=...)`, and what a loop of your own needs.

`comm` is mpi4py's MPI.COMM_WORLD, or any object with `rank`, `size`, `Allreduce`, `bcast` and `Abort` as mpi4py has
them; `Reduce_scatter_block` and `Allgather` are used if it has them.  docs/scale.md shows what is gained.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from autograd import Tensor

from ..init import default_generator
from ..module import Module
from .ending import checked, meet, together, watch
from .rows import Row, rows_of
from .sharded import Sharded
from .training import scatter

__all__ = ["Sharded", "average", "begin"]


def begin(model: Module, comm: Any) -> None:
    """Give rank 0's weights and buffers to the model of every rank; from now on an error on one rank ends all.

    The generator of `nn.manual_seed` gets a state of its own on each rank, which follows from rank 0's: draw the order
    of samples from another one, seeded alike on all ranks.  Raises ValueError on every rank if the models differ in the
    names, shapes or dtypes of their weights.
    """
    watch(checked(comm))
    state = model.state_dict()
    own = [(name, array.shape, array.dtype) for name, array in state.items()]
    theirs = comm.bcast(own)
    with together(comm):
        if own != theirs:
            differing = [f"{a} here, {b} on rank 0" for a, b in zip(own, theirs, strict=False) if a != b]
            raise ValueError(
                f"the model of rank {comm.rank} is not that of rank 0: "
                f"{(differing or [f'{len(own)} arrays here, {len(theirs)} on rank 0'])[0]}"
            )
    state = comm.bcast(state)
    generator = default_generator()
    generators = comm.bcast(generator.bit_generator.state)
    if comm.rank:
        model.load_state_dict(state)
        generator.bit_generator.state = generators
        scatter([generator], comm.rank)


_rows: weakref.WeakKeyDictionary[Any, tuple[Any, Sequence[Tensor], list[Row]]] = weakref.WeakKeyDictionary()


def average(model: Module, comm: Any, share: float = 1.0) -> None:
    """Give every parameter the mean of the ranks' gradients, in which this rank's count `share`.

    Call it after `backward()` and before the step, on every rank, also on one without samples, with share=0.  `share`
    is this rank's share of the batch, or its number of samples: what counts is its ratio to the sum.  A parameter has a
    gradient afterwards if it had one on any rank.  RuntimeError if a rank's program has ended.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    found = meet(checked(comm), [share, *(p.grad is not None for p in params)])
    if comm.size == 1:
        return
    known = _rows.get(model)
    if known is None or known[0] is not comm or [*map(id, known[1])] != [*map(id, params)]:
        known = _rows[model] = comm, params, rows_of(params, comm)
    for row in known[2]:
        row.fill(share / (found[0] or 1.0))
        row.average((found[1:] > 0).tolist())
