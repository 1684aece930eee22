"""The sample calls of every registered op, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd
import nn  # noqa: F401 (registers its fused ops)
from autograd import OPS, Tensor

CALLS = [(name, i) for name, op in OPS.items() for i in range(len(op.cases))]
IDS = [f"{name}-{i}" for name, i in CALLS]


def is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def numbers(shape: tuple[int, ...], domain: tuple[float, float], rng: np.random.Generator) -> Any:
    """Random numbers no two of which are close, so that no tie or kink lies within a step."""
    low, high = domain
    n = int(np.prod(shape))
    places = (rng.permutation(n) + rng.uniform(0.3, 0.7, n)) / max(n, 1)
    return (low + (high - low) * places).reshape(shape)


def sample(name: str, i: int, seed: int = 0) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of case i: arrays where the case gives shapes."""
    op = OPS[name]
    case = op.cases[i]
    rng = np.random.default_rng([seed, i])
    domains = op.domain if isinstance(op.domain, list) else [op.domain] * 9

    def make(x: Any, domain: Any) -> Any:
        if is_shape(x):
            return numbers(x, domain, rng)
        return [make(item, domain) for item in x] if isinstance(x, list) else x

    return [make(x, domain) for x, domain in zip(case.inputs, domains, strict=False)], dict(case.params)


def varied(inputs: list[Any]) -> list[Any]:
    """The floating-point arrays among the arguments, those inside a list too."""
    flat = [y for x in inputs for y in (x if isinstance(x, list) else [x])]
    return [x for x in flat if isinstance(x, np.ndarray) and x.dtype.kind == "f"]


def replaced(inputs: list[Any], new: list[Any]) -> list[Any]:
    """The arguments with their floating-point arrays replaced in order."""
    fresh = iter(new)

    def swap(x: Any) -> Any:
        if isinstance(x, list):
            return [swap(item) for item in x]
        return next(fresh) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

    return [swap(x) for x in inputs]


def closed(name: str, i: int, function: Callable[..., Any] | None = None) -> tuple[Callable[..., Any], list[Any]]:
    """Case i as a function of its floating-point arrays alone, and these arrays."""
    inputs, params = sample(name, i)
    call = function or OPS[name].function
    return lambda *arrays: call(*replaced(inputs, list(arrays)), **params), varied(inputs)


def gradients(function: Callable[..., Any], arrays: list[Any]) -> tuple[Any, list[Any]]:
    """The output, and the gradients of its sum weighted by 1, 2, 3, ..."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    output = function(*leaves)
    weights = np.arange(1, output.size + 1, dtype=output.dtype).reshape(output.shape)
    output.backward(weights)
    return output.data, [None if leaf.grad is None else leaf.grad.data for leaf in leaves]


__all__ = ["CALLS", "IDS", "autograd", "closed", "gradients", "replaced", "sample", "varied"]
