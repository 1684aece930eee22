"""The functions of dense layers: products with weights, embedding and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable, outside, to, where

from ..init import default_generator
from ..placement import is_elsewhere
from .arrays import array_of, or_nan, sum_of_rows

__all__ = ["bilinear", "dropout", "embedding", "linear"]


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = _times(x, weight.T)
    y += bias  # in place on an array; on a Tensor `+=` makes a new one
    return y


def _times(x: Any, matrix: Any) -> Any:
    """x @ matrix as one product of two matrices: two to four times as fast as one for each layer of x."""
    if x.ndim == 2:
        return np.dot(x, matrix)  # 0.3 us less than @
    return x @ matrix if x.ndim < 2 else np.reshape(_rows(x) @ matrix, (*x.shape[:-1], matrix.shape[1]))


def _rows(a: Any) -> Any:
    return a if a.ndim == 2 else np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))


def _input_rule(g: Any, _y: Any, _x: Any, weight: Any, _bias: Any) -> Any:
    """`g @ weight`"""
    return np.dot(g, weight) if g.ndim == 2 else _times(g, weight)


def _weight_rule(g: Any, _y: Any, x: Any, _weight: Any, _bias: Any) -> Any:
    """`g.T @ x`, with a row for every sample; column-major in memory, like the weights."""
    if g.ndim == x.ndim == 2:
        return np.dot(x.T, g).T
    return (_rows(x).T @ _rows(g)).T


def _bias_rule(g: Any, *_: Any) -> Any:
    """`g`, summed over the samples, here or by backward()."""
    return sum_of_rows(g if g.ndim == 2 else _rows(g)) if g.ndim > 1 else g


_fused_linear = differentiable(_linear, _input_rule, _weight_rule, _bias_rule, name="linear")


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x (..., in) times the transpose of weight (out, in), plus bias (out,), as one op.

    >>> linear(np.array([1.0, 2.0]), np.array([[1.0, 1.0]]), np.array([0.5]))
    array([3.5])
    """
    return _times(x, weight.T) if bias is None else _fused_linear(x, weight, bias)


def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """The sum of x1_i weight_oij x2_j for every output o: x1 (..., in1), x2 (..., in2), weight (out, in1, in2).

    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.array([[[1.0], [1.0]]]))
    array([9.])
    """
    y = np.einsum("...i,oij,...j->...o", x1, weight, x2, optimize=True)
    return y if bias is None else y + bias


def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Rows of `weight` (rows, width), looked up by integer indices (...) -> (..., width).

    The row `padding_idx` gets no gradient.  Raises TypeError for indices that are not integers and ValueError for one
    out of range.

    >>> embedding([1, 1, 0], np.array([[0.0, 0.5], [1.0, 1.5]]))
    array([[1. , 1.5],
           [1. , 1.5],
           [0. , 0.5]])
    """
    indices = to(array_of(indices), array_of(weight))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding takes integers, the row numbers; got {indices.dtype}")
    rows = np.shape(weight)[0]
    there = is_elsewhere(indices)
    if not there and indices.size and not (indices.min() >= 0 and indices.max() < rows):
        wrong = indices[(indices < 0) | (indices >= rows)][0]
        raise ValueError(f"embedding: {wrong} is not one of the {rows} rows{f' 0 .. {rows - 1}' if rows else ''}")
    found: Any = weight[indices]
    if there:
        found = or_nan(found, ((indices < 0) | (indices >= rows))[..., None])
    if padding_idx is None or not isinstance(found, Tensor):
        return found
    return where((indices == padding_idx % rows)[..., None], found.data, found)


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: np.random.Generator | None = None) -> Any:
    """x with each element set to 0 with probability `p`, and the others divided by 1 - p; x itself unless `training`.

    Srivastava et al. 2014, but scaled during training, so that prediction needs no scaling.  `generator` draws; the
    default is that of `nn.manual_seed`.  Raises ValueError for a p that is not a probability.

    >>> dropout(np.ones(3), p=0.5, training=False)
    array([1., 1., 1.])
    """
    return drop("dropout", x, np.shape(x), p, training, generator)


def drop(name: str, x: Any, shape: tuple[int, ...], p: float, training: bool, generator: Any) -> Any:
    """`dropout`, with a draw for each element of an array of `shape`, which broadcasts to that of x."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is a probability, from 0 to 1; got {p!r}")
    if not training or p == 0:
        return x
    kept = to(outside(default_generator(generator).random, shape, np.float32) >= p, array_of(x))
    return np.where(kept, x * (1 / (1 - p) if p < 1 else 1.0), 0.0)


# ---- test data

CASES[_fused_linear] = [
    Case((4, 3), (2, 3), (2,)),
    Case((3,), (2, 3), (2,)),
    Case((2, 4, 3), (2, 3), (2,)),
    Case((0, 3), (2, 3), (2,)),
]
