"""Losses as functions: how far predictions are from targets.  Values and gradients are PyTorch's.

`reduction` is "mean", "sum", or "none" for one number per element (for class labels, per row).  Shapes must be equal:
broadcasting would compare everything with everything.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

from .arrays import array_of

__all__ = [
    "cosine_embedding_loss", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "l1_loss", "mse_loss",
    "smooth_l1_loss",
]  # fmt: skip

REDUCTIONS = ("mean", "sum", "none")


def reduce(losses: Any, reduction: str) -> Any:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def same_shape(name: str, prediction: Any, target: Any) -> None:
    if prediction is None or target is None:
        which = "prediction" if prediction is None else "target"
        raise TypeError(f"{name}: the {which} is None; does a function (or forward()) lack its `return`?")
    if getattr(prediction, "dtype", None) == getattr(target, "dtype", None) == np.uint8:
        raise TypeError(f"{name}: differences of uint8 wrap around at 0; pass .astype(np.float32)")
    a, b = np.shape(prediction), np.shape(target)
    if a != b:
        advice = "reshape one, because broadcasting would compare everything with everything"
        if a[:-1] == b and a[-1] > 1:
            advice = "for scores of classes, use cross_entropy with integer labels"
        raise ValueError(f"{name}: prediction of shape {a} for a target of shape {b}; {advice}")


def in_dtype_of(prediction: Any, target: Any) -> Any:
    """A target of whole numbers or booleans in the prediction's dtype: with int64, float32 would become float64."""
    dtype = getattr(prediction, "dtype", None)
    if dtype is None or dtype.kind != "f" or array_of(target).dtype.kind not in "biu":
        return target
    return array_of(target).astype(dtype)


def weights_like(x: Any, weight: Any) -> Any:
    """Weights in the dtype of x."""
    return (weight if isinstance(weight, Tensor) else array_of(weight)).astype(x.dtype)


# ---- numbers


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared difference; by default, its mean.

    >>> mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """
    same_shape("mse_loss", prediction, target)
    difference = np.subtract(prediction, in_dtype_of(prediction, target))
    return reduce(difference * difference, reduction)


def l1_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The absolute difference; by default, its mean.

    >>> l1_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
    1.0
    """
    same_shape("l1_loss", prediction, target)
    return reduce(np.abs(prediction - in_dtype_of(prediction, target)), reduction)


def huber_loss(prediction: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Half the squared difference up to `delta`, and its tangent line beyond; Huber 1964.

    >>> huber_loss(np.array([1.0, 5.0]), np.array([0.0, 0.0]), "none")
    array([0.5, 4.5])
    """
    if not delta > 0:
        raise ValueError(f"delta must be above 0; got {delta!r}")
    same_shape("huber_loss", prediction, target)
    distance = np.abs(prediction - in_dtype_of(prediction, target))
    inside = np.minimum(distance, delta)  # beyond delta, the gradient of the square could overflow
    return reduce(np.where(distance < delta, inside * inside * 0.5, (distance - 0.5 * delta) * delta), reduction)


def smooth_l1_loss(prediction: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Huber's loss divided by `beta`, so that its line has slope 1; for `beta=0` the absolute difference.

    >>> smooth_l1_loss(np.array([1.0, 5.0]), np.array([0.0, 0.0]), "none", beta=2.0)
    array([0.25, 4.  ])
    """
    if beta < 0:
        raise ValueError(f"beta must be at least 0; got {beta!r}")
    if beta == 0:
        return l1_loss(prediction, target, reduction)
    return huber_loss(prediction, target, reduction, beta) * (1 / beta)


def gaussian_nll_loss(
    prediction: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """Minus the log of the normal density at `target` with mean `prediction` and variance `var`; Nix and Weigend 1994.

    Prediction and target have the same shape, and so has `var`, or the variance is the same along some axes: a number,
    a shape with 1 for these axes, or one without the last axis.  A variance below `eps` counts as `eps` and gets no
    gradient.  The constant log(2 pi) / 2 is added only if `full`.  Raises ValueError for a negative variance.

    >>> gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([4.0]), reduction="sum").item()
    1.1931471805599454
    """
    same_shape("gaussian_nll_loss", prediction, target)
    shape, of_var = np.shape(prediction), np.shape(var)
    if of_var == shape[:-1] != shape:
        var = np.reshape(var, (*of_var, 1))
    elif of_var and (len(of_var) != len(shape) or any(n not in (1, m) for n, m in zip(of_var, shape, strict=True))):
        raise ValueError(f"gaussian_nll_loss: a variance of shape {of_var} for predictions of shape {shape}")
    values = array_of(var)
    if (values < 0).any():
        raise ValueError("gaussian_nll_loss: a variance is negative")
    var = np.where(values < eps, eps, var)
    distance = prediction - in_dtype_of(prediction, target)
    losses = (np.log(var) + distance * distance / var) * 0.5
    return reduce(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


# ---- pairs


def _alike(name: str, target: Any) -> Any:
    """A mask of the targets that are 1; ValueError for one that is neither 1 nor -1."""
    target = array_of(target)
    if not ((target == 1) | (target == -1)).all():
        wrong = target[(target != 1) & (target != -1)].flat[0]
        raise ValueError(f"{name}: targets are 1 (alike) or -1 (unlike); got {wrong}")
    return target == 1


def hinge_embedding_loss(distance: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """The distance of a pair where the target is 1 (alike), and max(margin - distance, 0) where it is -1 (unlike).

    >>> hinge_embedding_loss(np.array([0.25, 0.25]), np.array([1.0, -1.0]), reduction="none")
    array([0.25, 0.75])
    """
    same_shape("hinge_embedding_loss", distance, target)
    alike = _alike("hinge_embedding_loss", target)
    return reduce(np.where(alike, distance, np.maximum(margin - distance, 0.0)), reduction)


def cosine_embedding_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """1 - cosine where the target (...) is 1, max(cosine - margin, 0) where it is -1.

    The cosine is that of the angle between x1 and x2 (..., width).

    >>> x = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> cosine_embedding_loss(x, x, np.array([1, -1]), reduction="none").round(6)
    array([0., 1.])
    """
    same_shape("cosine_embedding_loss", x1, x2)
    alike = _alike("cosine_embedding_loss", target)
    if alike.shape != np.shape(x1)[:-1]:
        raise ValueError(f"cosine_embedding_loss: targets of shape {alike.shape} for pairs of shape {np.shape(x1)}")
    lengths = (np.sum(x1 * x1, axis=-1) + 1e-12) * (np.sum(x2 * x2, axis=-1) + 1e-12)
    cosine = np.sum(x1 * x2, axis=-1) / np.sqrt(lengths)
    return reduce(np.where(alike, 1.0 - cosine, np.maximum(cosine - margin, 0.0)), reduction)
