"""Dropout of whole channels, and dropout that keeps the mean and variance of SELU networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import outside, to

from ..init import default_generator
from .arrays import array_of
from .dense import drop

__all__ = ["alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

_LOWEST = -1.0507009873554805 * 1.6732632423543772  # what SELU returns far below 0


def _channels(name: str, axes: int, x: Any) -> tuple[int, ...]:
    """The shape of a number for each channel of every sample."""
    shape = np.shape(x)
    if len(shape) not in (axes + 1, axes + 2):
        sizes = ", ".join(("length",) if axes == 1 else ("depth", "height", "width")[-axes:])
        raise ValueError(f"{name} needs inputs of shape (n, channels, {sizes}) or (channels, {sizes}); got {shape}")
    return (*shape[:-axes], *(1,) * axes)


def _drop_channels(name: str, x: Any, p: float, training: bool, generator: Any) -> Any:
    return drop(name, x, _channels(name, int(name[-2]), x), p, training, generator)


def dropout1d(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """`dropout` of whole channels: x is (n, channels, length) or (channels, length); Tompson et al. 2015.

    >>> dropout1d(np.ones((1, 2, 3)), p=0.5, training=False).sum()
    np.float64(6.0)
    """
    return _drop_channels("dropout1d", x, p, training, generator)


def dropout2d(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """`dropout` of whole channels of images: x is (n, channels, height, width), or without n.

    >>> dropout2d(np.ones((1, 2, 3, 3)), p=1.0).sum()
    np.float64(0.0)
    """
    return _drop_channels("dropout2d", x, p, training, generator)


def dropout3d(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """`dropout` of whole channels of volumes: x is (n, channels, depth, height, width), or without n.

    >>> dropout3d(np.ones((1, 2, 3, 3, 3)), p=1.0).sum()
    np.float64(0.0)
    """
    return _drop_channels("dropout3d", x, p, training, generator)


def _alpha(name: str, x: Any, shape: tuple[int, ...], p: float, training: bool, generator: Any) -> Any:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is a probability, from 0 to 1; got {p!r}")
    if not training or p == 0:
        return x
    if p == 1:
        return np.where(np.zeros(shape, bool, like=array_of(x)), x, 0.0)
    scale = 1 / math.sqrt((1 - p) * (1 + p * _LOWEST**2))  # so that a variance of 1 stays 1
    shift = -scale * p * _LOWEST  # and a mean of 0 stays 0
    kept = to(outside(default_generator(generator).random, shape, np.float32) >= p, array_of(x))
    return np.where(kept, x, _LOWEST) * scale + shift


def alpha_dropout(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """Dropout for networks of SELU: elements become SELU's lowest value with probability `p`.

    A mean of 0 and a variance of 1 stay as they are; Klambauer et al. 2017.  Raises ValueError for a p that is not a
    probability.

    >>> alpha_dropout(np.ones(3), training=False)
    array([1., 1., 1.])
    """
    return _alpha("alpha_dropout", x, np.shape(x), p, training, generator)


def feature_alpha_dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None
) -> Any:
    """`alpha_dropout` of whole channels: x is (n, channels, ...).

    >>> feature_alpha_dropout(np.ones((1, 2, 3)), training=False).shape
    (1, 2, 3)
    """
    if np.ndim(x) < 2:
        raise ValueError(f"feature_alpha_dropout needs inputs of shape (n, channels, ...); got {np.shape(x)}")
    shape = (*np.shape(x)[:2], *(1,) * (np.ndim(x) - 2))
    return _alpha("feature_alpha_dropout", x, shape, p, training, generator)
