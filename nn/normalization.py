"""Layers that standardise numbers over a batch, a sample, or groups of its channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from .layers import naming, whole_numbers
from .module import Module, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "RMSNorm",
]  # fmt: skip


class _ChannelNorm(Module):
    """What the norms of channels share: running averages of each channel, and what is learned for it."""

    sizes: tuple[tuple[str, ...], ...] = ()  # what the axes behind the channels may be

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        whole_numbers(self, num_features=num_features)
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}: num_features is at least 1; got {num_features}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine else None
        self.running_mean: Tensor | None = None
        self.running_var: Tensor | None = None
        self.num_batches_tracked: Tensor | None = None
        if track_running_stats:
            self.register_buffer("running_mean", np.zeros(num_features, dtype))
            self.register_buffer("running_var", np.ones(num_features, dtype))
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))

    def _check(self, x: Any) -> None:
        """Raise ValueError for a shape that does not fit."""
        shape = np.shape(x)
        if len(shape) - 2 not in map(len, self.sizes) or shape[1] != self.num_features:
            wanted = " or ".join(f"(n, {', '.join([str(self.num_features), *sizes])})" for sizes in self.sizes)
            raise ValueError(f"{type(self).__name__}({self.describe()}) needs inputs of shape {wanted}; got {shape}")

    def _share(self, x: Any) -> Any:
        """The weight of this batch in the running averages; counts the batch in training."""
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.assign(self.num_batches_tracked.data + 1)
            if self.momentum is None:
                return (1 / self.num_batches_tracked.data).astype(x.dtype)  # an array, so that it can be compiled
        return self.momentum or 0.0

    def flops(self, shape: tuple[int, ...]) -> int:
        return 5 * math.prod(shape)

    def describe(self) -> str:
        return f"{self.num_features}"


class _BatchNorm(_ChannelNorm):
    def forward(self, x: Any) -> Tensor:
        self._check(x)
        batch = self.training or self.running_mean is None
        share = self._share(x)
        try:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, batch, share, self.eps)
        except ValueError as error:
            raise naming(self, error) from error


class BatchNorm1d(_BatchNorm):
    """Standardise each of `num_features` channels over the batch, then scale and shift it by learned numbers.

    x is (n, channels) or (n, channels, length).  Training uses the batch's mean and variance and keeps running averages
    of them for eval(); `momentum` is the weight of a new batch, or None for the plain average of all batches.
    Ioffe and Szegedy 2015.
    """

    sizes = (), ("length",)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: x is (n, channels, height, width).

    >>> BatchNorm2d(3)(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    sizes = (("height", "width"),)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes: x is (n, channels, depth, height, width)."""

    sizes = (("depth", "height", "width"),)


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        if np.ndim(x) == len(self.sizes[0]) + 1:  # one sample
            return self.forward(x[None])[0]
        self._check(x)
        own = self.training or self.running_mean is None
        share = self.momentum or 0.0
        try:
            return F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, share, self.eps)
        except ValueError as error:
            raise naming(self, error) from error


class InstanceNorm1d(_InstanceNorm):
    """Standardise each of `num_features` channels of every sample: x is (n, channels, length).

    Nothing is learned and no averages are kept, unless `affine` and `track_running_stats` say so.  Ulyanov et al. 2016.
    """

    sizes = (("length",),)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images: x is (n, channels, height, width).

    >>> InstanceNorm2d(3)(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    sizes = (("height", "width"),)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes: x is (n, channels, depth, height, width)."""

    sizes = (("depth", "height", "width"),)


class GroupNorm(Module):
    """Standardise each sample over groups of its channels, then scale and shift each channel; Wu and He 2018.

    >>> GroupNorm(2, 4)(np.zeros((2, 4, 5, 5), np.float32)).shape
    (2, 4, 5, 5)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, dtype: Any = np.float32
    ) -> None:
        whole_numbers(self, num_groups=num_groups, num_channels=num_channels)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups do not divide {num_channels} channels")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(np.ones(num_channels, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, dtype)) if affine else None

    def forward(self, x: Any) -> Tensor:
        if np.ndim(x) < 2 or np.shape(x)[1] != self.num_channels or 0 in np.shape(x)[1:]:
            raise ValueError(
                f"GroupNorm({self.describe()}) needs inputs of shape (n, {self.num_channels}, ...); got {np.shape(x)}"
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def flops(self, shape: tuple[int, ...]) -> int:
        return 5 * math.prod(shape)

    def describe(self) -> str:
        return f"{self.num_groups} groups of {self.num_channels // self.num_groups}"


class LayerNorm(Module):
    """Standardise each sample over its last axes, then scale and shift it by learned numbers; Ba et al. 2016."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Tensor:
        try:
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        except ValueError as error:
            raise naming(self, error) from error

    def flops(self, shape: tuple[int, ...]) -> int:
        return 5 * math.prod(shape)

    def describe(self) -> str:
        return "x".join(map(str, self.normalized_shape))


class RMSNorm(Module):
    """Divide each sample by its root mean square, then scale it by learned numbers; Zhang and Sennrich 2019."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None

    def forward(self, x: Any) -> Tensor:
        try:
            return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)
        except ValueError as error:
            raise naming(self, error) from error

    def flops(self, shape: tuple[int, ...]) -> int:
        return 5 * math.prod(shape)

    def describe(self) -> str:
        return "x".join(map(str, self.normalized_shape))
