"""Dropout of whole channels, and the dropout of SELU networks, as modules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .layers import Dropout, naming
from .module import Module

__all__ = ["AlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "RReLU"]


class Dropout1d(Dropout):
    """Dropout of whole channels while training: x is (n, channels, length) or (channels, length)."""

    def forward(self, x: Any) -> Tensor:
        try:
            return F.dropout1d(x, self.p, self.training, self.generator)
        except ValueError as error:
            raise naming(self, error) from error


class Dropout2d(Dropout):
    """Dropout of whole channels of images while training: x is (n, channels, height, width); Tompson et al. 2015."""

    def forward(self, x: Any) -> Tensor:
        try:
            return F.dropout2d(x, self.p, self.training, self.generator)
        except ValueError as error:
            raise naming(self, error) from error


class Dropout3d(Dropout):
    """Dropout of whole channels of volumes while training: x is (n, channels, depth, height, width)."""

    def forward(self, x: Any) -> Tensor:
        try:
            return F.dropout3d(x, self.p, self.training, self.generator)
        except ValueError as error:
            raise naming(self, error) from error


class AlphaDropout(Dropout):
    """Dropout for networks of SELU, which keeps a mean of 0 and a variance of 1; Klambauer et al. 2017."""

    def forward(self, x: Any) -> Tensor:
        return F.alpha_dropout(x, self.p, self.training, self.generator)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels: x is (n, channels, ...)."""

    def forward(self, x: Any) -> Tensor:
        try:
            return F.feature_alpha_dropout(x, self.p, self.training, self.generator)
        except ValueError as error:
            raise naming(self, error) from error


class RReLU(Module):
    """x where it is positive, else x times a slope from `lower` to `upper`: drawn in training, else their mean."""

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        inplace: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if lower > upper:
            raise ValueError(f"RReLU: lower is at most upper; got {lower!r} and {upper!r}")
        self.lower, self.upper, self.generator = lower, upper, generator

    def forward(self, x: Any) -> Tensor:
        made: Tensor = F.rrelu(x, self.lower, self.upper, self.training, self.generator)
        return made

    def flops(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape)

    def describe(self) -> str:
        return f"lower={self.lower:.3g}, upper={self.upper:.3g}"
