"""Normalisation: numbers standardised over a batch, a sample, or groups of its channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable

from .arrays import only_real

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm", "standardize"]


def _wide(x: Any) -> Any:
    """float16 as float32: float16 has no squares above 256."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


@np.errstate(over="ignore", invalid="ignore")  # what leaves the range of the dtype is computed again
def _apart(x: Any, axis: Any, eps: float, center: bool, size: Any = 1.0) -> tuple[Any, Any, Any]:
    """x, or with `center` its distance from the mean; one over its scale; and the size that x was divided by."""
    part = x - np.mean(x, axis=axis, keepdims=True) if center else x
    square = np.mean(part * part, axis=axis, keepdims=True)
    if np.isfinite(square).all() or np.ndim(size):
        return part, 1.0 / np.sqrt(square + eps / size / size), size
    exponent = np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=1.0))[1]
    size = np.ldexp(np.ones((), x.dtype), exponent - 1)
    return _apart(x / size, axis, eps, center, size)


def _inverse(x: Any, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """One over the root of the mean square of x, or with `center` of its variance, + eps; `axis` stays with length 1.

    >>> inverse_deviation(np.array([1.0, 5.0]), eps=0.0)
    array([0.5])
    """
    _, scale, size = _apart(_wide(x), axis, eps, center)
    return scale / size


def _inverse_rule(g: Any, y: Any, x: Any, *, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    count = np.size(x) // max(1, np.size(y))
    return g * y * (y * standardize(x, axis=axis, eps=eps, center=center)) * (-1.0 / max(1, count))


def _standardize(x: Any, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """x minus its mean along `axis`, divided by the root of its variance + eps, in the shape of x.

    With `center=False`, x divided by the root of its mean square + eps.  The three norms below use this op.

    >>> standardize(np.array([1.0, 3.0]), eps=0.0)
    array([-1.,  1.])
    """
    only_real("standardize", x)
    part, scale, _ = _apart(_wide(x), axis, eps, center)
    return (part * scale).astype(x.dtype, copy=False)


def _standardize_rule(g: Any, y: Any, x: Any, *, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """The chain rule through scale and mean: the gradient's share that shifts or stretches all of x together is 0."""
    g, y = _wide(g), _wide(y)
    along = g - y * np.mean(g * y, axis=axis, keepdims=True)
    if center:
        along = along - np.mean(g, axis=axis, keepdims=True)
    along = along * inverse_deviation(_wide(x), axis=axis, eps=eps, center=center)
    return along.astype(np.float16) if x.dtype == np.float16 else along


inverse_deviation = differentiable(_inverse, _inverse_rule, name="inverse_deviation")
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
    if not training and running_mean is not None:
        column = (1, -1, *(1,) * (np.ndim(x) - 2))
        scale = 1.0 / np.sqrt(running_var.data + eps)
        return _by_channel((x - np.reshape(running_mean.data, column)) * np.reshape(scale, column), weight, bias)
    count = math.prod(np.shape(x)[a] for a in axes)
    if count < 2 and training:
        raise ValueError(
            f"batch_norm in training needs more than one value per channel; got shape {np.shape(x)} (to predict, call "
            f"model.eval() first)"
        )
    if training and running_mean is not None:
        values = _wide(x.data if isinstance(x, Tensor) else x)
        for running, now in ((running_mean, values.mean(axis=axes)), (running_var, values.var(axis=axes, ddof=1))):
            running.assign(((1 - momentum) * running.data + momentum * now).astype(running.dtype))
    return _by_channel(standardize(x, axis=axes, eps=eps), weight, bias)


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Standardise each sample over `num_groups` groups of its channels (axis 1 of x); Wu and He 2018.

    Raises ValueError when the groups do not divide the channels.

    >>> group_norm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2, eps=1e-20)
    array([[-1.,  1.,  0.,  0.]])
    """
    shape = np.shape(x)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide the channels (axis 1) of shape {shape}")
    parts = np.reshape(x, (shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    return _by_channel(np.reshape(standardize(parts, axis=-1, eps=eps), shape), weight, bias)


def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Standardise each channel of each sample over its other axes: x (n, channels, ...); Ulyanov et al. 2016.

    With `use_input_stats=False` it uses `running_mean` and `running_var`; otherwise these, if given, move towards the
    means over the samples by the share `momentum`.  Raises ValueError when a channel of a sample has a single value.

    >>> instance_norm(np.array([[[1.0, 3.0]]]), eps=0.0)
    array([[[-1.,  1.]]])
    """
    axes = tuple(range(2, np.ndim(x)))
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm with use_input_stats=False needs running_mean and running_var")
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    if not axes or math.prod(np.shape(x)[2:]) < 2:
        raise ValueError(f"instance_norm needs more than one value per channel of a sample; got shape {np.shape(x)}")
    if running_mean is not None:
        values = _wide(x.data if isinstance(x, Tensor) else x)
        means = (values.mean(axis=axes).mean(axis=0), values.var(axis=axes, ddof=1).mean(axis=0))
        for running, now in zip((running_mean, running_var), means, strict=True):
            running.assign(((1 - momentum) * running.data + momentum * now).astype(running.dtype))
    return _by_channel(standardize(x, axis=axes, eps=eps), weight, bias)


def _by_channel(y: Any, weight: Any, bias: Any) -> Any:
    column = (1, -1, *(1,) * (np.ndim(y) - 2))
    for name, w in (("weight", weight), ("bias", bias)):
        if w is not None and np.shape(w) != np.shape(y)[1:2]:
            raise ValueError(f"{name} has a number for each channel, {np.shape(y)[1:2]}; got shape {np.shape(w)}")
    return _affine(y, *(w if w is None else np.reshape(w, column) for w in (weight, bias)))


# ---- test data

CASES[standardize] = CASES[inverse_deviation] = [
    Case((3, 4)),
    Case((3, 4), axis=0, eps=0.1),
    Case((2, 3, 4), axis=(0, 2)),
    Case((2, 5), center=False),
    Case((2, 3, 2), axis=(-2, -1), center=False),
]
