"""Learning-rate schedules.  Names, arguments and rates are PyTorch's."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .optimizer import Optimizer

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LinearLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "Schedule",
    "SequentialLR", "StepLR",
]  # fmt: skip


class _Kept:
    """The state of a schedule: its attributes, those of the schedules inside it, and the rates in use."""

    optimizer: Optimizer
    base_lrs: list[float]

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
        vars(self).update({name: value for name, value in state.items() if name not in ("schedulers", "rates")})
        for group, rate in zip(self.optimizer.groups, state["rates"], strict=True):
            group["lr"] = rate

    def _own(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "optimizer" and not callable(value)}

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


class Schedule(_Kept):
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
        _must_be_optimizer(self, optimizer)
        if last_epoch >= 0 and not all("initial_lr" in group for group in optimizer.groups):
            raise ValueError(
                f"last_epoch={last_epoch} goes on with rates that an earlier schedule set, but this optimiser had no "
                f"schedule: load its state first, optimizer.load_state_dict(state)"
            )
        self.optimizer, self.epoch, self.base_lrs = optimizer, last_epoch + 1, list[float]()
        if last_epoch < 0:
            self._begin()
        else:
            self._set([self._taken_up(*rates, self.epoch) for rates in self._rates()])

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

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.groups, rates, strict=True):
            group["lr"] = rate

    def step(self) -> None:
        """Begin the next epoch."""
        rates = [self.following(*rates, self.epoch + 1) for rates in self._rates()]
        self.epoch += 1
        self._set(rates)

    def restart(self) -> None:
        """Begin anew, at epoch 0 with the initial rates."""
        self._set([base for _, base in self._rates()])
        self._begin()

    def _begin(self) -> None:
        self.epoch = 0
        self._set([self.following(*rates, 0) for rates in self._rates()])


def _must_be_optimizer(schedule: Any, optimizer: Any) -> None:
    if not hasattr(optimizer, "groups"):
        raise TypeError(f"{type(schedule).__name__} takes an optimiser; got {type(optimizer).__name__}")


def _at_least_1(name: str, n: int) -> None:
    if not n >= 1:
        raise ValueError(f"{name} must be at least 1; got {n!r}")


class StepLR(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        _at_least_1("step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        return now * self.gamma if epoch and epoch % self.step_size == 0 else now

    _taken_up = following


class MultiStepLR(Schedule):
    """Multiply the rate by `gamma` at each of the `milestones`."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        return now * float(self.gamma ** self.milestones.count(epoch))

    _taken_up = following


class ExponentialLR(Schedule):
    """Multiply the rate by `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        return now * self.gamma if epoch else now


class LinearLR(Schedule):
    """Move linearly from `start_factor` to `end_factor` times the rate over `total_iters` epochs: a warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _at_least_1("total_iters", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(1.0, epoch / self.total_iters)


class CosineAnnealingLR(Schedule):
    """Follow half a cosine from the rate down to `eta_min` over `T_max` epochs: Loshchilov and Hutter 2017."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        _at_least_1("T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        if not epoch:
            return now
        if (epoch - 1) % (2 * self.T_max) == self.T_max:  # the cosine was at its lowest, where it has no ratio
            return now + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        before, after = (1 + math.cos(math.pi * t / self.T_max) for t in (epoch - 1, epoch))
        return max(self.eta_min + (now - self.eta_min) * (after / before), 0.0)  # below 0 if `now` was below eta_min


class OneCycleLR(Schedule):
    """Rise from max_lr / div_factor to `max_lr`, then fall far below, along cosines: Smith and Topin 2018.

    Call `step()` after every batch, at most `total_steps` times.  The rate depends on the step alone.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        last_epoch: int = -1,
    ) -> None:
        _must_be_optimizer(self, optimizer)
        _at_least_1("total_steps", total_steps)
        self.max_lr, self.total_steps, self.up = max_lr, total_steps, pct_start * total_steps - 1
        self.first = max_lr / div_factor
        self.last = self.first / final_div_factor
        if last_epoch < 0:
            for group in optimizer.groups:
                group["initial_lr"] = self.first
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        if epoch > self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, but this is step {epoch}")
        if epoch <= self.up:
            start, end, done, length = self.first, self.max_lr, float(epoch), self.up
        else:
            start, end, done, length = self.max_lr, self.last, epoch - self.up, self.total_steps - 1 - self.up
        share = done / length if length else 1.0  # a part without length is over at once
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

    _taken_up = following


class SequentialLR(Schedule):
    """Schedules in sequence: number i takes over at milestones[i - 1], and begins there with the initial rate."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"{len(schedulers)} schedules need one milestone fewer; got {len(milestones)} milestones")
        for i, schedule in enumerate(schedulers):
            if not isinstance(schedule, Schedule) or schedule.optimizer is not optimizer:
                kind = type(schedule).__name__
                why = "is of another optimiser" if isinstance(schedule, Schedule) else "does not follow epochs alone"
                raise ValueError(f"a sequence takes schedules of its own optimiser; number {i}, {kind}, {why}")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        self.optimizer, self.base_lrs = optimizer, list[float]()
        self.restart()

    def step(self) -> None:
        i = bisect.bisect_right(self.milestones, self.epoch + 1)
        if i and self.milestones[i - 1] == self.epoch + 1:
            self.schedulers[i].restart()
        else:
            self.schedulers[i].step()
        self.epoch += 1

    def _begin(self) -> None:
        self.epoch = 0
        self.schedulers[bisect.bisect_right(self.milestones, 0)]._begin()


class ReduceLROnPlateau(_Kept):
    """Multiply the rate by `factor` when the metric of `step` has not improved for more than `patience` epochs.

    An improvement is by the share `threshold` of the best so far or, with threshold_mode="abs", by `threshold`.  The
    rate stays at least `min_lr`, and as it is if it would change by `eps` or less.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max'; got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is 'rel' or 'abs'; got {threshold_mode!r}")
        if not factor < 1:
            raise ValueError(f"factor must be below 1, for the rate to fall; got {factor!r}")
        _must_be_optimizer(self, optimizer)
        self.optimizer, self.sign = optimizer, 1 if mode == "min" else -1
        self.factor, self.patience, self.threshold, self.threshold_mode = factor, patience, threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.epoch, self.base_lrs = 0, self.get_last_lr()
        self.best, self.bad, self.resting = math.inf, 0, 0

    def step(self, metrics: float) -> None:
        """Record the metric of an epoch, and reduce the rate if it is time."""
        value = self.sign * float(metrics)
        goal = self.best - self.threshold
        if self.threshold_mode == "rel":
            goal = self.best * (1 - self.sign * self.threshold)
        self.epoch += 1
        self.best, self.bad = (value, 0) if value < goal else (self.best, self.bad + 1)
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > self.patience:
            for group in self.optimizer.groups:
                rate = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate
            self.resting, self.bad = self.cooldown, 0

    def restart(self) -> None:
        """Begin anew, with the rates with which the plateau was made."""
        self.epoch = 0
        self.best, self.bad, self.resting = math.inf, 0, 0
        for group, rate in zip(self.optimizer.groups, self.base_lrs, strict=False):  # a group may have been added
            group["lr"] = rate
