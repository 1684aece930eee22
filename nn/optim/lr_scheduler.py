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


class Schedule:
    """The learning rate of every group as a function of the epoch; call `step()` after each epoch's optimiser steps.

    >>> from nn import SGD, StepLR
    >>> from autograd import Tensor
    >>> optimizer = SGD([Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.1)
    >>> for epoch in range(3):
    ...     schedule.step()
    >>> optimizer.lr
    0.1
    """

    def __init__(self, optimizer: Optimizer) -> None:
        _must_be_optimizer(self, optimizer)
        self.optimizer, self.epoch = optimizer, 0
        self.base_lrs = [group["lr"] for group in optimizer.groups]
        self.set()

    def factor(self, epoch: int) -> float:
        """The factor on the initial learning rate in this epoch."""
        raise TypeError(f"{type(self).__name__} has no factor()")

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate in this epoch of a group that began with `base`."""
        return base * self.factor(epoch)

    def set(self) -> None:
        """Set the optimiser's rates to those of this epoch."""
        for group, base in zip(self.optimizer.groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.epoch)

    def step(self) -> None:
        """Begin the next epoch."""
        self.epoch += 1
        self.set()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser, whose own state holds the rates."""
        state = {name: value for name, value in vars(self).items() if name != "optimizer" and not callable(value)}
        inner = [schedule.state_dict() for schedule in state.get("schedulers", [])]
        return state | {"schedulers": inner} if inner else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`."""
        own = {name for name in vars(self) if name != "optimizer" and not callable(vars(self)[name])}
        if own != set(state):
            raise ValueError(f"this state is from another kind of schedule than {type(self).__name__}: {sorted(state)}")
        for schedule, inner in zip(getattr(self, "schedulers", []), state.get("schedulers", []), strict=True):
            schedule.load_state_dict(inner)
        vars(self).update({name: value for name, value in state.items() if name != "schedulers"})

    def get_last_lr(self) -> list[float]:
        """The rates in use, one per group."""
        return [group["lr"] for group in self.optimizer.groups]


def _must_be_optimizer(schedule: Any, optimizer: Any) -> None:
    if not hasattr(optimizer, "groups"):
        raise TypeError(f"{type(schedule).__name__} takes an optimiser; got {type(optimizer).__name__}")


def _at_least_1(name: str, n: int) -> None:
    if not n >= 1:
        raise ValueError(f"{name} must be at least 1; got {n!r}")


class StepLR(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _at_least_1("step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(Schedule):
    """Multiply the rate by `gamma` at each of the `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** bisect.bisect_right(self.milestones, epoch))


class ExponentialLR(Schedule):
    """Multiply the rate by `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return float(self.gamma**epoch)


class LinearLR(Schedule):
    """Move linearly from `start_factor` to `end_factor` times the rate over `total_iters` epochs: a warm-up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        _at_least_1("total_iters", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(1.0, epoch / self.total_iters)


class CosineAnnealingLR(Schedule):
    """Follow half a cosine from the rate down to `eta_min` over `T_max` epochs: Loshchilov and Hutter 2017."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        _at_least_1("T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class OneCycleLR(Schedule):
    """Rise from max_lr / div_factor to `max_lr`, then fall far below, along cosines: Smith and Topin 2018.

    Call `step()` after every batch, at most `total_steps` times.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lr, self.total_steps, self.up = max_lr, total_steps, pct_start * total_steps - 1
        self.first = max_lr / div_factor
        self.last = self.first / final_div_factor
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        if epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, but this is step {epoch + 1}")
        if epoch <= self.up:
            start, end, share = self.first, self.max_lr, epoch / self.up
        else:
            start, end, share = self.max_lr, self.last, (epoch - self.up) / (self.total_steps - 1 - self.up)
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class SequentialLR(Schedule):
    """Schedules in sequence: number i takes over at milestones[i - 1] and counts its own epochs from there."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"{len(schedulers)} schedules need one milestone fewer; got {len(milestones)} milestones")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        for group, base in zip(optimizer.groups, self.schedulers[0].base_lrs, strict=True):
            group["lr"] = base
        for schedule in self.schedulers:
            schedule.base_lrs = self.schedulers[0].base_lrs
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        i = bisect.bisect_right(self.milestones, epoch)
        return self.schedulers[i].rate(base, epoch - (self.milestones[i - 1] if i else 0))


class ReduceLROnPlateau:
    """Multiply the rate by `factor` when the metric of `step` has not improved for more than `patience` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max'; got {mode!r}")
        _must_be_optimizer(self, optimizer)
        self.optimizer, self.sign = optimizer, 1 if mode == "min" else -1
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.min_lr = cooldown, min_lr
        self.best, self.bad, self.resting = math.inf, 0, 0

    def step(self, metric: float) -> None:
        """Record the metric of an epoch, and reduce the rate if it is time."""
        value = self.sign * float(metric)
        better = value < self.best * (1 - self.sign * self.threshold)
        self.best, self.bad = (value, 0) if better else (self.best, self.bad + 1)
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > self.patience:
            for group in self.optimizer.groups:
                group["lr"] = max(group["lr"] * self.factor, self.min_lr)
            self.resting, self.bad = self.cooldown, 0
