"""Losses by margins, and of counts: how far scores and distances are from being far enough apart.

Values and gradients are PyTorch's.  `reduction` is as in the other losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import array_of
from .entropy import one_hot
from .losses import in_dtype_of, reduce, same_shape, weights_like

__all__ = [
    "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "pairwise_distance", "poisson_nll_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


def _softplus(x: Any) -> Any:
    """log(1 + exp(x)), exact for every x."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _must_be_signs(name: str, target: Any) -> None:
    signs = array_of(target)
    if not ((signs == 1) | (signs == -1)).all():
        raise ValueError(f"{name}: targets are 1 or -1; got {signs[(signs != 1) & (signs != -1)].flat[0]}")


# ---- counts


def poisson_nll_loss(
    x: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Any:
    """Minus the log of the Poisson probability of the count `target` with mean exp(x), or x unless `log_input`.

    The term log(target!) is left out, or, with `full`, Stirling's approximation of it is added for targets above 1.
    `eps` keeps log(x) from infinity.

    >>> poisson_nll_loss(np.array([0.0]), np.array([2.0])).item()
    1.0
    """
    same_shape("poisson_nll_loss", x, target)
    target = in_dtype_of(x, target)
    losses = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        above = array_of(target) > 1
        safe = np.where(above, target, 2.0)
        losses = losses + np.where(above, safe * np.log(safe) - safe + 0.5 * np.log(safe * (2 * math.pi)), 0.0)
    return reduce(losses, reduction)


# ---- two classes


def soft_margin_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """log(1 + exp(-target * x)), for targets 1 and -1: the logistic loss.

    >>> soft_margin_loss(np.array([0.0]), np.array([1.0])).round(4).item()
    0.6931
    """
    same_shape("soft_margin_loss", x, target)
    _must_be_signs("soft_margin_loss", target)
    return reduce(_softplus(-in_dtype_of(x, target) * x), reduction)


def margin_ranking_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """max(margin - target * (x1 - x2), 0): x1 is to be larger where the target is 1, and x2 where it is -1.

    >>> margin_ranking_loss(np.array([3.0, 3.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), reduction="none")
    array([0., 2.])
    """
    same_shape("margin_ranking_loss", x1, x2)
    same_shape("margin_ranking_loss", x1, target)
    _must_be_signs("margin_ranking_loss", target)
    return reduce(np.maximum(margin - in_dtype_of(x1, target) * (x1 - x2), 0.0), reduction)


# ---- several classes


def _classes_last(name: str, scores: Any) -> Any:
    if np.ndim(scores) not in (1, 2) or np.shape(scores)[-1] == 0:
        raise ValueError(f"{name}: scores are (classes,) or (batch, classes); got shape {np.shape(scores)}")
    return scores if hasattr(scores, "__array_function__") else np.asarray(scores)


def multi_margin_loss(
    x: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
) -> Any:
    """The mean over the classes of max(margin - score of the right class + score of another, 0) to the power p.

    `x` are scores (batch, classes), or (classes,), and `target` labels (batch,), or one.  `weight` (classes,) gives
    each right class a weight.  p is 1 or 2.

    >>> multi_margin_loss(np.array([[0.0, 1.0, 0.5]]), np.array([1])).round(4).item()
    0.1667
    """
    x = _classes_last("multi_margin_loss", x)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p is 1 or 2; got {p!r}")
    labels, classes = array_of(target), x.shape[-1]
    if labels.shape != x.shape[:-1]:
        raise ValueError(f"multi_margin_loss: labels of shape {labels.shape} for scores of shape {x.shape}")
    right = one_hot(labels, classes, bool)
    distance = margin - np.sum(np.where(right, x, 0.0), axis=-1, keepdims=True) + x
    losses = np.maximum(np.where(right, 0.0, distance), 0.0)
    if p == 2:
        losses = losses * losses
    if weight is not None:
        weight = array_of(weight)
        if weight.shape != (classes,):
            raise ValueError(f"weight has one number per class, shape ({classes},); got shape {weight.shape}")
        losses = losses * weight.astype(x.dtype)[labels][..., None]
    return reduce(losses.sum(axis=-1) * (1 / classes), reduction)


def multilabel_margin_loss(x: Any, target: Any, reduction: str = "mean") -> Any:
    """The mean over the classes of max(1 - score of a right class + score of a wrong one, 0), summed over right ones.

    `x` are scores (batch, classes), or (classes,), and each row of `target`, of the same shape, lists the right classes
    from its beginning; the first -1 ends it.

    >>> multilabel_margin_loss(np.array([0.1, 0.2, 0.4, 0.8]), np.array([3, 0, -1, 1])).round(4).item()
    0.85
    """
    x = _classes_last("multilabel_margin_loss", x)
    same_shape("multilabel_margin_loss", x, target)
    labels, classes = array_of(target), x.shape[-1]
    listed = np.logical_and.accumulate(labels != -1, axis=-1)
    right = one_hot(np.where(listed, labels, 0), classes, bool) & listed[..., None]  # (..., place, class)
    wrong = ~right.any(axis=-2)
    scores = np.sum(np.where(right, x[..., None, :], 0.0), axis=-1)  # (..., place), of the class that is listed there
    distance = 1.0 - scores[..., None] + x[..., None, :]
    losses = np.where(listed[..., None] & wrong[..., None, :], np.maximum(distance, 0.0), 0.0)
    return reduce(losses.sum(axis=(-2, -1)) * (1 / classes), reduction)


def multilabel_soft_margin_loss(x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """The mean over the classes of the logistic loss, for targets 0 and 1 (batch, classes) like the scores x.

    `weight` (classes,) gives each class a weight.

    >>> multilabel_soft_margin_loss(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])).round(4).item()
    0.6931
    """
    same_shape("multilabel_soft_margin_loss", x, target)
    target = in_dtype_of(x, target)
    losses = target * _softplus(-x) + (1.0 - target) * _softplus(x)
    if weight is not None:
        losses = losses * weights_like(losses, weight)
    return reduce(losses.mean(axis=-1), reduction)


# ---- distances


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps over the last axis; eps keeps the gradient of equal rows finite.

    >>> pairwise_distance(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]])).round(3)
    array([5.])
    """
    return np.linalg.norm(x1 - x2 + eps, ord=p, axis=-1, keepdims=keepdim)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(distance to the positive - distance to the negative + margin, 0), for rows (..., width).

    The distance is `pairwise_distance` with p and eps; with `swap` the negative counts from the positive where that is
    nearer (Balntas et al. 2016).

    >>> a, b = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])
    >>> triplet_margin_loss(a, b, a, margin=2.0).round(3).item()
    7.0
    """

    def distance(x: Any, y: Any) -> Any:
        return pairwise_distance(x, y, p, eps)

    return triplet_margin_with_distance_loss(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` with a distance of your own, by default `pairwise_distance`.

    >>> far = lambda x, y: np.abs(x - y).max(axis=-1)
    >>> a, b = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])
    >>> triplet_margin_with_distance_loss(a, b, a, far).item()
    5.0
    """
    same_shape("triplet_margin_loss", anchor, positive)
    same_shape("triplet_margin_loss", anchor, negative)
    if not margin > 0:
        raise ValueError(f"margin must be above 0; got {margin!r}")
    distance = pairwise_distance if distance_function is None else distance_function
    far = distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return reduce(np.maximum(distance(anchor, positive) - far + margin, 0.0), reduction)
