"""Seeded initial values: weights are set arbitrarily at first, and the same way for the same seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Start the generator that initial values come from anew: the same seed gives the same bits.

    >>> a = manual_seed(0).random()
    >>> a == manual_seed(0).random()
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def uniform(
    shape: tuple[int, ...], low: float, high: float, *, dtype: Any = np.float32, rng: np.random.Generator | None = None
) -> Tensor:
    """A parameter of `shape`, uniform in [low, high); from `rng`, or the generator that `manual_seed` sets."""
    numbers = (_generator if rng is None else rng).uniform(low, high, shape)
    return Tensor(numbers, requires_grad=True, dtype=dtype)


def kaiming_uniform(
    shape: tuple[int, ...],
    *,
    gain: float = math.sqrt(2.0),
    dtype: Any = np.float32,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """A weight of `shape` (out, in), uniform within gain * sqrt(3 / in): He et al., "Delving Deep into Rectifiers".

    It keeps the variance of the signal from layer to layer when `gain` is that of the activation, sqrt(2) for ReLU.
    """
    bound = gain * math.sqrt(3.0 / shape[1]) if shape[1] else 0.0
    return uniform(shape, -bound, bound, dtype=dtype, rng=rng)
