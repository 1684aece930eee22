"""Base of learning-rate schedules: what they keep, and how each rate follows the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .optimizer import Optimizer

__all__ = ["Schedule"]


class Kept:
    """The state of a schedule: its attributes, those of the schedules inside it, and the rates in use."""

    optimizer: Optimizer
    base_lrs: list[float]
    advanced: bool  # set by a run, whose rates another one must not begin with

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser; "rates" are the rates in use."""
        state = self._own()
        if inner := state.get("schedulers"):
            state["schedulers"] = [schedule.state_dict() for schedule in inner]
        return state | {"rates": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`, with the optimiser's rates; ValueError, before anything changes."""
        self._fits(state)
        for schedule, inner in zip(getattr(self, "schedulers", []), state.get("schedulers", []), strict=True):
            schedule.load_state_dict(inner)
        vars(self).update({name: value for name, value in state.items() if name in vars(self) and name != "schedulers"})
        for group, rate in zip(self.optimizer.groups, state["rates"], strict=True):
            group["lr"] = rate

    def _own(self) -> dict[str, Any]:
        out = ("optimizer", "advanced")
        return {name: value for name, value in vars(self).items() if name not in out and not _calls(value)}

    def _fits(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError for a state that is not of this kind of schedule, or of an optimiser with other groups."""
        kind, own = type(self).__name__, self._own()
        if not isinstance(state, Mapping) or own.keys() | {"rates"} != state.keys():
            raise ValueError(f"this state is from another kind of schedule than {kind}: {sorted(state)}")
        rates, groups = state["rates"], len(self.optimizer.groups)
        if not isinstance(rates, list) or not all(isinstance(x, float | int) and 0 <= x < math.inf for x in rates):
            raise ValueError(f"the rates of this state are {rates!r:.60}")
        if len(rates) != groups:
            raise ValueError(f"this state has {len(rates)} rates, but the optimiser has {groups} groups")
        if type(state["epoch"]) is not int or state["epoch"] < 0:
            raise ValueError(f"the epoch of this state is {state['epoch']!r:.60}")
        inner, mine = state.get("schedulers", []), own.get("schedulers", [])
        if not isinstance(inner, list) or len(inner) != len(mine):
            raise ValueError(f"this state is of another number of schedules than {len(mine)}")
        for schedule, part in zip(mine, inner, strict=True):
            schedule._fits(part)

    def get_last_lr(self) -> list[float]:
        """The rates in use, one per group."""
        return [group["lr"] for group in self.optimizer.groups]


class Schedule(Kept):
    """Changes the learning rate of every group; call `step()` after each epoch's optimiser steps.

    A schedule of your own defines `factor`.  The rate changes as the factor does, so that other schedules, a plateau
    and a rate set by hand last, as in PyTorch.  `base_lrs` are the rates before the first schedule of this optimiser.
    With `last_epoch` at least 0 the schedule goes on after that epoch, with the rates that the optimiser has.

    >>> from nn import SGD, StepLR
    >>> from autograd import Tensor
    >>> optimizer = SGD([Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.1)
    >>> for epoch in range(3):
    ...     schedule.step()
    >>> optimizer.lr
    0.1
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        must_be_optimizer(self, optimizer)
        if last_epoch >= 0 and not all("initial_lr" in group for group in optimizer.groups):
            raise ValueError(
                f"last_epoch={last_epoch} goes on with rates that an earlier schedule set, but this optimiser had no "
                f"schedule: load its state first, optimizer.load_state_dict(state)"
            )
        self.optimizer, self.epoch, self.base_lrs = optimizer, last_epoch + 1, list[float]()
        if last_epoch < 0:
            self._begin()
        else:
            self._set(self._all(self._taken_up, self.epoch))

    @property
    def last_epoch(self) -> int:
        """PyTorch's name for `epoch`."""
        return self.epoch

    def factor(self, epoch: int) -> float:
        """The factor on the initial learning rate in this epoch."""
        raise TypeError(f"{type(self).__name__} has no factor()")

    def following(self, now: float, base: float, epoch: int) -> float:
        """The rate of a group in this epoch, which follows the rate `now`; `base` is its initial rate."""
        before, after = self.factor(epoch - 1) if epoch else 1.0, self.factor(epoch)
        if after == before:
            return now
        return now * (after / before) if before else base * after

    def _taken_up(self, now: float, base: float, epoch: int) -> float:
        """The rate with which a schedule goes on that is made for a later epoch than 0."""
        return now

    def _rates(self) -> list[tuple[float, float]]:
        """The rate and the initial rate of every group; a group may have been added."""
        groups = self.optimizer.groups
        self.base_lrs += [group.setdefault("initial_lr", group["lr"]) for group in groups[len(self.base_lrs) :]]
        return [(group["lr"], base) for group, base in zip(groups, self.base_lrs, strict=True)]

    def _all(self, following: Callable[[float, float, int], float], epoch: int) -> list[float]:
        """The rates of all groups in this epoch."""
        return [following(*rates, epoch) for rates in self._rates()]

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.groups, rates, strict=True):
            group["lr"] = rate

    def step(self) -> None:
        """Begin the next epoch."""
        rates = self._all(self.following, self.epoch + 1)
        self.epoch += 1
        self._set(rates)

    def restart(self) -> None:
        """Begin anew, at epoch 0 with the initial rates."""
        self._set([base for _, base in self._rates()])
        self._begin()

    def _begin(self) -> None:
        self.epoch = 0
        self._set(self._all(self.following, 0))


def must_be_optimizer(schedule: Any, optimizer: Any) -> None:
    if not hasattr(optimizer, "groups"):
        raise TypeError(f"{type(schedule).__name__} takes an optimiser; got {type(optimizer).__name__}")


def at_least_1(name: str, n: int) -> None:
    if not n >= 1:
        raise ValueError(f"{name} must be at least 1; got {n!r}")


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """`value` for each group; a list has one item per group, or raises ValueError."""
    if not isinstance(value, list | tuple):
        return [value for _ in optimizer.groups]
    if len(value) != len(optimizer.groups):
        raise ValueError(f"{name} has {len(value)} items, but the optimiser has {len(optimizer.groups)} groups")
    return list(value)


def of_group(values: Sequence[Any], i: int) -> Any:
    """The item for group i; a group that was added later has the last one's."""
    return values[min(i, len(values) - 1)]


def _calls(value: Any) -> bool:
    """Whether this is a function, or a list of functions, which no state holds."""
    return callable(value) or (isinstance(value, list) and bool(value) and all(map(callable, value)))
