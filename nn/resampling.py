"""Resampling and windows as modules, each made from its function in `nn.functional`."""

from __future__ import annotations

from . import functional as F
from .function_module import FunctionModule

__all__ = ["Fold", "Unfold", "Upsample"]


class Upsample(FunctionModule, function=F.interpolate, inputs=1): ...


class Unfold(FunctionModule, function=F.unfold, inputs=1): ...


class Fold(FunctionModule, function=F.fold, inputs=1): ...
