"""Stochastic gradient methods on nested arrays; `grad(x, i)` gives the gradient of iteration i."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .flatten import flatten

Step = Callable[[Any, Any, int], tuple[Any, Any]]


def _minimizer(begin: Callable[..., tuple[Any, Step]]) -> Callable[..., Any]:
    """A minimiser from `begin(x, **options)`, which returns a state and `(g, state, i) -> (move, state)`."""

    @functools.wraps(begin)
    def minimize(
        grad: Callable[[Any, int], Any],
        x0: Any,
        callback: Callable[[Any, int, Any], Any] | None = None,
        num_iters: int = 100,
        *options: Any,
        **named: Any,
    ) -> Any:
        x, unflatten = flatten(x0)
        state, step = begin(x, *options, **named)
        for i in range(num_iters):
            g = flatten(grad(unflatten(x), i))[0]
            if callback:
                callback(unflatten(x), i, unflatten(g))
            move, state = step(g, state, i)
            x = x + move
        return unflatten(x)

    return minimize


@_minimizer
def _sgd(x: Any, step_size: float = 0.1, mass: float = 0.9) -> tuple[Any, Step]:
    def step(g: Any, velocity: Any, i: int) -> tuple[Any, Any]:
        velocity = mass * velocity - (1.0 - mass) * g
        return step_size * velocity, velocity

    return np.zeros_like(x), step


def sgd(
    grad: Any, x: Any, callback: Any = None, num_iters: int = 200, step_size: float = 0.1, mass: float = 0.9
) -> Any:
    """Stochastic gradient descent with momentum."""
    return _sgd(grad, x, callback, num_iters, step_size, mass)


@_minimizer
def rmsprop(x: Any, step_size: float = 0.1, gamma: float = 0.9, eps: float = 1e-8) -> tuple[Any, Step]:
    """Steps divided by the root of a running mean of squared gradients (Tieleman & Hinton, 2012)."""

    def step(g: Any, squares: Any, i: int) -> tuple[Any, Any]:
        squares = squares * gamma + g**2 * (1 - gamma)
        return -step_size * g / (np.sqrt(squares) + eps), squares

    return np.ones_like(x), step


@_minimizer
def adam(x: Any, step_size: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> tuple[Any, Step]:
    """Adam (Kingma & Ba, 2015)."""

    def step(g: Any, state: Any, i: int) -> tuple[Any, Any]:
        m, v = state
        m, v = (1 - b1) * g + b1 * m, (1 - b2) * g**2 + b2 * v
        return -step_size * (m / (1 - b1 ** (i + 1))) / (np.sqrt(v / (1 - b2 ** (i + 1))) + eps), (m, v)

    return (np.zeros_like(x), np.zeros_like(x)), step
