"""Losses of classes and probabilities: cross-entropies and the Kullback-Leibler divergence."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable

from ..placement import is_elsewhere
from .activations import log_softmax, log_softmax_of_array, softmax
from .arrays import array_of, or_nan, subtract_at, sum_of_rows
from .dense import linear
from .losses import in_dtype_of, reduce, same_shape

__all__ = [
    "cross_entropy", "kl_div", "linear_cross_entropy",
    "nll_loss", "one_hot", "softmax_cross_entropy",
]  # fmt: skip

# ---- classes


def _nll_of_softmax(logits: Any, target: Any) -> Any:
    """Minus the sum of target * log(softmax(logits)) along the last axis, with 0 * -inf = 0, as one op.

    Both arguments are (..., classes); the result is (...).  Raises ValueError for different numbers of classes.

    >>> softmax_cross_entropy(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]])).round(4)
    array([0.6931])
    """
    if np.shape(target)[-1:] != np.shape(logits)[-1:]:
        raise ValueError("the last axis of the logits and of the target, the classes, has one length")
    return -np.sum(target * np.where(target == 0, 0.0, log_softmax_of_array(logits)), axis=-1)


def _logits_rule(g: Any, _z: Any, logits: Any, target: Any) -> Any:
    """`g * (softmax(logits) - target)`, with the softmax times s for a row of the target that sums to s."""
    return g[..., None] * (softmax(logits) * np.sum(target, axis=-1, keepdims=True) - target)


softmax_cross_entropy = differentiable(
    _nll_of_softmax,
    _logits_rule,
    lambda g, _z, logits, _target: -g[..., None] * log_softmax(logits),
    name="softmax_cross_entropy",
)

FEW = 32  # classes


def _exponentials(logits: Any, places: Any) -> tuple[Any, Any, Any]:
    """exp(z) as (classes, batch), its sums over the classes, and z at the `places` of the labels, both (batch,).

    z is the logits minus the largest of each row.  If there are few classes, z is copied to one long row per class:
    NumPy reduces a few long rows several times as fast as many short ones.
    """
    z = logits.T
    if z.shape[0] < FEW:
        z = z.copy()
    there = z.__class__ is not np.ndarray and is_elsewhere(z)
    z = z - (z.max(axis=0) if there else np.maximum.reduce(z, axis=0))
    e = np.exp(z)
    return e, sum_of_rows(e), z.take(places)


def _mean_nll_of_labels(logits: Any, *, places: Any, known: Any = None) -> Any:
    """The mean, over the rows of logits (batch, classes), of minus the log softmax at the label."""
    _, totals, of_labels = known or _exponentials(logits, places)
    losses = np.log(totals)
    losses -= of_labels
    return np.add.reduce(losses) * (1 / losses.size)


def _labels_rule(g: Any, _z: Any, logits: Any, *, places: Any, known: Any = None) -> Any:
    """`(softmax(logits) - one_hot(labels)) * g / n`"""
    scale = g * (1 / len(logits))
    e, totals, _ = _exponentials(logits, places) if known is None or isinstance(logits, Tensor) else known
    return subtract_at(e * (scale / totals), places, scale).T


label_cross_entropy = differentiable(_mean_nll_of_labels, _labels_rule, name="label_cross_entropy")
"""`label_cross_entropy(logits, places=...)`: (batch, classes) -> (); the common case.

`places` (batch,) are the positions of the labels' logits in the flattened transpose of the logits.  `known` is the
result of `_exponentials`, if the caller has it, so that backward() need not compute it again."""


@functools.lru_cache(16)
def _first(n: int) -> Any:
    return np.arange(n)


def _places(scores: Any, labels: Any, ignore_index: int) -> Any:
    """The `places` of these labels; None unless they are valid classes, one per row of floating-point scores."""
    shape = scores.shape
    if len(shape) != 2 or labels.shape != shape[:1] or labels.dtype.kind not in "iu" or not labels.size:
        return None
    if labels.__class__ is not np.ndarray and is_elsewhere(labels):  # their range is not known
        return None
    labels = labels.astype(np.intp, copy=False)
    if np.maximum.reduce(labels.view(np.uintp)) >= shape[1]:  # read as unsigned, negative labels are very large
        return None
    if scores.dtype.kind != "f" or (ignore_index >= 0 and (labels == ignore_index).any()):
        return None
    return labels * shape[0] + _first(shape[0])


def one_hot(labels: Any, classes: int, dtype: Any = np.float32) -> Any:
    """Integer labels (...) as rows (..., classes) with a 1 at the label.

    Raises TypeError for labels that are not integers and ValueError for one that is not in 0 .. classes - 1; on a
    device, the row of such a label is NaN.

    >>> one_hot([1, 0], 2)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    labels = array_of(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels are class indices, integers; got {labels.dtype}")
    rows, wrong = labels[..., None] == np.arange(classes, like=labels), (labels < 0) | (labels >= classes)
    if is_elsewhere(labels) and np.dtype(dtype).kind == "f":
        return or_nan(rows.astype(dtype), wrong[..., None])
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"label {labels[where]} at {where} is not one of the {classes} classes 0 .. {classes - 1}")
    return rows.astype(dtype)


def _rows_of(name: str, scores: Any, labels: Any) -> Any:
    """Scores with the classes moved from axis 1, as in PyTorch, to the last; ValueError unless each row has a label."""
    scores = np.moveaxis(scores, 1, -1) if scores.ndim > 2 else scores
    if labels.shape != scores.shape[:-1]:
        hint = ""
        if labels.shape == scores.shape:
            hint = f"; rows of {labels.dtype} with a 1 for the class are probabilities as .astype(float)"
        elif labels.shape == (*scores.shape[:-1], 1):
            hint = "; remove the last axis: labels[..., 0]"
        raise ValueError(
            f"{name}: scores of shape {scores.shape} need one integer label per row, shape {scores.shape[:-1]}, or "
            f"a probability for each class, floating point of shape {scores.shape}; got {labels.dtype} of shape "
            f"{labels.shape}{hint}"
        )
    return scores


def _weighed(labels: Any, scores: Any, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """Labels as rows with the weight of their class at the label (0 if ignored), and these weights."""
    classes = scores.shape[-1]
    kept = labels != ignore_index
    rows = one_hot(np.where(kept, labels, 0), classes, scores.dtype) * kept[..., None]
    if weight is not None:
        rows = rows * np.reshape(_class_weights(weight, classes), classes).astype(scores.dtype)
    return rows, rows.sum(axis=-1)


def _class_weights(weight: Any, classes: int) -> Any:
    weight = array_of(weight)
    if weight.shape != (classes,):
        raise ValueError(f"weight has one number per class, shape ({classes},); got shape {weight.shape}")
    return weight


def _weighted_mean(losses: Any, weights: Any, reduction: str) -> Any:
    """The reduced losses; "mean" is their sum over the sum of the weights, nan if all are ignored."""
    if reduction != "mean":
        return reduce(losses, reduction)
    total = weights.sum()
    return losses.sum() * (1 / np.where(total == 0, total.dtype.type(math.nan), total))


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Minus the log of the probability that softmax(logits) gives to the right class, by default its mean.

    `logits` are (batch, classes) or (batch, classes, ...); `target` is either integer labels (batch, ...) or
    probabilities of the shape of `logits`.  `weight` (classes,) gives each class a weight, and the "mean" over labels
    is then a weighted mean; labels equal to `ignore_index` do not count; with `label_smoothing` e, every class gets
    the share e / classes of the target.  Raises ValueError for shapes that do not match and labels out of range.

    >>> cross_entropy(np.array([[0.0, 0.0]]), [1]).item()
    0.6931471805599453
    """
    if reduction == "mean" and weight is None and label_smoothing == 0:
        scores = array_of(logits)
        places = _places(scores, array_of(target), ignore_index)
        if places is not None:
            few = scores.shape[1] < FEW  # for many classes, they would be too large to keep
            return label_cross_entropy(logits, places=places, known=_exponentials(scores, places) if few else None)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share, from 0 to 1; got {label_smoothing!r}")
    if logits is None:
        raise TypeError("cross_entropy: the logits are None; does a forward() lack its `return`?")
    logits = logits if hasattr(logits, "__array_function__") else np.asarray(logits)
    if not hasattr(target, "__array_function__"):
        target = np.asarray(target, dtype=None if np.size(target) else np.intp, like=array_of(logits))
    given = target
    if given.shape == logits.shape and given.dtype.kind not in "iu":
        if given.dtype.kind != "f":
            raise TypeError(f"cross_entropy: probabilities are floating-point numbers; got {given.dtype}")
        given = given.astype(logits.dtype)
        if len(given.shape) > 2:
            logits, given = np.moveaxis(logits, 1, -1), np.moveaxis(given, 1, -1)
        classes = logits.shape[-1]
        if label_smoothing:
            given = given * (1 - label_smoothing) + label_smoothing / classes
        if weight is not None:
            given = given * _class_weights(weight, classes).astype(logits.dtype)
        return reduce(softmax_cross_entropy(logits, given), reduction)
    labels = given.data if isinstance(given, Tensor) else given
    if labels.dtype.kind not in "iu" and labels.shape == logits.shape[:-1]:
        raise TypeError(f"labels are class indices, integers; got {labels.dtype}")
    logits = _rows_of("cross_entropy", logits, labels)
    rows, weights = _weighed(labels, logits, weight, ignore_index)
    if label_smoothing:
        classes = logits.shape[-1]
        every = 1.0 if weight is None else _class_weights(weight, classes).astype(logits.dtype)
        everywhere = (labels != ignore_index)[..., None] * (every * (label_smoothing / classes))
        rows = (rows * (1 - label_smoothing) + everywhere).astype(logits.dtype)
    losses = softmax_cross_entropy(logits, rows)
    if weight is None and reduction == "mean" and not is_elsewhere(weights) and weights.all():
        return losses.mean()
    return _weighted_mean(losses, weights, reduction)


def nll_loss(
    log_probabilities: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Minus the log-probability of the right class: `cross_entropy` for outputs of `log_softmax`.

    >>> nll_loss(np.log(np.array([[0.25, 0.75]])), [1], reduction="sum").item()
    0.2876820724517809
    """
    labels = array_of(target)
    scores = _rows_of("nll_loss", log_probabilities, labels)
    rows, weights = _weighed(labels, scores, weight, ignore_index)
    losses = -np.sum(np.where(rows == 0, 0.0, scores * np.where(rows == 0, 1.0, rows)), axis=-1)
    return _weighted_mean(losses, weights, reduction)


def linear_cross_entropy(
    x: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """`cross_entropy` of x (batch, in) times `linear_weight` (classes, ..., in), with `linear_bias` (classes, ...).

    >>> linear_cross_entropy(np.array([[2.0]]), np.array([[1.0], [1.0]]), [1]).round(4).item()
    0.6931
    """
    shape = np.shape(linear_weight)
    if len(np.shape(x)) != 2 or len(shape) < 2 or shape[-1] != np.shape(x)[-1]:
        raise ValueError(
            f"linear_cross_entropy: x is (batch, in) and its weight (classes, ..., in); got {np.shape(x)} and {shape}"
        )
    if linear_bias is not None and np.shape(linear_bias) != shape[:-1]:
        raise ValueError(f"linear_cross_entropy: the bias is {shape[:-1]}; got {np.shape(linear_bias)}")
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(x, linear_weight.reshape(-1, shape[-1]), bias).reshape((-1, *shape[:-1]))
    if ignore_index is not None and np.shape(target) == logits.shape:
        raise ValueError("linear_cross_entropy: probabilities have no ignore_index")
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )


def kl_div(log_probabilities: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """target * (log target - log p), with 0 log 0 = 0: how far the distribution `target` is from p, given as logs.

    With `log_target` the target is given as logs too.  `reduction` may also be "batchmean", the sum over the length of
    the first axis: the divergence as defined by Kullback and Leibler 1951.

    >>> kl_div(np.log(np.array([0.5, 0.5])), np.array([0.0, 1.0]), "sum").item()
    0.6931471805599453
    """
    same_shape("kl_div", log_probabilities, target)
    target = in_dtype_of(log_probabilities, target)
    if log_target:
        losses = np.exp(target) * (target - log_probabilities)
    else:
        zero = array_of(target) == 0
        safe = np.where(zero, 1.0, target)
        losses = np.where(zero, 0.0, safe * (np.log(safe) - log_probabilities))
    if reduction == "batchmean":
        return losses.sum() * (1 / np.shape(target)[0])
    return reduce(losses, reduction)


# ---- test data

CASES[softmax_cross_entropy] = [Case((3, 4), (3, 4)), Case((2, 2, 3), (2, 2, 3)), Case((3, 1), (3, 1))]
CASES[label_cross_entropy] = [
    Case((3, 4), places=np.array([9, 1, 11])),
    Case((1, 2), places=np.array([1])),
    Case((2, 1), places=np.array([0, 1])),
    Case((2, 40), places=np.array([10, 79])),
]
