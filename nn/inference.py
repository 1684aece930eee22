"""Inference in batches, without recording: predictions, probabilities and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from autograd import no_grad

from . import functional
from .data import DataLoader, TensorDataset, dataset_of, pair_of, samples_of
from .functional.arrays import array_of
from .module import Module
from .placement import beside
from .rows import joined, read_part

__all__ = ["accuracy", "evaluate", "evaluating", "predict", "predict_proba"]

Metric = Callable[[Any, Any], float]


def accuracy(prediction: Any, y: Any) -> float:
    """The share of rows whose largest score is the label's; with one score per row, the share with the right sign.

    Raises ValueError unless there is one label per row; with one score per row, labels are 0 or 1.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    prediction, y = array_of(prediction), array_of(y)
    if prediction.ndim == 2 and prediction.shape[1] > 1:
        if y.shape != (len(prediction),):
            raise ValueError(
                f"accuracy of scores of shape {prediction.shape} needs one label per row, shape ({len(prediction)},); "
                f"got {y.shape}"
            )
        return float(np.mean(np.argmax(prediction, axis=1) == y))
    if prediction.size != y.size or not ((y == 0) | (y == 1)).all():
        raise ValueError(
            f"accuracy of one score per row, shape {prediction.shape}, needs as many labels, each 0 or 1; got shape "
            f"{y.shape}" + (f" from {y.min()} to {y.max()}" if y.size and y.dtype.kind in "iuf" else "")
        )
    return float(np.mean((np.reshape(prediction, -1) > 0) == np.reshape(y, -1).astype(bool)))


METRICS: dict[str, Metric] = {"accuracy": accuracy}


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside the block nothing is recorded and all modules are in `eval()` mode; their old modes return afterwards.

    >>> import nn
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with evaluating(model):
    ...     model.training, model(np.ones((1, 2), np.float32)).requires_grad
    (False, False)
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def unfrozen(model: Module) -> Iterator[dict[Any, tuple[str, Any]]]:
    """The leaves of all parameters with their names and themselves; in the block frozen ones are recorded too."""
    frozen = [p for p in model.parameters() if not p.requires_grad and p.dtype.kind in "fc"]
    for p in frozen:
        p.requires_grad = True
    try:
        yield {p.node: (name, p) for name, p in model.named_parameters()}
    finally:
        for p in frozen:
            p.requires_grad = False


class LayerCall(NamedTuple):
    """A call of a module without inner modules, or with parameters of its own beside them."""

    name: str
    module: Module
    inputs: tuple[Any, ...]
    output: Any


def layer_calls(model: Module, *inputs: Any) -> list[LayerCall]:
    """Call `model(*inputs)`; return the calls of its layers in the order in which they ended."""
    calls: list[LayerCall] = []

    def note(name: str) -> Callable[[Module, tuple[Any, ...], Any], None]:
        return lambda module, inputs, output: calls.append(LayerCall(name, module, inputs, output))

    own = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    layers = [(name, module) for name, module in model.named_modules() if name in own or not [*module.children()]]
    handles = [module.register_forward_hook(note(name)) for name, module in layers]
    try:
        model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def predict(model: Module, X: Any, *, batch_size: int = 1024) -> Any:
    """The outputs of the model for X, as one array (or a tuple or dict of them, if the model returns these).

    X is an array or a dict of arrays, also on disk (see `fit`), a Dataset, a list of samples (x, y) or a DataLoader;
    labels are not read.  Runs in batches, in `eval()` mode and without recording; afterwards the modules return to
    their old modes.

    >>> import nn
    >>> predict(nn.Linear(3, 2), np.zeros((5, 3))).shape
    (5, 2)
    """
    batches = _batches(dataset_of(X, caller="predict", labels=False), batch_size)
    return _asked(model, ((x,) for x, *_ in batches), "predict")[0]


def _asked(model: Module, batches: Iterable[tuple[Any, ...]], caller: str) -> tuple[Any, Any]:
    """The outputs for all batches, and the labels, if there are any."""
    outputs: list[Any] = []
    labels: list[Any] = []
    put = beside(model)
    with evaluating(model):
        for x, *y in batches:
            outputs.append(_arrays_of(model(put(x))))
            labels += map(put, y)
    if not outputs:
        raise ValueError(f"{caller} needs at least one sample; got 0")
    return joined(outputs), joined(labels) if labels else None


def _arrays_of(output: Any) -> Any:
    """The arrays of what a model returned."""
    if isinstance(output, Mapping):
        return {name: _arrays_of(part) for name, part in output.items()}
    return tuple(map(_arrays_of, output)) if isinstance(output, tuple | list) else array_of(output)


def _batches(data: Any, batch_size: int) -> Iterator[tuple[Any, ...]]:
    """All samples in order; those of a DataLoader in its batches, if these are all samples in order."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(
            f"batch_size is a whole number, at least 1 (len(X) for a single batch); got {batch_size!r:.40}"
        )
    if isinstance(data, DataLoader) and (data.shuffle or data.drop_last):
        data = samples_of(data)
    if type(data) is not TensorDataset:
        yield from data if isinstance(data, DataLoader) else DataLoader(data, batch_size)
        return
    for i in range(0, max(len(data), 1), batch_size):  # no copy
        yield tuple(read_part(array, i, i + batch_size) for array in data.arrays)


def predict_proba(model: Module, X: Any, *, batch_size: int = 1024) -> Any:
    """The probability of each class (n, classes), for a model that returns logits (n, classes) or (n, 1).

    >>> import nn
    >>> predict_proba(nn.Identity(), np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    logits = predict(model, X, batch_size=batch_size)
    if np.ndim(logits) == 2 and logits.shape[1] > 1:
        return functional.softmax(logits)
    p = functional.sigmoid(np.reshape(logits, (-1, 1)))
    return np.concatenate([1 - p, p], axis=1)


def evaluate(
    model: Module,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
    batch_size: int = 1024,
) -> dict[str, float]:
    """{"loss": ..., metric: ...} over all samples of X with labels y, which are given as to `fit`.

    Records nothing.  The predictions and labels of all samples are held in memory.

    >>> import nn
    >>> evaluate(nn.Identity(), np.array([[2.0, 0.0]]), np.array([0]), metrics=["accuracy"])
    {'accuracy': 1.0}
    """
    named = named_metrics(metrics)
    return measured(*predicted(model, dataset_of(X, y, caller="evaluate"), batch_size), loss, named)


def predicted(model: Module, data: Any, batch_size: int) -> tuple[Any, Any]:
    """The outputs for all samples, and their labels."""
    return _asked(model, map(pair_of, _batches(data, batch_size)), "evaluate")


def measured(prediction: Any, y: Any, loss: Any, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The loss, if one is given, and metrics of predictions."""
    found = {} if loss is None else {"loss": float(array_of(loss(prediction, y)))}
    return found | {name: float(metric(prediction, y)) for name, metric in metrics.items()}


def named_metrics(metrics: Any) -> dict[str, Metric]:
    """The metrics as {name: function}; ValueError for an unknown name."""
    if isinstance(metrics, str):
        metrics = [metrics]
    if not isinstance(metrics, Mapping | Sequence):
        raise TypeError(f"metrics are names, or {{name: function(predictions, y)}}; got {type(metrics).__name__}")
    return dict(metrics) if isinstance(metrics, Mapping) else {name: _metric(name) for name in metrics}


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise ValueError(f"{name!r} is not a metric ({', '.join(METRICS)}); pass {{name: function(predictions, y)}}")
    return METRICS[name]
