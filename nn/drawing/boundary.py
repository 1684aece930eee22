"""The decision boundaries of a classifier of samples of two numbers, over the whole plane of the training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .images import png

CELLS, POINTS = 40, 300  # cells of the picture in each direction, and most samples on it
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666"]  # Okabe and Ito


def plane_of(X: Any, y: Any) -> dict[str, Any] | None:
    """The range of samples X (n, 2), and the first ones with their labels y (n,); None if they are not such samples."""
    if not (isinstance(X, np.ndarray) and isinstance(y, np.ndarray) and X.ndim == 2 and X.shape[1] == 2 and len(X)):
        return None
    if y.dtype.kind not in "iu" or y.ndim != 1 or not np.isfinite(X).all():
        return None
    low, high = X.min(axis=0).astype(float), X.max(axis=0).astype(float)
    margin = np.where(high > low, 0.1 * (high - low), 0.5)
    points = [[float(a), float(b), int(label)] for (a, b), label in zip(X[:POINTS], y[:POINTS], strict=True)]
    return {
        "low": [float(f"{v:.4g}") for v in low - margin],
        "high": [float(f"{v:.4g}") for v in high + margin],
        "points": points,
        "colours": COLOURS,
    }


def regions(plane: dict[str, Any], probabilities: Callable[[Any], Any], dtype: Any) -> str:
    """The plane as an image: each cell has the colour of its likeliest class, and is paler if that is less likely."""
    (x1, y1), (x2, y2) = plane["low"], plane["high"]
    middles = (np.arange(CELLS) + 0.5) / CELLS
    xs, ys = x1 + (x2 - x1) * middles, y2 + (y1 - y2) * middles  # the first row of an image is its top
    across, down = np.meshgrid(xs, ys)
    p = np.asarray(probabilities(np.stack([across.ravel(), down.ravel()], axis=1).astype(dtype)), float)
    best = np.argmax(p, axis=1)
    with np.errstate(invalid="ignore"):
        sure = (np.max(p, axis=1) - 1 / p.shape[1]) / (1 - 1 / p.shape[1])
    colours = np.array([_rgb(COLOURS[k % len(COLOURS)]) for k in range(p.shape[1])])
    share = np.nan_to_num(0.08 + 0.5 * sure)[:, None]
    return png((1 + (colours[best] - 1) * share).reshape(CELLS, CELLS, 3))


def _rgb(colour: str) -> Iterable[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
