"""Activations as modules, each made from its function in `nn.functional`."""

from __future__ import annotations

from . import functional as F
from .function_module import FunctionModule

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardtanh", "LeakyReLU", "LogSoftmax", "Mish", "ReLU", "SiLU", "Sigmoid",
    "Softmax", "Softplus", "Tanh",
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
