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
    _looked = False

    def __new__(cls, *args: Any, **_options: Any) -> _Loss:
        if len(args) > 1 and all(isinstance(a, Tensor | np.ndarray | list) for a in args[:2]):
            raise TypeError(f"a loss is made first and then called: {cls.__name__}()(prediction, target)")
        return super().__new__(cls)

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(reduction)

    def _first(self) -> bool:
        """Whether this is the first batch; what costs as much as a small loss is looked at only then."""
        if self._looked:
            return False
        self._looked = True
        return True

    def _keep(self, reduction: str, *more: str) -> None:
        if not isinstance(reduction, str):
            raise TypeError(
                f"reduction is a string; got {type(reduction).__name__} (a loss is made first and then called: "
                f"{type(self).__name__}()(prediction, target))"
            )
        if reduction not in (*REDUCTIONS, *more):
            raise ValueError(f"reduction is {', '.join(map(repr, (*REDUCTIONS, *more)))}; got {reduction!r}")
        self.reduction = reduction

    def describe(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The mean squared difference; see `nn.functional.mse_loss`."""

    def forward(self, prediction: Any, target: Any) -> Tensor:
        return F.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """The mean absolute difference; see `nn.functional.l1_loss`."""

    def forward(self, prediction: Any, target: Any) -> Tensor:
        return F.l1_loss(prediction, target, self.reduction)


class HuberLoss(_Loss):
    """Squared when small, absolute when large; see `nn.functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self._keep(reduction)
        self.delta = delta

    def forward(self, prediction: Any, target: Any) -> Tensor:
        return F.huber_loss(prediction, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """Huber's loss over beta; see `nn.functional.smooth_l1_loss`."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self._keep(reduction)
        self.beta = beta

    def forward(self, prediction: Any, target: Any) -> Tensor:
        return F.smooth_l1_loss(prediction, target, self.reduction, self.beta)


class GaussianNLLLoss(_Loss):
    """Minus the log of a normal density, of a predicted mean and variance; see `nn.functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.full, self.eps = full, eps

    def forward(self, prediction: Any, target: Any, var: Any) -> Tensor:
        return F.gaussian_nll_loss(prediction, target, var, self.full, self.eps, self.reduction)


class CrossEntropyLoss(_Loss):
    """Minus the log of the probability that softmax(logits) gives to the label; see `nn.functional.cross_entropy`."""

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        self._keep(reduction)
        self.weight, self.ignore_index, self.label_smoothing = weight, ignore_index, label_smoothing

    def forward(self, logits: Any, target: Any) -> Tensor:
        if self._first():
            self._look(_array(logits), target)
            if getattr(target, "requires_grad", False) and not getattr(logits, "requires_grad", False):
                _warn("CrossEntropyLoss(prediction, target) was given a target that records a gradient: swapped?")
        return F.cross_entropy(
            logits,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    @staticmethod
    def _look(logits: Any, target: Any) -> None:
        if _are_probabilities(logits):
            _warn(
                "CrossEntropyLoss was given probabilities (rows that add up to 1), and takes logits: leave out the "
                "softmax before it, or pass log-probabilities to NLLLoss"
            )
        if logits.ndim > 1 and logits.shape[1] == 1:
            _warn(
                f"CrossEntropyLoss of one class is always 0; got logits of shape {logits.shape}: give it an output for "
                f"every class, or this one to BCEWithLogitsLoss"
            )
        rows = _array(target)
        if rows.shape == logits.shape and rows.dtype.kind == "f" and rows.ndim > 1 and not _are_probabilities(rows):
            _warn("CrossEntropyLoss was given rows of targets that are no probabilities, not negative and of sum 1")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=5)


def _array(x: Any) -> Any:
    """The numbers themselves; those of a first call that is being compiled are the `value` of what is traced."""
    data = x.data if isinstance(x, Tensor) else x
    return np.asarray(getattr(data, "value", data))


def _are_probabilities(rows: Any) -> bool:
    """Whether every row is one of probabilities, as far as rounding can tell."""
    if rows.ndim < 2 or not rows.size or rows.shape[1] < 2 or rows.dtype.kind != "f" or rows.min() < 0:
        return False
    return bool(np.abs(rows.sum(axis=1) - 1).max() < max(1e-5, 4 * np.finfo(rows.dtype).eps))


def _look_at_logarithms(name: str, rows: Any, instead: str) -> None:
    """The logarithm of a probability is at most 0."""
    if rows.size and rows.dtype.kind == "f" and rows.max() > 1e-5:
        _warn(f"{name} takes log-probabilities, which are at most 0, and was given {rows.max():.4g}: pass {instead}")


class NLLLoss(_Loss):
    """Minus the log-probability of the label; see `nn.functional.nll_loss`."""

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def forward(self, log_probabilities: Any, target: Any) -> Tensor:
        if self._first():
            _look_at_logarithms("NLLLoss", _array(log_probabilities), "nn.functional.log_softmax(logits)")
        return F.nll_loss(
            log_probabilities, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class BCELoss(_Loss):
    """Of a probability and a target from 0 to 1; see `nn.functional.binary_cross_entropy`."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.weight = weight

    def forward(self, p: Any, target: Any) -> Tensor:
        return F.binary_cross_entropy(p, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Of a logit and a target from 0 to 1; see `nn.functional.binary_cross_entropy_with_logits`."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        self._keep(reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, x: Any, target: Any) -> Tensor:
        return F.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """How far one distribution is from another; see `nn.functional.kl_div`."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        self._keep(reduction, "batchmean")
        self.log_target = log_target

    def forward(self, log_probabilities: Any, target: Any) -> Tensor:
        if self._first():
            _look_at_logarithms("KLDivLoss", _array(log_probabilities), "np.log(p)")
        return F.kl_div(log_probabilities, target, self.reduction, self.log_target)


class HingeEmbeddingLoss(_Loss):
    """Of the distance of a pair that is alike or not; see `nn.functional.hinge_embedding_loss`."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.margin = margin

    def forward(self, distance: Any, target: Any) -> Tensor:
        return F.hinge_embedding_loss(distance, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_Loss):
    """Of the angle between two vectors that are alike or not; see `nn.functional.cosine_embedding_loss`."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self._keep(reduction)
        self.margin = margin

    def forward(self, x1: Any, x2: Any, target: Any) -> Tensor:
        return F.cosine_embedding_loss(x1, x2, target, self.margin, self.reduction)
