"""The fingerprint of a training run: what `fit` was given, as text that two runs share only if they are the same."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from autograd import Tensor

from .data import DataLoader, TensorDataset, dataset_of, samples_of
from .module import Module

WHOLE = 2**26  # bytes of an array that are all read; of a larger one, ROWS rows
ROWS = 1024
SAMPLES = 64  # of a dataset that reads its samples one by one


def fingerprint(run: Any) -> dict[str, str]:
    """{"data": ..., "model": ..., ...} for a run that is about to begin.

    Of data it has shapes, dtypes and a digest, which reads at most 64 MiB of an array, and otherwise a sample of the
    rows.  The weights are not in it, nor the number of epochs: a run that goes on has others.
    """
    given, data = run.given, run.given.get("data")
    batches = f"{given.get('batch_size')}, shuffled"
    if isinstance(data, DataLoader):
        batches = f"{data.batch_size}, {'shuffled' if data.shuffle else 'in order'}{data.drop_last and ', whole'}"
    return {
        "data": _data(data),
        "validation data": _validation(given.get("validation")),
        "batches": batches,
        **settings(run),
        "columns to watch": ", ".join(
            f"{type(c).__name__} {c.monitor} {getattr(c, 'sign', 1)}" for c in run.callbacks if hasattr(c, "monitor")
        ),
    }


def settings(run: Any) -> dict[str, str]:
    """The part of the fingerprint that a run may change itself, such as a model that counts its calls."""
    metrics = run.given.get("metrics", ())
    return {
        "model": _model(run.model),
        "optimizer": _optimizer(run),
        "schedules": "; ".join(_schedule(c.schedule) for c in run.callbacks if hasattr(c, "schedule")),
        "loss": described(run.given.get("loss")),
        "metrics": ", ".join(f"{name}{_own(metrics, name)}" for name in metrics),
    }


def _own(metrics: Any, name: str) -> str:
    return f" {described(metrics[name])}" if isinstance(metrics, Mapping) else ""


MOVING = {"optimizer", "advanced", "epoch", "base_lrs", "best", "bad", "resting"}  # of a schedule


def _schedule(schedule: Any) -> str:
    """A schedule by its class and its settings, and those of the schedules in it."""
    parts = [
        f"{name}={', '.join(map(_schedule, value)) if name == 'schedulers' else _value(value)}"
        for name, value in sorted(vars(schedule).items())
        if name not in MOVING and name[0] != "_"
    ]
    return f"{type(schedule).__name__}({', '.join(parts)})"


_OPTIONS = (int, float, complex, str, tuple, np.ndarray, np.generic)


def _model(model: Any) -> str:
    """The layers with their options, which may be functions, and the shapes and dtypes of the weights."""
    layers = _text(model) if isinstance(model, Module) else type(model).__name__
    options = [
        f"{path}.{name}={_value(value)}"
        for path, module in model.named_modules()
        for name, value in sorted(vars(module).items())
        if (isinstance(value, _OPTIONS) or _is_function(value)) and name != "training" and name[0] != "_"
    ]
    state = [f"{name} {array.shape} {array.dtype}" for name, array in model.state_dict().items()]
    return f"{layers}: {'; '.join([*options, *state])}"


def _optimizer(run: Any) -> str:
    """The options with which the run began: a schedule knows the rates before it changed them."""
    groups, changing = run.optimizer.groups, {"params", "lr", "initial_lr"}
    rates = [group.get("initial_lr", group["lr"]) for group in groups]
    for callback in run.callbacks:
        schedule = getattr(callback, "schedule", None)
        known = getattr(schedule, "base_lrs", ())
        if getattr(schedule, "optimizer", None) is run.optimizer and len(known) == len(groups):
            rates = list(known)
            if getattr(schedule, "cycle_momentum", False):
                changing |= {"momentum", "betas"}
            break
    parts = []
    for group, rate in zip(groups, rates, strict=True):
        options = {k: v for k, v in group.items() if k not in changing}
        parts.append(f"{len(group['params'])} parameters, lr {rate!r}, {options}")
    return f"{type(run.optimizer).__name__}: {'; '.join(parts)}"


def described(thing: Any) -> str:
    """A function by its name and its code, and an object by its class and its attributes."""
    if thing is None:
        return "default"
    if isinstance(thing, functools.partial):
        return f"partial of {described(thing.func)}({_value((thing.args, thing.keywords))})"
    if isinstance(thing, FunctionType | MethodType):
        return f"{thing.__qualname__} {_code(thing)}"
    if not hasattr(thing, "__dict__") or hasattr(thing, "__qualname__"):
        return getattr(thing, "__qualname__", _text(thing))
    parts = [f"{name}={_value(value)}" for name, value in sorted(vars(thing).items()) if name[0] != "_"]
    return f"{type(thing).__name__}({', '.join(parts)})"


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType | MethodType | BuiltinFunctionType | np.ufunc | functools.partial) or (
        callable(value) and hasattr(value, "__name__") and not isinstance(value, type | Module)
    )


def _code(function: Any) -> str:
    """A digest of what a function of Python does: its instructions, constants, defaults and the values it encloses."""
    function = getattr(function, "__func__", function)
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    text = f"{_instructions(function.__code__)} {_value((function.__defaults__, function.__kwdefaults__))} {cells}"
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _instructions(code: CodeType) -> str:
    constants = [_instructions(c) if isinstance(c, CodeType) else _value(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _cell(cell: Any) -> str:
    """An enclosed value, if it is plain or a function; a model, for example, is not a setting."""
    try:
        value = cell.cell_contents
    except ValueError:  # it has none yet
        return ""
    if isinstance(value, FunctionType):
        return _instructions(value.__code__)  # without what it encloses, which may be itself
    return _value(value) if isinstance(value, _OPTIONS) else type(value).__name__


def _value(value: Any) -> str:
    value = value.data if isinstance(value, Tensor) else value
    if isinstance(value, np.ndarray):
        return digest(value)
    if type(value) in (list, tuple):
        return f"({', '.join(map(_value, value))})"
    if type(value) is dict:
        return f"{{{', '.join(f'{_text(key)}: {_value(one)}' for key, one in value.items())}}}"
    if isinstance(value, frozenset):
        return f"{sorted(map(_value, value))}"
    return described(value) if _is_function(value) else _text(value)


def _text(thing: Any) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(thing).split()))


# ---- data


def _validation(validation: Any) -> str:
    if validation is None or isinstance(validation, float):
        return str(validation)
    return _data(dataset_of(*validation, caller="fit") if isinstance(validation, tuple) else validation)


def _data(data: Any) -> str:
    """The outline and digest of what `fit` was given: a dataset, a loader, samples, or None."""
    if data is None:
        return "none"
    data = samples_of(data)
    arrays = getattr(data, "arrays", None)
    if isinstance(data, TensorDataset) and data.in_memory:
        return _parts(data.arrays, _rows_of)
    return f"{len(data)} samples of {_sampled(data, SAMPLES if arrays is None else ROWS)}"


def _parts(parts: Iterable[Any], describe: Callable[[Any], str]) -> str:
    """The descriptions of arrays, and of those in dicts with their names."""
    return ", ".join(
        f"{{{', '.join(f'{name!r}: {describe(array)}' for name, array in part.items())}}}"
        if isinstance(part, Mapping)
        else describe(part)
        for part in parts
    )


def _rows_of(array: Any) -> str:
    few = array if array.nbytes <= WHOLE else array[_spread(len(array), ROWS)]
    return f"{array.shape} {digest(few)}"


def _spread(n: int, count: int) -> Any:
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.intp))


def _sampled(data: Any, count: int) -> str:
    """A digest of some samples; only their outline if they differ when they are read again.

    Samples that a generator of the data draws, as augmented ones, are those of a generator with the seed 0.
    """
    rows = _spread(len(data), count)
    generators = generators_of(data)
    states = [generator.bit_generator.state for generator in generators]
    found = []
    try:
        for _ in range(2):
            for generator in generators:
                generator.bit_generator.state = type(generator.bit_generator)(0).state
            found.append(data.batch(rows))
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
    first, again = (_parts(parts, lambda part: f"{part.shape[1:]} {digest(part)}") for parts in found)
    return first if first == again else _parts(found[0], lambda part: f"{part.shape[1:]} {part.dtype}")


def generators_of(source: Any) -> list[np.random.Generator]:
    """The generators that data holds, also in the dataset that it is a part of."""
    found: list[np.random.Generator] = []
    while source is not None:
        found += [x for x in getattr(source, "__dict__", {}).values() if isinstance(x, np.random.Generator)]
        source = getattr(source, "dataset", None)
    return found


def digest(array: Any) -> str:
    """The dtype and a digest of the bytes of an array."""
    if array.dtype.hasobject:
        return f"{array.dtype}"
    return f"{array.dtype} {hashlib.blake2b(array.tobytes(), digest_size=8).hexdigest()}"
