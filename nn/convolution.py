"""Convolutional layers, along one, two and three axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from . import init
from .functional.windows import pads_of, per_axis
from .layers import naming, whole_numbers
from .module import Module, Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class _Convolution(Module):
    """What convolutions and their transposes share: sizes, initial values and how they are shown."""

    axes = 0

    def _begin(
        self,
        shape: tuple[int, ...],
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        dtype: Any,
        generator: Any,
    ) -> None:
        whole_numbers(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        name, axes = type(self).__name__, self.axes
        if min(in_channels, out_channels, groups) < 1:
            raise ValueError(f"{name}: channels and groups are at least 1")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must divide both numbers of channels; got {in_channels} and {out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(name, kernel_size, axes, "kernel_size", 1)
        self.stride = per_axis(name, stride, axes, "stride", 1)
        self.dilation = per_axis(name, dilation, axes, "dilation", 1)
        pads_of(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding: Any = padding if isinstance(padding, str) else per_axis(name, padding, axes, "padding", 0)
        bound = 1 / math.sqrt(shape[1] * math.prod(self.kernel_size))
        self.weight = Parameter(np.empty((*shape, *self.kernel_size), dtype))
        init.uniform_(self.weight, -bound, bound, generator)
        # it lies in memory as the matrix (kernel * channels, out) that the product needs
        matrix = np.ascontiguousarray(np.moveaxis(self.weight.data, (0, 1), (-1, -2)))
        self.weight.data = np.moveaxis(matrix, (-1, -2), (0, 1))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Any, *args: Any) -> Tensor:
        try:
            return self._convolve(x, *args)
        except (TypeError, ValueError) as error:
            raise naming(self, error) from error

    def _convolve(self, x: Any, *args: Any) -> Tensor:
        raise NotImplementedError

    def describe(self) -> str:
        words = [f"{self.in_channels} -> {self.out_channels}", "x".join(map(str, self.kernel_size))]
        usual = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        for name, value in usual.items():
            own = getattr(self, name, value)
            if own != value and own != (value,) * self.axes:
                words.append(f"{name}={own[0] if isinstance(own, tuple) and len(set(own)) == 1 else own}")
        words += [f"groups={self.groups}"] if self.groups > 1 else []
        words += ["bias=False"] if self.bias is None else []
        return ", ".join(words)

    def flops(self, shape: tuple[int, ...]) -> int:
        each = 2 * self.in_channels // self.groups * math.prod(self.kernel_size) - 1 + (self.bias is not None)
        return math.prod(shape) * each


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if padding_mode not in _MODES:
            raise ValueError(f"{type(self).__name__}: padding_mode is one of {', '.join(_MODES)}; got {padding_mode!r}")
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // (groups or 1))
        self._begin(
            shape, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, generator
        )

    def _convolve(self, x: Any) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            pads = pads_of(type(self).__name__, padding, self.kernel_size, self.stride, self.dilation)
            x = F.pad(x, [n for pair in reversed(pads) for n in pair], _MODES[self.padding_mode])
            padding = 0
        function = getattr(F, f"conv{self.axes}d")
        made: Tensor = function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return made

    def describe(self) -> str:
        return super().describe() + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__} pads with zeros only; got padding_mode={padding_mode!r}")
        self.output_padding = per_axis(type(self).__name__, output_padding, self.axes, "output_padding", 0)
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding is whole numbers; got {padding!r}")
        shape = (in_channels, out_channels // (groups or 1))
        self._begin(
            shape, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, generator
        )

    def forward(self, x: Any, output_size: Sequence[int] | None = None) -> Tensor:
        return super().forward(x, output_size)

    def _convolve(self, x: Any, output_size: Any) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(np.shape(x)[-self.axes :], output_size)
        function = getattr(F, f"conv_transpose{self.axes}d")
        made: Tensor = function(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )  # fmt: skip
        return made

    def _extra(self, sizes: tuple[int, ...], output_size: Sequence[int]) -> tuple[int, ...]:
        """The output_padding with which inputs of these sizes give outputs of `output_size`."""
        options = zip(sizes, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in options)
        most = tuple(n + max(s, d) - 1 for n, s, d in zip(least, self.stride, self.dilation, strict=True))
        wanted = tuple(output_size)[-self.axes :]
        if len(wanted) < self.axes or any(not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(f"output_size {wanted} is not from {least} to {most}")
        return tuple(n - a for n, a in zip(wanted, least, strict=True))

    def flops(self, shape: tuple[int, ...]) -> int:
        each = 2 * self.in_channels // self.groups * math.prod(self.kernel_size) / math.prod(self.stride)
        return round(math.prod(shape) * (each - 1 + (self.bias is not None)))


class Conv1d(_Conv):
    """Convolution along one axis: x (n, in_channels, length) -> (n, out_channels, length').

    Each of the `out_channels` is a weighted sum of the `kernel_size` numbers around each place of all channels, the
    same weights at every place: `weight` (out_channels, in_channels / groups, kernel_size) and `bias` (out_channels,).
    `length'` is (length + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.  `padding` may be "same" or
    "valid"; `padding_mode` is "zeros", "reflect", "replicate" or "circular".  Weights start uniform within
    1/sqrt(in_channels / groups * kernel_size), as in PyTorch.  Raises ValueError for inputs that do not fit.

    >>> Conv1d(2, 3, kernel_size=5, padding="same")(np.zeros((4, 2, 10), np.float32)).shape
    (4, 3, 10)
    """

    axes = 1


class Conv2d(_Conv):
    """Convolution of images: x (n, in_channels, height, width) -> (n, out_channels, height', width'); see `Conv1d`.

    >>> Conv2d(3, 8, kernel_size=3, stride=2, padding=1)(np.zeros((4, 3, 16, 16), np.float32)).shape
    (4, 8, 8, 8)
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution of volumes: x (n, in_channels, depth, height, width) -> (n, out_channels, ...); see `Conv1d`.

    >>> Conv3d(1, 2, kernel_size=(1, 3, 3))(np.zeros((4, 1, 5, 8, 8), np.float32)).shape
    (4, 2, 5, 6, 6)
    """

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`, which makes arrays longer: x (n, in_channels, length) -> (n, out_channels, length').

    `length'` is (length - 1) stride - 2 padding + dilation (kernel_size - 1) + 1 + output_padding; with `weight`
    (in_channels, out_channels / groups, kernel_size).  A call may give the `output_size` instead of the
    output_padding.  Raises ValueError for inputs that do not fit.

    >>> ConvTranspose1d(2, 3, kernel_size=4, stride=2, padding=1)(np.zeros((4, 2, 10), np.float32)).shape
    (4, 3, 20)
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`: x (n, in_channels, height, width) -> (n, out_channels, ...); see `ConvTranspose1d`.

    >>> ConvTranspose2d(2, 3, kernel_size=2, stride=2)(np.zeros((4, 2, 5, 5), np.float32)).shape
    (4, 3, 10, 10)
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`: x (n, in_channels, depth, height, width) -> (n, out_channels, ...).

    >>> ConvTranspose3d(2, 3, kernel_size=2, stride=2)(np.zeros((1, 2, 2, 2, 2), np.float32)).shape
    (1, 3, 4, 4, 4)
    """

    axes = 3
