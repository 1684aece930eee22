"""Gradients that are too large, made smaller before a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd import Tensor


def _list(params: Any) -> list[Tensor]:
    params = [params] if isinstance(params, Tensor) else params
    if hasattr(params, "parameters") or not isinstance(params, Iterable):
        raise TypeError(f"pass a list of parameters, such as model.parameters(); got {type(params).__name__}")
    return list(params)


def clip_grad_norm_(params: Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> float:
    """Shrink all gradients together so that their common norm is at most `max_norm`; returns the norm that it was.

    >>> w = Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], 1.0), w.grad.data.round(3).tolist()
    (10.0, [0.6, 0.8])
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm must be at least 0; got {max_norm!r}")
    held = [p for p in _list(params) if p.grad is not None]
    norms = [float(np.linalg.norm(np.ravel(p.grad.data), norm_type)) for p in held if p.grad is not None]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    factor = max_norm / (total + 1e-6)
    if factor < 1:
        for p in held:
            assert p.grad is not None
            p.grad = Tensor(p.grad.data * factor)
    return total


def clip_grad_value_(params: Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient to between -clip_value and clip_value."""
    if not clip_value >= 0:
        raise ValueError(f"clip_value must be at least 0; got {clip_value!r}")
    for p in _list(params):
        if p.grad is not None:
            p.grad = Tensor(np.clip(p.grad.data, -clip_value, clip_value))
