"""Networks of dense layers with every choice of skips."""

from __future__ import annotations

import functools
import itertools

import numpy as np

import nn


class Wired(nn.Module):
    """Layers of width 3; layer i reads the sum of the columns in `wires[i]`, and so does the output."""

    def __init__(self, wires):
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in wires[1:]])
        self.wires = wires

    def forward(self, x):
        columns = [x]
        for layer, wires in zip([*self.layers, None], self.wires, strict=True):
            value = functools.reduce(np.add, [columns[i] for i in wires])
            columns.append(value if layer is None else np.tanh(layer(value)))
        return columns[-1]


def wirings(count):
    """Every network of `count` layers: what each layer, and the output, may read."""
    choices = [
        [s for n in range(1, i + 2) for s in itertools.combinations(range(i + 1), n)] for i in range(1, count + 1)
    ]
    return [((0,), *rest) for rest in itertools.product(*choices)]
