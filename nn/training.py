"""`fit`, the training loop: epochs over shuffled batches, with forward, loss, backward and step."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from autograd import AnomalyError, detect_anomaly

from .callbacks import Callback, TrainingRun
from .checkpoint import Checkpoint, undrawn
from .data import DataLoader, Dataset, Subset, TensorDataset, dataset_of, pair_of, samples_of
from .elsewhere import FIT, explains
from .history import History
from .inference import Metric, evaluate, named_metrics
from .init import default_generator
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .optim import LBFGS, Adam, Optimizer
from .parallel.training import Ranks
from .placement import Losses, beside, is_elsewhere
from .rows import length

__all__ = ["TrainingError", "fit"]


class TrainingError(ArithmeticError):
    """The loss became NaN or infinite; the message names the epoch, the batch and the operation where this began."""


@explains(FIT)
def fit(
    model: Module,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation: float | tuple[Any, Any] | Dataset | DataLoader | None = None,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    generator: np.random.Generator | None = None,
    comm: Any = None,
) -> History:
    """Train `model` on samples X (n, ...) with labels y (n, ...), and return the measurements of each epoch.

    Each epoch goes over all samples in shuffled batches of `batch_size`: the model predicts, `loss` compares with the
    labels, `backward()` computes the gradient of every weight and `optimizer` moves the weights.  The default `loss` is
    cross-entropy for integer labels and the mean squared error for others; the default `optimizer` is Adam with
    lr=1e-3.  X and y may be on disk (np.memmap, h5py, zarr, Dask): a batch reads its own rows.  X may be a dict of
    arrays, for a model that takes a dict.  A Dataset, a list of samples (x, y), or a DataLoader with its own batches,
    can replace X and y.  `validation` is a pair (X, y), a Dataset, a list, a DataLoader, or the share of the samples to
    hold out.  `metrics` are names ("accuracy") or
    {name: function(predictions, y)}.  `generator` shuffles; the default is that of `nn.manual_seed`.  `progress` shows
    a bar (extra `progress`); None shows it if tqdm is installed.  `comm`, such as MPI.COMM_WORLD, trains on all of its
    ranks: each calls `fit` with the same arguments and takes its part of every batch; see docs/scale.md.

    The history's losses are means over the samples, also for a loss with reduction="sum".  A run never goes on where an
    earlier one ended, unless it resumes a Checkpoint: callbacks begin anew.  Ctrl-C ends the run after the last whole
    step and keeps what was learned (with EarlyStopping, the best epoch's weights).  Raises TrainingError when the loss
    is no longer finite, and ValueError for arguments that do not fit.

    >>> import nn
    >>> generator = nn.manual_seed(0)
    >>> X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> history = fit(model, X, X**2, epochs=200, optimizer=nn.Adam(model.parameters(), lr=0.02), progress=False)
    >>> history["loss"][-1] < 0.01
    True
    """
    ranks = None if comm is None else Ranks(comm)
    with nullcontext() if ranks is None else ranks.together():
        _check(model, X, loss, optimizer, epochs, batch_size, callbacks, validation)
        data, metrics = _dataset(X, y), named_metrics(metrics)
        callbacks = callbacks if ranks is None or ranks.first else ()
        run = TrainingRun(model, optimizer or _default_optimizer(model), loss, default_generator(generator), callbacks)
        run.given = {
            "data": X if isinstance(X, DataLoader) else data, "validation": validation, "batch_size": batch_size,
            "metrics": metrics, "loss": loss, "epochs": epochs,
        }  # fmt: skip
        run.ranks = ranks
        if isinstance(validation, float):
            run.split = run.rng.permutation(len(data))
    if ranks is None:
        _resume(run)
    else:
        ranks.begin(run, _resume)
    with nullcontext() if ranks is None else ranks.together():
        data, held = _split(data, validation, run.split)
        loader = _loader(X, data, batch_size, run.rng)
        run.read = functools.partial(_first, run, samples_of(loader))
        with undrawn(run):
            run.loss = loss or _default_loss(pair_of(next(iter(DataLoader(loader.dataset))))[1])
        batches = loader if ranks is None else ranks.loader(loader)
        bar = _Progress(progress if ranks is None or ranks.first else False, epochs, len(batches))
    with bar, nullcontext() if ranks is None else ranks:
        try:
            _train(run, epochs, batches, bar, lambda: _measure(run, data, held, metrics))
        except KeyboardInterrupt:
            if ranks is not None and not ranks.interrupted:
                raise
            run.history.stopped = f"interrupted in epoch {run.epoch}"
        except BaseException:
            _end(run)
            raise
        _decide(run, lambda: _end(run))
    return run.history


# ---- arguments


def _check(
    model: Any, X: Any, loss: Any, optimizer: Any, epochs: Any, batch_size: Any, callbacks: Any, validation: Any
) -> None:
    """Raise TypeError for arguments of the wrong kind, and ValueError for those that do not fit."""
    if isinstance(model, type) or not hasattr(model, "named_parameters"):  # a module, or one that is compiled
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"fit(model, X, y) takes a module first; got {kind}")
    if loss is not None and (not callable(loss) or isinstance(loss, type)):
        raise TypeError(
            f"loss is a function of predictions and labels, such as nn.CrossEntropyLoss(); got {loss!r:.60}"
        )
    if (optimizer is not None and not hasattr(optimizer, "zero_grad")) or isinstance(optimizer, type):
        raise TypeError(f"optimizer is an object such as nn.Adam(model.parameters()); got {optimizer!r:.60}")
    if optimizer is not None and not {id(p) for p in _learned(model)} & {id(p) for p in optimizer.params}:
        raise ValueError(
            "the optimizer holds none of the model's parameters: it was made for another model, or before its layers "
            "were replaced; make a new one from model.parameters()"
        )
    if not isinstance(callbacks, Sequence) or not all(isinstance(c, Callback) for c in callbacks):
        raise TypeError(f"callbacks are a list of nn.Callback objects; got {callbacks!r:.60}")
    sizes = isinstance(epochs, int | np.integer) and isinstance(batch_size, int | np.integer)
    if not sizes or epochs < 0 or batch_size < 1:
        raise ValueError(
            f"fit needs whole numbers epochs >= 0 and batch_size >= 1 (len(X) for a single batch); got {epochs} and "
            f"{batch_size}"
        )
    known = validation is None or isinstance(validation, float | tuple | Dataset | DataLoader)
    array = hasattr(validation, "shape") or isinstance(validation, str)
    if not known and (array or not hasattr(validation, "__len__")):
        raise TypeError(
            f"validation is a share between 0 and 1, a pair (X, y), a Dataset or a DataLoader; got "
            f"{type(validation).__name__}"
        )
    if isinstance(validation, float) and not 0 < validation < 1:
        raise ValueError(f"validation is a share between 0 and 1, or a pair (X, y); got {validation}")
    if isinstance(validation, float) and isinstance(X, DataLoader):
        raise ValueError("a DataLoader has its own batches: hold samples out with random_split first")


def _learned(model: Module) -> list[Any]:
    return [p for p in model.parameters() if p.requires_grad]


def _default_optimizer(model: Module) -> Optimizer:
    return Adam(_learned(model))


def _default_loss(y: Any) -> Any:
    """The default loss for these labels."""
    if isinstance(y, Mapping):
        raise ValueError(
            f"labels in a dict ({', '.join(map(str, y))}) need a loss of your own: loss=function(predictions, y)"
        )
    if y.dtype.kind == "b":
        raise ValueError(
            "labels are True and False: pass y.astype(int) for a model with two outputs, or "
            "loss=nn.BCEWithLogitsLoss() for a model with one output"
        )
    if y.dtype.kind not in "iuf":
        raise ValueError(
            f"labels are numbers; got {y.dtype}: number them with classes, y = np.unique(y, return_inverse=True)"
        )
    return CrossEntropyLoss() if y.dtype.kind in "iu" else MSELoss()


# ---- data


def _dataset(X: Any, y: Any = None) -> Any:
    """The samples as a Dataset."""
    data = samples_of(dataset_of(X, y, caller="fit"))
    if not len(data):
        raise ValueError("fit needs one label per sample; got 0 samples and 0 labels")
    return data


def _split(data: Any, validation: Any, order: Any) -> tuple[Any, Any]:
    """The samples to learn from, and those held out for validation, or None."""
    if not isinstance(validation, float):
        return data, None if validation is None else dataset_of(validation, caller="fit")
    n = max(1, round(len(data) * validation))
    if n >= len(data):
        raise ValueError(f"validation={validation} of {len(data)} samples leaves none to learn from")
    return _part(data, order[n:]), _part(data, order[:n])


def _part(data: Dataset, rows: Any) -> Dataset:
    copied = type(data) is TensorDataset and data.in_memory  # data on disk stays there
    return TensorDataset(*data.batch(rows)) if copied else Subset(data, rows)


def _first(run: TrainingRun, data: Any) -> tuple[Any, Any]:
    """X and y in memory, or the first samples of other data."""
    if type(data) is TensorDataset and data.in_memory:
        return pair_of(data.arrays)
    with undrawn(run):
        return pair_of(next(iter(DataLoader(data, min(256, len(data))))))


def _loader(X: Any, data: Any, batch_size: int, rng: np.random.Generator) -> DataLoader:
    loader = X if isinstance(X, DataLoader) else DataLoader(data, batch_size, shuffle=True, generator=rng)
    if not len(loader):
        raise ValueError(
            f"there is no batch to learn from: drop_last leaves out {len(data)} samples, fewer than a batch of "
            f"{loader.batch_size}"
        )
    return loader


# ---- the loop


def _resume(run: TrainingRun) -> None:
    """Let callbacks resume an earlier run and replace the split, or let all of them begin anew."""
    for callback in run.callbacks:
        callback.on_resume(run)
    if not run.epoch:
        for callback in run.callbacks:
            callback.reset()


def _train(run: TrainingRun, epochs: int, loader: Any, bar: _Progress, measure: Callable[[], Any]) -> None:
    """Run epochs until the last one, or until a callback gives a reason to stop."""
    _decide(run, lambda: _begin(run))
    while run.epoch < epochs and not run.history.stopped:
        run.epoch += 1
        row = _epoch(run, loader, bar) | measure()
        run.history.add(row)
        bar.tell(row)
        _decide(run, lambda: _epoch_end(run))


def _decide(run: TrainingRun, called: Callable[[], None]) -> None:
    """Call what calls the callbacks: on several ranks those of rank 0, whose verdict counts for all."""
    if run.ranks is None:
        called()
    else:
        run.ranks.verdict(called)


def _begin(run: TrainingRun) -> None:
    for callback in run.callbacks:
        callback.on_begin(run)


def _epoch_end(run: TrainingRun) -> None:
    run.history.stopped = "; ".join(filter(None, [callback.on_epoch_end(run) for callback in run.callbacks]))
    for callback in run.callbacks:
        if isinstance(callback, Checkpoint):
            callback.on_epoch_done(run)


def _end(run: TrainingRun) -> None:
    for callback in run.callbacks:
        callback.on_end(run)
        callback.note_changes()


def _measure(run: TrainingRun, data: Any, held: Any, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The metrics on the training samples, and the loss and metrics on the held-out ones."""
    measures = evaluate if run.ranks is None else run.ranks.evaluate
    row = measures(run.model, data, loss=None, metrics=metrics) if metrics else {}
    if held is not None:
        found = measures(run.model, held, loss=run.loss, metrics=metrics)
        if _sums(run.loss):
            found["loss"] /= len(held.dataset if isinstance(held, DataLoader) else held)
        row |= {f"val_{k}": v for k, v in found.items()}
    return row


def _sums(loss: Any) -> bool:
    """Whether a loss is the sum over the samples, not their mean."""
    return getattr(loss, "reduction", "mean") == "sum"


def _epoch(run: TrainingRun, loader: DataLoader, bar: _Progress) -> dict[str, float]:
    """Train on all samples once; return the mean of the losses, each measured before its step."""
    run.model.train()
    losses, put = Losses(len(loader), _sums(run.loss)), beside(run.model)
    bar.begin(run.epoch)
    for batch, (x, y) in enumerate(map(pair_of, loader), 1):
        x, y = put(x), put(y)
        value = _step(run, x, y, batch)
        bar.advance(losses.add(value, length(x) if run.ranks is None else run.ranks.samples))
        if not math.isfinite(losses.total):  # on a device, which is not asked in every step
            found = "labels out of range, or numbers too large; autograd.detect_anomaly finds where after model.to(np)"
            raise TrainingError(f"the loss is no longer finite in epoch {run.epoch}, by batch {batch}: {found}")
    return {"loss": losses.mean}


def _step(run: TrainingRun, x: Any, y: Any, batch: int) -> Any:
    """Move the weights by one batch; return its loss before."""
    first = True

    def closure() -> Any:
        nonlocal first
        value = run.loss(run.model(x), y)
        if first and not is_elsewhere(value) and not np.isfinite(value.data).all():
            _explain(run, x, y, batch)
        first = False  # a line search may try points where the loss is not finite
        run.optimizer.zero_grad()
        value.backward()
        return value

    if run.ranks is not None:
        return run.ranks.step(closure, x, y)
    if isinstance(run.optimizer, LBFGS):
        return run.optimizer.step(closure)
    value = closure()
    run.optimizer.step()
    return value


def _explain(run: TrainingRun, x: Any, y: Any, batch: int) -> None:
    """Run the batch again to find the first operation that is not finite; this raises before backward() starts."""
    where = "it was finite when the batch was run again"
    try:
        with detect_anomaly():
            run.loss(run.model(x), y).backward()
    except AnomalyError as error:
        where = str(error)
    raise TrainingError(f"the loss is no longer finite in epoch {run.epoch}, batch {batch}: {where}")


# ---- the report


class _Progress:
    """A tqdm bar over all batches, with the epoch, batches per second, loss and metrics; or nothing."""

    def __init__(self, progress: bool | None, epochs: int, batches: int) -> None:
        self.bar, self.epochs, self.row = None, epochs, dict[str, float]()
        if progress is False:
            return
        try:
            tqdm = importlib.import_module("tqdm").tqdm
        except ImportError as error:
            if progress:
                raise ImportError("progress=True needs tqdm: pip install plaingrad[progress]") from error
            return
        self.bar = tqdm(total=epochs * batches, unit="batch", dynamic_ncols=True)
        self.batches = batches

    def begin(self, epoch: int) -> None:
        """Begin an epoch, which is not the first if the run was resumed."""
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch}/{self.epochs}")
            self.bar.update((epoch - 1) * self.batches - self.bar.n)

    def advance(self, loss: float) -> None:
        """Count a batch; `loss` is the mean of the epoch so far."""
        if self.bar is not None:
            self.row["loss"] = loss
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in self.row.items()}, refresh=False)
            self.bar.update()

    def tell(self, row: Mapping[str, float]) -> None:
        """Show the measurements of a finished epoch."""
        self.row = dict(row)
        if self.bar is not None:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in row.items()})

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.close()
