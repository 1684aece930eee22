"""Normalisation: numbers standardised over a batch, a sample, or groups of its channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable, outside, vjp

from .arrays import array_of, only_real
from .formula import wants_formulas
from .moments import Channels, Known, Rows, apart, wide

_PLAIN = (np.dtype(np.float32), np.dtype(np.float64))

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm", "standardize"]


def _inverse(x: Any, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """One over the root of the mean square of x, or with `center` of its variance, + eps; `axis` stays with length 1.

    >>> inverse_deviation(np.array([1.0, 5.0]), eps=0.0)
    array([0.5])
    """
    _, scale, size = apart(wide(x), axis, eps, center)
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
    part, scale, _ = apart(wide(x), axis, eps, center)
    return (part * scale).astype(x.dtype, copy=False)


def _standardize_rule(g: Any, y: Any, x: Any, *, axis: Any = -1, eps: float = 1e-5, center: bool = True) -> Any:
    """The chain rule through scale and mean: the gradient's share that shifts or stretches all of x together is 0."""
    g, y = wide(g), wide(y)
    along = g - y * np.mean(g * y, axis=axis, keepdims=True)
    if center:
        along = along - np.mean(g, axis=axis, keepdims=True)
    along = along * inverse_deviation(wide(x), axis=axis, eps=eps, center=center)
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


# ---- the same with a weight and a bias, either of which may be None, as one op that keeps mean and variance


def _known(layout: Any, x: Any, options: Any, eps: float, known: Any = None) -> Known:
    return Known(*(known or layout(x, *options).known(x, eps)))


def _forward(layout: Any, x: Any, weight: Any, bias: Any, options: Any, eps: float, known: Any) -> Any:
    shape = x.shape[1:2] if layout is Channels else x.shape[-options[0] :]
    if x.size == 0 or any(w is not None and w.shape != shape for w in (weight, bias)):
        raise ValueError(f"a norm needs numbers, and weights of shape {shape}; use nn.functional for others")
    return layout(x, *options).forward(x, _known(layout, x, options, eps, known), weight, bias)


def _back(layout: Any, g: Any, x: Any, weight: Any, options: Any, eps: float, known: Any) -> Any:
    return layout(x, *options).back(g, x, _known(layout, x, options, eps, known), weight)


def _gradients(layout: Any, composed: Any, g: Any, inputs: Any, options: Any, eps: float, known: Any) -> Any:
    """The gradients of x, weight and bias: on arrays in few passes, on Tensors by ops."""
    if not any(isinstance(a, Tensor) for a in (g, *inputs)):
        return outside(_back, layout, g, *inputs[:2], options, eps, known).__getitem__
    given = [i for i, a in enumerate(inputs) if a is not None]

    def of_given(*own: Any) -> Any:
        every: list[Any] = [None] * 3
        for i, a in zip(given, own, strict=True):
            every[i] = a
        return composed(*every)

    _, pull = vjp(of_given, *(inputs[i] for i in given))
    return dict(zip(given, pull(g), strict=True)).__getitem__


def _composed_channels(x: Any, weight: Any, bias: Any, groups: int, eps: float) -> Any:
    axes = (0, *range(2, np.ndim(x)))
    if not groups:
        return _by_channel(standardize(x, axis=axes, eps=eps), weight, bias)
    parts = np.reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    return _by_channel(np.reshape(standardize(parts, axis=-1, eps=eps), x.shape), weight, bias)


def _composed_rows(x: Any, weight: Any, bias: Any, axes: int, center: bool, eps: float) -> Any:
    return _affine(standardize(x, axis=tuple(range(-axes, 0)), eps=eps, center=center), weight, bias)


def _channels_rule(g: Any, _y: Any, *inputs: Any, groups: int, eps: float, known: Any = None) -> Any:
    """`the chain rule through weight, scale and mean`"""
    composed = lambda x, w, b: _composed_channels(x, w, b, groups, eps)
    return _gradients(Channels, composed, g, inputs, (groups,), eps, known)


def _rows_rule(g: Any, _y: Any, *inputs: Any, axes: int, center: bool, eps: float, known: Any = None) -> Any:
    """`the chain rule through weight, scale and mean`"""
    composed = lambda x, w, b: _composed_rows(x, w, b, axes, center, eps)
    return _gradients(Rows, composed, g, inputs, (axes, center), eps, known)


channel_norm: Any = differentiable(
    lambda x, weight, bias, *, groups, eps, known=None: outside(
        _forward, Channels, x, weight, bias, (groups,), eps, known
    ),
    every=_channels_rule,
    call=lambda x, weight=None, bias=None, *, groups=0, eps=1e-5, known=None: (
        (x, weight, bias),
        {"groups": groups, "eps": eps, "known": known},
    ),
    name="channel_norm",
)
row_norm: Any = differentiable(
    lambda x, weight, bias, *, axes, center, eps, known=None: outside(
        _forward, Rows, x, weight, bias, (axes, center), eps, known
    ),
    every=_rows_rule,
    call=lambda x, weight=None, bias=None, *, axes=1, center=True, eps=1e-5, known=None: (
        (x, weight, bias),
        {"axes": axes, "center": center, "eps": eps, "known": known},
    ),
    name="row_norm",
)


def _norm_of_rows(x: Any, weight: Any, bias: Any, axes: int, center: bool, eps: float) -> Any:
    inner = np.shape(x)[-axes:]
    if not _is_plain(x, weight, bias) or any(w is not None and w.shape != inner for w in (weight, bias)):
        return _composed_rows(x, weight, bias, axes, center, eps)
    known = outside(_known, Rows, array_of(x), (axes, center), eps)
    return row_norm(x, weight, bias, axes=axes, center=center, eps=eps, known=known)


def _norm_of_channels(
    x: Any, weight: Any, bias: Any, groups: int, eps: float, running: tuple[Any, Any] | None = None, share: Any = 0.0
) -> Any:
    """The norm of groups of each sample's channels or, with 0 groups, of each channel of the batch.

    The `running` mean and variance of each channel move towards those of x by this share.
    """
    _check_channels(x, weight, bias)
    known = None
    if _is_plain(x, weight, bias):
        known = outside(_known, Channels, array_of(x), (groups,), eps)
    if running is not None:
        count = x.size // (x.shape[0] * groups if groups else x.shape[1])
        mean, variance = _moments(array_of(x), known, groups)
        for old, now in zip(running, (mean, variance * (count / (count - 1))), strict=True):
            old.assign(((1 - share) * old.data + share * now).astype(old.dtype))
    if known is None:
        return _composed_channels(x, weight, bias, groups, eps)
    return channel_norm(x, weight, bias, groups=groups, eps=eps, known=known)


def _moments(x: Any, known: Known | None, groups: int) -> tuple[Any, Any]:
    """The mean and variance of each channel, averaged over the samples."""
    if known is not None:
        return (known.mean.mean(0), known.variance.mean(0)) if groups else (known.mean[0], known.variance[0])
    x, axes = wide(x), tuple(range(2, np.ndim(x)))
    if not groups:
        return x.mean(axis=(0, *axes)), x.var(axis=(0, *axes))
    return x.mean(axis=axes).mean(axis=0), x.var(axis=axes).mean(axis=0)


def _is_plain(x: Any, *weights: Any) -> bool:
    """Whether the passes over arrays compute this: numbers of one dtype, float32 or float64."""
    dtype = getattr(x, "dtype", None)
    plain = dtype in _PLAIN and x.size > 0 and all(w is None or w.dtype == dtype for w in weights)
    return plain and not wants_formulas(x)


def layer_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Standardise each sample over its last axes, which have `normalized_shape`; Ba et al. 2016.

    >>> layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    axes = _last_axes(x, normalized_shape, "layer_norm")
    return _norm_of_rows(x, weight, bias, len(axes), True, eps)


def rms_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """Divide each sample by the root of its mean square over its last axes; Zhang and Sennrich 2019.

    The default `eps` is the machine epsilon of x's dtype.

    >>> rms_norm(np.array([[1.0, -1.0]]) * 5, 2, eps=0.0)
    array([[ 1., -1.]])
    """
    axes = _last_axes(x, normalized_shape, "rms_norm")
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return _norm_of_rows(x, weight, None, len(axes), False, eps)


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
    running = (running_mean, running_var) if training and running_mean is not None else None
    return _norm_of_channels(x, weight, bias, 0, eps, running, momentum)


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Standardise each sample over `num_groups` groups of its channels (axis 1 of x); Wu and He 2018.

    Raises ValueError when the groups do not divide the channels.

    >>> group_norm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2, eps=1e-20)
    array([[-1.,  1.,  0.,  0.]])
    """
    shape = np.shape(x)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide the channels (axis 1) of shape {shape}")
    return _norm_of_channels(x, weight, bias, num_groups, eps)


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
    running = None if running_mean is None else (running_mean, running_var)
    return _norm_of_channels(x, weight, bias, np.shape(x)[1], eps, running, momentum)


def _check_channels(x: Any, weight: Any, bias: Any) -> None:
    for name, w in (("weight", weight), ("bias", bias)):
        if w is not None and np.shape(w) != np.shape(x)[1:2]:
            raise ValueError(f"{name} has a number for each channel, {np.shape(x)[1:2]}; got shape {np.shape(w)}")


def _by_channel(y: Any, weight: Any, bias: Any) -> Any:
    _check_channels(y, weight, bias)
    column = (1, -1, *(1,) * (np.ndim(y) - 2))
    return _affine(y, *(w if w is None else np.reshape(w, column) for w in (weight, bias)))


# ---- test data

CASES[standardize] = CASES[inverse_deviation] = [
    Case((3, 4)),
    Case((3, 4), axis=0, eps=0.1),
    Case((2, 3, 4), axis=(0, 2)),
    Case((2, 5), center=False),
    Case((2, 3, 2), axis=(-2, -1), center=False),
]
CASES[channel_norm] = [
    Case((3, 2), (2,), (2,)),
    Case((2, 2, 3), (2,), (2,)),
    Case((2, 4, 3), (4,), (4,), groups=2),
    Case((2, 2, 2, 2), (2,), (2,), groups=2),
]
CASES[row_norm] = [
    Case((3, 4), (4,), (4,)),
    Case((2, 2, 3), (2, 3), (2, 3), axes=2),
    Case((2, 5), (5,), (5,), center=False),
]
