"""Activations as modules, each made from its function in `nn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .function_module import FunctionModule
from .module import Module, Parameter

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardtanh", "LeakyReLU", "LogSoftmax", "Mish", "PReLU", "ReLU", "SiLU",
    "Sigmoid", "Softmax", "Softplus", "Tanh",
]  # fmt: skip


class ReLU(FunctionModule, function=F.relu, inplace=True): ...


class LeakyReLU(FunctionModule, function=F.leaky_relu, inplace=True): ...


class ELU(FunctionModule, function=F.elu, inplace=True): ...


class SELU(FunctionModule, function=F.selu, inplace=True): ...


class CELU(FunctionModule, function=F.celu, inplace=True): ...


class GELU(FunctionModule, function=F.gelu): ...


class SiLU(FunctionModule, function=F.silu, inplace=True): ...


class Mish(FunctionModule, function=F.mish, inplace=True): ...


class Softplus(FunctionModule, function=F.softplus): ...


class Sigmoid(FunctionModule, function=F.sigmoid): ...


class Tanh(FunctionModule, function=F.tanh): ...


class Hardtanh(FunctionModule, function=F.hardtanh, inplace=True): ...


class Softmax(FunctionModule, function=F.softmax): ...


class LogSoftmax(FunctionModule, function=F.log_softmax): ...


class GLU(FunctionModule, function=F.glu): ...


class PReLU(Module):
    """x where it is positive, else weight * x, with one learned weight, or one per channel; He et al. 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = np.float32) -> None:
        self.weight = Parameter(np.full(num_parameters, init), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return F.prelu(x, self.weight)
