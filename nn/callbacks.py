"""Callbacks: objects that follow a training run and may stop it."""

from __future__ import annotations

import copy
import functools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .elsewhere import STOPPING, explains
from .history import History
from .inference import predict_proba
from .module import Module
from .optim import Optimizer
from .optim.lr_scheduler import ReduceLROnPlateau, Schedule

__all__ = ["Callback", "EarlyStopping", "LRSchedule", "TrackPredictions", "TrainingRun"]


class TrainingRun:
    """A training run in progress, as callbacks see it.

    `X` and `y` are the training samples, without those held out (only the first ones, unless they are arrays in
    memory); they are read when asked for.  `epoch` counts from 1, `rng` shuffles, and `split` is the order of the
    samples from which the first were held out.  `given` are the arguments of `fit`, of which a checkpoint keeps a
    fingerprint.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, loss: Any, rng: np.random.Generator, callbacks: Sequence[Callback]
    ) -> None:
        self.model, self.optimizer, self.loss, self.rng, self.callbacks = model, optimizer, loss, rng, list(callbacks)
        self.history, self.epoch = History(), 0
        self.split: Any = None
        self.given: dict[str, Any] = {}
        self.fingerprint: dict[str, str] | None = None
        self.ranks: Any = None  # those of several processes
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
    """Base of callbacks: called when a run begins, after every epoch, where it may stop the run, and at the end.

    A callback that is used in a second `fit` begins anew: `reset` forgets the earlier run.
    """

    _first: dict[str, Any] | None = None  # the state with which the callback came to its first run
    _before: dict[str, Any] | None = None  # without a state_dict: the attributes before a run
    _changed: tuple[str, ...] = ()  # and those of them that a run changed

    def reset(self) -> None:
        """Forget earlier runs; called before every run.

        It restores the `state_dict` of the first run's beginning; of a callback that defines none, the attributes that
        a run has changed: numbers, strings, arrays and containers of these as they were, other objects only if they
        were replaced.  Override it, and call super().reset(), if your callback keeps more of a run than this.
        """
        if type(self).state_dict is Callback.state_dict:
            for name in self._changed:
                if name in (before := self._before or {}):
                    setattr(self, name, copied(before[name]))
                elif hasattr(self, name):
                    delattr(self, name)
            self._before = {name: copied(value) for name, value in vars(self).items() if name not in _PRIVATE}
        elif self._first is None:
            self._first = copy.deepcopy(self.state_dict())
        elif self._first:
            self.load_state_dict(copy.deepcopy(self._first))

    def note_changes(self) -> None:
        """Called after every run: remember which attributes it changed, so that those set by hand later stay."""
        if (before := self._before) is not None:
            now = {name: value for name, value in vars(self).items() if name not in _PRIVATE}
            kept = [name for name in before.keys() & now.keys() if unchanged(before[name], now[name])]
            self._changed = tuple(sorted((before.keys() | now.keys()) - set(kept)))

    def on_resume(self, run: TrainingRun) -> None:
        """Called before anything else; may resume an earlier run."""

    def on_begin(self, run: TrainingRun) -> None:
        """Called before the first epoch."""

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        """Called after each epoch, with `run.epoch` counting from 1; return a reason to stop, or None."""

    def on_end(self, run: TrainingRun) -> None:
        """Called once at the end, also after an interrupt or an error."""

    def state_dict(self) -> dict[str, Any]:
        """The state that a Checkpoint saves: numbers, strings, arrays, and lists, tuples and dicts of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`; ValueError for anything else."""
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(f"this is not a state of {type(self).__name__}: {state!r:.60}")
        for name, now in self.state_dict().items():
            if None not in (kinds := {_kind(state[name]), _kind(now)}) and len(kinds) > 1:
                raise ValueError(f"{type(self).__name__}.{name} is {now!r:.40}, and in this state {state[name]!r:.40}")
        for name, value in state.items():
            setattr(self, name, value)


_PRIVATE = {"_first", "_before", "_changed"}
_LEAVES = (int, float, complex, str, bytes, type(None), np.ndarray, np.generic)
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)


def copied(value: Any) -> Any:
    """A deep copy of plain data; any other object itself, also inside containers."""
    others: dict[int, Any] = {}
    _others(value, others, set())
    return copy.deepcopy(value, dict(others))


def _others(value: Any, found: dict[int, Any], seen: set[int]) -> None:
    """Collect the objects in a value that are no plain data, by id."""
    if id(value) in seen or isinstance(value, _LEAVES):
        return
    seen.add(id(value))
    if not isinstance(value, _CONTAINERS):
        found[id(value)] = value
    elif isinstance(value, dict):
        for part in (*value.keys(), *value.values()):
            _others(part, found, seen)
    else:
        for part in value:
            _others(part, found, seen)


def unchanged(before: Any, now: Any) -> bool:
    """Whether a value is still its copy: equal plain data, or the same object."""
    if type(before) is not type(now):
        return False
    if isinstance(now, np.ndarray):
        return before.dtype == now.dtype and before.shape == now.shape and before.tobytes() == now.tobytes()
    if isinstance(now, _LEAVES):
        return bool(before == now) or (before != before and now != now)
    if isinstance(now, dict):
        return before.keys() == now.keys() and all(unchanged(before[key], now[key]) for key in now)
    if isinstance(now, list | tuple | deque):
        return len(before) == len(now) and all(map(unchanged, before, now))
    return bool(before == now) if isinstance(now, set | frozenset) else before is now


def _kind(value: Any) -> str | None:
    """The kind of a value, None for None, which anything may replace; numbers are one kind."""
    if value is None:
        return None
    return "number" if isinstance(value, float | int | np.generic) else type(value).__name__


class EarlyStopping(Callback):
    """Stop when `monitor` has not decreased (increased with mode="max") for `patience` epochs; keep the best weights.

    `monitor` is a column of the history, by default "val_loss", or "loss" without validation.  With `restore` the model
    has the weights and buffers of the best epoch after the run, however it ended: stopped here or by another callback,
    out of epochs, interrupted or by an error.
    """

    @explains(STOPPING, "EarlyStopping")
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
        return f"{name} has not improved for {self.patience} epochs; the best was epoch {self.best_epoch}"

    def on_end(self, run: TrainingRun) -> None:
        if self.restore and self.weights:  # empty if every epoch gave NaN
            run.model.load_state_dict(self.weights)

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
    """Advance a learning-rate schedule after every epoch; ReduceLROnPlateau gets the column `monitor`.

    `monitor` is, by default, "val_loss", or "loss" without validation.  Raises ValueError, when a run begins, for a
    schedule of another optimiser than the run's, or one that an earlier run has advanced.
    """

    def __init__(self, schedule: Any, monitor: str | None = None) -> None:
        if not hasattr(schedule, "step"):
            raise TypeError(
                f"LRSchedule takes a schedule, such as nn.StepLR(optimizer, 10); got {type(schedule).__name__}"
            )
        if monitor is not None and isinstance(schedule, Schedule):
            raise ValueError(
                f"{type(schedule).__name__} follows the epochs alone; only ReduceLROnPlateau takes monitor"
            )
        self.schedule, self.monitor = schedule, monitor

    def on_begin(self, run: TrainingRun) -> None:
        name, epoch = type(self.schedule).__name__, getattr(self.schedule, "epoch", 0)
        if getattr(self.schedule, "optimizer", run.optimizer) is not run.optimizer:
            raise ValueError(f"this {name} changes the rate of another optimiser than the one that fit was given")
        if not run.epoch and epoch and getattr(self.schedule, "advanced", False):  # a schedule of your own may lack it
            raise ValueError(
                f"this {name} is at epoch {epoch} of an earlier run: call its restart() to begin anew, or make another"
            )
        if isinstance(self.schedule, Schedule | ReduceLROnPlateau):
            self.schedule.advanced = True

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        if self.monitor or isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(latest(run.history, self.monitor or monitored(run.history), self))
        else:
            self.schedule.step()
        return None

    def reset(self) -> None:
        """Nothing: the schedule may be moved by hand too, so `on_begin` refuses it after an earlier run."""

    def state_dict(self) -> dict[str, Any]:
        return {"schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state, Mapping) or state.keys() != {"schedule"}:
            raise ValueError(f"this is not a state of LRSchedule: {state!r:.60}")
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
        return {"probabilities": list(self.probabilities)}
