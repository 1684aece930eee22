"""The loss surface around the final weights of a run, and the path of training on it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

State = dict[str, Any]


@dataclass(repr=False)
class Surface:
    """`losses` (n, n) on a plane with coordinates `xs` (n,) and `ys` (n,), and the `path` (epochs + 1, 2) on it.

    `held` is the share of the path's squared length that lies in the plane.
    """

    xs: Any
    ys: Any
    losses: Any
    path: Any
    held: float

    def __repr__(self) -> str:
        n, low, high = len(self.xs), np.min(self.losses), np.max(self.losses)
        return f"<loss surface of {n}x{n} points, from {low:.4g} to {high:.4g}, and a path of {len(self.path)} points>"

    def _repr_svg_(self) -> str:
        return surface_svg(self)


def surface_of(loss_at: Callable[[State], float], states: Sequence[Mapping[str, Any]], n: int = 25) -> Surface:
    """Return the loss on the plane through the last of `states` that contains most of the path through all of them.

    The two directions are the principal directions of the path (Lorch 2016), filter-normalised (Li et al. 2018): each
    row of a weight's direction is scaled to the length of that row, so that a step of 1 is as large as the weights.
    """
    names = [name for name, array in states[-1].items() if array.dtype.kind == "f"]
    last = {name: states[-1][name].astype(float) for name in names}
    flat = np.stack([np.concatenate([state[name].ravel() for name in names]) for state in states]).astype(float)
    offsets = flat - flat[-1]
    _, _, principal = np.linalg.svd(offsets, full_matrices=False)
    axes = [axis for axis in principal[:2] if np.isfinite(axis).all()]
    rng = np.random.default_rng(0)
    while len(axes) < 2:  # a run of one epoch has no second direction
        axes.append(rng.normal(size=flat.shape[1]))
    directions = [_normalised(_unflat(axis, last), last) for axis in axes]
    plane = np.stack([np.concatenate([d[name].ravel() for name in names]) for d in directions])
    path = np.linalg.lstsq(plane.T, offsets.T, rcond=None)[0].T
    total = float(np.sum(offsets**2))
    held = 1.0 - float(np.sum((offsets - path @ plane) ** 2)) / total if total else 1.0
    xs, ys = (_span(path[:, i], n) for i in (0, 1))
    losses = np.array(
        [[loss_at({k: last[k] + x * directions[0][k] + y * directions[1][k] for k in names}) for x in xs] for y in ys]
    )
    return Surface(xs, ys, losses, path, held)


def _unflat(axis: Any, like: State) -> State:
    found, start = {}, 0
    for name, array in like.items():
        found[name] = axis[start : start + array.size].reshape(array.shape)
        start += array.size
    return found


def _normalised(direction: State, weights: State) -> State:
    """Scale each row of a weight's direction to the length of the row itself; a bias counts as one row."""
    found = {}
    for name, d in direction.items():
        axes = tuple(range(1, d.ndim)) or None
        size = np.sqrt(np.sum(d**2, axis=axes, keepdims=True))
        wanted = np.sqrt(np.sum(weights[name] ** 2, axis=axes, keepdims=True))
        found[name] = d * np.where(size > 0, wanted / np.where(size > 0, size, 1.0), 0.0)
    return found


def _span(path: Any, n: int) -> Any:
    low, high = float(path.min()), float(path.max())
    margin = 0.35 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, n)


_LOW, _HIGH = np.array([0.97, 0.98, 1.0]), np.array([0.03, 0.24, 0.42])  # from pale to deep blue
LEVELS, SIZE, LEFT, TOP = 14, 340, 46, 12


def surface_svg(surface: Surface) -> str:
    """Return the surface as SVG: a larger loss is darker, lines join equal ones, and `walker` is on the path."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log(np.maximum(surface.losses, 1e-12))
    z = np.where(np.isfinite(z), z, np.nanmax(np.where(np.isfinite(z), z, -np.inf)))
    low, high = float(z.min()), float(z.max())
    height = (z - low) / ((high - low) or 1.0)
    n = len(surface.xs)
    cell = SIZE / (n - 1)
    bands = np.minimum((height * LEVELS).astype(int), LEVELS - 1)
    parts = []
    for j, row in enumerate(bands):
        edges = [0, *(np.flatnonzero(np.diff(row)) + 1), n]
        for a, b in itertools.pairwise(edges):
            colour = _LOW + (_HIGH - _LOW) * (row[a] + 0.5) / LEVELS
            fill = "#" + "".join(f"{round(255 * c):02x}" for c in colour)
            y, x = TOP + SIZE - (j + 0.5) * cell, LEFT + (a - 0.5) * cell
            size = f'width="{(b - a) * cell + 0.4:.1f}" height="{cell + 0.4:.1f}"'
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{fill}"/>')
    lines = [
        f'<path d="{_contour(height, (k + 0.5) / 7, cell)}" stroke="#ffffff" stroke-opacity="0.7" fill="none"/>'
        for k in range(7)
    ]
    points = path_points(surface)
    walk = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="#D55E00"/>' for x, y in points)
    clip = f'<clipPath id="land"><rect x="{LEFT}" y="{TOP}" width="{SIZE}" height="{SIZE}"/></clipPath>'
    axes = f"loss from {math.exp(low):.3g} to {math.exp(high):.3g} (log scale)"
    x, y = points[0]
    width, height = LEFT + SIZE + 14, TOP + SIZE + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="surface themed" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="12" '
        f'role="img" aria-label="the loss around the final weights, and the path to them"><defs>{clip}</defs>'
        f'<g clip-path="url(#land)">{"".join(parts)}{"".join(lines)}</g>'
        f'<polyline points="{walk}" fill="none" stroke="#D55E00" stroke-width="1.6"/>{dots}'
        f'<circle class="walker" cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#ffffff" stroke="#D55E00" stroke-width="3"/>'
        f'<text x="{LEFT}" y="{TOP + SIZE + 18}">first direction of the path</text>'
        f'<text x="{LEFT}" y="{TOP + SIZE + 36}" class="note">{axes}</text>'
        f'<text transform="translate({LEFT - 12},{TOP + SIZE}) rotate(-90)">second direction</text></svg>'
    )


def path_points(surface: Surface) -> list[tuple[float, float]]:
    """Return the points of the path in drawing coordinates."""
    xs, ys, path = surface.xs, surface.ys, surface.path
    across = LEFT + SIZE * (path[:, 0] - xs[0]) / (xs[-1] - xs[0])
    down = TOP + SIZE - SIZE * (path[:, 1] - ys[0]) / (ys[-1] - ys[0])
    return [(round(float(x), 1), round(float(y), 1)) for x, y in zip(across, down, strict=True)]


def _contour(height: Any, level: float, cell: float) -> str:
    """Return the contour line of a level by marching squares: it joins points where cell edges cross the level."""
    pieces = []
    n, m = height.shape
    for j in range(n - 1):
        for i in range(m - 1):
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            found = []
            for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
                a, b = height[y1, x1] - level, height[y2, x2] - level
                if (a < 0) != (b < 0):
                    t = a / (a - b)
                    found.append((LEFT + (x1 + t * (x2 - x1)) * cell, TOP + SIZE - (y1 + t * (y2 - y1)) * cell))
            for p, q in zip(found[::2], found[1::2], strict=True):
                pieces.append(f"M{p[0]:.1f},{p[1]:.1f}L{q[0]:.1f},{q[1]:.1f}")
    return "".join(pieces)
