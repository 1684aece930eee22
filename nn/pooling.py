"""Pooling and the reordering of pixels as modules, each made from its function in `nn.functional`."""

from __future__ import annotations

from . import functional as F
from .function_module import FunctionModule

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "ChannelShuffle", "MaxPool1d", "MaxPool2d",
    "MaxPool3d", "PixelShuffle", "PixelUnshuffle",
]  # fmt: skip


class MaxPool1d(FunctionModule, function=F.max_pool1d, inputs=1): ...


class MaxPool2d(FunctionModule, function=F.max_pool2d, inputs=1): ...


class MaxPool3d(FunctionModule, function=F.max_pool3d, inputs=1): ...


class AvgPool1d(FunctionModule, function=F.avg_pool1d, inputs=1): ...


class AvgPool2d(FunctionModule, function=F.avg_pool2d, inputs=1): ...


class AvgPool3d(FunctionModule, function=F.avg_pool3d, inputs=1): ...


class AdaptiveAvgPool1d(FunctionModule, function=F.adaptive_avg_pool1d, inputs=1): ...


class AdaptiveAvgPool2d(FunctionModule, function=F.adaptive_avg_pool2d, inputs=1): ...


class AdaptiveAvgPool3d(FunctionModule, function=F.adaptive_avg_pool3d, inputs=1): ...


class AdaptiveMaxPool1d(FunctionModule, function=F.adaptive_max_pool1d, inputs=1): ...


class AdaptiveMaxPool2d(FunctionModule, function=F.adaptive_max_pool2d, inputs=1): ...


class AdaptiveMaxPool3d(FunctionModule, function=F.adaptive_max_pool3d, inputs=1): ...


class PixelShuffle(FunctionModule, function=F.pixel_shuffle, inputs=1): ...


class PixelUnshuffle(FunctionModule, function=F.pixel_unshuffle, inputs=1): ...


class ChannelShuffle(FunctionModule, function=F.channel_shuffle, inputs=1): ...
