"""Learning-rate schedules.  Names, arguments and rates are PyTorch's."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from ..arguments import accepting
from ..elsewhere import PLATEAU, SCHEDULES, absent, explains
from .cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .optimizer import Optimizer
from .schedule import Kept, Schedule, at_least_1, must_be_optimizer, of_group, per_group

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau",
    "Schedule", "SequentialLR", "StepLR",
]  # fmt: skip


class StepLR(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        at_least_1("step_size", step_size)
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
        at_least_1("total_iters", total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(1.0, epoch / self.total_iters)


class ConstantLR(Schedule):
    """Multiply the rate by `factor`, from 0 to 1, until `total_iters` epochs have passed."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"factor is from 0 to 1; got {factor!r}")
        self.share, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        if epoch == 0:
            return now * self.share
        if epoch != self.total_iters:
            return now
        return now / self.share if self.share else base

    _taken_up = following


class PolynomialLR(Schedule):
    """Lower the rate to 0 over `total_iters` epochs, along (1 - epoch / total_iters) to the `power`."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        at_least_1("total_iters", total_iters)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        if not 0 < epoch <= self.total_iters:
            return now
        left = self.total_iters - epoch
        return now * float((left / (left + 1)) ** self.power)


class LambdaLR(Schedule):
    """The initial rate times `lr_lambda(epoch)`; a list of functions has one per group.

    The rate depends on the epoch alone.  The state holds no functions.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        must_be_optimizer(self, optimizer)
        self.lr_lambdas = per_group("lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda is a function of the epoch; got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def _all(self, following: Any, epoch: int) -> list[float]:
        return [base * of_group(self.lr_lambdas, i)(epoch) for i, (_, base) in enumerate(self._rates())]


class MultiplicativeLR(LambdaLR):
    """Multiply the rate in every epoch by `lr_lambda(epoch)`; a list of functions has one per group."""

    def _all(self, following: Any, epoch: int) -> list[float]:
        rates = [now for now, _ in self._rates()]
        if not epoch or following == self._taken_up:
            return rates
        return [now * of_group(self.lr_lambdas, i)(epoch) for i, now in enumerate(rates)]


class SequentialLR(Schedule):
    """Schedules in sequence: number i takes over at milestones[i - 1], and begins there with the initial rate."""

    @accepting
    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"{len(schedulers)} schedules need one milestone fewer; got {len(milestones)} milestones")
        for i, schedule in enumerate(schedulers):
            _must_be_of(optimizer, schedule, i)
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


class ChainedScheduler(Schedule):
    """Several schedules at once: each changes the rate that those before it leave."""

    def __init__(self, schedulers: Sequence[Schedule], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler needs at least one schedule")
        self.optimizer = optimizer or getattr(schedulers[0], "optimizer", None)  # type: ignore[assignment]  # see below
        must_be_optimizer(self, self.optimizer)
        for i, schedule in enumerate(schedulers):
            _must_be_of(self.optimizer, schedule, i)
        self.schedulers, self.epoch, self.base_lrs = list(schedulers), schedulers[0].epoch, list[float]()
        self._rates()

    def step(self) -> None:
        for schedule in self.schedulers:
            schedule.step()
        self.epoch += 1

    def _begin(self) -> None:
        self.epoch = 0
        for schedule in self.schedulers:
            schedule._begin()


def _must_be_of(optimizer: Optimizer, schedule: Any, i: int) -> None:
    if not isinstance(schedule, Schedule) or schedule.optimizer is not optimizer:
        kind = type(schedule).__name__
        why = "is of another optimiser" if isinstance(schedule, Schedule) else "does not follow epochs alone"
        raise ValueError(f"a sequence takes schedules of its own optimiser; number {i}, {kind}, {why}")


class ReduceLROnPlateau(Kept):
    """Multiply the rate by `factor` when the metric of `step` has not improved for more than `patience` epochs.

    An improvement is by the share `threshold` of the best so far or, with threshold_mode="abs", by `threshold`.  The
    rate stays at least `min_lr`, or the item of its group if that is a list, and as it is if it would change by `eps`
    or less.
    """

    @explains(PLATEAU, "ReduceLROnPlateau")
    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max'; got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is 'rel' or 'abs'; got {threshold_mode!r}")
        if not factor < 1:
            raise ValueError(f"factor must be below 1, for the rate to fall; got {factor!r}")
        must_be_optimizer(self, optimizer)
        self.optimizer, self.sign = optimizer, 1 if mode == "min" else -1
        self.factor, self.patience, self.threshold, self.threshold_mode = factor, patience, threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, per_group("min_lr", min_lr, optimizer), eps
        self.epoch, self.base_lrs = 0, self.get_last_lr()
        self.best, self.bad, self.resting = math.inf, 0, 0

    def step(self, metrics: float | None = None) -> None:
        """Record the metric of an epoch, and reduce the rate if it is time; TypeError without a metric."""
        if metrics is None:
            raise TypeError("ReduceLROnPlateau.step(loss) needs the number that it watches, such as the epoch's loss")
        value = self.sign * float(metrics)
        goal = self.best - self.threshold
        if self.threshold_mode == "rel":
            goal = self.best * (1 - self.sign * self.threshold)
        self.epoch += 1
        self.best, self.bad = (value, 0) if value < goal else (self.best, self.bad + 1)
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > self.patience:
            for i, group in enumerate(self.optimizer.groups):
                rate = max(group["lr"] * self.factor, of_group(self.min_lr, i))
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate
            self.resting, self.bad = self.cooldown, 0

    def restart(self) -> None:
        """Begin anew, with the rates with which the plateau was made."""
        self.epoch = 0
        self.best, self.bad, self.resting = math.inf, 0, 0
        for group, rate in zip(self.optimizer.groups, self.base_lrs, strict=False):  # a group may have been added
            group["lr"] = rate


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, SCHEDULES)
