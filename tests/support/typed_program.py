"""A user's program, with types: `mypy --strict` finds nothing in it (see test_types.py), and it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import autograd
import nn
import nn.functional as F
from autograd import Tensor
from autograd.special import logsumexp


def energy(x: Tensor, scale: float) -> Tensor:
    return scale * (autograd.sin(x) ** 2 + x * x.T.T).sum(axis=0)


def volume(r: NDArray[np.float64]) -> float:
    product: float = autograd.prod(r)
    return product


class Network(nn.Module):
    def __init__(self) -> None:
        self.first = nn.Linear(4, 8)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor | NDArray[np.float64]) -> Tensor:
        return self.rest(self.first(x))


def made(network: nn.Module | Callable[[int], nn.Module] | None) -> nn.Module:
    if isinstance(network, nn.Module):
        return network
    return network(2) if network else nn.Identity()


def apply(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x)


x = Tensor(np.ones((3, 4)), requires_grad=True, name="x")
loss: Tensor = energy(x, 0.5).mean() + logsumexp(x) + autograd.linalg.norm(x)
loss.backward()
assert x.grad is not None
step: Tensor = x - 0.1 * x.grad
value: float = loss.item()
rows: Tensor = autograd.stack([row.sum() for row in x])
array: NDArray[np.float64] = autograd.exp(np.ones(3))
slope: NDArray[np.float64] = autograd.grad(volume)(np.ones(3))
height, slope = autograd.value_and_grad(volume)(np.ones(3))
jacobian: NDArray[np.float64] = autograd.jacobian(autograd.exp)(np.ones(3))
model = Network()
prediction = model(x.detach())
passed: Tensor = apply(nn.Sequential(nn.ReLU(), nn.Tanh()), x)
probabilities: Tensor = F.softmax(prediction, -1)
error: Tensor = nn.CrossEntropyLoss()(prediction, [0, 1, 1])
optimizer = nn.Adam(model.parameters(), lr=1e-3)
optimizer.zero_grad()
error.backward()
optimizer.step()
history = nn.fit(model, np.ones((3, 4)), [0, 1, 1], loss=nn.CrossEntropyLoss(), epochs=1, progress=False)
last: float = history["loss"][-1]
