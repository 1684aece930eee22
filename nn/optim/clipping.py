"""Clip large gradients before a step."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from autograd import Tensor, linalg

from ..arguments import accepting

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _list(params: Any) -> list[Tensor]:
    params = [params] if isinstance(params, Tensor) else params
    if hasattr(params, "parameters") or not isinstance(params, Iterable):
        raise TypeError(f"pass a list of parameters, such as model.parameters(); got {type(params).__name__}")
    return list(params)


def _at_least_0(name: str, value: Any) -> None:
    if not isinstance(value, Real) or not float(value) >= 0:
        raise ValueError(f"{name} must be a number, at least 0; got {value!r:.40}")


@accepting
def clip_grad_norm_(params: Iterable[Tensor], max_norm: float | None, norm_type: float = 2.0) -> Any:
    """Shrink all gradients together so that their joint norm is at most `max_norm`; return the norm before.

    None has no limit: the norm is measured, and no gradient changes.

    >>> w = Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], 1.0), w.grad.data.round(3).tolist()
    (np.float64(10.0), [0.6, 0.8])
    """
    if max_norm is not None:
        _at_least_0("max_norm", max_norm)
    held = [(p, p.grad.data) for p in _list(params) if p.grad is not None]
    if not held:
        return 0.0
    total: Any = _norm(np.stack([_norm(g, norm_type) for _, g in held]), norm_type)
    if max_norm is None:
        return total
    factor = np.fmin(max_norm / (total + 1e-6), 1.0)  # 1 if the norm is NaN
    for p, g in held:
        p.grad = Tensor((g * factor).astype(g.dtype, copy=False))  # in float64: the factor may be too small for others
    return total


def _norm(x: Any, p: float) -> Any:
    """The norm of all numbers in x as a float64: float16 has no squares above 256, nor float32 above 1e19."""
    x = np.ravel(x)
    with np.errstate(over="ignore"):  # the powers are computed again from smaller numbers
        return linalg.vector_norm(x.astype(np.result_type(x.dtype, np.float64)), ord=p)


@accepting
def clip_grad_value_(params: Iterable[Tensor], clip_value: float) -> None:
    """Clip every element of every gradient to between -clip_value and clip_value.

    >>> w = Tensor([3.0, 0.1], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value_([w], 1.0)
    >>> w.grad
    Tensor([1. , 0.2])
    """
    _at_least_0("clip_value", clip_value)
    for p in _list(params):
        if p.grad is not None:
            if p.dtype.kind == "c":
                raise TypeError("complex numbers have no order, so no values to clip; use clip_grad_norm_")
            p.grad = Tensor(np.clip(p.grad.data, -clip_value, clip_value))
