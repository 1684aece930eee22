"""The loss of sequences whose alignment with the inputs is unknown: connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import CASES, Case, differentiable, to

from ..placement import on_host
from .arrays import array_of
from .entropy import one_hot
from .losses import reduce

__all__ = ["ctc_loss"]

# The paths of Graves et al. 2006: `path` (batch, 2 S + 1) has the labels with blanks around each; a path may stay, go
# on by one place, or skip a blank between two labels that differ (`skips`).  All arrays below are logarithms over
# (time, batch, place), or (batch, place) at one time.


def _never(dtype: Any) -> float:
    """The logarithm of what is impossible: finite, so that no difference of two is NaN."""
    return float(np.finfo(dtype).min) / 8


def _moved(x: Any, n: int) -> Any:
    """Each row moved right by n places, or left by -n; nothing comes in from outside."""
    outside = np.zeros_like(x[:, : abs(n)]) + _never(x.dtype)
    if n > 0:
        return np.concatenate([outside, x], axis=1)[:, : x.shape[1]]
    return np.concatenate([x, outside], axis=1)[:, -x.shape[1] :]


def _emissions(log_probs: Any, path: Any) -> Any:
    """The log-probabilities of the places of the path, at all times."""
    places = np.broadcast_to(path, (log_probs.shape[0], *path.shape))
    return np.maximum(np.take_along_axis(log_probs, places, axis=-1), _never(log_probs.dtype))


def _forward(seen: Any, skips: Any, times: Any) -> list[Any]:
    """The log-probabilities of being at each place at each time, with all that was seen until then."""
    never = _never(seen.dtype)
    now = np.where(np.arange(seen.shape[2], like=seen) < 2, seen[0], never)
    found = [now]
    for t in range(1, seen.shape[0]):
        new = np.logaddexp(np.logaddexp(now, _moved(now, 1)), np.where(skips, _moved(now, 2), never)) + seen[t]
        now = np.where((t < times)[:, None], np.maximum(new, never), now)
        found.append(now)
    return found


def _backward(seen: Any, skips: Any, times: Any, ends: Any) -> list[Any]:
    """The log-probabilities of all that is seen after each time, from each place."""
    never = _never(seen.dtype)
    last = np.where(ends, 0.0, never).astype(seen.dtype)
    now = last
    found = [now]
    skips = np.concatenate([skips[:, 2:], np.zeros_like(skips[:, :2])], axis=1)  # by the place that is left
    for t in range(seen.shape[0] - 2, -1, -1):
        after = now + seen[t + 1]
        new = np.logaddexp(np.logaddexp(after, _moved(after, -1)), np.where(skips, _moved(after, -2), never))
        now = np.where((t < times - 1)[:, None], np.maximum(new, never), last)
        found.append(now)
    return found[::-1]


def _total(forward: list[Any], ends: Any) -> Any:
    """The log-probability of all paths (batch,)."""
    never = _never(forward[-1].dtype)
    final = np.where(ends, forward[-1], never)
    most = np.max(array_of(final), axis=1, keepdims=True)
    return np.log(np.sum(np.exp(final - most), axis=1)) + most[:, 0]


def _ctc(log_probs: Any, *, path: Any, skips: Any, times: Any, ends: Any) -> Any:
    """Minus the log-probability of the labels (batch,), inf if no path is possible."""
    total = _total(_forward(_emissions(log_probs, path), skips, times), ends)
    return np.where(_possible(total), -total, np.inf).astype(log_probs.dtype)


def _possible(total: Any) -> Any:
    return array_of(total) > _never(total.dtype) / 2


def _ctc_rule(g: Any, _z: Any, log_probs: Any, *, path: Any, skips: Any, times: Any, ends: Any) -> Any:
    """Minus the probability of each class at each time, given the labels; 0 if no path is possible."""
    seen = _emissions(log_probs, path)
    forward, backward = _forward(seen, skips, times), _backward(seen, skips, times, ends)
    total = _total(forward, ends)
    joint = np.stack(forward) + np.stack(backward)
    here = (np.arange(seen.shape[0], like=seen)[:, None] < times) & _possible(total)
    share = np.exp(np.where(here[..., None], joint - total[:, None], -np.inf))
    classes = one_hot(path, log_probs.shape[2], log_probs.dtype)
    return np.einsum("tnl,nlc->tnc", share * -g[:, None], classes)


_ctc_op = differentiable(_ctc, _ctc_rule, name="ctc")


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """Minus the log-probability of a sequence of labels, summed over all its alignments: Graves et al. 2006.

    `log_probs` (time, batch, classes), or (time, classes), are outputs of log_softmax; each alignment repeats labels
    and puts the class `blank` between them.  `targets` are (batch, longest), or all labels in a row; `input_lengths`
    and `target_lengths` (batch,) say how much of each counts.  The "mean" is over the losses divided by the lengths of
    their targets.  Where the input is too short for its labels the loss is inf, or 0 with `zero_infinity`, and its
    gradient 0.  The gradient is that of log_probs themselves; PyTorch's has that of log_softmax added, with the same
    result behind it.  Raises ValueError for lengths and labels that do not fit.

    >>> halves = np.log(np.full((2, 1, 2), 0.5))
    >>> np.exp(-ctc_loss(halves, np.array([[1]]), [2], [1], reduction="none")).round(6).tolist()
    [0.75]
    """
    log_probs = log_probs if hasattr(log_probs, "__array_function__") else np.asarray(log_probs)
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs[:, None]
    if log_probs.ndim != 3 or not log_probs.shape[0]:
        raise ValueError(f"ctc_loss: log_probs are (time, batch, classes); got shape {log_probs.shape}")
    longest, batch, classes = log_probs.shape
    times = _lengths("input_lengths", input_lengths, batch, longest)
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank is one of the {classes} classes; got {blank!r}")
    labels, counts = _rows(on_host(targets), target_lengths, batch, single)
    inside = np.arange(labels.shape[1]) < counts[:, None]
    wrong = inside & ((labels < 0) | (labels >= classes) | (labels == blank))
    if wrong.any():
        raise ValueError(f"ctc_loss: label {labels[wrong][0]} is not one of {classes} classes, or is the blank {blank}")
    path = np.full((batch, 2 * labels.shape[1] + 1), blank)
    path[:, 1::2] = np.where(inside, labels, blank)
    skips = np.zeros(path.shape, bool)
    skips[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    place = np.arange(path.shape[1])
    ends = (place == 2 * counts[:, None]) | (place == 2 * counts[:, None] - 1)
    kept = (to(a, array_of(log_probs)) for a in (path, skips, times, ends))  # made in memory, where the lengths are
    losses = _ctc_op(log_probs, **dict(zip(("path", "skips", "times", "ends"), kept, strict=True)))
    if zero_infinity:
        losses = np.where(np.isinf(array_of(losses)), 0.0, losses)
    if reduction == "mean":
        losses = losses * to((1 / np.maximum(counts, 1)).astype(losses.dtype), array_of(losses))
    return reduce(losses[0] if single else losses, reduction)


def _lengths(name: str, lengths: Any, batch: int, most: int) -> Any:
    lengths = np.reshape(on_host(lengths), -1)
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        raise ValueError(f"ctc_loss: {name} are {batch} integers; got {lengths.dtype} of shape {lengths.shape}")
    if lengths.size and (lengths.min() < 0 or lengths.max() > most):
        raise ValueError(f"ctc_loss: {name} are from 0 to {most}; got {lengths.min()} to {lengths.max()}")
    return lengths.astype(np.intp)


def _rows(targets: Any, lengths: Any, batch: int, single: bool) -> tuple[Any, Any]:
    """The labels as rows (batch, longest), and how many of each count."""
    if targets.dtype.kind not in "iu" and targets.size:
        raise TypeError(f"ctc_loss: targets are class indices, integers; got {targets.dtype}")
    if targets.ndim == 2 or single:
        rows = targets.reshape(batch, -1) if targets.size else np.zeros((batch, 0), int)
        return rows.astype(np.intp), _lengths("target_lengths", lengths, batch, rows.shape[1])
    counts = _lengths("target_lengths", lengths, batch, targets.size)
    if targets.ndim != 1 or counts.sum() != targets.size:
        raise ValueError(f"ctc_loss: {counts.sum()} labels are needed; got targets of shape {targets.shape}")
    rows = np.zeros((batch, int(counts.max(initial=0))), np.intp)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = targets
    return rows, counts


# ---- test data

_PATHS = {
    "path": np.array([[0, 1, 0, 2, 0], [0, 2, 0, 2, 0]]),
    "skips": np.array([[False, False, False, True, False], [False] * 5]),
    "times": np.array([4, 3]),
    "ends": np.array([[False, False, False, True, True]] * 2),
}
CASES[_ctc_op] = [Case((4, 2, 3), **_PATHS)]
