"""Padding, and the reordering of pixels into channels and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["channel_shuffle", "normalize", "pad", "pixel_shuffle", "pixel_unshuffle"]

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Pad the last axes of an array; `pad` has two numbers per axis, before and after, the last axis first.

    (1, 2, 3, 4) adds 1 before and 2 after on the last axis, and 3 and 4 on the one before it; a negative number cuts
    off.  Modes are "constant" (of `value`, 0 by default), "reflect", "replicate" and "circular".  Raises ValueError for
    other modes and for a `pad` that does not fit the shape.

    >>> pad(np.array([1.0, 2.0, 3.0]), (1, 2))
    array([0., 1., 2., 3., 0., 0.])
    >>> pad(np.array([1.0, 2.0, 3.0]), (2, -1), mode="reflect")
    array([3., 2., 1., 2.])
    """
    shape, given = np.shape(input), [int(n) for n in pad]
    if len(given) % 2 or len(given) > 2 * len(shape):
        raise ValueError(f"pad has two numbers for each of the last axes; got {tuple(given)} for shape {shape}")
    if mode not in _MODES:
        raise ValueError(f"pad: mode is one of {', '.join(_MODES)}; got {mode!r}")
    if value is not None and mode != "constant":
        raise ValueError(f"pad: only mode 'constant' takes a value; got mode={mode!r}, value={value!r}")
    pairs = [(0, 0)] * len(shape)
    pairs[len(shape) - len(given) // 2 :] = list(zip(given[::2], given[1::2], strict=True))[::-1]
    for size, (before, after) in zip(shape, pairs, strict=True):
        if size + before + after < 0:
            raise ValueError(f"pad: {tuple(given)} cuts more off shape {shape} than there is")
        if (mode == "reflect" and max(before, after) >= max(size, 1)) or (
            max(before, after) > size and (mode == "circular" or (mode == "replicate" and size == 0))
        ):
            raise ValueError(f"pad: mode {mode!r} needs padding within the input; got {tuple(given)} for {shape}")
    widths = [(max(before, 0), max(after, 0)) for before, after in pairs]
    options = {"constant_values": value or 0} if mode == "constant" else {}
    if any(map(any, widths)):
        input = np.pad(input, widths, mode=_MODES[mode], **options)  # type: ignore[call-overload]  # mode is a str
    if all(n >= 0 for n in given):
        return input
    return input[tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(np.shape(input), pairs, strict=True))]


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """Divide vectors along the axis `dim` by their p-norm, or by `eps` where the norm is smaller.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    size = np.linalg.norm(input, ord=p, axis=dim, keepdims=True)
    return input / np.maximum(size, eps)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Turn r * r channels into r times the height and width: (..., c r r, h, w) -> (..., c, h r, w r).

    Shi et al. 2016.  Raises ValueError when the channels cannot be divided so.

    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    *batch, channels, height, width = _image("pixel_shuffle", input)
    r = upscale_factor
    if r < 1 or channels % (r * r):
        raise ValueError(f"pixel_shuffle: {channels} channels are not a multiple of upscale_factor**2 = {r * r}")
    parts = np.reshape(input, (math.prod(batch), channels // (r * r), r, r, height, width))
    return np.reshape(np.transpose(parts, (0, 1, 4, 2, 5, 3)), (*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """The reverse of `pixel_shuffle`: (..., c, h r, w r) -> (..., c r r, h, w).

    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    *batch, channels, height, width = _image("pixel_unshuffle", input)
    r = downscale_factor
    if r < 1 or height % r or width % r:
        raise ValueError(f"pixel_unshuffle: {height} x {width} is not a multiple of downscale_factor = {r}")
    parts = np.reshape(input, (math.prod(batch), channels, height // r, r, width // r, r))
    return np.reshape(np.transpose(parts, (0, 1, 3, 5, 2, 4)), (*batch, channels * r * r, height // r, width // r))


def channel_shuffle(input: Any, groups: int) -> Any:
    """Exchange the channels of `groups` groups, first with first: (n, c, ...) -> (n, c, ...); Zhang et al. 2017.

    >>> channel_shuffle(np.arange(4.0).reshape(1, 4), 2)
    array([[0., 2., 1., 3.]])
    """
    if np.ndim(input) < 2:
        raise ValueError(f"channel_shuffle needs inputs of shape (n, channels, ...); got {np.shape(input)}")
    n, channels, *sizes = np.shape(input)
    if groups < 1 or channels % groups:
        raise ValueError(f"channel_shuffle: groups={groups} does not divide {channels} channels")
    parts = np.reshape(input, (n, groups, channels // groups, math.prod(sizes)))
    return np.reshape(np.swapaxes(parts, 1, 2), (n, channels, *sizes))


def _image(name: str, x: Any) -> tuple[int, ...]:
    if np.ndim(x) < 3:
        raise ValueError(f"{name} needs inputs of shape (..., channels, height, width); got {np.shape(x)}")
    return np.shape(x)
