"""`fit`: epochs over shuffled batches, forward, loss, backward, step; and what a trained model is asked."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autograd import AnomalyError, Tensor, detect_anomaly, no_grad

from . import functional
from .init import default_generator
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .optim import Adam, Optimizer

Metric = Callable[[Any, Any], float]


class TrainingError(ArithmeticError):
    """The loss became NaN or infinite; the message names the epoch, the batch and the operation where it was born."""


class History(dict[str, list[float]]):
    """What was measured in each epoch: {column: one number per epoch}; `stopped` says why training ended early, or "".

    >>> History(loss=[0.5, 0.25])["loss"][-1]
    0.25
    """

    stopped: str = ""
    recording: Any = None  # the nn.Film of the run

    def film(self, path: str | Path, title: str = "How this network learned") -> Path:
        """Write the film of the run as a self-contained HTML page, and return its path.

        It needs a recording: `fit(..., callbacks=[nn.Film(samples)])`; ValueError without one.
        """
        if self.recording is None:
            raise ValueError("this run was not recorded: pass callbacks=[nn.Film(samples)] to fit")
        made: Path = self.recording.save(path, title)
        return made

    def add(self, row: Mapping[str, float]) -> None:
        """One epoch more."""
        for name, value in row.items():
            self.setdefault(name, []).append(float(value))

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return max(map(len, self.values()), default=0)

    def to_csv(self, path: str | Path) -> None:
        """Write a table with a line per epoch."""
        with open(path, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["epoch", *self])
            table.writerows([i + 1, *row] for i, row in enumerate(zip(*self.values(), strict=True)))

    def plot(self) -> Any:
        """A matplotlib figure of all columns, losses and other metrics apart (extra `plots`)."""
        try:
            figure_module = importlib.import_module("matplotlib.figure")
        except ImportError as error:
            raise ImportError("History.plot() needs matplotlib: pip install plaingrad[plots]") from error
        figure = figure_module.Figure(figsize=(8, 3), layout="constrained")
        axes = figure.subplots(1, 2)
        for name, values in self.items():
            axes[0 if "loss" in name else 1].plot(range(1, len(values) + 1), values, label=name)
        for part, title in zip(axes, ("loss", "metrics"), strict=True):
            part.set(xlabel="epoch", title=title)
            if part.lines:
                part.legend()
        return figure

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("epoch", *self))
        rows = "".join(
            f"<tr><td>{i + 1}</td>{''.join(f'<td>{v:.4g}</td>' for v in row)}</tr>"
            for i, row in enumerate(zip(*self.values(), strict=True))
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


class Callback:
    """What is told of the beginning of a run and of the end of every epoch, where it may stop the run."""

    def on_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_epoch_end(self, run: Run) -> str | None:
        """What `run` is by now, with `run.epoch` from 1; return a reason to stop, or None."""


class EarlyStopping(Callback):
    """Stop when `monitor` has not become smaller (larger with mode="max") for `patience` epochs; keep the best weights.

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
        if mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max'; got {mode!r}")
        self.monitor, self.patience, self.sign, self.restore = monitor, patience, 1 if mode == "min" else -1, restore
        self.min_delta, self.best, self.best_epoch = min_delta, np.inf, 0
        self.weights: Mapping[str, Any] = {}

    def on_epoch_end(self, run: Run) -> str | None:
        name = self.monitor or ("val_loss" if "val_loss" in run.history else "loss")
        if name not in run.history:
            raise KeyError(f"EarlyStopping watches {name!r}, and the history has {', '.join(run.history)}")
        value = self.sign * run.history[name][-1]
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.weights = value, run.epoch, run.model.state_dict()
        if run.epoch - self.best_epoch < self.patience:
            return None
        if self.restore:
            run.model.load_state_dict(self.weights)
        return f"{name} has not become better for {self.patience} epochs; the best was epoch {self.best_epoch}"


class LRSchedule(Callback):
    """Move a learning-rate schedule on after every epoch; ReduceLROnPlateau gets the column `monitor`."""

    def __init__(self, schedule: Any, monitor: str | None = None) -> None:
        self.schedule, self.monitor = schedule, monitor

    def on_epoch_end(self, run: Run) -> str | None:
        self.schedule.step(*([run.history[self.monitor][-1]] if self.monitor else []))
        return None


class TrackPredictions(Callback):
    """The probabilities that the model gives to a few samples, epoch by epoch.

    `probabilities` is a list with an array (samples, classes) per epoch: for a cat, as the network learns, from
    [0.75, 0.25] to [0.94, 0.06] and towards [1, 0].
    """

    def __init__(self, samples: Any) -> None:
        self.samples = samples
        self.probabilities: list[Any] = []

    def on_epoch_end(self, run: Run) -> str | None:
        self.probabilities.append(predict_proba(run.model, self.samples))
        return None


class Run:
    """A training run under way, as callbacks see it: X and y are what is learned from, without what is held out."""

    def __init__(self, model: Module, optimizer: Optimizer, history: History, X: Any, y: Any, loss: Any) -> None:
        self.model, self.optimizer, self.history, self.epoch = model, optimizer, history, 0
        self.X, self.y, self.loss = X, y, loss


def accuracy(prediction: Any, y: Any) -> float:
    """The share of rows whose largest score is that of the label; for one score per row, of the right sign.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    if np.ndim(prediction) == 2 and np.shape(prediction)[1] > 1:
        return float(np.mean(np.argmax(prediction, axis=1) == y))
    return float(np.mean((np.reshape(prediction, -1) > 0) == np.reshape(y, -1).astype(bool)))


METRICS: dict[str, Metric] = {"accuracy": accuracy}


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation: float | tuple[Any, Any] | None = None,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    generator: np.random.Generator | None = None,
) -> History:
    """Train `model` on samples X (n, ...) with labels y (n, ...), and return what was measured in each epoch.

    In each epoch all samples pass in shuffled batches of `batch_size`: the model predicts, `loss` compares with the
    labels, `backward()` computes the gradient of every weight and `optimizer` moves the weights.  Without a `loss`, it
    is cross-entropy for integer labels and the mean squared error for others; without an `optimizer`, Adam with
    lr=1e-3.  `validation` is a pair (X, y) or the share of the samples that is held out.  `metrics` are names
    ("accuracy") or {name: function(predictions, y)}.  `generator` shuffles; by default the one of `nn.manual_seed`.
    With `progress`, a bar (extra `progress`); None shows it if tqdm is installed.

    Ctrl-C ends the run after the last whole step and keeps what was learned.  Raises TrainingError when the loss is no
    number any more, and ValueError for arguments that do not fit.

    >>> import nn
    >>> generator = nn.manual_seed(0)
    >>> X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> history = fit(model, X, X**2, epochs=200, optimizer=nn.Adam(model.parameters(), lr=0.02), progress=False)
    >>> history["loss"][-1] < 0.01
    True
    """
    X, y = _array(X), _array(y)
    if len(X) != len(y) or not len(X):
        raise ValueError(f"fit needs one label per sample; got {len(X)} samples and {len(y)} labels")
    if epochs < 0 or batch_size < 1:
        raise ValueError(f"fit needs epochs >= 0 and batch_size >= 1; got {epochs} and {batch_size}")
    rng = default_generator(generator)
    held: tuple[Any, Any] | None = None
    if isinstance(validation, float):
        if not 0 < validation < 1:
            raise ValueError(f"validation is a share between 0 and 1, or a pair (X, y); got {validation}")
        order, n = rng.permutation(len(X)), max(1, round(len(X) * validation))
        held, X, y = (X[order[:n]], y[order[:n]]), X[order[n:]], y[order[n:]]
    elif validation is not None:
        held = _array(validation[0]), _array(validation[1])
    loss = loss or (CrossEntropyLoss() if y.dtype.kind in "iu" else MSELoss())
    run = Run(model, optimizer or Adam(model.parameters()), History(), X, y, loss)
    try:
        for callback in callbacks:
            callback.on_begin(run)
        for run.epoch in range(1, epochs + 1):
            row = _epoch(run, X, y, loss, batch_size, rng, _bar(progress, run.epoch, epochs))
            if metrics:
                row |= evaluate(model, X, y, loss=None, metrics=metrics)
            if held is not None:
                row |= {f"val_{k}": v for k, v in evaluate(model, *held, loss=loss, metrics=metrics).items()}
            run.history.add(row)
            reasons = [reason for callback in callbacks if (reason := callback.on_epoch_end(run))]
            if reasons:
                run.history.stopped = "; ".join(reasons)
                break
    except KeyboardInterrupt:
        run.history.stopped = f"interrupted in epoch {run.epoch}"
    return run.history


def _array(a: Any) -> Any:
    return a.data if isinstance(a, Tensor) else np.asarray(a)


def _epoch(
    run: Run, X: Any, y: Any, loss: Any, batch_size: int, rng: np.random.Generator, bar: Any
) -> dict[str, float]:
    """One pass over all samples; the mean of the losses that the batches had on the way."""
    model = run.model.train()
    order, total = rng.permutation(len(X)), 0.0
    starts = range(0, len(X), batch_size)
    for batch, start in enumerate(bar(starts), 1):
        rows = order[start : start + batch_size]
        value = loss(model(X[rows]), y[rows])
        if not np.isfinite(value.data).all():
            _explain(model, X[rows], y[rows], loss, run.epoch, batch)
        run.optimizer.zero_grad()
        value.backward()
        run.optimizer.step()
        total += value.item() * len(rows)
    return {"loss": total / len(X)}


def _explain(model: Module, X: Any, y: Any, loss: Any, epoch: int, batch: int) -> None:
    """Run the batch again and watch where the first number went wrong."""
    where = "the samples or the weights themselves are not finite, or an operation outside the graph made it"
    try:
        with detect_anomaly():
            loss(model(X), y)
    except AnomalyError as error:
        where = str(error)
    raise TrainingError(f"the loss is not finite any more in epoch {epoch}, batch {batch}: {where}")


def _bar(progress: bool | None, epoch: int, epochs: int) -> Callable[[Any], Iterator[Any]]:
    """tqdm around the batches of an epoch, or nothing."""
    if progress is False:
        return iter
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError as error:
        if progress is None:
            return iter
        raise ImportError("progress=True needs tqdm: pip install plaingrad[progress]") from error
    return lambda batches: iter(tqdm(batches, desc=f"epoch {epoch}/{epochs}", leave=False, unit="batch"))


# ---- asking a trained model


def predict(model: Module, X: Any, *, batch_size: int = 1024) -> Any:
    """What the model makes of X, as an array: in batches, recording nothing, as in `eval()`."""
    X = _array(X)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            parts = [_array(model(X[i : i + batch_size])) for i in range(0, max(len(X), 1), batch_size)]
    finally:
        for module, mode in modes:
            module.training = mode
    return np.concatenate(parts)


def predict_proba(model: Module, X: Any, *, batch_size: int = 1024) -> Any:
    """The probability of each class (n, classes), for a model whose output are logits (n, classes), or (n, 1)."""
    logits = predict(model, X, batch_size=batch_size)
    if np.ndim(logits) == 2 and logits.shape[1] > 1:
        return functional.softmax(logits)
    p = functional.sigmoid(np.reshape(logits, (-1, 1)))
    return np.concatenate([1 - p, p], axis=1)


def evaluate(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
    batch_size: int = 1024,
) -> dict[str, float]:
    """{"loss": ..., metric: ...} over all samples, recording nothing."""
    prediction, y = predict(model, X, batch_size=batch_size), _array(y)
    named = metrics if isinstance(metrics, Mapping) else {name: _metric(name) for name in metrics}
    found = {} if loss is None else {"loss": float(_array(loss(prediction, y)))}
    return found | {name: float(metric(prediction, y)) for name, metric in named.items()}


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise ValueError(f"{name!r} is no known metric ({', '.join(METRICS)}); pass {{name: function(predictions, y)}}")
    return METRICS[name]
