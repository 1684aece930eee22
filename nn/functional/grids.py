"""Sampling images at given places, and the places of an affine map; Jaderberg et al. 2015."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import to

from .arrays import array_of
from .resampling import cubic_weights

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Any:
    """The numbers of images (n, channels, h, w) at places `grid` (n, h', w', 2) -> (n, channels, h', w').

    A place is (x, y), from -1 at the left or top edge to 1 at the right or bottom edge; with `align_corners`, at the
    middle of the outermost pixels.  Volumes (n, channels, d, h, w) take places (n, d', h', w', 3).  Modes are
    "bilinear", "nearest" and, for images, "bicubic".  Outside, there are "zeros", the numbers of the "border", or the
    image's "reflection".  Gradients go to both; that of the grid is 0 with "nearest".  Raises ValueError for what does
    not fit.

    >>> image = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> grid_sample(image, np.array([[[[0.0, 0.0], [1.0, 1.0]]]]), align_corners=True)
    array([[[[2.5, 4. ]]]])
    """
    shape, of_grid = np.shape(input), np.shape(grid)
    axes = len(shape) - 2
    if mode not in _MODES or padding_mode not in _PADDINGS:
        raise ValueError(
            f"grid_sample: mode is one of {', '.join(_MODES)} and padding_mode one of {', '.join(_PADDINGS)}; got "
            f"{mode!r} and {padding_mode!r}"
        )
    if axes not in (2, 3) or len(of_grid) != axes + 2 or of_grid[-1] != axes or of_grid[0] != shape[0]:
        raise ValueError(
            f"grid_sample needs images (n, channels, h, w) and a grid (n, h', w', 2), or volumes and "
            f"(n, d', h', w', 3); got {shape} and {of_grid}"
        )
    if mode == "bicubic" and axes == 3:
        raise ValueError("grid_sample: mode 'bicubic' is for images; got volumes")
    if min(shape[2:]) < 1:
        raise ValueError(f"grid_sample needs sizes of at least 1; got shape {shape}")
    of_axes = [
        _taps(_place(grid[..., axes - 1 - axis], size, align_corners), size, mode, padding_mode, align_corners)
        for axis, size in enumerate(shape[2:])
    ]
    rows = np.reshape(np.moveaxis(input, 1, -1), (shape[0] * math.prod(shape[2:]), shape[1]))
    begin = (np.arange(shape[0], like=array_of(input)) * math.prod(shape[2:])).reshape(-1, *(1,) * axes)
    total: Any = 0
    for taps in itertools.product(*of_axes):
        place: Any = 0
        weight: Any = 1.0
        for (index, part), size in zip(taps, shape[2:], strict=True):
            place, weight = place * size + index, weight * part
        total = total + rows[begin + place] * weight[..., None]
    return np.moveaxis(total, -1, 1)


def _place(x: Any, size: int, align_corners: bool) -> Any:
    """A place from -1 to 1 as one from 0 to size - 1."""
    return (x + 1.0) * ((size - 1) / 2) if align_corners else (x + 1.0) * (size / 2) - 0.5


def _taps(x: Any, size: int, mode: str, padding_mode: str, align_corners: bool) -> list[tuple[Any, Any]]:
    """The indices on an axis that a place reads, each with its weight."""
    if mode != "bicubic":
        x = _within(x, size, padding_mode, align_corners)
    plain = np.nan_to_num(array_of(x), nan=-1e6, posinf=-1e6, neginf=-1e6).clip(-1e6, 1e6)
    if mode == "nearest":
        taps = [(np.rint(plain), np.ones_like(plain))]
    elif mode == "bilinear":
        first = np.floor(plain)
        taps = [(first, first + 1 - x), (first + 1, x - first)]
    else:
        first = np.floor(plain)
        taps = list(zip([first - 1, first, first + 1, first + 2], cubic_weights(x - first), strict=True))
        taps = [(array_of(_within(index, size, padding_mode, align_corners)), weight) for index, weight in taps]
    found = []
    for index, weight in taps:
        inside = (index >= 0) & (index <= size - 1)
        found.append((np.clip(index, 0, size - 1).astype(np.int64), np.where(inside, weight, 0.0)))
    return found


def _within(x: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """A place moved into the image, unless there are zeros around it."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if not span:
            return x * 0.0
        x = np.abs(x - low)
        turns = np.floor(array_of(x) / span)
        rest = x - turns * span
        x = np.where(turns % 2 == 0, rest + low, span - rest + low)
    return np.clip(x, 0.0, size - 1.0)


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool = False) -> Any:
    """The grid for `grid_sample` of affine maps `theta` (n, 2, 3), for an output of `size` (n, channels, h, w).

    Each place (x, y, 1) of the output is multiplied by theta, which gives (n, h, w, 2).  For volumes theta is
    (n, 3, 4).  Raises ValueError for shapes that do not fit.

    >>> affine_grid(np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    array([[[[-0.5,  0. ],
             [ 0.5,  0. ]]]])
    """
    axes = len(size) - 2
    if axes not in (2, 3) or np.shape(theta) != (size[0], axes, axes + 1):
        raise ValueError(
            f"affine_grid needs theta (n, 2, 3) for a size (n, channels, h, w), or (n, 3, 4) for volumes; got "
            f"{np.shape(theta)} and {tuple(size)}"
        )
    along = [_line(n, align_corners) for n in size[2:]]
    places = np.stack([*np.meshgrid(*along, indexing="ij")[::-1], np.ones(size[2:])], axis=-1).astype(theta.dtype)
    rows = to(places, array_of(theta)).reshape(-1, axes + 1)
    return np.reshape(rows @ np.swapaxes(theta, 1, 2), (size[0], *size[2:], axes))


def _line(n: int, align_corners: bool) -> Any:
    ends = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(n)
    return ends if align_corners else ends * (n - 1) / max(n, 1)
