"""Seeded initial values: weights start random, and the same for the same seed.

The functions are PyTorch's: each fills a parameter (replacing its array) and returns it.  The numbers come from
`generator`, or from the one that `manual_seed` sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor

__all__ = [
    "calculate_gain", "constant_", "default_generator", "kaiming_normal_", "kaiming_uniform_", "manual_seed",
    "normal_", "ones_", "orthogonal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

_default = np.random.default_rng()

# An activation shrinks the spread of a signal; a wider spread of the weights makes up for it (He et al. 2015).
_GAINS = {"linear": 1.0, "identity": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator of initial values, dropout and shuffling: the same seed gives the same bits.

    >>> a = manual_seed(0).random()
    >>> a == manual_seed(0).random()
    True
    """
    _default.bit_generator.state = np.random.default_rng(seed).bit_generator.state  # compiled functions hold the object
    return _default


def default_generator(generator: np.random.Generator | None = None) -> np.random.Generator:
    """`generator`, or the one that `manual_seed` sets if it is None.  Raises TypeError for anything else.

    >>> default_generator() is manual_seed(0)
    True
    """
    if generator is None:
        return _default
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator is a numpy.random.Generator, as default_rng makes; got {type(generator).__name__}")
    return generator


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor for the spread of the weights before this activation, from PyTorch's table.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"nonlinearity is leaky_relu, {', '.join(_GAINS)}; got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _fill(tensor: Tensor, draw: Callable[[np.random.Generator], Any], generator: Any) -> Tensor:
    tensor.assign(draw(default_generator(generator)))
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Set all elements to 0.

    >>> zeros_(Tensor([1.0, 2.0]))
    Tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set all elements to 1.

    >>> ones_(Tensor([0.0, 2.0]))
    Tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set all elements to `val`.

    >>> constant_(Tensor([0.0, 2.0]), 0.5)
    Tensor([0.5, 0.5])
    """
    tensor.assign(np.full_like(tensor.data, val))
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Fill with uniform numbers from `a` to `b`.

    >>> w = uniform_(Tensor(np.zeros(1000)), -1.0, 1.0)
    >>> bool(abs(w.data).max() <= 1.0 and w.data.std() > 0.5)
    True
    """
    return _fill(tensor, lambda rng: rng.uniform(a, b, tensor.shape), generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with normal numbers of this mean and standard deviation.

    >>> w = normal_(Tensor(np.zeros(10000)), 3.0, 0.1)
    >>> round(float(w.data.mean()), 1), round(float(w.data.std()), 1)
    (3.0, 0.1)
    """
    return _fill(tensor, lambda rng: rng.normal(mean, std, tensor.shape), generator)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in, ...): a node's inputs, and the nodes that receive its output."""
    if tensor.ndim < 2:
        raise ValueError(f"a weight has at least the axes (out, in); got shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _xavier(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / (sum(_fans(tensor)) or 1))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Fill with uniform numbers of variance gain**2 * 2 / (in + out), weight (out, in, ...): Glorot and Bengio 2010.

    >>> w = xavier_uniform_(Tensor(np.zeros((300, 300))))
    >>> round(float(w.data.var() * 300), 1)
    1.0
    """
    bound = math.sqrt(3.0) * _xavier(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Fill with normal numbers of variance gain**2 * 2 / (in + out), weight (out, in, ...): Glorot and Bengio 2010.

    >>> w = xavier_normal_(Tensor(np.zeros((300, 300))))
    >>> round(float(w.data.var() * 300), 1)
    1.0
    """
    return normal_(tensor, 0.0, _xavier(tensor, gain), generator)


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out'; got {mode!r}")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan or 1)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers of variance gain**2 / in (or out): He et al., "Delving Deep into Rectifiers".

    This keeps the variance of the signal from layer to layer.  The gain is that of the activation, and `a` is the slope
    of a leaky ReLU below 0.  The weight is (out, in, ...).

    >>> w = kaiming_uniform_(Tensor(np.zeros((300, 300))), nonlinearity="relu")
    >>> round(float(w.data.var() * 300), 1)
    2.0
    """
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of variance gain**2 / in (or out); see `kaiming_uniform_`.

    >>> w = kaiming_normal_(Tensor(np.zeros((300, 300))), nonlinearity="relu")
    >>> round(float(w.data.var() * 300), 1)
    2.0
    """
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None) -> Tensor:
    """Fill with `gain` times a random matrix (out, the rest) whose rows (or columns, if fewer) are orthonormal.

    Such a matrix keeps lengths (Saxe et al. 2013).  It is drawn uniformly from all of them, by the QR decomposition of
    normal numbers with the signs of R's diagonal corrected (Mezzadri 2007).

    >>> w = orthogonal_(Tensor(np.zeros((3, 3)))).data
    >>> np.allclose(w @ w.T, np.eye(3))
    True
    """
    _fans(tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])

    def draw(rng: np.random.Generator) -> Any:
        numbers = rng.normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(numbers)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return gain * (q if rows >= columns else q.T).reshape(tensor.shape)

    return _fill(tensor, draw, generator)
