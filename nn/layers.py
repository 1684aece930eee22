"""Layers: dense ones, and the activations between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional, init
from .module import Module


class Linear(Module):
    """A dense layer: every output node is joined to every input node by a weighted arrow.

    x (..., in_features) -> x @ weight.T + bias (..., out_features), with `weight` (out_features, in_features) and
    `bias` (out_features,).  Both start uniform within 1/sqrt(in_features), as in PyTorch, from `rng` or the generator
    that `nn.manual_seed` sets.  Raises ValueError when the last axis of x is not `in_features` long.

    >>> Linear(3, 2)(np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        if in_features < 0 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): a layer has at least one node")
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = init.uniform((out_features, in_features), -bound, bound, dtype=dtype, rng=rng)
        self.bias: Tensor | None = init.uniform((out_features,), -bound, bound, dtype=dtype, rng=rng) if bias else None

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        if not shape or shape[-1] != self.in_features:
            raise ValueError(
                f"Linear({self.describe()}) needs inputs whose last axis has length {self.in_features}; "
                f"got shape {shape}"
            )
        if self.bias is None:
            return x @ self.weight.T
        return functional.linear(x, self.weight, self.bias)

    def describe(self) -> str:
        return f"{self.in_features} -> {self.out_features}{'' if self.bias is not None else ', bias=False'}"


class ReLU(Module):
    """max(x, 0), element by element."""

    def forward(self, x: Any) -> Any:
        return functional.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element: between 0 and 1."""

    def forward(self, x: Any) -> Any:
        return functional.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, element by element: between -1 and 1."""

    def forward(self, x: Any) -> Any:
        return np.tanh(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along axis `dim`: numbers above 0 that sum to 1, read as probabilities."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return functional.softmax(x, axis=self.dim)

    def describe(self) -> str:
        return f"dim={self.dim}"
