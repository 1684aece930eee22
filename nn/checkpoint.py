"""Checkpoint: resume a killed run after its last complete epoch, and end with the same bits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import init
from .callbacks import Callback, TrainingRun, latest, monitored, sign_of
from .saving import load, save

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Keep the best and the last state of a run in `folder`: `best.npz`, the model alone, and `last.npz`, everything.

    When `fit` is called again with the same arguments and `folder` holds a `last.npz`, it resumes from there: it
    restores the model, the optimiser, the random generators, the schedules and callbacks, the history and the
    held-out samples.  A run killed at any moment and resumed ends with the same weights, bit for bit, as an
    uninterrupted one.  `monitor` and `mode` define the best epoch, as for EarlyStopping.

    Raises ValueError for a file that is damaged or from another model, before anything changes.
    """

    def __init__(self, folder: str | Path, monitor: str | None = None, mode: str = "min") -> None:
        self.folder, self.monitor, self.sign, self.best = Path(folder), monitor, sign_of(mode), np.inf

    def on_resume(self, run: TrainingRun) -> None:
        last = self.folder / "last.npz"
        if not last.exists():
            return
        state = unpack(load(last))
        if faults := list(_faults(state, run)):
            raise ValueError(f"{last} is not a checkpoint of this run: {'; '.join(faults)}; remove it to start over")
        before, model = _state(run), run.model.state_dict()
        try:
            _take_over(run, state)
        except Exception as error:
            if any(array is not model[name] for name, array in run.model.state_dict().items()):
                _take_over(run, before)
            raise ValueError(f"{last} is not a checkpoint of this run: {error}") from error

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        name = self.monitor or monitored(run.history)
        value = self.sign * latest(run.history, name, self)
        self.folder.mkdir(parents=True, exist_ok=True)
        if value < self.best:
            self.best = value
            save(run.model, self.folder / "best.npz")
        return None

    def on_epoch_done(self, run: TrainingRun) -> None:
        """Save everything that the next epoch depends on; called after all callbacks have seen this one."""
        save(pack(_state(run)), self.folder / "last.npz")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


def _generators(run: TrainingRun) -> list[np.random.Generator]:
    """All generators that the run draws from, each once."""
    own = [value for module in run.model.modules() for value in vars(module).values()]
    found = [run.rng, init.default_generator(), *(g for g in own if isinstance(g, np.random.Generator))]
    return list({id(generator): generator for generator in found}.values())


def _state(run: TrainingRun) -> dict[str, Any]:
    """Everything that the next epoch depends on."""
    return {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "callbacks": [[type(callback).__name__, callback.state_dict()] for callback in run.callbacks],
        "generators": [generator.bit_generator.state for generator in _generators(run)],
        "history": {name: list(column) for name, column in run.history.items()},
        "stopped": run.history.stopped,
        "epoch": run.epoch,
        "split": run.split,
    }


def _take_over(run: TrainingRun, state: Mapping[str, Any]) -> None:
    """Restore the result of `_state`."""
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    for callback, (_, own) in zip(run.callbacks, state["callbacks"], strict=True):
        callback.load_state_dict(own)
    for generator, own in zip(_generators(run), state["generators"], strict=True):
        generator.bit_generator.state = own
    run.history.clear()
    run.history.update(state["history"])
    run.history.stopped, run.epoch, run.split = state["stopped"], state["epoch"], state["split"]


def _faults(state: Any, run: TrainingRun) -> Iterator[str]:
    """The reasons why this state cannot belong to this run."""
    if not isinstance(state, dict) or (missing := _state(run).keys() - state.keys()):
        yield f"it lacks {', '.join(sorted(missing)) if isinstance(state, dict) else 'everything'}"
        return
    kinds = {"model": dict, "optimizer": dict, "callbacks": list, "generators": list, "history": dict, "stopped": str}
    yield from (f"its {key} is {state[key]!r:.40}" for key, kind in kinds.items() if not isinstance(state[key], kind))
    if type(state["epoch"]) is not int or state["epoch"] < 1:
        yield f"its epoch is {state['epoch']!r:.40}"
    split, known = state["split"], run.split
    if (split is None) != (known is None) or (known is not None and np.shape(split) != np.shape(known)):
        yield "it held out other samples"
    elif known is not None and sorted(split.tolist()) != sorted(known.tolist()):
        yield "it held out samples that do not exist"
    names = [type(callback).__name__ for callback in run.callbacks]
    given = state["callbacks"] if isinstance(state["callbacks"], list) else []
    theirs = [str(one[0]) if isinstance(one, list) and len(one) == 2 else "?" for one in given]
    if names != theirs:
        yield f"it has the callbacks {', '.join(theirs)}, and this run {', '.join(names)}"
    columns = state["history"].values() if isinstance(state["history"], dict) else ()
    if not all(isinstance(column, list) and all(isinstance(x, float | int) for x in column) for column in columns):
        yield "its history holds more than numbers"


def pack(tree: Any) -> dict[str, Any]:
    """Convert nested dicts and lists of numbers, strings and arrays to {name: array}, with the structure as JSON text.

    >>> unpack(pack({"a": [1, 2.5, np.arange(3)], "b": {"c": None}}))
    {'a': [1, 2.5, array([0, 1, 2])], 'b': {'c': None}}
    """
    arrays: dict[str, Any] = {}

    def part(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays[f"array{len(arrays)}"] = value
            return {"\0array": f"array{len(arrays) - 1}"}
        if isinstance(value, np.generic):
            return part(np.asarray(value))
        if isinstance(value, Mapping):
            return {str(key): part(item) for key, item in value.items()}
        return [part(item) for item in value] if isinstance(value, list | tuple) else value

    text = json.dumps(part(tree))
    return arrays | {"tree": np.frombuffer(text.encode("utf-8"), np.uint8)}


def unpack(arrays: Mapping[str, Any]) -> Any:
    """The inverse of `pack`, except that tuples become lists; ValueError for arrays that `pack` did not make."""

    def part(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[value["\0array"]] if "\0array" in value else {key: part(item) for key, item in value.items()}
        return [part(item) for item in value] if isinstance(value, list) else value

    try:
        return part(json.loads(arrays["tree"].tobytes().decode("utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"these arrays are not a checkpoint: {error}") from error
