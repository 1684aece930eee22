"""Resampling to other sizes: a small matrix for each axis, or the nearest places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import to

from .adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, along_axis
from .arrays import array_of
from .windows import Ints, per_axis

__all__ = ["interpolate"]

_AXES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}  # of the modes that need a number of axes
_MODES = ("nearest", "nearest-exact", *_AXES, "area")
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def cubic_weights(t: Any) -> list[Any]:
    """The weights of the four places around one that is `t` behind the second; Keys 1981, with a = -0.75."""
    a = -0.75
    near = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    far = [((a * s - 5 * a) * s + 8 * a) * s - 4 * a for s in (t + 1, 2 - t)]
    return [far[0], *near, far[1]]


def _places(size: int, new: int, scale: float, align_corners: bool) -> Any:
    """Where the new places lie among the old."""
    if align_corners:
        return np.arange(new) * ((size - 1) / (new - 1) if new > 1 else 0.0)
    return (np.arange(new) + 0.5) * scale - 0.5


def _matrix(mode: str, size: int, new: int, scale: float, align_corners: bool) -> Any:
    """The matrix (new, size) that resamples an axis."""
    places, matrix, rows = _places(size, new, scale, align_corners), np.zeros((new, size)), np.arange(new)
    first = np.floor(places).astype(int)
    t = places - first
    weights = cubic_weights(t) if mode == "bicubic" else [1 - t, t]
    for k, weight in enumerate(weights, -1 if mode == "bicubic" else 0):
        np.add.at(matrix, (rows, np.clip(first + k, 0, size - 1)), weight)
    return matrix


def _nearest(size: int, new: int, scale: float, shift: float) -> Any:
    return np.minimum(np.floor((np.arange(new) + shift) * scale).astype(int), size - 1)


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """Resample the axes behind the channels: (n, channels, *sizes) -> (n, channels, *new sizes).

    Give the new `size`, or a `scale_factor` with which sizes are multiplied and rounded down.  Modes are "nearest",
    "nearest-exact" and "area" for one to three axes, "linear", "bilinear" and "trilinear" for that many, and "bicubic"
    for two.  With `align_corners` the first and last places stay where they are; otherwise the edges do.
    `recompute_scale_factor` makes the steps between places from the rounded sizes.  Raises ValueError for what does not
    fit together.

    >>> interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    >>> interpolate(np.array([[[1.0, 2.0]]]), size=3, mode="linear", align_corners=True)
    array([[[1. , 1.5, 2. ]]])
    """
    sizes = np.shape(input)[2:]
    axes = len(sizes)
    _check(mode, np.shape(input), align_corners)
    new, scales = _new_sizes(sizes, size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        area: Any = _AREA[axes]
        return area(input, new if axes > 1 else new[0])
    for axis, (old, n, scale) in enumerate(zip(sizes, new, scales, strict=True)):
        if mode.startswith("nearest"):
            if mode == "nearest" and axes == 2 and n in (old, 2 * old):
                scale = old / n  # PyTorch's choice for images, whatever factor was rounded down to it
            found = _nearest(old, n, scale, 0.5 if mode == "nearest-exact" else 0.0)
            input = np.take(input, found, axis=axis - axes) if n != old or (found != np.arange(n)).any() else input
        elif n != old or mode == "bicubic":  # linear modes keep a size, as in PyTorch, whatever the factor was
            matrix = _matrix(mode, old, n, scale, bool(align_corners))
            input = along_axis(input, to(matrix.astype(input.dtype), array_of(input)), axis - axes)
    return input


def _check(mode: str, shape: Ints, align_corners: bool | None) -> None:
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode is one of {', '.join(_MODES)}; got {mode!r}")
    axes = len(shape) - 2
    if not 1 <= axes <= 3 or axes != _AXES.get(mode, axes):
        wanted = f"{_AXES[mode]} axes" if mode in _AXES else "one to three axes"
        raise ValueError(f"interpolate with mode {mode!r} needs n, channels and {wanted}; got shape {shape}")
    if align_corners is not None and mode not in _AXES:
        raise ValueError(f"interpolate: align_corners is for modes {', '.join(_AXES)}; got mode {mode!r}")
    if min(shape[2:]) < 1:
        raise ValueError(f"interpolate needs sizes of at least 1; got shape {shape}")


def _new_sizes(sizes: Ints, size: Any, factor: Any, recompute: bool) -> tuple[Ints, list[float]]:
    """The new sizes, and how far apart the new places are, in old ones."""
    if (size is None) == (factor is None):
        raise ValueError(f"interpolate takes either size or scale_factor; got {size!r} and {factor!r}")
    if size is not None:
        new = per_axis("interpolate", size, len(sizes), "size", 1)
        return new, [old / n for old, n in zip(sizes, new, strict=True)]
    factors = [*factor] if isinstance(factor, Sequence | np.ndarray) else [factor] * len(sizes)
    if len(factors) != len(sizes) or not all(f > 0 for f in factors):
        raise ValueError(f"interpolate: scale_factor is a positive number, or {len(sizes)} of them; got {factor!r}")
    new = tuple(math.floor(old * float(f)) for old, f in zip(sizes, factors, strict=True))
    if min(new) < 1:
        raise ValueError(f"interpolate: scale_factor {factor!r} makes sizes {new} of {sizes}")
    if recompute:
        return new, [old / n for old, n in zip(sizes, new, strict=True)]
    return new, [1 / float(f) for f in factors]
