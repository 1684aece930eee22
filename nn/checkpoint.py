"""Checkpoint: resume a killed run after its last complete epoch, and end with the same bits."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor

from . import init
from .callbacks import Callback, TrainingRun, latest, monitored, sign_of
from .fingerprint import fingerprint, generators_of, settings
from .saving import load, save

__all__ = ["Checkpoint"]


# The settings with which the last run of a model began, and those with which it ended, by the model's id.
_ended: dict[int, tuple[weakref.ref[Any], dict[str, str], dict[str, str]]] = {}


class Checkpoint(Callback):
    """Keep the best and the last state of a run in `folder`: `best.npz`, the model alone, and `last.npz`, everything.

    When `fit` is called again with the same arguments and `folder` holds a `last.npz`, it resumes from there: it
    restores the model, the optimiser, the random generators, the schedules and callbacks, the history and the
    held-out samples.  A run killed at any moment and resumed ends with the same weights, bit for bit, as an
    uninterrupted one; a finished one may go on for more epochs.  `monitor` and `mode` define the best epoch, as for
    EarlyStopping.  The generators are NumPy's that the run, the model, the data and the callbacks hold, not the
    generators that all of a program shares, `np.random` and `random`.

    Raises ValueError, before anything changes, for a file that is damaged or from another run: with other data, another
    model, loss or optimiser, other batches or metrics.  Each run needs a folder of its own, and in one program a
    Checkpoint stays with its model: ValueError if another one comes, which would get the first one's weights.  Raises
    ValueError when a state is saved that could not be restored.
    """

    _model: weakref.ref[Any] | None = None  # the model of its runs

    def __init__(self, folder: str | Path, monitor: str | None = None, mode: str = "min") -> None:
        self.folder, self.monitor, self.sign, self.best = Path(folder), monitor, sign_of(mode), np.inf

    def on_resume(self, run: TrainingRun) -> None:
        if run.fingerprint is None:
            with undrawn(run):
                run.fingerprint = fingerprint(run)
            held, began, ended = _ended.get(id(run.model), (None, {}, {}))
            if held is not None and held() is run.model:  # what a run changed was not changed by hand
                run.fingerprint |= {name: began[name] for name, text in ended.items() if text == run.fingerprint[name]}
        last, earlier = self.folder / "last.npz", self._model
        if not last.exists():
            self._model = weakref.ref(run.model)
            return
        state = unpack(load(last))
        if earlier is not None and earlier() is not run.model:
            raise ValueError(
                f"this Checkpoint holds epoch {state.get('epoch')} of another model, in {last}: give each model a "
                f"Checkpoint with a folder of its own; to resume that run with this model, make another Checkpoint of "
                f"the same folder"
            )
        if faults := list(_faults(state, run)):
            raise ValueError(f"{last} is not a checkpoint of this run: {'; '.join(faults)}; remove it to start over")
        before, model = state_of(run), run.model.state_dict()
        try:
            take_over(run, state)
        except Exception as error:
            if any(array is not model[name] for name, array in run.model.state_dict().items()):
                take_over(run, before)
            raise ValueError(f"{last} is not a checkpoint of this run: {error}") from error
        self._model = weakref.ref(run.model)

    def on_end(self, run: TrainingRun) -> None:
        key = id(run.model)
        held = weakref.ref(run.model, lambda _: _ended.pop(key, None))
        _ended[key] = held, run.fingerprint or {}, settings(run)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_model"}  # a process has its own models

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        name = self.monitor or monitored(run.history)
        value = self.sign * latest(run.history, name, self)
        self.folder.mkdir(parents=True, exist_ok=True)
        if value < self.best:
            self.best = value
            save(run.model.state_dict(), self.folder / "best.npz")
        return None

    def on_epoch_done(self, run: TrainingRun) -> None:
        """Save everything that the next epoch depends on; called after all callbacks have seen this one."""
        try:
            arrays = pack(state_of(run))
        except ValueError as error:
            raise ValueError(f"this run cannot be saved: {error}") from error
        save(arrays, self.folder / "last.npz")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


def generators_in(run: TrainingRun) -> list[np.random.Generator]:
    """All generators that the run draws from, each once."""
    own = [value for holder in (*run.model.modules(), *run.callbacks) for value in vars(holder).values()]
    found = [run.rng, init.default_generator(), *(g for g in own if isinstance(g, np.random.Generator))]
    found += [g for source in (run.given.get("data"), run.given.get("validation")) for g in generators_of(source)]
    return list({id(generator): generator for generator in found}.values())


@contextmanager
def undrawn(run: TrainingRun) -> Iterator[None]:
    """Inside the block samples are read outside of training: what they draw at random is not drawn from the run."""
    states = [(generator, generator.bit_generator.state) for generator in generators_in(run)]
    try:
        yield
    finally:
        for generator, state in states:
            generator.bit_generator.state = state


def unsaved(model: Any) -> list[Any]:
    """The buffers that stay out of the model's state, but may change in a forward pass."""
    saved = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    own = [value for module in model.modules() for value in vars(module).values()]
    return [x for x in own if isinstance(x, Tensor) and x.is_leaf and not x.requires_grad and id(x) not in saved]


def state_of(run: TrainingRun) -> dict[str, Any]:
    """Everything that the next epoch depends on, and the fingerprint of the run."""
    return {
        "run": run.fingerprint,
        "model": run.model.state_dict(),
        "buffers": [tensor.data for tensor in unsaved(run.model)],
        "optimizer": run.optimizer.state_dict(),
        "callbacks": [[type(callback).__name__, callback.state_dict()] for callback in run.callbacks],
        "generators": [generator.bit_generator.state for generator in generators_in(run)],
        "history": {name: list(column) for name, column in run.history.items()},
        "stopped": run.history.stopped,
        "epoch": run.epoch,
        "split": run.split,
    }


def take_over(run: TrainingRun, state: Mapping[str, Any]) -> None:
    """Restore the result of `state_of`."""
    run.model.load_state_dict(state["model"])
    for tensor, array in zip(unsaved(run.model), state["buffers"], strict=True):
        tensor.assign(array)
    run.optimizer.load_state_dict(state["optimizer"])
    for callback, (_, own) in zip(run.callbacks, state["callbacks"], strict=True):
        callback.reset()
        callback.load_state_dict(own)
    for generator, own in zip(generators_in(run), state["generators"], strict=True):
        generator.bit_generator.state = own
    run.history.clear()
    run.history.update(state["history"])
    run.history.stopped, run.epoch, run.split = state["stopped"], state["epoch"], state["split"]


def _faults(state: Any, run: TrainingRun) -> Iterator[str]:
    """The reasons why this state cannot belong to this run."""
    if not isinstance(state, dict) or (missing := state_of(run).keys() - state.keys()):
        yield f"it lacks {', '.join(sorted(missing)) if isinstance(state, dict) else 'everything'}"
        return
    kinds = {
        "run": dict,
        "model": dict,
        "buffers": list,
        "optimizer": dict,
        "callbacks": list,
        "generators": list,
        "history": dict,
        "stopped": str,
    }
    yield from (f"its {key} is {state[key]!r:.40}" for key, kind in kinds.items() if not isinstance(state[key], kind))
    if type(state["epoch"]) is not int or state["epoch"] < 1:
        yield f"its epoch is {state['epoch']!r:.40}"
    if isinstance(theirs := state["run"], dict):
        for name, text in (run.fingerprint or {}).items():
            if text != (other := theirs.get(name)):
                yield f"another {name}: {_outline(other, text)} then, {_outline(text, other)} now"
    split, known = state["split"], run.split
    if (split is None) != (known is None) or (known is not None and np.shape(split) != np.shape(known)):
        yield "it held out other samples"
    elif known is not None and sorted(split.tolist()) != sorted(known.tolist()):
        yield "it held out samples that do not exist"
    names = [type(callback).__name__ for callback in run.callbacks]
    given = state["callbacks"] if isinstance(state["callbacks"], list) else []
    others = [str(one[0]) if isinstance(one, list) and len(one) == 2 else "?" for one in given]
    if names != others:
        yield f"it has the callbacks {', '.join(others)}, and this run {', '.join(names)}"
    columns = state["history"].values() if isinstance(state["history"], dict) else ()
    if not all(isinstance(column, list) and all(isinstance(x, float | int) for x in column) for column in columns):
        yield "its history holds more than numbers"


def _outline(text: Any, other: Any) -> str:
    """About 60 characters of a text, from a little before it differs from another one."""
    text, other = str(text), str(other)
    same = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    start = max(0, same - 20) if len(text) > 60 else 0
    return f"{'...' if start else ''}{text[start : start + 60]}{'...' if len(text) > start + 60 else ''}"


_PLAIN = (str, int, float, bool, type(None))


def pack(tree: Any) -> dict[str, Any]:
    """Convert nested dicts, lists and tuples of numbers, strings and arrays to {name: array}, the structure as JSON.

    Raises ValueError for anything that `unpack` would not give back equal.

    >>> unpack(pack({"a": (1, 2.5, np.arange(3)), 7: {"c": None}}))
    {'a': (1, 2.5, array([0, 1, 2])), 7: {'c': None}}
    """
    arrays: dict[str, Any] = {}

    def kept(array: Any, kind: str) -> dict[str, str]:
        arrays[f"array{len(arrays)}"] = array
        return {f"\0{kind}": f"array{len(arrays) - 1}"}

    def part(value: Any, path: str) -> Any:
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.generic | np.ndarray) and not isinstance(value, np.ma.MaskedArray | np.matrix):
            if value.dtype.kind not in "fciub":
                raise ValueError(f"{path or 'it'} holds {value.dtype}, but a checkpoint holds numbers")
            if not isinstance(value, np.ndarray):
                return kept(np.asarray(value), "number")
            if value.flags.f_contiguous and not value.flags.c_contiguous:  # sums over it have other bits by rows
                return kept(value.T, "columns")
            return kept(np.asarray(value), "array")
        if type(value) is dict:
            if all(type(key) is str and key[:1] != "\0" for key in value):
                return {key: part(item, f"{path}.{key}") for key, item in value.items()}
            return {"\0dict": [[part(k, path), part(item, f"{path}.{k}")] for k, item in value.items()]}
        if type(value) in (list, tuple):
            items = [part(item, f"{path}[{i}]") for i, item in enumerate(value)]
            return items if type(value) is list else {"\0tuple": items}
        if type(value) is complex:
            return {"\0complex": [value.real, value.imag]}
        raise ValueError(
            f"{path.lstrip('.') or 'it'} is of type {type(value).__name__}, which a checkpoint cannot restore; it "
            f"takes numbers, strings, None, arrays, and lists, tuples and dicts of these"
        )

    try:
        text = json.dumps(part(tree, ""))
    except RecursionError as error:
        raise ValueError("a checkpoint holds no list or dict that contains itself") from error
    return arrays | {"tree": np.frombuffer(text.encode("utf-8"), np.uint8)}


def unpack(arrays: Mapping[str, Any]) -> Any:
    """The inverse of `pack`; ValueError for arrays that `pack` did not make."""

    def part(value: Any) -> Any:
        if isinstance(value, list):
            return [part(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (key := next(iter(value)))[:1] == "\0":
            return special(key[1:], value[key])
        return {key: part(item) for key, item in value.items()}

    def special(kind: str, value: Any) -> Any:
        if kind in ("array", "columns", "number"):
            array = arrays[value]
            return array if kind == "array" else array.T if kind == "columns" else array[()]
        if kind == "dict":
            return {part(key): part(item) for key, item in value}
        if kind == "tuple":
            return tuple(part(item) for item in value)
        if kind == "complex":
            return complex(*value)
        raise ValueError(f"{kind!r} is no kind of value")

    try:
        return part(json.loads(arrays["tree"].tobytes().decode("utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"these arrays are not a checkpoint: {error}") from error
