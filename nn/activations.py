"""Activations as modules: each is a function of `nn.functional`, with its arguments kept.

Those that PyTorch can compute in place take `inplace`, which changes nothing here: a recorded value never changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .module import Module, Parameter


class ReLU(Module):
    """max(x, 0), element by element."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return F.relu(x)


class LeakyReLU(Module):
    """x where it is positive, else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Tensor:
        return F.leaky_relu(x, negative_slope=self.negative_slope)

    def describe(self) -> str:
        return f"{self.negative_slope}"


class PReLU(Module):
    """x where it is positive, else weight * x, where the weight is learned: one, or one per channel; He et al. 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = np.float32) -> None:
        self.weight = Parameter(np.full(num_parameters, init), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return F.prelu(x, self.weight)


class ELU(Module):
    """x where it is positive, else alpha * (exp(x) - 1); Clevert et al. 2015."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        return F.elu(x, alpha=self.alpha)


class SELU(Module):
    """ELU with the two constants that keep mean 0 and variance 1 from layer to layer; Klambauer et al. 2017."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return F.selu(x)


class CELU(Module):
    """ELU with a smooth derivative for every alpha; Barron 2017."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        return F.celu(x, alpha=self.alpha)


class GELU(Module):
    """x times the probability that a normal number is below x; `approximate="tanh"` avoids the error function."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Tensor:
        return F.gelu(x, approximate=self.approximate)


class SiLU(Module):
    """x * sigmoid(x)."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return F.silu(x)


class Mish(Module):
    """x * tanh(softplus(x)); Misra 2019."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return F.mish(x)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Tensor:
        return F.softplus(x, beta=self.beta, threshold=self.threshold)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element: between 0 and 1."""

    def forward(self, x: Any) -> Tensor:
        return F.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, element by element: between -1 and 1."""

    def forward(self, x: Any) -> Tensor:
        return F.tanh(x)


class Hardtanh(Module):
    """x, but at least min_val and at most max_val."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Tensor:
        return F.hardtanh(x, self.min_val, self.max_val)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along axis `dim`: numbers above 0 that sum to 1, read as probabilities."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        return F.softmax(x, dim=self.dim)

    def describe(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The log of Softmax, exact where that is 0."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        return F.log_softmax(x, dim=self.dim)

    def describe(self) -> str:
        return f"dim={self.dim}"


class GLU(Module):
    """The first half along axis `dim` times the sigmoid of the second; Dauphin et al. 2016."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Tensor:
        return F.glu(x, dim=self.dim)
