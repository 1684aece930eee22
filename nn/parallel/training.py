"""What `fit` does on several ranks: each takes its part of every batch, and all take the same steps."""

from __future__ import annotations

import copy
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from autograd import Tensor

from ..callbacks import TrainingRun
from ..checkpoint import generators_in, state_of, take_over, undrawn, unsaved
from ..data import DataLoader, Dataset, Subset, TensorDataset, samples_of
from ..fingerprint import fingerprint
from ..inference import measured, predicted
from ..optim import LBFGS
from ..rows import length, read_part
from .ending import abort, checked, together, watch
from .rows import total
from .sharded import Sharded

__all__ = ["Ranks", "part_of"]


def part_of(n: int, rank: int, size: int, least: int = 1) -> slice:
    """The rows of n that this rank takes: contiguous parts, of which the first ones are longer by one row.

    No part has fewer than `least` rows, except that some may have none.

    >>> [part_of(8, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    >>> [part_of(5, rank, 3, least=2) for rank in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 5, None)]
    """
    size = max(1, min(size, n // least))
    if rank >= size:
        return slice(n, n)
    few, more = divmod(n, size)
    first = rank * few + min(rank, more)
    return slice(first, first + few + (rank < more))


class _Part(Dataset):
    """A dataset whose batches are this rank's part, and the number of rows of the whole batch.

    In a last batch that is short no rank has a single row, of which BatchNorm could not compute a variance.
    """

    def __init__(self, dataset: Dataset, comm: Any, batch_size: int) -> None:
        self.dataset, self.comm, self.batch_size = dataset, comm, batch_size

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, rows: Any) -> tuple[Any, ...]:
        least = 2 if len(rows) < self.batch_size else 1
        own = rows[part_of(len(rows), self.comm.rank, self.comm.size, least)]
        return (*(self.dataset.batch(own) if len(own) else (None, None)), len(rows))


class Ranks:
    """The ranks of one run of `fit`, which goes through its methods in the same order on every rank."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.first = checked(comm), comm.rank == 0
        self.interrupted = False  # all ranks know it
        self.noted = False  # this rank was asked to end
        self.samples = 0  # in the batch of all ranks
        watch(comm)

    def together(self) -> Any:
        """An error inside the block, on any rank, is raised on all."""
        return together(self.comm)

    # ---- the beginning

    def begin(self, run: TrainingRun, resume: Callable[[TrainingRun], None]) -> None:
        """Refuse runs that differ between ranks; resume on rank 0; give rank 0's weights and all the rest to others."""
        self.run, self.bare = run, copy.copy(run)
        self.bare.callbacks = []
        with self.together(), undrawn(run):
            if run.given["batch_size"] < self.comm.size and not isinstance(run.given["data"], DataLoader):
                raise ValueError(f"batches of {run.given['batch_size']} samples have none for some ranks")
            own = {**fingerprint(self.bare), "number of epochs": str(run.given["epochs"])}
        theirs = self.comm.bcast(own)
        with self.together():
            if differing := [name for name, text in own.items() if text != theirs[name]]:
                name = differing[0]
                raise ValueError(
                    f"rank {self.comm.rank} has another {', '.join(differing)} than rank 0: {own[name]:.300}, and "
                    f"not {theirs[name]:.300}; build the same model and read the same data on every rank"
                )
        with self.together():
            resume(run)
        state = self.comm.bcast(state_of(self._as_one()) if self.first else None)
        if not self.first:
            take_over(run, state)
        self.generators = generators_in(self.bare)
        self.sharded = Sharded(run.optimizer, self.comm)

    def _as_one(self) -> TrainingRun:
        """The run as it is now, without callbacks, which other ranks lack."""
        run = copy.copy(self.run)
        run.callbacks = []
        return run

    # ---- an epoch

    def loader(self, loader: DataLoader) -> Any:
        """A loader of this rank's part of every batch of `loader`."""
        if type(loader).__iter__ is not DataLoader.__iter__ or getattr(loader, "chunks", False):
            raise ValueError(
                f"with comm, {type(loader).__name__} must iterate as nn.DataLoader does, by numbers of rows (without "
                f"chunks), of which each rank takes its part"
            )
        self.whole = copy.copy(loader)
        self.whole.dataset = _Part(samples_of(loader), self.comm, loader.batch_size)
        self.whole.generator = loader.generator
        return self

    @property
    def dataset(self) -> Any:
        """The samples of all ranks."""
        return self.whole.dataset.dataset

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The order of the samples is rank 0's; what layers and data draw in this epoch differs by rank."""
        states = self.comm.bcast([generator.bit_generator.state for generator in self.generators])
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
        batches = iter(self.whole)
        if not self.first:
            scatter(self.generators, self.comm.rank)
        for *parts, samples in batches:
            self.samples = samples
            yield tuple(parts)
        self.settle()

    def step(self, closure: Callable[[], Any], x: Any, y: Any) -> Any:
        """Move the weights by the gradients of all ranks; return the loss of the whole batch."""
        run, sums = self.run, getattr(self.run.loss, "reduction", "mean") == "sum"
        weight = 0.0 if x is None else weight_of(run.loss, y)
        found = 0.0

        def meeting() -> float:
            """Compute this rank's gradients, and meet the others; return this rank's share."""
            nonlocal found
            dropped, value = False, 0.0
            if weight:
                try:
                    value = float(closure().item())
                except KeyboardInterrupt:
                    self.noted = dropped = True
            else:
                run.optimizer.zero_grad()
            scaled = value if sums else value * weight
            summed, weights, noted, drops = self.sharded.meet([scaled, weight, self.noted, dropped])
            self.interrupted = bool(noted)
            if drops:
                raise KeyboardInterrupt
            if not weights and x is not None:  # every label is ignored: their mean is NaN, as for one process
                closure()
            found = summed if sums else summed / (weights or 1.0)
            return 1.0 if sums else weight / (weights or 1.0)

        def averaged() -> Tensor:
            share = meeting()
            self.sharded.average(share)
            return Tensor(found)

        loss = None
        try:
            if isinstance(run.optimizer, LBFGS):
                loss = run.optimizer.step(averaged)
            else:
                self.sharded.move(meeting())
                loss = Tensor(found)
        finally:
            if self.interrupted:
                self.settle()
        if self.interrupted:
            raise KeyboardInterrupt
        return loss

    def settle(self) -> None:
        """Collect the state of the optimiser, and average the buffers in which ranks differ, such as running means."""
        self.sharded.collect()
        buffers = [*self.run.model.buffers(), *unsaved(self.run.model)]
        theirs = self.comm.bcast([buffer.data for buffer in buffers])
        learned = [(b, first) for b, first in zip(buffers, theirs, strict=True) if b.dtype.kind == "f"]
        if learned:
            away = [_away(b.data, first) for b, first in learned]
            mean = total(self.comm, np.concatenate([a.ravel() for a in away])) / self.comm.size
            ends = np.cumsum([a.size for a in away])[:-1]
            for (buffer, first), change in zip(learned, np.split(mean, ends), strict=True):
                buffer.assign((first + change.reshape(first.shape)).astype(first.dtype))
        for buffer, first in zip(buffers, theirs, strict=True):
            if buffer.dtype.kind != "f":
                buffer.assign(first)

    def evaluate(self, model: Any, data: Any, *, loss: Any, metrics: Mapping[str, Any]) -> dict[str, float]:
        """`evaluate`, with predictions of which each rank computes its part."""
        batch_size = data.batch_size if isinstance(data, DataLoader) else 1024
        samples, comm = samples_of(data), self.comm
        n = len(samples)
        own = part_of(n, comm.rank, comm.size)
        if n < comm.size:
            return measured(*predicted(model, samples, batch_size), loss, metrics)
        if type(samples) is TensorDataset and samples.in_memory:
            part: Dataset = TensorDataset(*(read_part(array, own.start, own.stop) for array in samples.arrays))
        else:
            part = Subset(samples, np.arange(own.start, own.stop))
        prediction, y = predicted(model, part, batch_size)
        return measured(gathered(comm, prediction, own, n), gathered(comm, y, own, n), loss, metrics)

    # ---- rank 0's callbacks

    def verdict(self, decide: Callable[[], Any]) -> None:
        """Let rank 0's callbacks decide, and tell the others: to stop, the rates, what is frozen, other weights."""
        run, told = self.run, None
        if self.first:
            before = self._arrays()
            try:
                decide()
            except KeyboardInterrupt:
                self.noted = True
            now = self._arrays()
            changed = any(a is not b for a, b in zip(before, now, strict=True))
            options = [{k: v for k, v in g.items() if k != "params"} for g in run.optimizer.groups]
            frozen = [p.requires_grad for p in run.model.parameters()]
            told = run.history.stopped, self.noted, options, frozen, run.model.state_dict() if changed else None
        run.history.stopped, noted, options, frozen, weights = self.comm.bcast(told)
        if not self.first:
            for group, own in zip(run.optimizer.groups, options, strict=True):
                group.update(own)
            for p, free in zip(run.model.parameters(), frozen, strict=True):
                p.requires_grad = free
            if weights is not None:
                run.model.load_state_dict(weights)
        if noted and not run.history.stopped:
            run.history.stopped = f"interrupted in epoch {run.epoch}"

    def _arrays(self) -> list[Any]:
        return [tensor.data for tensor in (*self.run.model.parameters(), *self.run.model.buffers())]

    # ---- the end

    def __enter__(self) -> Ranks:
        self.previous: Any = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_: Any) -> None:
        """Ctrl-C: end after the step that all ranks take now; when it comes a second time, at once."""
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: TracebackType | None) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        if error is not None:
            abort(self.comm, error)
            return
        states = self.comm.bcast([generator.bit_generator.state for generator in self.generators])
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state


def _away(own: Any, first: Any) -> Any:
    """own - first, in float64, and 0 where both are the same, also where both are NaN or infinite."""
    differ = (own != first) & ((own == own) | (first == first))
    return np.subtract(own, first, out=np.zeros(first.shape), where=differ)


def scatter(generators: list[np.random.Generator], rank: int) -> None:
    """Give generators that are equal on all ranks other states, which follow from these and the rank."""
    for generator in generators:
        number = int(generator.integers(2**63))
        generator.bit_generator.state = type(generator.bit_generator)([rank, number]).state


def weight_of(loss: Any, y: Any) -> float:
    """What a mean over these labels counts in that of the batch: their number, or the sum of their classes' weights."""
    weight, ignored = getattr(loss, "weight", None), getattr(loss, "ignore_index", None)
    labels = y if isinstance(y, np.ndarray) and y.dtype.kind in "iu" else None
    if ignored is None or labels is None or getattr(loss, "reduction", None) != "mean":
        return float(length(y))
    counted = labels[labels != ignored]
    return float(counted.size if weight is None else np.asarray(getattr(weight, "data", weight))[counted].sum())


def gathered(comm: Any, tree: Any, own: slice, n: int) -> Any:
    """The rows of all ranks, from those of each; dicts and tuples of arrays part by part."""
    if isinstance(tree, Mapping):
        return {name: gathered(comm, part, own, n) for name, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(gathered(comm, part, own, n) for part in tree)
    kind: Any = {"?": np.uint8, "e": np.float32}.get(tree.dtype.char, tree.dtype)
    whole = np.zeros((n, *tree.shape[1:]), kind)
    whole[own] = tree
    return total(comm, whole).astype(tree.dtype, copy=False)
