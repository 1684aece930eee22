"""Checkpoint: a run that was killed goes on where its last whole epoch ended, and ends with the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import init
from .callbacks import Callback, Run, latest, monitored, sign_of
from .saving import load, save


class Checkpoint(Callback):
    """Keep the best and the last state of a run in `folder`: `best.npz`, the model alone, and `last.npz`, everything.

    When `fit` is called again with the same arguments and a folder that holds a `last.npz`, it goes on from there: with
    the model, the optimiser, the random generators, the schedules and callbacks, the history and the samples that were
    held out.  A run killed at any moment and taken up again so ends with the same weights, bit for bit, as one that
    was not.  `monitor` and `mode` say which epoch is the best, as for EarlyStopping.

    Raises ValueError for a file that is damaged or of another model, before anything has changed.
    """

    def __init__(self, folder: str | Path, monitor: str | None = None, mode: str = "min") -> None:
        self.folder, self.monitor, self.sign, self.best = Path(folder), monitor, sign_of(mode), np.inf

    def on_resume(self, run: Run) -> None:
        last = self.folder / "last.npz"
        if not last.exists():
            return
        state = unpack(load(last))
        names = [type(callback).__name__ for callback in run.callbacks]
        if [name for name, _ in state["callbacks"]] != names:
            raise ValueError(
                f"{last} is of a run with the callbacks {', '.join(name for name, _ in state['callbacks'])}, and this "
                f"one has {', '.join(names)}; remove the file to begin anew"
            )
        before = run.model.state_dict()
        run.model.load_state_dict(state["model"])
        try:
            run.optimizer.load_state_dict(state["optimizer"])
        except BaseException:
            run.model.load_state_dict(before)
            raise
        for callback, (_, own) in zip(run.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(own)
        for generator, own in zip(_generators(run), state["generators"], strict=True):
            generator.bit_generator.state = own
        run.history.update(state["history"])
        run.history.stopped, run.epoch, run.split = state["stopped"], state["epoch"], state["split"]

    def on_epoch_end(self, run: Run) -> str | None:
        name = self.monitor or monitored(run.history)
        value = self.sign * latest(run.history, name, self)
        self.folder.mkdir(parents=True, exist_ok=True)
        if value < self.best:
            self.best = value
            save(run.model, self.folder / "best.npz")
        return None

    def on_epoch_done(self, run: Run) -> None:
        """When all callbacks have seen the epoch: everything that the next one depends on, in one file."""
        state = {
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "callbacks": [[type(callback).__name__, callback.state_dict()] for callback in run.callbacks],
            "generators": [generator.bit_generator.state for generator in _generators(run)],
            "history": dict(run.history),
            "stopped": run.history.stopped,
            "epoch": run.epoch,
            "split": run.split,
        }
        save(pack(state), self.folder / "last.npz")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


def _generators(run: Run) -> list[np.random.Generator]:
    """Every generator that the run draws from, each once."""
    own = [value for module in run.model.modules() for value in vars(module).values()]
    found = [run.rng, init.default_generator(), *(g for g in own if isinstance(g, np.random.Generator))]
    return list({id(generator): generator for generator in found}.values())


def pack(tree: Any) -> dict[str, Any]:
    """Nested dicts and lists of numbers, strings and arrays as {name: array}: the arrays, and the rest as JSON text.

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
    """What `pack` was given; tuples have become lists.  Raises ValueError for arrays that it did not make."""

    def part(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[value["\0array"]] if "\0array" in value else {key: part(item) for key, item in value.items()}
        return [part(item) for item in value] if isinstance(value, list) else value

    try:
        return part(json.loads(arrays["tree"].tobytes().decode("utf-8")))
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"these arrays are no checkpoint: {error}") from error
