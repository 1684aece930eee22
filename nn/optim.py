"""Optimisers: how weights follow their gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autograd import Tensor, assign_all


class SGD:
    """Stochastic gradient descent: weight -= lr * gradient, for every weight.

    With `momentum`, a running sum takes the gradient's place: velocity = momentum * velocity + gradient, starting from
    the first gradient (PyTorch's form, after Polyak 1964).  `velocities` is parallel to `params`.  A parameter whose
    `grad` is None stays as it is.  Raises ValueError for no parameters, one given twice, and values out of range.

    >>> w = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w.item()
    0.8
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0) -> None:
        if isinstance(params, Tensor):
            raise TypeError("SGD takes a list of parameters, such as model.parameters(); got one Tensor")
        self.params = list(params)
        if not self.params:
            raise ValueError("SGD was given no parameters")
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not p.requires_grad or p.node is not None:
                raise TypeError(f"parameter {i} is no leaf Tensor with requires_grad=True: {p!r:.60}")
        if len({id(p) for p in self.params}) != len(self.params):
            raise ValueError("SGD was given the same parameter twice; it would move twice as far")
        if not lr >= 0:
            raise ValueError(f"the learning rate must be at least 0; got {lr!r}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1; got {momentum!r}")
        self.lr, self.momentum = float(lr), float(momentum)
        self.velocities: list[Any] = [None] * len(self.params)

    def step(self) -> None:
        """Move every parameter against its gradient: all of them, or after an error or interrupt none."""
        moving, news, velocities = [], [], list(self.velocities)
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            change = p.grad.data
            if self.momentum:
                change = change.copy() if velocities[i] is None else velocities[i] * self.momentum + change
                velocities[i] = change
            new = change * -self.lr
            new += p.data
            moving.append(p)
            news.append(new)
        assign_all(moving, news)  # new arrays: what a graph has recorded never changes
        self.velocities = velocities

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward() does not add to them."""
        for p in self.params:
            p.grad = None
