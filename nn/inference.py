"""Inference in batches, without recording: predictions, probabilities and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from autograd import no_grad

from . import functional
from .data import DataLoader, Dataset
from .functional.arrays import array_of
from .module import Module

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


class LayerCall(NamedTuple):
    """A call of a module without inner modules."""

    name: str
    module: Module
    inputs: tuple[Any, ...]
    output: Any


def layer_calls(model: Module, x: Any) -> list[LayerCall]:
    """Call `model` on a batch; return the calls of its layers in the order in which they ended."""
    calls: list[LayerCall] = []

    def note(name: str) -> Callable[[Module, tuple[Any, ...], Any], None]:
        return lambda module, inputs, output: calls.append(LayerCall(name, module, inputs, output))

    layers = [(name, module) for name, module in model.named_modules() if not [*module.children()]]
    handles = [module.register_forward_hook(note(name)) for name, module in layers]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def predict(model: Module, X: Any, *, batch_size: int = 1024) -> Any:
    """The outputs of the model for X (an array, a Dataset or a DataLoader), as one array.

    Runs in batches, in `eval()` mode and without recording; afterwards the modules return to their old modes.

    >>> import nn
    >>> predict(nn.Linear(3, 2), np.zeros((5, 3))).shape
    (5, 2)
    """
    return _asked(model, ((x,) for x, *_ in _batches(X, None, batch_size)))[0]


def _asked(model: Module, batches: Iterable[tuple[Any, ...]]) -> tuple[Any, Any]:
    """The outputs for all batches, and the labels, if there are any."""
    outputs, labels = [], []
    with evaluating(model):
        for x, *y in batches:
            outputs.append(array_of(model(x)))
            labels += y
    return np.concatenate(outputs), np.concatenate(labels) if labels else None


def _batches(X: Any, y: Any, batch_size: int) -> Iterator[tuple[Any, ...]]:
    if isinstance(X, DataLoader):
        X = X.dataset if X.shuffle or X.drop_last else X  # all samples, in order
    if isinstance(X, Dataset):
        X = DataLoader(X, batch_size)
    if isinstance(X, DataLoader):
        yield from X
        return
    X, y = array_of(X), None if y is None else array_of(y)
    if y is not None and len(y) != len(X):
        raise ValueError(f"one label per sample is needed; got {len(X)} samples and {len(y)} labels")
    for i in range(0, max(len(X), 1), batch_size):
        yield (X[i : i + batch_size],) if y is None else (X[i : i + batch_size], y[i : i + batch_size])


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
    """{"loss": ..., metric: ...} over all samples of X (an array with labels y, a Dataset or a DataLoader).

    Records nothing.

    >>> import nn
    >>> evaluate(nn.Identity(), np.array([[2.0, 0.0]]), np.array([0]), metrics=["accuracy"])
    {'accuracy': 1.0}
    """
    named = named_metrics(metrics)
    prediction, y = _asked(model, _batches(X, y, batch_size))
    if y is None and (loss or named):
        raise ValueError("evaluate needs labels: evaluate(model, X, y), or a Dataset that has them")
    found = {} if loss is None else {"loss": float(array_of(loss(prediction, y)))}
    return found | {name: float(metric(prediction, y)) for name, metric in named.items()}


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
