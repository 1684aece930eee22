"""An optimiser whose step is divided among ranks: each moves its part of the weights, and all get the new ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

import autograd
from autograd import Tensor, as_tensor, assign_all, clear_gradients

from ..optim import Optimizer
from .ending import checked, meet
from .rows import Part, Row, flat, rows_of

__all__ = ["Sharded", "is_elementwise"]


def is_elementwise(optimizer: Optimizer) -> bool:
    """Whether a step may be cut anywhere: the class that defines `update` says so, and no class redefines `step`."""
    kind = type(optimizer)
    owner = next(cls for cls in kind.__mro__ if "update" in vars(cls))
    own = all(getattr(kind, name) is getattr(Optimizer, name) for name in ("step", "_take_step", "_moved", "_updated"))
    return own and bool(vars(owner).get("elementwise", False))


class Sharded:
    """The steps of `optimizer` on every rank: gradients are averaged, and each rank moves its part of the weights.

    `step(share)` adds up the gradients of all ranks, each times its share of the batch (reduce-scatter), moves this
    rank's part of the weights and collects the others' parts (allgather); then it clears the gradients.  All ranks get
    the same weights, bit for bit.  The state is divided too: `collect()` gives the whole of it to `optimizer`, which
    checkpoints need.  Only optimisers that move each number by itself can be divided (SGD, Adam and most others): any
    other (Muon, Adafactor, LBFGS, a `step` of your own) averages the gradients and takes the whole step on every rank.
    With `compiled` the step is a compiled program; `gradients` can be another, and the exchange lies between them:

        sharded = nn.parallel.Sharded(nn.Adam(model.parameters()), comm, compiled=True)
        for x, y in batches:  # this rank's part of each batch
            loss = gradients(x, y)
            sharded.step(share=len(x))
    """

    def __init__(self, optimizer: Optimizer, comm: Any, *, compiled: bool = False) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Sharded takes an optimiser such as nn.Adam(model.parameters()); got {optimizer!r:.60}")
        self.optimizer, self.comm, self.compiled = optimizer, checked(comm), compiled
        self.divided = is_elementwise(optimizer) and comm.size > 1
        self.rows: list[Row] = []
        self._whole = autograd.compile(optimizer.step) if compiled else optimizer.step

    def step(self, share: float = 1.0) -> None:
        """Move the weights by the gradients of all ranks.

        `share` is this rank's share of the batch, or its number of samples: what counts is its ratio to the sum.
        """
        found = self.meet([share])
        self.move(share / (found[0] or 1.0))

    def zero_grad(self) -> None:
        """Clear the gradients, as `step` does."""
        clear_gradients(self.optimizer.params)

    def meet(self, numbers: Sequence[float]) -> Any:
        """The sums of a few numbers over the ranks; also note which parameters have a gradient on any of them."""
        held = [p.grad is not None and p.requires_grad for p in self.optimizer.params]
        found = meet(self.comm, [*numbers, *held])
        self.held: list[bool] = (found[len(numbers) :] > 0).tolist()
        return found[: len(numbers)]

    def move(self, share: float) -> None:
        """Take the step, after `meet`, with gradients that count `share`."""
        if not self.divided or not any(self.held):  # without any gradient, the optimiser itself warns
            if any(self.held):
                self.average(share)
            self._whole()
            clear_gradients(self.optimizer.params)
            return
        if not self.rows:
            self._divide()
        params = self.optimizer.params
        for row, pieces in zip(self.rows, self.pieces, strict=True):
            row.fill(share)
            self._load(row, row.scattered(), pieces)
        for own, group in zip(self.own.groups, self.optimizer.groups, strict=True):
            own.update({name: value for name, value in group.items() if name != "params"})
        if any(p.grad is not None for p in self.own.params):
            self._take()
        moved, arrays = [], []
        for row, pieces in zip(self.rows, self.pieces, strict=True):
            block = np.zeros(row.block, row.dtype)
            for part, piece in pieces:
                block[part.start : part.start + piece.size] = piece.data
            new = row.gathered(block)
            for (index, p, _), array in zip(row.numbered, new, strict=True):
                if self.held[index]:
                    moved.append(p)
                    arrays.append(array.astype(p.dtype, copy=False))
        assign_all(moved, arrays)
        clear_gradients(params)

    def average(self, share: float) -> None:
        """Give every parameter the gradient of the whole batch."""
        if self.comm.size == 1 and share == 1:
            return
        self.rows = self.rows or rows_of(self.optimizer.params, self.comm)
        for row in self.rows:
            row.fill(share)
            row.average(self.held)

    def _load(self, row: Row, gradients: Any, pieces: list[tuple[Part, Tensor]]) -> None:
        """Give this rank's pieces the present weights and their gradients."""
        now = []
        orders = {index: order for index, _, order in row.numbered}
        for part, piece in pieces:
            p = self.optimizer.params[part.number]
            now.append(flat(p.data, orders[part.number])[part.first : part.last])
            own = gradients[part.start : part.start + piece.size].astype(p.dtype, copy=False)
            piece.grad = as_tensor(own) if self.held[part.number] else None
        assign_all([piece for _, piece in pieces], now)

    def _divide(self) -> None:
        """Make an optimiser of the same kind for this rank's part of every parameter."""
        whole = self.optimizer
        self.rows = rows_of(whole.params, self.comm)
        self.pieces: list[list[tuple[Part, Tensor]]] = []
        tensors: dict[int, Tensor] = {}
        states: dict[int, Any] = {}
        for row in self.rows:
            orders = {index: order for index, _, order in row.numbered}
            self.pieces.append([])
            for part in row.parts():
                p, cut = whole.params[part.number], slice(part.first, part.last)
                tensors[part.number] = piece = Tensor(flat(p.data, orders[part.number])[cut], requires_grad=True)
                states[part.number] = {
                    key: flat(value, orders[part.number])[cut].copy() if _is_like(value, p) else value
                    for key, value in whole.state[part.number].items()
                }
                self.pieces[-1].append((part, piece))
        self.own = copy.copy(whole)
        numbers, groups = iter(range(len(whole.params))), []
        for group in whole.groups:
            indices = [next(numbers) for _ in group["params"]]
            groups.append({**group, "params": [tensors[i] for i in indices if i in tensors]})
        self.own.groups = groups
        self.own.params = [p for group in groups for p in group["params"]]
        self.own.state = [states[index] for index in sorted(states)]
        self._take = autograd.compile(self.own.step) if self.compiled else self.own.step

    def collect(self) -> None:
        """Give `optimizer` the whole state, from all ranks."""
        if not self.divided or not self.rows:
            return
        states, params = dict(zip(sorted(self._mine()), self.own.state, strict=True)), self.optimizer.params
        cuts = {part.number: (part.first, part.last) for pieces in self.pieces for part, _ in pieces}
        orders: dict[int, Any] = {index: order for row in self.rows for index, _, order in row.numbered}
        whole: list[dict[str, Any]] = [{} for _ in params]
        for root in range(self.comm.size):
            for index, (first, last), state in self.comm.bcast([(i, cuts[i], states[i]) for i in states], root):
                p = params[index]
                for key, value in state.items():
                    if not isinstance(value, np.ndarray) or value.shape != (last - first,):
                        whole[index][key] = value
                        continue
                    if key not in whole[index]:
                        whole[index][key] = np.zeros(p.shape, value.dtype, orders[index])
                    flat(whole[index][key], orders[index])[first:last] = value
        self.optimizer.state = whole

    def _mine(self) -> list[int]:
        return [part.number for pieces in self.pieces for part, _ in pieces]


def _is_like(value: Any, p: Tensor) -> bool:
    """Whether an entry of a state has one number for each of the parameter."""
    return isinstance(value, np.ndarray) and value.shape == p.shape
