"""Callbacks: objects that follow a training run and may stop it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .history import History
from .inference import predict_proba
from .module import Module
from .optim import Optimizer

__all__ = ["Callback", "EarlyStopping", "LRSchedule", "TrackPredictions", "TrainingRun"]


class TrainingRun:
    """A training run in progress, as callbacks see it.

    `X` and `y` are the training samples, without those held out (only the first ones, unless they are arrays in
    memory); they are read when asked for.  `epoch` counts from 1, `rng` shuffles, and `split` is the order of the
    samples from which the first were held out.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, loss: Any, rng: np.random.Generator, callbacks: Sequence[Callback]
    ) -> None:
        self.model, self.optimizer, self.loss, self.rng, self.callbacks = model, optimizer, loss, rng, list(callbacks)
        self.history, self.epoch = History(), 0
        self.split: Any = None
        self.read: Callable[[], tuple[Any, Any]] = lambda: (None, None)

    @functools.cached_property
    def _samples(self) -> tuple[Any, Any]:
        return self.read()

    @property
    def X(self) -> Any:
        """The training samples, or the first of them."""
        return self._samples[0]

    @property
    def y(self) -> Any:
        """Their labels."""
        return self._samples[1]


class Callback:
    """Base of callbacks: called when a run begins and after every epoch, where it may stop the run."""

    def on_resume(self, run: TrainingRun) -> None:
        """Called before anything else; may resume an earlier run."""

    def on_begin(self, run: TrainingRun) -> None:
        """Called before the first epoch."""

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        """Called after each epoch, with `run.epoch` counting from 1; return a reason to stop, or None."""

    def state_dict(self) -> dict[str, Any]:
        """The state that a Checkpoint saves: numbers, strings, arrays, and lists and dicts of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`; ValueError for anything else."""
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(f"this is not a state of {type(self).__name__}: {state!r:.60}")
        for name, now in self.state_dict().items():
            if _kind(state[name]) != _kind(now):
                raise ValueError(f"{type(self).__name__}.{name} is {now!r:.40}, and in this state {state[name]!r:.40}")
        for name, value in state.items():
            setattr(self, name, value)


def _kind(value: Any) -> str:
    """The kind of a value; numbers are one kind, because a file may return another type of number."""
    return "number" if isinstance(value, float | int) else type(value).__name__


class EarlyStopping(Callback):
    """Stop when `monitor` has not decreased (increased with mode="max") for `patience` epochs; keep the best weights.

    `monitor` is a column of the history, by default "val_loss", or "loss" without validation.
    """

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        mode: str = "min",
        min_delta: float = 0.0,
        restore: bool = True,
    ) -> None:
        self.sign = sign_of(mode)
        self.monitor, self.patience, self.restore = monitor, patience, restore
        self.min_delta, self.best, self.best_epoch = min_delta, np.inf, 0
        self.weights: Mapping[str, Any] = {}

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        name = self.monitor or monitored(run.history)
        value = self.sign * latest(run.history, name, self)
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.weights = value, run.epoch, run.model.state_dict()
        if run.epoch - self.best_epoch < self.patience:
            return None
        if self.restore and self.weights:  # empty if every epoch gave NaN
            run.model.load_state_dict(self.weights)
        return f"{name} has not improved for {self.patience} epochs; the best was epoch {self.best_epoch}"

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": dict(self.weights)}


def sign_of(mode: str) -> int:
    """1 if smaller is better, -1 if larger is."""
    if mode not in ("min", "max"):
        raise ValueError(f"mode is 'min' or 'max'; got {mode!r}")
    return 1 if mode == "min" else -1


def monitored(history: History) -> str:
    """The column to judge a model by, if none is named."""
    return "val_loss" if "val_loss" in history else "loss"


def latest(history: History, name: str, who: Callback) -> float:
    """The latest value of a column."""
    if name not in history:
        raise KeyError(f"{type(who).__name__} watches {name!r}, but the history has {', '.join(history)}")
    return history[name][-1]


class LRSchedule(Callback):
    """Advance a learning-rate schedule after every epoch; ReduceLROnPlateau gets the column `monitor`."""

    def __init__(self, schedule: Any, monitor: str | None = None) -> None:
        self.schedule, self.monitor = schedule, monitor

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        self.schedule.step(*([latest(run.history, self.monitor, self)] if self.monitor else []))
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.schedule.load_state_dict(state["schedule"])


class TrackPredictions(Callback):
    """Record the predicted probabilities of a few samples after every epoch.

    `probabilities` is a list with one array (samples, classes) per epoch: as the network learns, a cat may go from
    [0.75, 0.25] to [0.94, 0.06] and towards [1, 0].
    """

    def __init__(self, samples: Any) -> None:
        self.samples = samples
        self.probabilities: list[Any] = []

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        self.probabilities.append(predict_proba(run.model, self.samples))
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"probabilities": self.probabilities}
