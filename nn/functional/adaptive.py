"""Pooling to a given size: the windows are parts of about equal size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import outside

from .arrays import array_of
from .pooling import mean_of_windows
from .windows import Ints

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip


def _adaptive(name: str, x: Any, output_size: Any) -> tuple[Ints, list[list[slice]]]:
    """The sizes of the output and, for every axis, the inputs of each of its places."""
    axes = int(name[-2])
    if np.ndim(x) not in (axes + 1, axes + 2):
        raise ValueError(f"{name} needs inputs with a batch, channels and {axes} axes; got shape {np.shape(x)}")
    given = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * axes
    sizes = np.shape(x)[-axes:]
    if min(sizes) < 1:
        raise ValueError(f"{name} needs sizes of at least 1; got shape {np.shape(x)}")
    if len(given) != axes or not all(n is None or (isinstance(n, int | np.integer) and n >= 0) for n in given):
        raise ValueError(f"{name}: output_size is {axes} whole numbers or None; got {output_size!r}")
    outputs = tuple(size if n is None else int(n) for n, size in zip(given, sizes, strict=True))
    parts = [
        [slice(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        for n, size in zip(outputs, sizes, strict=True)
    ]
    return outputs, parts


def _even(sizes: Sequence[int], outputs: Ints) -> bool:
    return all(n and size % n == 0 for size, n in zip(sizes, outputs, strict=True))


def _adaptive_avg_pool(name: str, x: Any, output_size: Any) -> Any:
    outputs, parts = _adaptive(name, x, output_size)
    axes, sizes = len(outputs), np.shape(x)[-len(outputs) :]
    if _even(sizes, outputs):
        kernel = tuple(size // n for size, n in zip(sizes, outputs, strict=True))
        return mean_of_windows(f"avg_pool{axes}d", x, kernel, None, 0, False, True, None)
    for axis, (size, of_axis) in enumerate(zip(sizes, parts, strict=True)):
        matrix = np.zeros((len(of_axis), size), x.dtype, like=x)
        for i, part in enumerate(of_axis):
            matrix[i, part] = 1 / (part.stop - part.start)
        x = along_axis(x, matrix, axis - axes)
    return x


def along_axis(x: Any, matrix: Any, axis: int) -> Any:
    """Replace the numbers along an axis (counted from the end) by `matrix` (new, old) times them."""
    if axis == -1:
        return x @ matrix.T
    if axis == -2:
        return matrix @ x
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)


def _adaptive_max_pool(name: str, x: Any, output_size: Any, return_indices: bool) -> Any:
    outputs, parts = _adaptive(name, x, output_size)
    axes, shape = len(outputs), np.shape(x)
    flat = np.reshape(x, (*shape[:-axes], math.prod(shape[-axes:])))
    places = outside(_largest, array_of(x), parts)
    rows = places.reshape(*shape[:-axes], math.prod(outputs))
    y = np.take_along_axis(flat, rows, -1).reshape(places.shape)
    return (y, places) if return_indices else y


def _largest(x: Any, parts: list[list[slice]]) -> Any:
    """Where the largest number of each part is in the flattened last axes."""
    axes = len(parts)
    numbers = np.arange(math.prod(x.shape[-axes:]), like=x).reshape(x.shape[-axes:])
    found = np.empty((*x.shape[:-axes], *map(len, parts)), np.int64, like=x)
    for place in np.ndindex(*map(len, parts)):
        part = tuple(of_axis[i] for of_axis, i in zip(parts, place, strict=True))
        within = numbers[part].reshape(-1)
        found[..., *place] = within[x[..., *part].reshape(*x.shape[:-axes], len(within)).argmax(-1)]
    return found


def adaptive_avg_pool1d(input: Any, output_size: int) -> Any:
    """Means over parts of about equal size, so that one axis gets length `output_size`.

    Part i of n begins at i * length // n and ends at the ceiling of (i + 1) * length / n.

    >>> adaptive_avg_pool1d(np.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    array([[[2., 1.]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: int | Sequence[int | None] | None) -> Any:
    """`adaptive_avg_pool1d` for images (n, channels, height, width); None in `output_size` keeps a size.

    >>> adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: int | Sequence[int | None] | None) -> Any:
    """`adaptive_avg_pool1d` for volumes (n, channels, depth, height, width).

    >>> adaptive_avg_pool3d(np.ones((1, 1, 4, 5, 6)), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", input, output_size)


def adaptive_max_pool1d(input: Any, output_size: int, return_indices: bool = False) -> Any:
    """The largest number of parts of about equal size, so that one axis gets length `output_size`.

    >>> adaptive_max_pool1d(np.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    array([[[3., 2.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool2d(
    input: Any, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """`adaptive_max_pool1d` for images (n, channels, height, width); None in `output_size` keeps a size.

    >>> adaptive_max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[15.]]]])
    """
    return _adaptive_max_pool("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Any, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """`adaptive_max_pool1d` for volumes (n, channels, depth, height, width).

    >>> adaptive_max_pool3d(np.ones((1, 1, 4, 5, 6)), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool3d", input, output_size, return_indices)
