"""Layers: dense, embedding, dropout, and the activation that learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor, reshape

from . import functional as F
from . import init
from .module import Module, Parameter

__all__ = [
    "Bilinear", "Dropout", "Embedding", "Flatten", "Identity", "Linear", "PReLU", "Softmax2d",
]  # fmt: skip


def _uniform(shape: tuple[int, ...], fan_in: int, dtype: Any, generator: Any) -> Parameter:
    """Uniform within 1/sqrt(fan_in), as in PyTorch's dense layers; column-major, see docs/maintainers/decisions.md."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    parameter = Parameter(np.empty(shape, dtype, order="F"))
    init.uniform_(parameter, -bound, bound, generator)
    return parameter


def whole_numbers(layer: Any, **sizes: Any) -> None:
    """Raise TypeError for a number of nodes that is not a whole number."""
    for name, n in sizes.items():
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise TypeError(f"{type(layer).__name__}: {name} is a whole number; got {n!r:.50}")


def naming(layer: Any, error: Exception) -> Exception:
    """The error of a function that a layer called, with the layer's name and sizes before its text.

    >>> naming(Linear(3, 2), ValueError("got 4"))
    ValueError('Linear(3 -> 2): got 4')
    """
    return type(error)(f"{type(layer).__name__}({layer.describe()}): {error}")


class Linear(Module):
    """A dense layer: a weight connects every input node to every output node.

    x (..., in_features) -> x @ weight.T + bias (..., out_features), with `weight` (out_features, in_features) and
    `bias` (out_features,).  Both start uniform within 1/sqrt(in_features), as in PyTorch, drawn from `generator` or
    that of `nn.manual_seed`.  Raises ValueError when the last axis of x does not have length `in_features`.

    >>> Linear(3, 2)(np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        whole_numbers(self, in_features=in_features, out_features=out_features)
        if in_features < 0 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): a layer has at least one node")
        self.in_features, self.out_features = in_features, out_features
        self.weight = _uniform((out_features, in_features), in_features, dtype, generator)
        self.bias = _uniform((out_features,), in_features, dtype, generator) if bias else None

    def forward(self, x: Any) -> Tensor:
        try:
            return F.linear(x, self.weight, self.bias)
        except (AttributeError, TypeError, ValueError) as error:
            shape = np.shape(x)
            if shape[-1:] == (self.in_features,):
                raise
            got = "None: does a forward() before it lack its `return`?" if x is None else f"shape {shape}"
            raise ValueError(
                f"Linear({self.describe()}) needs inputs whose last axis has length {self.in_features}; got {got}"
            ) from error

    def flops(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * (2 * self.in_features - 1 + (self.bias is not None))

    def describe(self) -> str:
        return f"{self.in_features} -> {self.out_features}{'' if self.bias is not None else ', bias=False'}"


class Bilinear(Module):
    """A layer with two inputs and a weight for every pair of their nodes: see `nn.functional.bilinear`."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        whole_numbers(self, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = _uniform((out_features, in1_features, in2_features), in1_features, dtype, generator)
        self.bias = _uniform((out_features,), in1_features, dtype, generator) if bias else None

    def forward(self, x1: Any, x2: Any) -> Tensor:
        if np.shape(x1)[-1:] != (self.in1_features,) or np.shape(x2)[-1:] != (self.in2_features,):
            raise ValueError(
                f"Bilinear({self.describe()}) needs inputs whose last axes have lengths {self.in1_features} and "
                f"{self.in2_features}; got shapes {np.shape(x1)} and {np.shape(x2)}"
            )
        if np.shape(x1)[:-1] != np.shape(x2)[:-1]:
            raise ValueError(
                f"Bilinear({self.describe()}) needs inputs of one batch; got shapes {np.shape(x1)} and {np.shape(x2)}"
            )
        return F.bilinear(x1, x2, self.weight, self.bias)

    def flops(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * (3 * self.in1_features * self.in2_features - 1 + (self.bias is not None))

    def describe(self) -> str:
        return f"{self.in1_features} x {self.in2_features} -> {self.out_features}"


class Flatten(Module):
    """Merge the axes from `start_dim` to `end_dim`; by default every sample becomes one row.

    >>> Flatten()(np.zeros((5, 2, 3))).shape
    (5, 6)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(x)
        ends = [dim + len(shape) if dim < 0 else dim for dim in (self.start_dim, self.end_dim)]
        if not all(0 <= dim < len(shape) for dim in ends):
            raise ValueError(
                f"Flatten from axis {self.start_dim} to {self.end_dim} needs these axes; got shape {shape}"
            )
        start, end = ends
        if start > end:
            raise ValueError(f"Flatten from axis {start} to axis {end} of shape {shape}")
        return reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))

    def flops(self, shape: tuple[int, ...]) -> int:
        return 0


class Identity(Module):
    """Return x unchanged; the constructor ignores its arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return x

    def flops(self, shape: tuple[int, ...]) -> int:
        return 0


class Dropout(Module):
    """While training, set each element to 0 with probability `p`, and divide the others by 1 - p."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None) -> None:
        if not isinstance(p, float | int) or not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, from 0 to 1; got {p!r}")
        self.p, self.generator = p, generator

    def forward(self, x: Any) -> Tensor:
        return F.dropout(x, self.p, self.training, self.generator)

    def flops(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) if self.training else 0

    def describe(self) -> str:
        return f"p={self.p}"


class PReLU(Module):
    """x where it is positive, else weight * x, with one learned weight, or one per channel; He et al. 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = np.float32) -> None:
        self.weight = Parameter(np.full(num_parameters, init), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return F.prelu(x, self.weight)


class Embedding(Module):
    """A table of learned rows, looked up by number: integer indices (...) -> (..., embedding_dim).

    Rows start from the standard normal distribution; the row `padding_idx` starts at 0 and is not learned.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        whole_numbers(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), dtype))
        init.normal_(self.weight, generator=generator)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} is not one of the {num_embeddings} rows")
            self.weight.data[padding_idx] = 0.0

    def forward(self, indices: Any) -> Tensor:
        return F.embedding(indices, self.weight, self.padding_idx)

    def flops(self, shape: tuple[int, ...]) -> int:
        return 0

    def describe(self) -> str:
        return f"{self.num_embeddings} rows of {self.embedding_dim}"


class Softmax2d(Module):
    """The softmax over the channels at every place: x is (n, channels, height, width) or (channels, height, width)."""

    def forward(self, x: Any) -> Tensor:
        if np.ndim(x) not in (3, 4):
            raise ValueError(f"Softmax2d needs inputs of shape (n, channels, height, width); got {np.shape(x)}")
        made: Tensor = F.softmax(x, dim=-3)
        return made
