"""Losses of probabilities of yes or no, and of their logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import CASES, domain, elementwise

from ..placement import is_elsewhere
from .activations import sigmoid
from .arrays import array_of, only_real, or_nan
from .losses import in_dtype_of, reduce, same_shape, weights_like

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "logistic_cross_entropy"]


@np.errstate(divide="ignore")
def _clamped_log(p: Any) -> Any:
    only_real("binary_cross_entropy", p)
    return np.maximum(np.log(p), -100.0)


_entropy_of_probability = elementwise(
    lambda p, target: -(target * _clamped_log(p) + (1.0 - target) * _clamped_log(1.0 - p)),
    lambda g, _z, p, target: g * ((1.0 - target) / _at_least(1.0 - p) - target / _at_least(p)),
    lambda g, _z, p, _target: g * (_log(1.0 - p) - _log(p)),
    name="probability_cross_entropy",
)


def _at_least(p: Any) -> Any:
    """p, but at least 1e-12, or the smallest number of its dtype."""
    return np.maximum(p, max(1e-12, float(np.finfo(p.dtype).smallest_subnormal)))


def _log(p: Any) -> Any:
    """The log of p, but at least -100."""
    tiny = p < math.exp(-100)
    return np.where(tiny, -100.0, np.log(np.where(tiny, 1.0, p)))


def binary_cross_entropy(p: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """-log p where the target is 1, -log(1 - p) where it is 0, and a mixture in between; logs are at least -100.

    For logits, `binary_cross_entropy_with_logits` is exact where this is not.  Raises ValueError for a p that is not a
    probability.

    >>> binary_cross_entropy(np.array([0.5, 1.0]), np.array([1.0, 1.0]), reduction="sum").item()
    0.6931471805599453
    """
    same_shape("binary_cross_entropy", p, target)
    values = array_of(p)
    if not is_elsewhere(values) and not ((values >= 0) & (values <= 1)).all():
        wrong = values[~((values >= 0) & (values <= 1))].flat[0]
        raise ValueError(
            f"binary_cross_entropy needs probabilities, from 0 to 1; got {wrong} (for logits, "
            f"binary_cross_entropy_with_logits)"
        )
    losses = _of_shares("binary_cross_entropy", target, _entropy_of_probability(p, in_dtype_of(p, target)))
    return reduce(losses if weight is None else losses * weights_like(losses, weight), reduction)


def _of_shares(name: str, target: Any, losses: Any) -> Any:
    """The losses; ValueError, or on a device NaN, for a target that is not from 0 to 1."""
    target = array_of(target)
    if is_elsewhere(target):
        return or_nan(losses, ~((target >= 0) & (target <= 1)))
    if not ((target >= 0) & (target <= 1)).all():
        wrong = target[~((target >= 0) & (target <= 1))].flat[0]
        hint = "; labels -1 and 1 are (target + 1) / 2" if wrong == -1 else ""
        raise ValueError(f"{name}: targets are from 0 to 1; got {wrong}{hint}")
    return losses


def _log_of_sigmoid(x: Any) -> Any:
    """-log sigmoid(x), exact for every x."""
    return np.logaddexp(-x, 0.0)


def _logistic(x: Any, target: Any, pos_weight: Any) -> Any:
    """-pos_weight * log sigmoid(x) where the target is 1, -log sigmoid(-x) where it is 0, element by element.

    >>> logistic_cross_entropy(np.array([0.0, 1000.0]), np.array([1.0, 0.0]), 1.0)
    array([6.93147181e-01, 1.00000000e+03])
    """
    of_large = (1.0 - target) * np.maximum(x, 0.0) - pos_weight * target * np.minimum(x, 0.0)
    return of_large + ((pos_weight - 1.0) * target + 1.0) * np.log1p(np.exp(-np.abs(x)))


logistic_cross_entropy = elementwise(
    _logistic,
    lambda g, _z, x, target, pos_weight: g * ((1.0 - target) * sigmoid(x) - pos_weight * target * sigmoid(-x)),
    lambda g, _z, x, _target, pos_weight: g * ((pos_weight - 1.0) * _log_of_sigmoid(x) - x),
    lambda g, _z, x, target, _pos_weight: g * target * _log_of_sigmoid(x),
    name="logistic_cross_entropy",
)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """`binary_cross_entropy` of sigmoid(x), exact for every x; `pos_weight` multiplies the loss of targets 1.

    >>> binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 0.0]), reduction="none")
    array([6.93147181e-01, 1.00000000e+03])
    """
    same_shape("binary_cross_entropy_with_logits", x, target)
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    of_ones = 1.0 if pos_weight is None else weights_like(x, pos_weight)
    losses = logistic_cross_entropy(x, in_dtype_of(x, target), of_ones)
    losses = _of_shares("binary_cross_entropy_with_logits", target, losses)
    return reduce(losses if weight is None else losses * weights_like(losses, weight), reduction)


# ---- distributions


# ---- test data

CASES[_entropy_of_probability] = domain((0.1, 0.9))
