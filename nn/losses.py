"""Losses: one number that says how far predictions are from labels."""

from __future__ import annotations

from typing import Any

from . import functional
from .module import Module


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")
        self.reduction = reduction

    def describe(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The mean squared difference; see `nn.functional.mse_loss`."""

    def forward(self, prediction: Any, target: Any) -> Any:
        return functional.mse_loss(prediction, target, self.reduction)


class CrossEntropyLoss(_Loss):
    """Minus the log of the probability that softmax(logits) gives to the label; see `nn.functional.cross_entropy`."""

    def forward(self, logits: Any, target: Any) -> Any:
        return functional.cross_entropy(logits, target, self.reduction)
