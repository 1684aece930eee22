"""The sample calls of every registered op, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd
import autograd.ops.bessel
import autograd.ops.triangular
import nn  # noqa: F401 (registers its fused ops)
from autograd import OPS, Tensor
from autograd.ops.register import REAL, cases_of

CALLS = [(name, i) for name, op in OPS.items() for i in range(len(cases_of(op)))]
IDS = [f"{name}-{i}" for name, i in CALLS]


def is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def numbers(shape: tuple[int, ...], domain: Any, rng: np.random.Generator) -> Any:
    """Random numbers no two of which are close, so that no tie or kink lies within a step."""
    low, high = REAL if callable(domain) else domain
    if isinstance(low, complex):
        parts = numbers(shape, (low.real, high.real), rng), numbers(shape, (low.imag, high.imag), rng)
        return np.asarray(parts[0] + 1j * parts[1])
    n = int(np.prod(shape))
    places = (rng.permutation(n) + rng.uniform(0.3, 0.7, n)) / max(n, 1)
    return (low + (high - low) * places).reshape(shape)


def sample(name: str, i: int, raw: bool = False) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of case i: arrays where the case gives shapes; `raw` ones before the domain makes them valid."""
    case = cases_of(OPS[name])[i]
    rng = np.random.default_rng(i)

    def make(x: Any, domain: Any) -> Any:
        if is_shape(x):
            drawn = numbers(x, domain, rng)
            return domain(drawn) if callable(domain) and not raw else drawn
        return [make(item, domain) for item in x] if isinstance(x, list) else x

    return [make(x, domain) for x, domain in zip(case.inputs, domains(name), strict=False)], dict(case.params)


def domains(name: str) -> list[Any]:
    """The domain of each input."""
    domain = cases_of(OPS[name]).domain
    return domain if isinstance(domain, list) else [domain] * 9


def varied(inputs: list[Any]) -> list[Any]:
    """The floating-point arrays among the arguments, those inside lists too."""
    flat = [y for x in inputs for y in (varied(x) if isinstance(x, list) else [x])]
    return [x for x in flat if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]


def replaced(inputs: list[Any], new: list[Any]) -> list[Any]:
    """The arguments with their floating-point arrays replaced in order."""
    fresh = iter(new)

    def swap(x: Any) -> Any:
        if isinstance(x, list):
            return [swap(item) for item in x]
        return next(fresh) if isinstance(x, np.ndarray) and x.dtype.kind in "fc" else x

    return [swap(x) for x in inputs]


def joined(result: Any) -> Any:
    """The floating-point results of a function that returns several, in one row."""
    if not isinstance(result, tuple | list):
        return result
    parts = [part for part in result if getattr(part, "dtype", np.dtype(int)).kind in "fc"]
    return np.concatenate([np.reshape(part, -1) for part in parts])


def closed(name: str, i: int, function: Callable[..., Any] | None = None) -> tuple[Callable[..., Any], list[Any]]:
    """Case i as a function of its floating-point arrays alone, and these arrays."""
    inputs, params = sample(name, i, raw=True)
    call = function or OPS[name].function

    def close(*arrays: Any) -> Any:
        given = replaced(inputs, list(arrays))
        valid = [d(x) if callable(d) and hasattr(x, "dtype") else x for x, d in zip(given, domains(name), strict=False)]
        return joined(call(*valid, **params))

    return close, varied(inputs)


def gradients(function: Callable[..., Any], arrays: list[Any]) -> tuple[Any, list[Any]]:
    """The output, and the gradients of its sum weighted by 1, 2, 3, ..."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    output = function(*leaves)
    weights = np.arange(1, output.size + 1, dtype=output.dtype).reshape(output.shape)
    output.backward(weights)
    return output.data, [None if leaf.grad is None else leaf.grad.data for leaf in leaves]


__all__ = ["CALLS", "IDS", "autograd", "closed", "gradients", "joined", "replaced", "sample", "varied"]
