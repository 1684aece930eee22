"""A loss with a layer of its own: scores of classes and their cross-entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .functional.losses import REDUCTIONS
from .layers import Linear
from .module import Module

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(Module):
    """A Linear layer to `num_classes` classes (for each place of `out_features`) and the cross-entropy of its outputs.

    Inputs are (batch, in_features), targets labels (batch, *out_features) or probabilities (batch, num_classes,
    *out_features).  The options are those of `CrossEntropyLoss`; the layer is `linear`.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if weight is not None and np.shape(weight) != (num_classes,):
            raise ValueError(f"weight has one number per class, shape ({num_classes},); got shape {np.shape(weight)}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is a share, from 0 to 1; got {label_smoothing!r}")
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")
        self.num_classes, self.out_features, self.reduction = num_classes, tuple(out_features), reduction
        self.weight, self.ignore_index, self.label_smoothing = weight, ignore_index, label_smoothing
        self.linear = Linear(in_features, math.prod(self.out_features, start=num_classes), bias)

    def forward(self, x: Any, target: Any) -> Tensor:
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        loss: Tensor = F.linear_cross_entropy(
            x, self.linear.weight.reshape((*shape, -1)), target,
            linear_bias=None if bias is None else bias.reshape(shape), weight=self.weight, reduction=self.reduction,
            ignore_index=self.ignore_index, label_smoothing=self.label_smoothing,
        )  # fmt: skip
        return loss
