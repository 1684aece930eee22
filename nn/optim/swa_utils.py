"""Averages of weights over the end of a training run.  Names, arguments and defaults are PyTorch's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autograd import Tensor, assign_all, no_grad

from ..arguments import accepting
from ..elsewhere import AVERAGES, absent
from ..module import Module
from .optimizer import Optimizer
from .schedule import Schedule, must_be_optimizer, of_group, per_group

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_swa_avg_fn", "update_bn"]


def get_swa_avg_fn() -> Callable[[Any, Any, Any], Any]:
    """The equal average: average + (weight - average) / (n + 1) for the arrays, after n updates.

    >>> get_swa_avg_fn()(np.array(1.0), np.array(4.0), 2).item()
    2.0
    """
    return lambda average, weight, n: average + (weight - average) / (n + 1)


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], Any]:
    """The exponential average: decay * average + (1 - decay) * weight.  Raises ValueError for a decay not in 0 .. 1.

    >>> get_ema_avg_fn(0.75)(np.array(1.0), np.array(5.0), 2).item()
    2.0
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay is from 0 to 1; got {decay!r}")
    return lambda average, weight, n: decay * average + (1 - decay) * weight


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's: Izmailov et al. 2018.

    `update_parameters(model)` adds the present weights to the average, after each epoch or each step; the copy is then
    called like the model, after `update_bn` if it has batch norms.  `avg_fn(average, weight, n)` is given arrays and
    the number of updates before, by default `get_swa_avg_fn()`.  Buffers are those of the last update, or are averaged
    too with `use_buffers`.  The state has the copy as "module" and the count as "n_averaged".

    >>> import nn
    >>> model = nn.Linear(1, 1)
    >>> average = AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.data.item(), average.n_averaged.item()
    (3.0, 3)
    """

    n_averaged: Tensor

    def __init__(
        self, model: Module, avg_fn: Callable[[Any, Any, Any], Any] | None = None, use_buffers: bool = False
    ) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        for p in self.module.parameters():
            p.grad = None
        self.register_buffer("n_averaged", np.zeros((), np.int64))
        self.avg_fn, self.use_buffers = avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Add the weights of `model` to the average, all or, after an error, none.

        Raises ValueError for a model of other parameters.
        """
        averages, weights = self.module.parameters(), model.parameters()
        buffers, theirs = self.module.buffers(), model.buffers()
        if [x.shape for x in (*averages, *buffers)] != [x.shape for x in (*weights, *theirs)]:
            raise ValueError("the parameters of this model are not those of the model that is averaged")
        n, average = self.n_averaged.data.item(), self.avg_fn or get_swa_avg_fn()

        def mean(old: Tensor, new: Tensor) -> Any:
            return new.data.copy("K") if n == 0 else np.asarray(average(old.data, new.data, n)).astype(old.dtype)

        news = [mean(old, new) for old, new in zip(averages, weights, strict=True)]
        news += [mean(a, b) if self.use_buffers else b.data.copy("K") for a, b in zip(buffers, theirs, strict=True)]
        assign_all([*averages, *buffers, self.n_averaged], [*news, np.array(n + 1)])


@accepting
def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Measure the running means and variances of all batch norms anew, over the batches of `loader`.

    Each batch is the model's input, or a tuple that begins with it.  Needed after weights were averaged, for the
    averages of the statistics are not the statistics of the average.
    """
    norms: list[Any] = [m for m in model.modules() if getattr(m, "num_batches_tracked", None) is not None]
    before = [norm.momentum for norm in norms]
    training = [(module, module.training) for module in model.modules()]
    if not norms:
        return
    for norm in norms:
        norm.running_mean.assign(np.zeros_like(norm.running_mean.data))
        norm.running_var.assign(np.ones_like(norm.running_var.data))
        norm.num_batches_tracked.assign(np.zeros_like(norm.num_batches_tracked.data))
        norm.momentum = None  # the plain average of all batches
    model.train()
    try:
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, list | tuple) else batch)
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
        for module, was in training:
            module.training = was


class SWALR(Schedule):
    """Move from the rate to `swa_lr` over `anneal_epochs` epochs, along a cosine or a line, and stay there.

    `swa_lr` may be a list with an item per group.

    >>> from nn import SGD
    >>> optimizer = SGD([Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2)
    >>> schedule.step()
    >>> optimizer.lr
    0.75
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        must_be_optimizer(self, optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is 'cos' or 'linear'; got {anneal_strategy!r}")
        if not anneal_epochs >= 0:
            raise ValueError(f"anneal_epochs must be at least 0; got {anneal_epochs!r}")
        self.swa_lr = per_group("swa_lr", swa_lr, optimizer)
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _way(self, epoch: int) -> float:
        """The share of the way that lies behind."""
        share = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return share if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2

    def _all(self, following: Any, epoch: int) -> list[float]:
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, after = self._way(epoch - 1), self._way(epoch)
        found = []
        for i, (now, _) in enumerate(self._rates()):
            goal = of_group(self.swa_lr, i)
            first = goal if before == 1 else (now - before * goal) / (1 - before)
            found.append(goal * after + first * (1 - after))
        return found


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, AVERAGES)
