"""Graphs of every shape that a picture may have to lay out, by name: each function takes a size."""

from __future__ import annotations

import math

import numpy as np

import nn
from autograd import watch
from leaves import leaf


def rows(n):
    """A loop over the rows of a leaf, summed."""
    return sum(row * 2 for row in leaf(*np.ones(n), name="x"))


def fan_in(n):
    return np.stack([leaf(1.0, name=f"x{i}") * 1.5 for i in range(n)]).sum()


def fan_out(n):
    x = leaf(1.0, name="x")
    return np.stack([np.sin(x) for _ in range(n)]).sum()


def recurrence(n):
    """Three weights, used in every step, and a loss in every step."""
    w, u, b = (leaf(1.0, 1.0, name=name) for name in "wub")
    h, loss = np.ones(2) * w, 0.0
    for i in range(n):
        h = np.tanh(h * w + np.tanh(np.full(2, i / n) * u) + b)
        loss = loss + ((h - 1) ** 2).sum()
    return loss


def grid(n):
    side, w, cells = math.isqrt(n), leaf(1.0, name="w"), {}
    for i in range(side):
        for j in range(side):
            cells[i, j] = cells.get((i - 1, j), w) * cells.get((i, j - 1), w)
    return cells[side - 1, side - 1]


def chain(n):
    y = leaf(1.0, name="x")
    for _ in range(n):
        y = np.sin(y)
    return y


def dense(n):
    """Every value reads all values before it."""
    values = [leaf(1.0, name="x")]
    for _ in range(n):
        values.append(np.sin(np.stack(values).sum()))
    return values[-1]


def layers(n):
    """Layers of scalar neurons, each reading the whole layer before it."""
    side = math.isqrt(n)
    values = [leaf(1.0, name=f"x{i}") for i in range(side)]
    for _ in range(side):
        values = [np.stack(values).sum() for _ in range(side)]
    return np.stack(values).sum()


def random(n):
    rng, values = np.random.default_rng(0), [leaf(1.0, name="x")]
    for i in range(n):
        first, second = rng.integers(0, i + 1, 2)
        values.append(values[first] * values[second])
    return np.stack(values).sum()


def parallel(n):
    x = leaf(1.0, name="x") * 1.0
    return np.stack([x] * n).sum()


class Cell(nn.Module):
    def __init__(self):
        self.inner, self.outer = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x, h):
        return np.tanh(self.inner(x) + self.outer(h))


def cells(n):
    """A module that is called n times in a row, watched."""
    nn.manual_seed(0)
    cell, h = Cell(), np.zeros((1, 2), np.float32)
    with watch():
        for i in range(n):
            h = cell(np.full((1, 2), i, np.float32), h)
        return h.sum()


SHAPES = {
    function.__name__: function
    for function in (rows, fan_in, fan_out, recurrence, grid, chain, dense, layers, random, parallel, cells)
}
