"""Windows as columns, and columns added back to where they were: two ops that are each other's derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, differentiable, outside

from .pooling import padded, parts_under, sized_like, unpadded
from .windows import Ints, Windows, pads_of, per_axis, same_shape

__all__ = ["fold", "unfold"]


def _gather(x: Any, windows: Windows) -> Any:
    """The windows of x (n, channels, *sizes) as (n, channels, places in the kernel, *outputs)."""
    columns = np.empty((*x.shape[:2], math.prod(windows.kernel), *windows.outputs), x.dtype, like=x)
    for i, part in enumerate(parts_under(padded(x, windows, 0), windows)):
        columns[:, :, i] = part
    return columns


def _add(columns: Any, windows: Windows) -> Any:
    """Each number of the columns added to the place from which `_gather` takes it."""
    same_shape("the columns, behind their channels,", columns.shape[2:], (math.prod(windows.kernel), *windows.outputs))
    x = sized_like(columns[:, :, 0], [n + sum(pad) for n, pad in zip(windows.sizes, windows.padding, strict=True)])
    x[...] = 0
    for i, part in enumerate(parts_under(x, windows)):
        part += columns[:, :, i]
    return unpadded(x, windows)


window_columns: Any = differentiable(
    lambda x, *, windows: outside(_gather, x, windows),
    lambda g, _y, _x, *, windows: window_joined(g, windows=windows),
    name="window_columns",
)
window_joined: Any = differentiable(
    lambda g, *, windows: outside(_add, g, windows),
    lambda x, _y, _g, *, windows: window_columns(x, windows=windows),
    name="window_joined",
)


def _windows(name: str, sizes: Ints, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Windows:
    axes = len(sizes)
    kernel = per_axis(name, kernel, axes, "kernel_size", 1)
    stride = per_axis(name, stride, axes, "stride", 1)
    dilation = per_axis(name, dilation, axes, "dilation", 1)
    pads = pads_of(name, per_axis(name, padding, axes, "padding", 0), kernel, stride, dilation)
    windows = Windows(sizes, kernel, stride, pads, dilation)
    if min(windows.outputs) < 1:
        around = tuple(n + sum(pad) for n, pad in zip(sizes, pads, strict=True))
        raise ValueError(f"{name}: the kernel {kernel} is larger than the padded input {around}")
    return windows


def unfold(
    input: Any,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """The windows of images (n, channels, height, width), each as a column: (n, channels * kernel, windows).

    A convolution is the product of its weight, as a matrix, with these columns.  The first axis may be missing.
    Raises ValueError for shapes that do not fit.

    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2))[0]
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    if np.ndim(input) not in (3, 4):
        raise ValueError(f"unfold needs inputs of shape (n, channels, height, width); got {np.shape(input)}")
    x = input if np.ndim(input) == 4 else input[None]
    n, channels, *sizes = np.shape(x)
    windows = _windows("unfold", tuple(sizes), kernel_size, dilation, padding, stride)
    columns = window_columns(x, windows=windows)
    columns = np.reshape(columns, (n, channels * math.prod(windows.kernel), math.prod(windows.outputs)))
    return columns if np.ndim(input) == 4 else columns[0]


def fold(
    input: Any,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """Add columns (n, channels * kernel, windows), as `unfold` makes, to images (n, channels, *output_size).

    Where windows overlap, the sum is taken.  The first axis may be missing.  Raises ValueError for shapes that do not
    fit.

    >>> fold(np.ones((1, 4, 2)), (2, 3), (2, 2))[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    sizes = per_axis("fold", output_size, 2, "output_size", 1)
    windows = _windows("fold", sizes, kernel_size, dilation, padding, stride)
    taps, count = math.prod(windows.kernel), math.prod(windows.outputs)
    shape = np.shape(input)
    if len(shape) not in (2, 3) or shape[-2] % taps or shape[-1] != count:
        raise ValueError(f"fold needs inputs of shape (n, a multiple of {taps}, {count}); got {shape}")
    n = shape[0] if len(shape) == 3 else 1
    images = window_joined(np.reshape(input, (n, shape[-2] // taps, taps, *windows.outputs)), windows=windows)
    return images if len(shape) == 3 else images[0]


# ---- test data

_PAIRS = Windows((4,), (2,), (2,), ((0, 0),), (1,))
_CROSS = Windows((3, 4), (2, 3), (1, 2), ((1, 1), (1, 0)), (1, 1))
CASES[window_columns] = [Case((2, 1, 4), windows=_PAIRS), Case((1, 2, 3, 4), windows=_CROSS)]
CASES[window_joined] = [Case((2, 1, 2, 2), windows=_PAIRS), Case((1, 2, 6, 4, 2), windows=_CROSS)]
