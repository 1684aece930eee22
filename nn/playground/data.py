"""The data sets of the playground: points in a plane, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DATA", "make"]

SAMPLES, HELD = 200, 100  # points to train on, and points that are held out


class DataSet(NamedTuple):
    """How a data set is drawn, and what its numbers are called.

    `draw(rng, n)` returns points (n, 2) and labels (n,).
    """

    title: str
    draw: Callable[[np.random.Generator, int], tuple[Any, Any]]
    inputs: tuple[str, str] = ("x1", "x2")
    outputs: tuple[str, ...] = ("blue", "orange")

    @property
    def classes(self) -> bool:
        """Whether labels are classes; otherwise they are numbers."""
        return len(self.outputs) > 1


def _on_two(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Positions (n,) from 0 to 1, and n classes that are as frequent as each other."""
    return rng.uniform(0, 1, n), rng.permutation(np.arange(n) % 2)


def _moons(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    at, y = _on_two(rng, n)
    x = np.stack([np.cos(np.pi * at), np.sin(np.pi * at)], axis=1)
    x = np.where(y[:, None] == 0, x, [1.0, 0.45] - x)
    return (x - [0.5, 0.225]) * [0.95, 1.3], y


def _circles(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    at, y = _on_two(rng, n)
    radius = np.where(y == 0, 0.6 * np.sqrt(rng.uniform(0, 1, n)), rng.uniform(1.0, 1.4, n))
    return radius[:, None] * np.stack([np.cos(2 * np.pi * at), np.sin(2 * np.pi * at)], axis=1), y


def _xor(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    x = rng.uniform(0.12, 1.4, (n, 2)) * rng.choice([-1, 1], (n, 2))
    return x, (x[:, 0] * x[:, 1] < 0).astype(np.int64)


def _spirals(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    at, y = _on_two(rng, n)
    angle = 3 * np.pi * np.sqrt(at) + np.pi * y
    return (0.1 + 1.35 * np.sqrt(at))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), y


def _hills(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    x = rng.uniform(-1.45, 1.45, (n, 2))
    high, low = (np.exp(-1.6 * np.sum((x - centre) ** 2, axis=1)) for centre in ([0.6, 0.6], [-0.6, -0.6]))
    return x, high - low


def _animals(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Two measures of an animal: how far its ears stand up, and how long its muzzle is.

    The ears of a cat stand up and its muzzle is short; some dogs have upright ears, others have short muzzles.
    """
    y = rng.permutation(np.arange(n) % 2)
    dogs = np.array([[-0.75, 0.7], [0.75, 0.85], [-0.7, -0.75]])[rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    centres = np.where(y[:, None] == 0, [0.65, -0.6], dogs)
    return centres + rng.normal(0, 0.2, (n, 2)), y


DATA = {
    "animals": DataSet("Cats and dogs", _animals, ("ears up", "long muzzle"), ("cat", "dog")),
    "moons": DataSet("Two moons", _moons),
    "circles": DataSet("Circles", _circles),
    "xor": DataSet("Xor", _xor),
    "spirals": DataSet("Spirals", _spirals),
    "regression": DataSet("Regression", _hills, outputs=("height",)),
}


def make(name: str, noise: float = 0.1, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Return X (200, 2), y (200,), and the same of 100 held-out points, of the data set `name` in `DATA`.

    `noise` is the standard deviation of what is added to each point, or to each label where labels are numbers: then
    y has the shape (200, 1).  Points are float32 and lie around 0 within about 1.5.

    >>> X, y, held_X, held_y = make("moons")
    >>> X.shape, y.shape, held_X.shape, int(y.sum())
    ((200, 2), (200,), (100, 2), 100)
    """
    rng = np.random.default_rng(seed)
    parts: list[Any] = []
    for n in (SAMPLES, HELD):
        x, y = DATA[name].draw(rng, n)
        if DATA[name].classes:
            x = x + rng.normal(0, noise, x.shape) if noise else x
        else:
            y = (y + rng.normal(0, noise, y.shape) if noise else y)[:, None].astype(np.float32)
        parts += [x.astype(np.float32), y]
    X, y, held_X, held_y = parts
    return X, y, held_X, held_y
