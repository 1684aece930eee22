"""The functions that layers and losses call; the fused ops are made with the same `differentiable` that users have."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Case, Tensor, differentiable, elementwise

relu = elementwise(
    lambda x: np.maximum(x, 0.0),
    lambda g, y, _x: np.where(y <= 0, 0.0, g),  # so that NaN goes on
    name="relu",
)
# 1 / (1 + exp(-x)) overflows for large negative x; the tanh form is exact over the whole range.
sigmoid = elementwise(
    lambda x: 0.5 * (np.tanh(x * 0.5) + 1.0),
    lambda g, y, _x: g * y * (1.0 - y),
    name="sigmoid",
)


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = x @ weight.T
    y += bias  # in place on an array; on a Tensor `+=` makes a new one
    return y


def _rows(a: Any, width: int) -> Any:
    return np.reshape(a, (-1, width))


linear = differentiable(
    _linear,
    lambda g, _y, _x, weight, _bias: g @ weight,
    lambda g, _y, x, _weight, _bias: _rows(g, _weight.shape[0]).T @ _rows(x, _weight.shape[1]),
    lambda g, *_: g,
    name="linear",
    cases=[
        Case((4, 3), (2, 3), (2,)),
        Case((3,), (2, 3), (2,)),
        Case((2, 4, 3), (2, 3), (2,)),
        Case((0, 3), (2, 3), (2,)),
    ],
)
"""`linear(x, weight, bias)`: x (..., in) times weight (out, in) transposed, plus bias (out,); one op."""


@np.errstate(over="ignore")  # a difference too large for the dtype is -inf, and its exponential is rightly 0
def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_rule(g: Any, y: Any, _x: Any, *, axis: int = -1) -> Any:
    gy = g * y
    return gy - y * np.sum(gy, axis=axis, keepdims=True)


@np.errstate(over="ignore")
def _log_softmax(x: Any, axis: int = -1) -> Any:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


_AXES = [Case((2, 3)), Case((2, 3), axis=0), Case((2, 1)), Case((2, 3, 2), axis=1)]
softmax = differentiable(_softmax, _softmax_rule, name="softmax", cases=_AXES)
log_softmax = differentiable(
    _log_softmax,
    lambda g, y, _x, *, axis=-1: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),
    name="log_softmax",
    cases=_AXES,
)


def _nll_of_softmax(logits: Any, target: Any) -> Any:
    """Per row of logits (batch, classes): minus the sum of target * log softmax, where 0 * -inf is 0."""
    return -np.sum(target * np.where(target == 0, 0.0, _log_softmax(logits)), axis=-1)


softmax_cross_entropy = differentiable(
    _nll_of_softmax,
    lambda g, _z, logits, target: g[..., None] * (softmax(logits) * np.sum(target, axis=-1, keepdims=True) - target),
    lambda g, _z, logits, _target: -g[..., None] * log_softmax(logits),
    name="softmax_cross_entropy",
    cases=[Case((3, 4), (3, 4)), Case((2, 2, 3), (2, 2, 3)), Case((3, 1), (3, 1))],
)
"""`softmax_cross_entropy(logits, target)`: both (..., classes), the result (...); softmax, log and sum as one op."""


def one_hot(labels: Any, classes: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Labels (...) of integers as rows (..., classes) with a 1 in the label's place.

    Raises TypeError when they are no integers and ValueError when one is not in 0 .. classes - 1.

    >>> one_hot([1, 0], 2)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    labels = labels.data if isinstance(labels, Tensor) else np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels are class indices, integers; got {labels.dtype}")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"label {labels[where]} at {where} is not one of the {classes} classes 0 .. {classes - 1}")
    return np.asarray(labels[..., None] == np.arange(classes)).astype(dtype)


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """How little probability softmax(logits) gives to the right class: -log p.

    `logits` (batch, classes); `target` either labels (batch,), integers, or probabilities (batch, classes).  The
    `reduction` is "mean" or "sum" over the batch, or "none" for one number per row.  Raises ValueError for shapes that
    do not match and labels out of range.

    >>> cross_entropy(np.array([[0.0, 0.0]]), [1]).item()
    0.6931471805599453
    """
    logits = logits if hasattr(logits, "dtype") else np.asarray(logits)
    given = target if hasattr(target, "dtype") else np.asarray(target, dtype=None if np.size(target) else np.intp)
    if given.shape == logits.shape[:-1]:
        given = one_hot(given, logits.shape[-1], logits.dtype)
    elif given.shape != logits.shape:
        raise ValueError(
            f"cross_entropy: logits of shape {logits.shape} need one integer label per row, shape {logits.shape[:-1]}, "
            f"or a probability for each class, shape {logits.shape}; got shape {given.shape}"
        )
    elif given.dtype.kind != "f":
        raise TypeError(f"cross_entropy: probabilities are floating-point numbers; got {given.dtype}")
    else:
        given = given.astype(logits.dtype)
    return _reduce(softmax_cross_entropy(logits, given), reduction)


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared difference, of shapes that must be equal (no broadcasting); `reduction` as in `cross_entropy`.

    >>> mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
    2.0
    """
    if np.shape(prediction) != np.shape(target):
        raise ValueError(
            f"mse_loss: prediction of shape {np.shape(prediction)} for a target of shape {np.shape(target)}; "
            f"reshape one, for broadcasting would compare everything with everything"
        )
    difference = np.subtract(prediction, target)
    return _reduce(difference * difference, reduction)


def _reduce(losses: Any, reduction: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}")
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
