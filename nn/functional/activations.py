"""Activations: the functions that nodes apply to their weighted sums, stable for every finite float.

The names and arguments are PyTorch's.  Arguments of exponentials cannot overflow, and masks select instead of multiply,
because infinity times 0 is not 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd
from autograd import CASES, OPS, Case, Tensor, differentiable, elementwise, keep_where

from ..placement import is_elsewhere
from .arrays import only_real
from .normal import probability, slope_of_gelu, times_probability

__all__ = [
    "celu", "elu", "gelu", "glu", "hardtanh", "leaky_relu", "log_softmax", "mish", "normal_cdf", "prelu", "relu",
    "selu", "sigmoid", "silu", "softmax", "softplus", "tanh",
]  # fmt: skip

# ---- with a corner at 0


def _relu(x: Any) -> Any:
    """max(x, 0), element by element, with the shape, dtype and layout of x.  The gradient at 0 is 0.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    # NumPy compares with an array of zeros up to three times as fast as with a number.
    if type(x) is not np.ndarray or x.dtype.kind != "f" or not x.flags.c_contiguous:
        return np.maximum(x, 0.0)
    zeros = np.zeros_like(x)
    return np.maximum(x, zeros, out=zeros)


relu = elementwise(
    _relu,
    lambda g, y, _x: keep_where(g, mask=y != 0),  # NaN is not 0, so its gradient passes
    name="relu",
)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where it is positive, else negative_slope * x, element by element.

    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    return np.where(x > 0, x, x * negative_slope)


leaky_relu = elementwise(
    _leaky_relu,
    lambda g, _y, x, *, negative_slope=0.01: np.where(x > 0, g, g * negative_slope),
    name="leaky_relu",
)
_prelu = elementwise(
    lambda x, weight: np.where(x > 0, x, x * weight),
    lambda g, _y, x, weight: np.where(x > 0, g, g * weight),
    lambda g, _y, x, _weight: np.where(x > 0, 0.0, g * x),
    name="prelu",
)


def prelu(x: Any, weight: Any) -> Any:
    """x where it is positive, else weight * x.

    `weight` has one element, or one per channel, which is axis 1 of x (n, channels, ...).

    >>> prelu(np.array([2.0, -2.0]), np.array([0.5]))
    array([ 2., -1.])
    """
    if np.size(weight) > 1:
        if np.ndim(x) < 2 or np.shape(x)[1] != np.size(weight):
            raise ValueError(f"prelu: {np.size(weight)} weights for an input of shape {np.shape(x)}; one per channel")
        weight = np.reshape(weight, (-1,) + (1,) * (np.ndim(x) - 2))
    return _prelu(x, weight)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x clipped to between `min_val` and `max_val`; on a bound the gradient is 1.

    >>> hardtanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    return np.clip(x, min_val, max_val)


# ---- exponential below 0


def _elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, else alpha * (exp(x) - 1), element by element; Clevert et al. 2015.

    >>> elu(np.array([-np.inf, 2.0]))
    array([-1.,  2.])
    """
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)) * alpha)


def _celu(x: Any, alpha: float = 1.0) -> Any:
    """alpha times the ELU of x / alpha, whose slope is continuous for every alpha; Barron 2017.

    >>> celu(np.array([-np.inf, 2.0]), alpha=3.0)
    array([-3.,  2.])
    """
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0) / alpha) * alpha)


# From Klambauer et al., "Self-Normalizing Neural Networks".
_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _selu(x: Any) -> Any:
    """ELU with two constants that keep mean 0 and variance 1 from layer to layer; Klambauer et al. 2017.

    >>> selu(np.array([0.0, 1.0])).round(3)
    array([0.   , 1.051])
    """
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)) * _ALPHA) * _SCALE


elu = elementwise(
    _elu,
    lambda g, _y, x, *, alpha=1.0: np.where(x > 0, g, g * np.exp(np.minimum(x, 0.0)) * alpha),
    name="elu",
)
celu = elementwise(
    _celu,
    lambda g, _y, x, *, alpha=1.0: np.where(x > 0, g, g * np.exp(np.minimum(x, 0.0) / alpha)),
    name="celu",
)
selu = elementwise(
    _selu,
    lambda g, _y, x: np.where(x > 0, g, g * np.exp(np.minimum(x, 0.0)) * _ALPHA) * _SCALE,
    name="selu",
)

# ---- smooth


def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), element by element, computed from exp(-|x|): exact on both sides of 0.

    >>> sigmoid(np.array([-1000.0, 0.0]))
    array([0. , 0.5])
    """
    only_real("sigmoid", x)
    e = np.exp(-np.abs(x))
    return np.abs((x > 0) - e / (e + 1.0))  # np.where takes as long as all of this


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta, or x where beta x is above the threshold, element by element.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    only_real("softplus", x)
    with np.errstate(over="ignore"):  # an infinite x * beta is above the threshold
        u = x * beta
    soft = np.maximum(u, 0.0) + np.log1p(np.exp(-np.abs(u)))  # exp(u) is infinite in float16 from 12 on
    return np.where(u > threshold, x, soft / beta)


def _down(g: Any, x: Any) -> Any:
    """g times the slope y * (1 - y) of the sigmoid, where 1 - y would be 0 long before y is."""
    return OPS["tanh_slope"].function(g * 0.25, x * 0.5)


sigmoid = elementwise(_sigmoid, lambda g, _y, x: _down(g, x), name="sigmoid")
tanh = autograd.tanh  # faster than through np.tanh
softplus = elementwise(
    _softplus,
    lambda g, _y, x, *, beta=1.0, threshold=20.0: g * np.where(x * beta > threshold, 1.0, sigmoid(x * beta)),
    name="softplus",
)


def _silu(x: Any) -> Any:
    """x * sigmoid(x), element by element; Hendrycks and Gimpel 2016.

    >>> silu(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """
    return x * _sigmoid(x)


def _silu_rule(g: Any, _y: Any, x: Any) -> Any:
    s = sigmoid(x)
    return g * (s * (1.0 + x * (1.0 - s)))


silu = elementwise(_silu, _silu_rule, name="silu")


def _mish(x: Any) -> Any:
    """x * tanh(softplus(x)), element by element; Misra 2019.

    >>> mish(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """
    return x * np.tanh(_softplus(x))


def _mish_rule(g: Any, _y: Any, x: Any) -> Any:
    t = np.tanh(softplus(x))
    return g * (t + x * ((1.0 - t * t) * sigmoid(x)))


mish = elementwise(_mish, _mish_rule, name="mish")


def _density(x: Any) -> Any:
    """The normal density; clipped at 40, beyond which it is 0 and the square could overflow."""
    u = np.clip(x, -40.0, 40.0)
    return np.exp(u * u * -0.5) * (1 / math.sqrt(2 * math.pi))


def _normal_cdf(x: Any) -> Any:
    """The probability that a standard normal number is below x, element by element.

    >>> normal_cdf(np.array([0.0, 100.0]))
    array([0.5, 1. ])
    """
    only_real("normal_cdf", x)
    return probability(x)


normal_cdf = elementwise(_normal_cdf, lambda g, _y, x: g * _density(x), name="normal_cdf")


def _bend(x: Any) -> Any:
    """The sigmoid of this replaces the normal distribution in Hendrycks and Gimpel's approximation of GELU."""
    u = np.clip(x, -20.0, 20.0)  # beyond, the sigmoid is 0 or 1 and the cube might overflow
    return (u + u * u * u * 0.044715) * math.sqrt(8 / math.pi)


def _gelu(x: Any, approximate: str = "none") -> Any:
    """x times the probability that a standard normal number is below x; Hendrycks and Gimpel 2016.

    `approximate="tanh"` is their approximation without the error function.  ValueError for any other value but "none".

    >>> gelu(np.array([0.0, 100.0]))
    array([  0., 100.])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate is 'none' or 'tanh'; got {approximate!r}")
    only_real("gelu", x)
    return times_probability(x) if approximate == "none" else x * _sigmoid(_bend(x))


def _gelu_rule(g: Any, y: Any, x: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        if isinstance(g, Tensor) or isinstance(x, Tensor) or is_elsewhere(x):
            return g * (normal_cdf(x) + x * _density(x))
        return slope_of_gelu(g, y, x)
    t, u = _bend(x), np.clip(x, -20.0, 20.0)
    return g * (sigmoid(t) + _down(u, t) * ((u * u * (3 * 0.044715) + 1.0) * math.sqrt(8 / math.pi)))


gelu = elementwise(_gelu, _gelu_rule, name="gelu")

# ---- along an axis


@np.errstate(over="ignore")  # a difference too large for the dtype is -inf, and its exponential is rightly 0
def _softmax(x: Any, dim: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along axis `dim`: probabilities, which sum to 1, in the shape of x.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def _softmax_rule(g: Any, y: Any, _x: Any, *, dim: int = -1) -> Any:
    product = g * y
    total = np.sum(product, axis=dim, keepdims=True)
    if product.__class__ is not np.ndarray:
        return (g - total) * y
    np.subtract(g, total, out=product)
    return np.multiply(product, y, out=product)


@np.errstate(over="ignore")
def log_softmax_of_array(x: Any, dim: int = -1) -> Any:
    """The logarithm of softmax(x) along axis `dim`, exact even where the softmax is 0, in the shape of x.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    shifted = x - np.max(x, axis=dim, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))


softmax = differentiable(_softmax, _softmax_rule, name="softmax")
log_softmax = differentiable(
    log_softmax_of_array,
    lambda g, y, _x, *, dim=-1: g - np.exp(y) * np.sum(g, axis=dim, keepdims=True),
    name="log_softmax",
)


def glu(x: Any, dim: int = -1) -> Any:
    """The first half of x along axis `dim` times the sigmoid of the second; Dauphin et al. 2016.

    Raises ValueError when that axis has an odd length.

    >>> glu(np.array([3.0, 0.0]))
    array([1.5])
    """
    length = np.shape(x)[dim]
    if length % 2:
        raise ValueError(f"glu: axis {dim} of shape {np.shape(x)} is cut in halves, but its length is odd")
    front: tuple[Any, ...] = (slice(None),) * (dim % np.ndim(x))
    return x[(*front, slice(length // 2))] * sigmoid(x[(*front, slice(length // 2, None))])


# ---- test data

_SHAPES = [Case((2, 3)), Case(()), Case((0, 2))]
CASES[leaky_relu] = [*_SHAPES, Case((2, 3), negative_slope=0.2)]
CASES[elu] = [*_SHAPES, Case((2, 3), alpha=0.7)]
CASES[celu] = [*_SHAPES, Case((2, 3), alpha=0.7)]
CASES[softplus] = [*_SHAPES, Case((2, 3), beta=1.5, threshold=30.0)]
CASES[gelu] = [*_SHAPES, Case((2, 3), approximate="tanh")]
CASES[softmax] = CASES[log_softmax] = [Case((2, 3)), Case((2, 3), dim=0), Case((2, 1)), Case((2, 3, 2), dim=1)]
