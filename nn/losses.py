"""Losses as modules: one number that says how far predictions are from labels.  See `nn.functional` for each."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .functional.losses import REDUCTIONS
from .module import Module


class _Loss(Module):
    """A loss whose arguments are kept as attributes; what differs from the default stands in its repr."""

    reduction: str

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(reduction)

    def _keep(self, reduction: str, *more: str) -> None:
        if reduction not in (*REDUCTIONS, *more):
            raise ValueError(f"reduction is {', '.join(map(repr, (*REDUCTIONS, *more)))}; got {reduction!r}")
        self.reduction = reduction

    def describe(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The mean squared difference; see `nn.functional.mse_loss`."""

    def forward(self, prediction: Any, target: Any) -> Any:
        return F.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """The mean absolute difference; see `nn.functional.l1_loss`."""

    def forward(self, prediction: Any, target: Any) -> Any:
        return F.l1_loss(prediction, target, self.reduction)


class HuberLoss(_Loss):
    """Squared when small, absolute when large; see `nn.functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self._keep(reduction)
        self.delta = delta

    def forward(self, prediction: Any, target: Any) -> Any:
        return F.huber_loss(prediction, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """Huber's loss over beta; see `nn.functional.smooth_l1_loss`."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self._keep(reduction)
        self.beta = beta

    def forward(self, prediction: Any, target: Any) -> Any:
        return F.smooth_l1_loss(prediction, target, self.reduction, self.beta)


class GaussianNLLLoss(_Loss):
    """Minus the log of a normal density, of a predicted mean and variance; see `nn.functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.full, self.eps = full, eps

    def forward(self, prediction: Any, target: Any, var: Any) -> Any:
        return F.gaussian_nll_loss(prediction, target, var, self.full, self.eps, self.reduction)


class CrossEntropyLoss(_Loss):
    """Minus the log of the probability that softmax(logits) gives to the label; see `nn.functional.cross_entropy`."""

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        self._keep(reduction)
        self.weight, self.ignore_index, self.label_smoothing = weight, ignore_index, label_smoothing
        self._looked = False

    def forward(self, logits: Any, target: Any) -> Any:
        if not self._looked:  # at the first batch only, for it costs as much as the loss of a small one
            self._looked = True
            if _are_probabilities(logits.data if isinstance(logits, Tensor) else np.asarray(logits)):
                warnings.warn(
                    "CrossEntropyLoss was given probabilities (rows that add up to 1), and takes logits: leave out the "
                    "softmax before it, or pass log-probabilities to NLLLoss",
                    stacklevel=3,
                )
        return F.cross_entropy(
            logits,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


def _are_probabilities(logits: Any) -> bool:
    """Whether every row is one of probabilities, as far as rounding can tell."""
    if logits.ndim < 2 or not logits.size or logits.shape[1] < 2 or logits.dtype.kind != "f" or logits.min() < 0:
        return False
    return bool(np.abs(logits.sum(axis=1) - 1).max() < 1e-5)


class NLLLoss(_Loss):
    """Minus the log-probability of the label; see `nn.functional.nll_loss`."""

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def forward(self, log_probabilities: Any, target: Any) -> Any:
        return F.nll_loss(
            log_probabilities, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class BCELoss(_Loss):
    """Of a probability and a target from 0 to 1; see `nn.functional.binary_cross_entropy`."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.weight = weight

    def forward(self, p: Any, target: Any) -> Any:
        return F.binary_cross_entropy(p, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Of a logit and a target from 0 to 1; see `nn.functional.binary_cross_entropy_with_logits`."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        self._keep(reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, x: Any, target: Any) -> Any:
        return F.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """How far one distribution is from another; see `nn.functional.kl_div`."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        self._keep(reduction, "batchmean")
        self.log_target = log_target

    def forward(self, log_probabilities: Any, target: Any) -> Any:
        return F.kl_div(log_probabilities, target, self.reduction, self.log_target)


class HingeEmbeddingLoss(_Loss):
    """Of the distance of a pair that is alike or not; see `nn.functional.hinge_embedding_loss`."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.margin = margin

    def forward(self, distance: Any, target: Any) -> Any:
        return F.hinge_embedding_loss(distance, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_Loss):
    """Of the angle between two vectors that are alike or not; see `nn.functional.cosine_embedding_loss`."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.margin = margin

    def forward(self, x1: Any, x2: Any, target: Any) -> Any:
        return F.cosine_embedding_loss(x1, x2, target, self.margin, self.reduction)
