"""Activations as modules, each made from its function in `nn.functional`."""

from __future__ import annotations

from . import functional as F
from .function_module import FunctionModule

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "LogSoftmax", "Mish", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softmin",
    "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
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


class ReLU6(FunctionModule, function=F.relu6, inplace=True): ...


class Hardsigmoid(FunctionModule, function=F.hardsigmoid, inplace=True): ...


class Hardswish(FunctionModule, function=F.hardswish, inplace=True): ...


class Hardshrink(FunctionModule, function=F.hardshrink): ...


class Softshrink(FunctionModule, function=F.softshrink): ...


class Tanhshrink(FunctionModule, function=F.tanhshrink): ...


class Threshold(FunctionModule, function=F.threshold, inplace=True, inputs=1): ...


class LogSigmoid(FunctionModule, function=F.logsigmoid): ...


class Softsign(FunctionModule, function=F.softsign): ...


class Softmin(FunctionModule, function=F.softmin): ...
