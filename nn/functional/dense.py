"""The functions of dense layers: products with weights, embedding, normalisation and dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable, outside, where

from ..init import default_generator
from .arrays import array_of, only_real, sum_of_rows

__all__ = ["batch_norm", "bilinear", "dropout", "embedding", "layer_norm", "linear", "rms_norm", "standardize"]


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = np.dot(x, weight.T) if x.ndim == 2 else x @ weight.T  # for two matrices, dot takes 0.3 us less
    y += bias  # in place on an array; on a Tensor `+=` makes a new one
    return y


def _rows(a: Any) -> Any:
    """All samples as rows of one matrix; a -1 in the shape would not do where there are none."""
    return np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))


def _input_rule(g: Any, _y: Any, _x: Any, weight: Any, _bias: Any) -> Any:
    """`g @ weight`"""
    return np.dot(g, weight) if g.ndim == 2 else g @ weight


def _weight_rule(g: Any, _y: Any, x: Any, _weight: Any, _bias: Any) -> Any:
    """`g.T @ x`, with a row for every sample; column-major in memory, like the weights."""
    if g.ndim == x.ndim == 2:
        return np.dot(x.T, g).T
    return (_rows(x).T @ _rows(g)).T


def _bias_rule(g: Any, *_: Any) -> Any:
    """`g`, summed over the samples, here or by backward()."""
    return sum_of_rows(g) if g.ndim == 2 else g


_fused_linear = differentiable(_linear, _input_rule, _weight_rule, _bias_rule, name="linear")


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x (..., in) times the transpose of weight (out, in), plus bias (out,), as one op.

    >>> linear(np.array([1.0, 2.0]), np.array([[1.0, 1.0]]), np.array([0.5]))
    array([3.5])
    """
    return x @ weight.T if bias is None else _fused_linear(x, weight, bias)


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
    indices = array_of(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding takes integers, the row numbers; got {indices.dtype}")
    rows = np.shape(weight)[0]
    if indices.size and not (indices.min() >= 0 and indices.max() < rows):
        wrong = indices[(indices < 0) | (indices >= rows)][0]
        raise ValueError(f"embedding: {wrong} is not one of the {rows} rows{f' 0 .. {rows - 1}' if rows else ''}")
    found: Any = weight[indices]
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
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1; got {p!r}")
    if not training or p == 0:
        return x
    kept = outside(default_generator(generator).random, np.shape(x), np.float32) >= p
    return np.where(kept, x * (1 / (1 - p) if p < 1 else 1.0), 0.0)


# ---- standardised numbers


def _scale(x: Any, axis: Any, eps: float, center: bool) -> Any:
    """One over the root of the mean square of x, or with `center` of its distance from the mean."""
    square = np.var(x, axis=axis, keepdims=True) if center else np.mean(x * x, axis=axis, keepdims=True)
    return 1.0 / np.sqrt(square + eps)


def _standardize(x: Any, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """x minus its mean along `axis`, divided by the root of its variance + eps, in the shape of x.

    With `center=False`, x divided by the root of its mean square + eps.  The three norms below use this op.

    >>> standardize(np.array([1.0, 3.0]), eps=0.0)
    array([-1.,  1.])
    """
    only_real("standardize", x)
    scale = _scale(x, axis, eps, center)
    return (x - np.mean(x, axis=axis, keepdims=True)) * scale if center else x * scale


def _standardize_rule(g: Any, y: Any, x: Any, *, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """The chain rule through scale and mean: the gradient's share that shifts or stretches all of x together is 0."""
    along = g - y * np.mean(g * y, axis=axis, keepdims=True)
    if center:
        along = along - np.mean(g, axis=axis, keepdims=True)
    return along * _scale(x, axis, eps, center)


standardize = differentiable(_standardize, _standardize_rule, name="standardize")


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _last_axes(x: Any, normalized_shape: int | Sequence[int], name: str) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if np.shape(x)[np.ndim(x) - len(shape) :] != shape or not shape:
        raise ValueError(f"{name} needs inputs whose last axes are {shape}; got shape {np.shape(x)}")
    return tuple(range(-len(shape), 0))


def layer_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Standardise each sample over its last axes, which have `normalized_shape`; Ba et al. 2016.

    >>> layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    axes = _last_axes(x, normalized_shape, "layer_norm")
    return _affine(standardize(x, axis=axes, eps=eps), weight, bias)


def rms_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """Divide each sample by the root of its mean square over its last axes; Zhang and Sennrich 2019.

    The default `eps` is the machine epsilon of x's dtype.

    >>> rms_norm(np.array([[1.0, -1.0]]) * 5, 2, eps=0.0)
    array([[ 1., -1.]])
    """
    axes = _last_axes(x, normalized_shape, "rms_norm")
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return _affine(standardize(x, axis=axes, eps=eps, center=False), weight, None)


def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Standardise each channel (axis 1 of x) over the batch; Ioffe and Szegedy 2015.

    In `training` it uses the batch's own mean and variance, and `running_mean` and `running_var` (both Tensors or both
    None) move towards them by the share `momentum`; otherwise it uses the running ones.  Raises ValueError when a
    channel has a single value in training, because its variance is 0.

    >>> batch_norm(np.array([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    if np.ndim(x) < 2:
        raise ValueError(f"batch_norm needs inputs of shape (n, channels, ...); got {np.shape(x)}")
    axes = (0, *range(2, np.ndim(x)))
    column = (1, -1, *(1,) * (np.ndim(x) - 2))
    weight, bias = (w if w is None else np.reshape(w, column) for w in (weight, bias))
    if not training and running_mean is not None:
        scale = 1.0 / np.sqrt(running_var.data + eps)
        return _affine((x - np.reshape(running_mean.data, column)) * np.reshape(scale, column), weight, bias)
    count = math.prod(np.shape(x)[a] for a in axes)
    if count < 2 and training:
        raise ValueError(
            f"batch_norm in training needs more than one value per channel; got shape {np.shape(x)} (to predict, call "
            f"model.eval() first)"
        )
    if training and running_mean is not None:
        values = x.data if isinstance(x, Tensor) else x
        for running, now in ((running_mean, values.mean(axis=axes)), (running_var, values.var(axis=axes, ddof=1))):
            running.assign((1 - momentum) * running.data + momentum * now)
    return _affine(standardize(x, axis=axes, eps=eps), weight, bias)


# ---- test data

CASES[_fused_linear] = [
    Case((4, 3), (2, 3), (2,)),
    Case((3,), (2, 3), (2,)),
    Case((2, 4, 3), (2, 3), (2,)),
    Case((0, 3), (2, 3), (2,)),
]
CASES[standardize] = [
    Case((3, 4)),
    Case((3, 4), axis=0, eps=0.1),
    Case((2, 3, 4), axis=(0, 2)),
    Case((2, 5), center=False),
    Case((2, 3, 2), axis=(-2, -1), center=False),
]
