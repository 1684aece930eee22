"""Optimisers that use the shape of a weight matrix.  Names, arguments, defaults and trajectories are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from autograd import Tensor

from .optimizer import Optimizer, State

__all__ = ["Adafactor", "Muon"]


class Adafactor(Optimizer):
    """Adam's step from the mean squares of rows and columns, which need little memory: Shazeer and Stern 2018.

    For a weight (..., rows, columns) the state has one number per row and one per column; for one of a single axis, one
    per number.  The rate is min(lr, 1 / sqrt(step)) times the root mean square of the weight, or times eps[1] if that
    is larger; a step whose root mean square is above `d` is shortened to it.  eps[0] bounds the mean squares from
    below, None by the dtype's own.  Raises TypeError for complex weights.
    """

    by_parts, decoupled = True, True
    others = (*Optimizer.others, "eps")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, maximize=maximize
        )

    def _check(self, options: Mapping[str, Any]) -> None:
        super()._check(options)
        eps = options["eps"]
        if not isinstance(eps, tuple | list) or len(eps) != 2 or not (eps[0] or 0) >= 0 or not eps[1] >= 0:
            raise ValueError(f"eps are two numbers, at least 0, or None and one; got {eps!r}")
        if not options["d"] >= 1:
            raise ValueError(f"d must be at least 1; got {options['d']!r}")
        if not options["beta2_decay"] <= 0:
            raise ValueError(f"beta2_decay must be at most 0; got {options['beta2_decay']!r}")

    def _check_parameter(self, i: int, p: Tensor) -> None:
        _must_be_real(self, i, p)

    def _state_shape(self, key: str, p: Tensor) -> tuple[int, ...]:
        rows, columns = p.shape[:-1], (*p.shape[:-2], 1, *p.shape[-1:])
        return {"row_var": (*rows, 1), "col_var": columns}.get(key, p.shape)

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        lr, t, (least, smallest) = group["lr"], state.get("step", 0) + 1, group["eps"]
        least = float(np.finfo(w.dtype).eps) if least is None else least
        share, new_state = t ** group["beta2_decay"], {"step": t}
        squares = g * g
        if g.ndim > 1:
            rows, columns = (_mean(squares, axis, new_state, key, state, share) for axis, key in _FACTORS)
            squares = rows * (columns / np.maximum(_along(rows, -2), least))
        else:
            squares = _mean(squares, None, new_state, "variance", state, share)
        new = g / np.sqrt(np.maximum(squares, least * least))
        scale = np.maximum(smallest, _root_mean_square(w)) * np.minimum(lr, t**-0.5)
        new *= scale / np.maximum(1.0, _root_mean_square(new) / group["d"])
        moved = w * (
            1 - lr * group["weight_decay"]
        )  # laid out in memory as the weight is: sums over it have other bits
        moved -= new
        return moved, new_state


_FACTORS = ((-1, "row_var"), (-2, "col_var"))


def _mean(squares: Any, axis: int | None, new: State, key: str, state: State, share: float) -> Any:
    """The running mean of the squares along this axis, also as new[key]."""
    now = squares if axis is None else _along(squares, axis)
    old = state.get(key, 0.0)
    new[key] = mean = old + (now - old) * share
    return mean


def _along(x: Any, axis: int) -> Any:
    """The mean along an axis, 0 if that is empty."""
    return np.sum(x, axis=axis, keepdims=True) * (1 / max(x.shape[axis], 1))


def _root_mean_square(x: Any) -> Any:
    return np.sqrt(np.sum(x * x)) * (max(x.size, 1) ** -0.5)


class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix to the momentum, so that no direction dominates: Jordan et al. 2024.

    It takes matrices, the weights of hidden layers; use AdamW for the others.  Momentum is `momentum` B + (1 -
    `momentum`) gradient.  Its singular values are brought near 1 by `ns_steps` of Newton and Schulz's iteration, a X +
    b (X X^T) X + c (X X^T)^2 X with `ns_coefficients` a, b, c.  With adjust_lr_fn="match_rms_adamw" the rate is 0.2
    sqrt(max(rows, columns)) lr, which suits an lr tuned for AdamW (Liu et al. 2025), otherwise sqrt(max(1, rows /
    columns)) lr.  The iteration runs in the dtype of the weights, PyTorch's in bfloat16, whose steps differ a little.
    Raises TypeError for complex weights and ValueError for weights that are not matrices.
    """

    by_parts, decoupled = True, True
    others = (*Optimizer.others, "ns_coefficients", "adjust_lr_fn")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            params, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
            ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
        )  # fmt: skip

    def _check(self, options: Mapping[str, Any]) -> None:
        super()._check(options)
        numbers, name, steps = options["ns_coefficients"], options["adjust_lr_fn"], options["ns_steps"]
        if not isinstance(numbers, tuple | list) or len(numbers) != 3:
            raise ValueError(f"ns_coefficients are three numbers; got {numbers!r}")
        if name not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr_fn is None, 'original' or 'match_rms_adamw'; got {name!r}")
        if not 0 <= steps < 100:
            raise ValueError(f"ns_steps must be at least 0 and below 100; got {steps!r}")

    def _check_parameter(self, i: int, p: Tensor) -> None:
        _must_be_real(self, i, p)
        if p.ndim != 2:
            raise ValueError(
                f"Muon moves matrices; parameter {i} has shape {p.shape}: give it to another optimiser, such as AdamW"
            )

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        lr, momentum = group["lr"], group["momentum"]
        mean = g * (1 - momentum)
        if state:
            mean += state["momentum_buffer"] * momentum
        new = g * (1 - momentum) + mean * momentum if group["nesterov"] else mean
        new = orthogonal(new, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = w.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            lr = lr * (0.2 * math.sqrt(max(rows, columns)))
        else:
            lr = lr * math.sqrt(max(1.0, rows / max(columns, 1)))
        moved = w * (1 - group["lr"] * group["weight_decay"])  # laid out in memory as the weight is
        moved -= new * lr
        return moved, {"momentum_buffer": mean}


def orthogonal(x: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """The matrix U V^T for x = U S V^T, nearly: singular values between about 0.7 and 1.2; x (rows, columns).

    The polynomial is applied to all singular values at once, without a decomposition.

    >>> x = orthogonal(np.diag([3.0, 1.0]), (3.4445, -4.775, 2.0315), 5, 1e-7)
    >>> x.round(2).tolist()
    [[0.75, 0.0], [0.0, 1.13]]
    """
    a, b, c = coefficients
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / np.maximum(np.sqrt(np.sum(x * x)), eps).astype(x.dtype)
    for _ in range(steps):
        gram = x @ x.T
        x = x * a + (gram * b + (gram @ gram) * c) @ x
    return x if wide else x.T


def _must_be_real(optimizer: Optimizer, i: int, p: Tensor) -> None:
    if p.dtype.kind == "c":
        raise TypeError(f"{type(optimizer).__name__} moves real weights; parameter {i} is {p.dtype}, use Adam")
