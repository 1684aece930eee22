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

from .elsewhere import INIT, absent

__all__ = [
    "calculate_gain", "constant_", "default_generator", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_",
    "manual_seed", "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
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


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of this mean and standard deviation, those outside of a .. b drawn again.

    Where nearly all would lie outside, uniform numbers are drawn and accepted by the density instead, as in PyTorch.
    Raises ValueError unless a < b and std > 0.

    >>> w = trunc_normal_(Tensor(np.zeros(10000)), std=0.5, a=-0.5, b=1.0)
    >>> w.data.min() >= -0.5, w.data.max() <= 1.0, round(float(w.data.mean()), 1)
    (np.True_, np.True_, 0.1)
    """
    if not a < b or not std > 0:
        raise ValueError(f"trunc_normal_ needs a < b and std > 0; got a={a!r}, b={b!r}, std={std!r}")
    below, above = (math.erf((x - mean) / std / math.sqrt(2.0)) for x in (a, b))
    nearest = max(a, min(mean, b))

    def propose(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
        if above - below > 0.6:  # the share of normal numbers inside is at least 30%
            x = rng.normal(mean, std, n)
            return x, (x >= a) & (x <= b)
        x = rng.uniform(a, b, n)
        density = ((nearest - mean) / std) ** 2 - ((x - mean) / std) ** 2
        return x, np.log1p(-rng.random(n)) <= 0.5 * density

    def draw(rng: np.random.Generator) -> Any:
        numbers, missing = np.empty(tensor.shape), np.ones(tensor.shape, bool)
        while missing.any():
            proposed, good = propose(rng, int(missing.sum()))
            where = np.flatnonzero(missing)[good]
            numbers.flat[where], missing.flat[where] = proposed[good], False
        low, high = (np.asarray(x, tensor.dtype) for x in (a, b))
        low = np.nextafter(low, high) if float(low) < a else low  # rounding must not lead outside
        high = np.nextafter(high, low) if float(high) > b else high
        return np.clip(numbers.astype(tensor.dtype), low, high)

    return _fill(tensor, draw, generator)


def eye_(tensor: Tensor) -> Tensor:
    """Set a matrix to the identity: ones on the diagonal, zeros elsewhere.

    >>> eye_(Tensor(np.zeros((2, 3))))
    Tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_ fills matrices; got shape {tensor.shape}")
    rows, columns = (np.arange(n) for n in tensor.shape)
    tensor.assign((rows[:, None] == columns).astype(tensor.dtype))
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Set the weight of a convolution (out, in, ...) so that it passes as many channels on as there are, unchanged.

    With `groups`, the channels of each group.  Raises ValueError for a weight without one to three axes of space, and
    for a number of channels that `groups` does not divide.

    >>> dirac_(Tensor(np.ones((2, 1, 3)))).tolist()
    [[[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]]
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_ fills weights (out, in, ...) with one to three more axes; got shape {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ValueError(f"the {tensor.shape[0]} channels cannot be divided into {groups} groups")
    new, each = np.zeros_like(tensor.data), tensor.shape[0] // groups
    for channel in range(tensor.shape[0]):
        if channel % each < tensor.shape[1]:
            new[(channel, channel % each, *(n // 2 for n in tensor.shape[2:]))] = 1
    tensor.assign(new)
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: np.random.Generator | None = None) -> Tensor:
    """Fill a matrix with normal numbers, with the share `sparsity` of each column set to 0: Martens 2010.

    >>> w = sparse_(Tensor(np.zeros((10, 4))), 0.3)
    >>> (w.data == 0).sum(axis=0).tolist()
    [3, 3, 3, 3]
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ fills matrices; got shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share, from 0 to 1; got {sparsity!r}")
    rows, columns = tensor.shape

    def draw(rng: np.random.Generator) -> Any:
        numbers = rng.normal(0.0, std, tensor.shape)
        order = rng.permuted(np.tile(np.arange(rows)[:, None], (1, columns)), axis=0)
        return np.where(order < math.ceil(sparsity * rows), 0.0, numbers)

    return _fill(tensor, draw, generator)


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


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, INIT)
