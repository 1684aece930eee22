"""Activations of pieces: straight lines with corners, and what shrinks numbers towards 0.  Names are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import CASES, Case, elementwise, outside, to

from ..init import default_generator
from .activations import sigmoid, softmax
from .arrays import array_of, only_real

__all__ = [
    "hardshrink", "hardsigmoid", "hardswish", "logsigmoid", "relu6", "rrelu", "softmin", "softshrink", "softsign",
    "tanhshrink", "threshold",
]  # fmt: skip


def relu6(x: Any) -> Any:
    """x cut off below 0 and above 6, where the gradient is 0; Krizhevsky 2010.

    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])
    """
    return np.where(x <= 0, 0.0, np.where(x >= 6, 6.0, x))


def hardsigmoid(x: Any) -> Any:
    """x / 6 + 1/2, cut off below 0 and above 1: the sigmoid function of straight lines; Howard et al. 2019.

    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x * (1 / 6) + 0.5))


def hardswish(x: Any) -> Any:
    """x * hardsigmoid(x); Howard et al. 2019.

    >>> hardswish(np.array([-np.inf, 0.0, 1.5, np.inf]))
    array([0.   , 0.   , 1.125,   inf])
    """
    middle = np.clip(x, -3.0, 3.0)  # so that infinity is not multiplied by 0
    return np.where(x <= -3, 0.0, np.where(x >= 3, x, middle * (middle + 3.0) * (1 / 6)))


def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """0 where x is within `lambd` of 0, else x.

    >>> hardshrink(np.array([-1.0, 0.3, 0.5]))
    array([-1.,  0.,  0.])
    """
    return np.where((x >= -lambd) & (x <= lambd), 0.0, x)


def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """x moved towards 0 by `lambd`, at most to 0.  Raises ValueError for a `lambd` below 0.

    >>> softshrink(np.array([-1.0, 0.3, 0.75]))
    array([-0.5 ,  0.  ,  0.25])
    """
    if lambd < 0:
        raise ValueError(f"softshrink: lambd is at least 0; got {lambd!r}")
    return x - np.clip(x, -lambd, lambd)


def tanhshrink(x: Any) -> Any:
    """x - tanh(x).

    >>> tanhshrink(np.array([0.0, 100.0]))
    array([ 0., 99.])
    """
    return x - np.tanh(x)


def threshold(x: Any, threshold: float, value: float) -> Any:
    """x where it is above `threshold`, else `value`.

    >>> threshold(np.array([-1.0, 0.5, 2.0]), 0.5, 9.0)
    array([9., 9., 2.])
    """
    return np.where(x <= threshold, value, x)


def _logsigmoid(x: Any) -> Any:
    """The logarithm of the sigmoid function, without overflow or cancellation.

    >>> logsigmoid(np.array([-100.0, 100.0])).round(3)
    array([-100.,   -0.])
    """
    only_real("logsigmoid", x)
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _logsigmoid_rule(g: Any, _y: Any, x: Any) -> Any:
    """`g * sigmoid(-x)`"""
    return g * sigmoid(-x)


logsigmoid = elementwise(_logsigmoid, _logsigmoid_rule, name="logsigmoid")


def softsign(x: Any) -> Any:
    """x / (1 + |x|); Turian et al. 2009.

    >>> softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return x / (np.abs(x) + 1.0)


def softmin(x: Any, dim: int = -1) -> Any:
    """softmax(-x) along axis `dim`: the smallest number gets the largest share.

    >>> softmin(np.array([1.0, 1.0]))
    array([0.5, 0.5])
    """
    return softmax(-x, dim=dim)


def rrelu(
    x: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: np.random.Generator | None = None,
) -> Any:
    """x where it is positive, else x times a slope from `lower` to `upper`: drawn in `training`, else their mean.

    Xu et al. 2015.  `generator` draws; the default is that of `nn.manual_seed`.  Raises ValueError if lower > upper.

    >>> rrelu(np.array([-1.0, 2.0]), 0.25, 0.75)
    array([-0.5,  2. ])
    """
    if lower > upper:
        raise ValueError(f"rrelu: lower is at most upper; got {lower!r} and {upper!r}")
    slope: Any = (lower + upper) / 2
    if training:
        slope = outside(default_generator(generator).uniform, lower, upper, np.shape(x)).astype(x.dtype)
        slope = to(slope, array_of(x))
    return np.where(x > 0, x, x * slope)


# ---- test data

CASES[logsigmoid] = [Case((2, 3)), Case(()), Case((0, 2))]
