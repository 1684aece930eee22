"""Node types that are layers: convolution, pooling, normalisation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import functional as F
from ...functional.convolution import convolution, convolution_input
from ...functional.normalization import standardize
from ...functional.pooling import window_max, window_sum
from ...functional.windows import Windows
from .values import array, astype, refuse

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def _each(value: Sequence[int] | None, axes: int) -> Ints:
    return (1,) * axes if value is None else tuple(value)


def _pads(auto_pad: str, pads: Any, sizes: Ints, kernel: Ints, stride: Ints, dilation: Ints) -> Pads:
    """The padding before and after each axis."""
    axes = len(sizes)
    if auto_pad in ("NOTSET", "VALID"):
        pads = pads if pads and auto_pad == "NOTSET" else (0,) * 2 * axes
        return tuple(zip(pads[:axes], pads[axes:], strict=True))
    totals = [
        max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    halves = [(total // 2, total - total // 2) for total in totals]
    return tuple(half if auto_pad == "SAME_UPPER" else half[::-1] for half in halves)


def _with_bias(y: Any, bias: Any) -> Any:
    return y if bias is None else y + np.reshape(bias, (-1, *(1,) * (np.ndim(y) - 2)))


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:
    kernel = np.shape(weight)[2:]
    stride, dilation = _each(strides, len(kernel)), _each(dilations, len(kernel))
    padding = _pads(auto_pad, pads, np.shape(x)[2:], kernel, stride, dilation)
    return _with_bias(
        convolution(x, weight, stride=stride, padding=padding, dilation=dilation, groups=group), bias
    )  # fmt: skip


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:
    kernel, old = np.shape(weight)[2:], np.shape(x)[2:]
    axes = len(kernel)
    stride, dilation = _each(strides, axes), _each(dilations, axes)
    extra = tuple(output_padding) if output_padding else (0,) * axes
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    full = [(n - 1) * s + e + r for n, s, e, r in zip(old, stride, extra, reach, strict=True)]
    if output_shape is None and auto_pad.startswith("SAME"):
        output_shape = [n * s for n, s in zip(old, stride, strict=True)]
    if output_shape:
        sizes = tuple(output_shape[-axes:])
        totals = [max(0, f - n) for f, n in zip(full, sizes, strict=True)]
        before = [t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in totals]
        padding: Pads = tuple((a, t - a) for a, t in zip(before, totals, strict=True))
    else:
        padding = _pads(auto_pad, pads, old, kernel, stride, dilation)
        sizes = tuple(f - sum(pad) for f, pad in zip(full, padding, strict=True))
    made = convolution_input(
        x, weight, sizes=sizes, stride=stride, padding=padding, dilation=dilation, groups=group
    )  # fmt: skip
    return _with_bias(made, bias)


# ---- pooling


def _windows(
    x: Any, kernel: Ints, auto_pad: str, ceil_mode: int, dilations: Any, pads: Any, strides: Any
) -> tuple[Windows, Pads]:
    """The windows, padded after the axes as far as they reach, and the padding that the node asks for."""
    sizes, axes = np.shape(x)[2:], len(kernel)
    stride, dilation = _each(strides, axes), _each(dilations, axes)
    padding = _pads(auto_pad, pads, sizes, kernel, stride, dilation)
    reached = []
    for n, k, s, d, (a, b) in zip(sizes, kernel, stride, dilation, padding, strict=True):
        left = n + a + b - (d * (k - 1) + 1)
        count = -(-left // s) if ceil_mode else left // s
        if ceil_mode and count * s >= n + a:  # a window that begins in the padding after the axis is left out
            count -= 1
        reached.append((a, max(b, count * s + d * (k - 1) + 1 - n - a)))
    return Windows(sizes, kernel, stride, tuple(reached), dilation), padding


def max_pool(
    x: Any,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    outputs: int = 1,
) -> Any:
    kernel = tuple(kernel_shape)
    windows, _ = _windows(x, kernel, auto_pad, ceil_mode, dilations, pads, strides)
    if outputs == 1:
        return window_max(x, windows=windows)
    if storage_order:
        refuse("has storage_order=1")
    return window_max(x, windows=windows), _winners(array(x), windows)


def _winners(x: Any, windows: Windows) -> Any:
    """Where in the flattened x the largest number of each window is."""
    places = np.arange(x.size).reshape(x.shape)
    best, found = (
        np.full((*x.shape[:2], *windows.outputs), -np.inf),
        np.zeros((*x.shape[:2], *windows.outputs), np.int64),
    )
    for tap in np.ndindex(*windows.kernel):
        index, inside = [], np.ones(windows.outputs, bool)
        for axis, (t, s, d, n, out, (a, _)) in enumerate(
            zip(tap, windows.stride, windows.dilation, windows.sizes, windows.outputs, windows.padding, strict=True)
        ):
            where = np.arange(out) * s - a + t * d
            shape = [-1 if i == axis else 1 for i in range(len(tap))]
            inside &= ((where >= 0) & (where < n)).reshape(shape)
            index.append(np.clip(where, 0, n - 1))
        grid = np.ix_(*map(np.arange, x.shape[:2]), *index)
        better = inside & (x[grid] > best)
        best, found = np.where(better, x[grid], best), np.where(better, places[grid], found)
    return found


def average_pool(
    x: Any,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:
    kernel = tuple(kernel_shape)
    windows, padding = _windows(x, kernel, auto_pad, ceil_mode, dilations, pads, strides)
    counts: Any = 1
    for axis, (n, k, s, d, out, (a, b)) in enumerate(
        zip(windows.sizes, kernel, windows.stride, windows.dilation, windows.outputs, padding, strict=True)
    ):
        where = np.arange(out)[:, None] * s - a + np.arange(k) * d
        inside = (where >= -a) & (where < n + b) if count_include_pad else (where >= 0) & (where < n)
        counts = counts * inside.sum(1).reshape(-1, *(1,) * (len(kernel) - 1 - axis))
    return window_sum(x, windows=windows) * (1 / counts).astype(x.dtype)


def lp_pool(
    x: Any,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:
    windows, _ = _windows(x, tuple(kernel_shape), auto_pad, ceil_mode, dilations, pads, strides)
    return window_sum(np.abs(x) ** p, windows=windows) ** (1 / p)


def _over_places(function: Callable[..., Any], x: Any) -> Any:
    return function(x, axis=tuple(range(2, np.ndim(x))), keepdims=True)


def global_lp_pool(x: Any, p: int = 2) -> Any:
    return np.sum(np.abs(x) ** p, axis=tuple(range(2, np.ndim(x))), keepdims=True) ** (1 / p)


# ---- normalisation


def batch_normalization(
    x: Any,
    scale: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
    outputs: int = 1,
) -> Any:
    """With the running mean and variance of the file, also while the model is trained further."""
    if not spatial:
        refuse("has spatial=0")
    column = (-1, *(1,) * (np.ndim(x) - 2))
    scale, bias = (np.reshape(v, column) for v in (scale, bias))
    if not training_mode:
        mean, variance = (np.reshape(array(v), column) for v in (mean, variance))
        return astype((x - mean) * (scale / np.sqrt(variance + variance.dtype.type(epsilon))) + bias, x.dtype)
    axes = (0, *range(2, np.ndim(x)))
    now, spread = np.mean(array(x), axis=axes), np.var(array(x), axis=axes)
    moved = [
        array(old) * momentum + new.astype(old.dtype) * (1 - momentum) for old, new in ((mean, now), (variance, spread))
    ]
    return standardize(x, axis=axes, eps=epsilon) * scale + bias, *moved


def instance_normalization(x: Any, scale: Any, bias: Any, epsilon: float = 1e-5) -> Any:
    return F.instance_norm(x, None, None, scale, bias, eps=epsilon)


def layer_normalization(
    x: Any, scale: Any, bias: Any = None, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1, outputs: int = 1
) -> Any:
    axes = tuple(range(axis % np.ndim(x), np.ndim(x)))
    y = standardize(x, axis=axes, eps=epsilon) * scale
    y = y if bias is None else y + bias
    if outputs == 1:
        return y
    wide = np.mean(x, axis=axes, keepdims=True)
    return y, wide, 1.0 / np.sqrt(np.var(x, axis=axes, keepdims=True) + epsilon)


def rms_normalization(x: Any, scale: Any, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    return standardize(x, axis=tuple(range(axis % np.ndim(x), np.ndim(x))), eps=epsilon, center=False) * scale


def group_normalization(
    x: Any, scale: Any, bias: Any, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    return F.group_norm(x, num_groups, scale, bias, epsilon)


def group_normalization_of_groups(x: Any, scale: Any, bias: Any, num_groups: int, epsilon: float = 1e-5) -> Any:
    """Up to opset 20 there was one scale for each group."""
    times = np.shape(x)[1] // num_groups
    return F.group_norm(x, num_groups, np.repeat(scale, times), np.repeat(bias, times), epsilon)


def local_response(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    """Krizhevsky et al. 2012: divide by the squares of the neighbouring channels."""
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    around = np.pad(x * x, [(0, 0), (before, after), *[(0, 0)] * (np.ndim(x) - 2)])
    channels = np.shape(x)[1]
    total: Any = functools.reduce(np.add, [around[:, i : i + channels] for i in range(size)])
    return x / (bias + total * (alpha / size)) ** beta


def lp_normalization(x: Any, axis: int = -1, p: int = 2) -> Any:
    size = np.sum(np.abs(x), axis=axis, keepdims=True) if p == 1 else np.sqrt(np.sum(x * x, axis=axis, keepdims=True))
    return np.where(array(size) == 0, 0.0, x / np.where(array(size) == 0, 1.0, size))


def mean_variance_normalization(x: Any, axes: Sequence[int] = (0, 2, 3)) -> Any:
    return standardize(x, axis=tuple(axes), eps=1e-9)


LAYERS: dict[str, Callable[..., Any]] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool, "LpPool": lp_pool,
    "GlobalAveragePool": functools.partial(_over_places, np.mean),
    "GlobalMaxPool": functools.partial(_over_places, np.max), "GlobalLpPool": global_lp_pool,
    "BatchNormalization": batch_normalization, "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization, "RMSNormalization": rms_normalization,
    "GroupNormalization": group_normalization, "GroupNormalization/20": group_normalization_of_groups,
    "LRN": local_response, "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
}  # fmt: skip
