"""Random programs over the registry of ops: the same steps run on Tensors, on arrays, and on longdoubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autograd
from steps import ONE, TWO


class Step(NamedTuple):
    """Apply a function to earlier values, and scale."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[int, ...]
    scale: float


class Program:
    """Up to `length` ops on two or three small arrays, to one number; everything follows from the seed."""

    def __init__(self, seed: int, length: int = 50) -> None:
        self.seed = seed
        rng = np.random.default_rng(seed)
        shapes = [(), (3,), (2, 3), (4, 1), (2, 2)]
        self.inputs = [rng.uniform(-1.5, 1.5, shapes[rng.integers(1, 5)]) for _ in range(rng.integers(2, 4))]
        self.steps: list[Step] = []
        values: list[Any] = list(self.inputs)
        for _ in range(rng.integers(3, length + 1)):
            step, value = self._grow(rng, values)
            self.steps.append(step)
            values.append(value)
        self.weights = [rng.uniform(0.5, 1.5) for _ in values]
        self.direction = [rng.uniform(-1, 1, x.shape) for x in self.inputs]

    def _grow(self, rng: np.random.Generator, values: list[Any]) -> tuple[Step, Any]:
        """A step that can be taken: shapes fit, and the result is neither large nor huge in numbers."""
        while True:
            table: Any = TWO if rng.random() < 0.4 else ONE
            name = list(table)[rng.integers(len(table))]
            recent = len(values) - 1 - np.minimum(rng.geometric(0.3, 2) - 1, len(values) - 1)
            inputs = tuple(int(i) for i in recent[: 2 if table is TWO else 1])
            try:
                value = np.asarray(table[name](*(values[i] for i in inputs)))
            except (ValueError, IndexError, AttributeError, np.exceptions.AxisError):
                continue  # these shapes do not fit
            if not 0 < value.size <= 24 or value.ndim > 2 or value.ndim == 0:
                continue
            largest = float(np.max(np.abs(value)))
            scale = 1.0 if largest < 3 else 1.0 / largest
            return Step(name, table[name], inputs, scale), value * scale

    def __call__(self, *inputs: Any) -> Any:
        """One number: a weighted sum over the last values."""
        values: list[Any] = list(inputs)
        for step in self.steps:
            value = step.function(*(values[i] for i in step.inputs))
            values.append(value * step.scale if step.scale != 1.0 else value)
        total: Any = 0.0
        for value, weight in list(zip(values, self.weights, strict=True))[-4:]:
            total = total + np.mean(value) * weight
        return total

    def __repr__(self) -> str:
        return f"Program({self.seed}): " + " ".join(f"{s.name}{s.inputs}" for s in self.steps)


def slopes(program: Program) -> tuple[float, float, float]:
    """First and second derivative along the program's direction, by differences in longdouble, and its value."""
    wide = [x.astype(np.longdouble) for x in program.inputs]

    def along(t: float) -> Any:
        t_wide = np.longdouble(t)
        return program(*(x + t_wide * d for x, d in zip(wide, program.direction, strict=True)))

    h = 2e-4
    f = {k: along(k * h) for k in (-2, -1, 0, 1, 2)}
    first = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)
    second = (16 * (f[1] + f[-1]) - (f[2] + f[-2]) - 30 * f[0]) / (12 * h * h)
    return float(first), float(second), float(abs(f[0]))


def disagreement(program: Program) -> str:
    """ "" if value, gradient and second derivative agree with the longdouble program, else what does not."""
    first, second, size = slopes(program)
    mine = [autograd.Tensor(x, requires_grad=True) for x in program.inputs]
    loss = program(*mine)
    plain = float(program(*(x.astype(np.longdouble) for x in program.inputs)))
    if abs(loss.item() - plain) > 1e-11 * max(1.0, size):
        return f"value {loss.item()!r} is not {plain!r}"
    loss.backward(create_graph=True)
    total: Any = 0.0
    for x, d in zip(mine, program.direction, strict=True):
        if x.grad is not None:
            total = total + (x.grad * d).sum()
    along = total.item() if isinstance(total, autograd.Tensor) else total
    if abs(along - first) > 1e-8 * max(1.0, abs(first)):
        return f"gradient {along!r} is not {first!r}"
    if isinstance(total, autograd.Tensor) and total.requires_grad:
        for x in mine:
            x.grad = None
        total.backward()
        bent = sum(
            float((x.grad.data * d).sum()) for x, d in zip(mine, program.direction, strict=True) if x.grad is not None
        )
        if abs(bent - second) > 1e-5 * max(1.0, abs(second)):
            return f"second derivative {bent!r} is not {second!r}"
    return ""


def ops_of(program: Program) -> set[str]:
    """The ops of the registry that are in the graph of the program."""
    loss = program(*(autograd.Tensor(x, requires_grad=True) for x in program.inputs))
    stack, seen = [loss.node], set()
    while stack:
        node = stack.pop()
        if node not in seen and node.op is not None:
            seen.add(node)
            stack += [edge for edge in node.edges if edge is not None]
    return {node.op.name for node in seen}
