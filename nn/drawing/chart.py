"""Draw curves, with points named in words."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#00805E", "#222222")
DASHES = ("", "7 4", "3 2.5", "9 3 2 3")
GREY = "#5f6368"
LEFT, RIGHT, TOP, BOTTOM, LINE, LETTER = 50, 14, 14, 46, 17, 8


def chart(
    lines: Mapping[str, tuple[Any, Any]],
    *,
    x: str,
    y: str,
    points: Sequence[tuple[float, float, str]] = (),
    limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (460, 270),
) -> str:
    """Return an SVG of `lines`, {name: (xs, ys)}, each with its name at its end, over axes named `x` and `y`.

    `points` are (x, y, text): a dot with its text beside it.  `limits` are those of y; the default holds all values.
    Lines differ by colour and dashes; what is not finite leaves a gap, and what is outside the limits is cut.  On an
    `autograd.Page` the colours follow its theme.  Raises ValueError without a finite value to show.

    >>> chart({"": ([0, 1], [0, 1])}, x="x", y="x", points=[(1, 1, "the end")]).count("<circle")
    1
    """
    drawn = {name: (np.asarray(xs, float), np.asarray(ys, float)) for name, (xs, ys) in lines.items()}
    across = [*(v for xs, _ in drawn.values() for v in xs), *(point[0] for point in points)]
    values = [*(v for _, ys in drawn.values() for v in ys), *(point[1] for point in points)]
    (x1, x2), (y1, y2) = _span(across), limits or _span(values)
    width, height = size
    right = max([RIGHT, *(12 + LETTER * len(name) for name in drawn if name)])
    wide, high = width - LEFT - right, height - TOP - BOTTOM

    def place(a: Any, b: Any) -> tuple[Any, Any]:
        return wide * (a - x1) / (x2 - x1), high * (y2 - b) / (y2 - y1)

    curves, ends, inked = [], [], []
    for i, (name, (xs, ys)) in enumerate(drawn.items()):
        looks = f'stroke="{COLOURS[i % 4]}" stroke-dasharray="{DASHES[i % 4]}"'
        px, py = place(xs, ys)
        curves.append(f'<path d="{_path(px, py)}" fill="none" stroke-width="2.2" {looks}/>')
        between = np.linspace(0, len(px) - 1, 400)
        inked.append(np.stack([np.interp(between, np.arange(len(p)), p) for p in (px, py)], axis=1))
        known = py[np.isfinite(py)]
        if name and known.size:
            end = min(max(known[-1], 4), high)
            ends.append((end, f'<text x="{LEFT + wide + 6:g}" fill="{COLOURS[i % 4]}"', html.escape(name)))
    heights = _apart([end for end, _, _ in ends], high)
    texts = [
        f'{start} y="{TOP + at + 4:.1f}">{name}</text>' for at, (_, start, name) in zip(heights, ends, strict=True)
    ]
    dots, taken = [], np.concatenate(inked)
    for a, b, text in points:
        px, py = (float(v) for v in place(a, b))
        left, up = _beside(px, py, LETTER * 0.9 * len(text), taken, (wide, high))
        letters = np.arange(left, left + LETTER * len(text), 4)
        taken = np.concatenate([taken, *(np.stack([letters, 0 * letters + up - rise], axis=1) for rise in (0, 6, 12))])
        dots.append(
            f'<circle cx="{LEFT + px:.1f}" cy="{TOP + py:.1f}" r="5" fill="#222222"/>'
            f'<text x="{LEFT + left:.1f}" y="{TOP + up:.1f}" class="point" stroke="#ffffff" stroke-width="4" '
            f'paint-order="stroke">{html.escape(text)}</text>'
        )
    said = html.escape(f"{y} against {x}: {', '.join(filter(None, drawn)) or 'one curve'}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart themed" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="13" role="img" aria-label="{said}">'
        f"{_axes((x1, x2), (y1, y2), (wide, high), place)}"
        f'<svg x="{LEFT}" y="{TOP - 2}" width="{wide:g}" height="{high + 4}" viewBox="0 -2 {wide:g} {high + 4}">'
        f"{''.join(curves)}</svg>{''.join(texts)}{''.join(dots)}"
        f'<text x="{LEFT + wide / 2:g}" y="{height - 8}" text-anchor="middle" fill="{GREY}">{html.escape(x)}</text>'
        f'<text transform="translate(13,{TOP + high / 2:g}) rotate(-90)" text-anchor="middle" fill="{GREY}">'
        f"{html.escape(y)}</text></svg>"
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    finite = [float(v) for v in values if math.isfinite(v)]
    if not finite:
        raise ValueError("a chart needs a finite value")
    low, high = min(finite), max(finite)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _path(xs: Any, ys: Any) -> str:
    """A path through the points; it is broken where one is not finite."""
    parts, pen = [], "M"
    for a, b in zip(xs, ys, strict=True):
        if np.isfinite(a) and np.isfinite(b):
            parts.append(f"{pen}{a:.1f},{b:.1f}")
        pen = "L" if np.isfinite(a) and np.isfinite(b) else "M"
    return "".join(parts)


def _beside(x: float, y: float, length: float, taken: Any, size: tuple[float, float]) -> tuple[float, float]:
    """The place (left, base line) beside a point where a text of this length covers least of what is `taken` (n, 2)."""

    def covered(spot: tuple[float, float]) -> float:
        left, base = spot
        inside = (taken[:, 0] > left - 3) & (taken[:, 0] < left + length + 3)
        inside &= (taken[:, 1] > base - 15) & (taken[:, 1] < base + 6)
        outside = max(0, -left, left + length - size[0], 10 - base, base - size[1] + 2)
        return float(inside.sum() + 10 * outside)

    lefts = (x + 10, x - 10 - length, x - length / 2)
    return min(((left, y + down) for down in (-10, 20, 4, 36, -26) for left in lefts), key=covered)


def _apart(heights: Sequence[float], most: float) -> list[float]:
    """Move labels apart where two would overlap: down, and up again from `most`.

    >>> _apart([0, 5, 100, 99], 100)
    [0, 17, 100, 83]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = list(heights)
    for before, i in itertools.pairwise(order):
        placed[i] = max(placed[i], placed[before] + LINE)
    for i in reversed(order):
        placed[i] = most = min(placed[i], most)
        most -= LINE
    return placed


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from low to high.

    >>> _ticks(0, 0.7), _ticks(0, 24)
    ([0.0, 0.2, 0.4, 0.6], [0.0, 5.0, 10.0, 15.0, 20.0])
    """
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * 0.8)
    return [round(k * step, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _axes(xs: tuple[float, float], ys: tuple[float, float], size: tuple[float, float], place: Any) -> str:
    wide, high = size
    parts = [f'<path d="M{LEFT},{TOP} V{TOP + high} H{LEFT + wide:g}" fill="none" stroke="{GREY}"/>']
    for tick in _ticks(*xs):
        at = LEFT + place(tick, ys[0])[0]
        parts.append(f'<path d="M{at:.1f},{TOP + high} v4" stroke="{GREY}"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{TOP + high + 17}" text-anchor="middle" fill="{GREY}">{_number(tick)}</text>'
        )
    for tick in _ticks(*ys):
        at = TOP + place(xs[0], tick)[1]
        parts.append(f'<path d="M{LEFT},{at:.1f} h-4" stroke="{GREY}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end" fill="{GREY}">{_number(tick)}</text>')
    return "".join(parts)


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")
