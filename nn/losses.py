"""Losses as modules: one number for how far predictions are from labels, each made from its function."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .function_module import FunctionModule
from .functional.arrays import array_of
from .functional.losses import REDUCTIONS
from .parameter import Buffer

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss",
    "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _Loss(FunctionModule):
    """A loss function with a `reduction`."""

    reduction: str
    _reductions: tuple[str, ...] = REDUCTIONS
    _looked = True  # False until a loss that checks its first batch has done so

    def _bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if len(args) > 1 and all(isinstance(a, Tensor | np.ndarray | list) for a in args[:2]):
            raise TypeError(f"a loss is made first and then called: {type(self).__name__}()(prediction, target)")
        options = super()._bind(*args, **kwargs)
        reduction = options["reduction"]
        if not isinstance(reduction, str):
            raise TypeError(
                f"reduction is a string; got {type(reduction).__name__} (a loss is made first and then called: "
                f"{type(self).__name__}()(prediction, target))"
            )
        if reduction not in self._reductions:
            raise ValueError(f"reduction is {', '.join(map(repr, self._reductions))}; got {reduction!r}")
        for name in ("weight", "pos_weight"):  # which are buffers in PyTorch's states too
            value = options.get(name)
            if value is not None and not getattr(value, "requires_grad", False):
                options[name] = Buffer(array_of(value))
        return options

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        loss = self._function(*inputs, **named, **{name: getattr(self, name) for name in self._names})
        if not self._looked and not any(map(_is_foreign, inputs)):  # only one batch: a check costs as much as a loss
            self._looked = True
            self._look(*inspect.signature(self._function).bind(*inputs, **named).args)
        return loss

    def _look(self, *inputs: Any, **_named: Any) -> None:
        """Warn about inputs that are probably a mistake."""


class MSELoss(_Loss, function=F.mse_loss): ...


class L1Loss(_Loss, function=F.l1_loss): ...


class HuberLoss(_Loss, function=F.huber_loss): ...


class SmoothL1Loss(_Loss, function=F.smooth_l1_loss): ...


class GaussianNLLLoss(_Loss, function=F.gaussian_nll_loss): ...


class BCELoss(_Loss, function=F.binary_cross_entropy): ...


class BCEWithLogitsLoss(_Loss, function=F.binary_cross_entropy_with_logits): ...


class HingeEmbeddingLoss(_Loss, function=F.hinge_embedding_loss): ...


class CosineEmbeddingLoss(_Loss, function=F.cosine_embedding_loss): ...


class PoissonNLLLoss(_Loss, function=F.poisson_nll_loss): ...


class SoftMarginLoss(_Loss, function=F.soft_margin_loss): ...


class MarginRankingLoss(_Loss, function=F.margin_ranking_loss): ...


class MultiMarginLoss(_Loss, function=F.multi_margin_loss): ...


class MultiLabelMarginLoss(_Loss, function=F.multilabel_margin_loss): ...


class MultiLabelSoftMarginLoss(_Loss, function=F.multilabel_soft_margin_loss): ...


class TripletMarginLoss(_Loss, function=F.triplet_margin_loss): ...


class TripletMarginWithDistanceLoss(_Loss, function=F.triplet_margin_with_distance_loss): ...


class CTCLoss(_Loss, function=F.ctc_loss): ...


class CrossEntropyLoss(_Loss, function=F.cross_entropy):
    _looked = False

    def _look(self, given: Any, target: Any) -> None:
        logits, rows = _array(given), _array(target)
        if _are_probabilities(logits):
            _warn(
                "CrossEntropyLoss takes logits, but was given probabilities (rows that add up to 1): leave out the "
                "softmax before it, or pass log-probabilities to NLLLoss"
            )
        if logits.ndim > 1 and logits.shape[1] == 1:
            _warn(
                f"CrossEntropyLoss of one class is always 0; got logits of shape {logits.shape}: use one output per "
                f"class, or BCEWithLogitsLoss for a single output"
            )
        if rows.shape == logits.shape and rows.dtype.kind == "f" and rows.ndim > 1 and not _are_probabilities(rows):
            _warn("CrossEntropyLoss was given rows of targets that are not probabilities, at least 0 and of sum 1")
        if getattr(target, "requires_grad", False) and not getattr(given, "requires_grad", False):
            _warn("CrossEntropyLoss(prediction, target) was given a target that requires a gradient: are they swapped?")


class NLLLoss(_Loss, function=F.nll_loss):
    _looked = False

    def _look(self, log_probabilities: Any, target: Any) -> None:
        _look_at_logarithms("NLLLoss", _array(log_probabilities), "nn.functional.log_softmax(logits)")


class NLLLoss2d(NLLLoss):
    """PyTorch's old name for `NLLLoss`."""


class KLDivLoss(_Loss, function=F.kl_div):
    _reductions = (*REDUCTIONS, "batchmean")
    _looked = False

    def _look(self, log_probabilities: Any, target: Any) -> None:
        _look_at_logarithms("KLDivLoss", _array(log_probabilities), "np.log(p)")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=5)


def _is_foreign(x: Any) -> bool:
    """Whether x is an array of another kind than NumPy's."""
    data = x.data if isinstance(x, Tensor) else x
    return hasattr(data, "__array_function__") and type(data) is not np.ndarray


def _array(x: Any) -> Any:
    """The numbers themselves."""
    return np.asarray(x.data if isinstance(x, Tensor) else x)


def _are_probabilities(rows: Any) -> bool:
    """Whether every row consists of probabilities that sum to 1, up to rounding."""
    if rows.ndim < 2 or not rows.size or rows.shape[1] < 2 or rows.dtype.kind != "f" or rows.min() < 0:
        return False
    return bool(np.abs(rows.sum(axis=1) - 1).max() < max(1e-5, 4 * np.finfo(rows.dtype).eps))


def _look_at_logarithms(name: str, rows: Any, instead: str) -> None:
    """Warn about numbers above 0, which are not logarithms of probabilities."""
    if rows.size and rows.dtype.kind == "f" and rows.max() > 1e-5:
        _warn(f"{name} takes log-probabilities, which are at most 0, but was given {rows.max():.4g}: pass {instead}")
