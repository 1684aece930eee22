"""Learning rates that rise and fall, along cosines and lines.  Names, arguments and rates are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .optimizer import Optimizer
from .schedule import Schedule, at_least_1, must_be_optimizer, of_group, per_group

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class CosineAnnealingLR(Schedule):
    """Follow half a cosine from the rate down to `eta_min` over `T_max` epochs: Loshchilov and Hutter 2017."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        at_least_1("T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: int) -> float:
        if not epoch:
            return now
        if (epoch - 1) % (2 * self.T_max) == self.T_max:  # the cosine was at its lowest, where it has no ratio
            return now + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        before, after = (1 + math.cos(math.pi * t / self.T_max) for t in (epoch - 1, epoch))
        return max(self.eta_min + (now - self.eta_min) * (after / before), 0.0)  # below 0 if `now` was below eta_min


class CosineAnnealingWarmRestarts(Schedule):
    """Follow half cosines from the rate down to `eta_min`, each `T_mult` times as long as the one before, at first T_0.

    The rate depends on the epoch alone; `step(epoch)` takes a part of an epoch too, such as 2.5.  Loshchilov and Hutter
    2017.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        at_least_1("T_0", T_0)
        at_least_1("T_mult", T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def following(self, now: float, base: float, epoch: float) -> float:
        past, length = epoch % self.T_0 if self.T_mult == 1 else epoch, self.T_0
        for _ in range(math.floor(epoch)):  # at most one restart per epoch
            if past < length:
                break
            past, length = past - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * past / length)) / 2

    _taken_up = following

    def step(self, epoch: float | None = None) -> None:
        """Begin the next epoch, or this one."""
        epoch = self.epoch + 1 if epoch is None else epoch
        if not epoch >= 0:
            raise ValueError(f"epoch must be at least 0; got {epoch!r}")
        rates = [self.following(*rates, epoch) for rates in self._rates()]
        self.epoch = math.floor(epoch)
        self._set(rates)


class _Cycle(Schedule):
    """A rate for each group, and a momentum that falls while the rate rises; both depend on the step alone."""

    cycle_momentum: bool
    base_momentum: list[float]
    max_momentum: list[float]

    def _cycle(self, cycle_momentum: bool, base_momentum: Any, max_momentum: Any, optimizer: Optimizer) -> None:
        defaults = optimizer.defaults
        if cycle_momentum and not {"momentum", "betas"} & defaults.keys():
            kind = type(optimizer).__name__
            raise ValueError(f"{kind} has no momentum that could rise and fall; pass cycle_momentum=False")
        self.cycle_momentum = cycle_momentum
        self.base_momentum = per_group("base_momentum", base_momentum, optimizer)
        self.max_momentum = per_group("max_momentum", max_momentum, optimizer)

    def _rate(self, i: int, step: int) -> float:
        raise NotImplementedError

    def _momentum(self, i: int, step: int) -> float:
        raise NotImplementedError

    def _all(self, following: Any, epoch: int) -> list[float]:
        return [self._rate(i, epoch) for i, _ in enumerate(self._rates())]

    def _set(self, rates: Sequence[float]) -> None:
        super()._set(rates)
        if self.cycle_momentum:
            self._use([self._momentum(i, self.epoch) for i, _ in enumerate(rates)])

    def _use(self, momenta: Sequence[float]) -> None:
        for group, momentum in zip(self.optimizer.groups, momenta, strict=False):
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser; "rates" and "momenta" are those in use."""
        groups = self.optimizer.groups if self.cycle_momentum else []
        momenta = [group["betas"][0] if "betas" in group else group["momentum"] for group in groups]
        return super().state_dict() | {"momenta": momenta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._use(state["momenta"])

    def _own(self) -> dict[str, Any]:
        return super()._own() | {"momenta": []}


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


class OneCycleLR(_Cycle):
    """Rise from max_lr / div_factor to `max_lr`, then fall far below, along cosines: Smith and Topin 2018.

    Call `step()` after every batch, at most `total_steps` times, or `epochs` times `steps_per_epoch`.  The first
    `pct_start` of them rise; with `three_phase` as many fall back to the first rate, and the rest to the first rate /
    final_div_factor.  With `cycle_momentum` the momentum, or the first of the betas, falls from `max_momentum` to
    `base_momentum` while the rate rises, and rises while it falls; a compiled step then makes a new program for each
    momentum.  anneal_strategy="linear" has lines.  `max_lr` and momenta may be lists, an item per group.  Rate and
    momentum depend on the step alone.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        must_be_optimizer(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            at_least_1("epochs", epochs)
            at_least_1("steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        at_least_1("total_steps", total_steps)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is 'cos' or 'linear'; got {anneal_strategy!r}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is a share, from 0 to 1; got {pct_start!r}")
        self.total_steps, self.anneal_strategy, self.three_phase = total_steps, anneal_strategy, three_phase
        self.up = pct_start * total_steps - 1
        self.max_lr = per_group("max_lr", max_lr, optimizer)
        self.first = [rate / div_factor for rate in self.max_lr]
        self.last = [rate / final_div_factor for rate in self.first]
        self._cycle(cycle_momentum, base_momentum, max_momentum, optimizer)
        if last_epoch < 0:
            for group, first in zip(optimizer.groups, self.first, strict=True):
                group["initial_lr"] = first
        super().__init__(optimizer, last_epoch)

    def _between(self, step: int, *values: float) -> float:
        """The value in this step, of those at the ends of the phases."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, but this is step {step}")
        ends = [0.0, self.up, *([2 * self.up] if self.three_phase else []), self.total_steps - 1.0]
        n = next((n for n, end in enumerate(ends[1:-1]) if step <= end), len(ends) - 2)
        length = ends[n + 1] - ends[n]
        share = (step - ends[n]) / length if length else 1.0  # a phase without length is over at once
        return (_cosine if self.anneal_strategy == "cos" else _line)(values[n], values[n + 1], share)

    def _rate(self, i: int, step: int) -> float:
        first, most, last = (of_group(values, i) for values in (self.first, self.max_lr, self.last))
        return self._between(step, first, most, *([first] if self.three_phase else []), last)

    def _momentum(self, i: int, step: int) -> float:
        least, most = of_group(self.base_momentum, i), of_group(self.max_momentum, i)
        return self._between(step, most, least, most, most)


class CyclicLR(_Cycle):
    """Rise from `base_lr` to `max_lr` in `step_size_up` steps, fall in `step_size_down`, and so on: Smith 2017.

    Call `step()` after every batch.  By default all cycles are alike; with mode="triangular2" each is half as high as
    the one before, with "exp_range" the height is multiplied by `gamma` in every step, and with `scale_fn` by its
    result for the number of the cycle, from 1, or of the step (scale_mode="iterations").  With `cycle_momentum` the
    momentum, or the first of the betas, falls from `max_momentum` while the rate rises; a compiled step then makes a
    new program for each momentum.  Rates and momenta may be lists, an item per group.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        must_be_optimizer(self, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"mode is 'triangular', 'triangular2' or 'exp_range'; got {mode!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"scale_mode is 'cycle' or 'iterations'; got {scale_mode!r}")
        at_least_1("step_size_up", step_size_up)
        self.size_up, self.size = step_size_up, step_size_up + (step_size_down or step_size_up)
        self.mode, self.gamma, self.scale_fn, self.scale_mode = mode, gamma, scale_fn, scale_mode
        low = per_group("base_lr", base_lr, optimizer)
        self.max_lr = per_group("max_lr", max_lr, optimizer)
        self._cycle(cycle_momentum, base_momentum, max_momentum, optimizer)
        for group, rate in zip(optimizer.groups, low if last_epoch < 0 else (), strict=False):
            group["lr"] = rate
        # as in PyTorch, the first rate begins where an earlier schedule of this optimiser began
        self.low = [group.get("initial_lr", rate) for group, rate in zip(optimizer.groups, low, strict=True)]
        super().__init__(optimizer, last_epoch)
        self.low = low

    def _height(self, step: int) -> float:
        """The share of the way from the low rate to the high one."""
        cycle, past = divmod(step, self.size)
        height = past / self.size_up if past <= self.size_up else (self.size - past) / (self.size - self.size_up)
        if self.scale_fn is not None:
            return height * self.scale_fn(cycle + 1 if self.scale_mode == "cycle" else step)
        if self.mode == "exp_range":
            return height * float(self.gamma**step)
        return height * 0.5**cycle if self.mode == "triangular2" else height

    def _rate(self, i: int, step: int) -> float:
        return _line(of_group(self.low, i), of_group(self.max_lr, i), self._height(step))

    def _momentum(self, i: int, step: int) -> float:
        return _line(of_group(self.max_momentum, i), of_group(self.base_momentum, i), self._height(step))
