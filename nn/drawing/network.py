"""Draw a network: columns of circles, with an arrow from every circle to every circle of the next column."""

from __future__ import annotations

import html
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Page
from autograd.files import write_whole

from ..module import Module
from .block_svg import blocks_svg
from .blocks import Blocks, blocks_of
from .columns import Column, columns_of, flat_values, flat_weights, scales
from .dataflow import Skip

BLUE, VERMILLION, INK, GREY = "#0072B2", "#D55E00", "#222222", "#5f6368"
RADIUS, ROW, STEP, TOP, SIDE, LANE = 13, 36, 190, 56, 84, 26
THIN, WIDE = 0.4, 4.5
NUMBERS, NUMBERS_SCALE = 60, 1.8  # most arrows of a picture with numbers, and how much larger it is


@dataclass(repr=False)
class NetworkPicture:
    """The picture that `nn.draw` returns; `save` it as .svg or .html, or show it in a notebook.

    It is of `columns` of nodes, or else of `blocks`.
    """

    columns: Sequence[Column] = ()
    strengths: Sequence[Any] = ()
    what: str = "weight"
    names: Sequence[str] = ()
    numbers: bool = False
    blocks: Blocks | None = None

    def svg(self) -> str:
        """The picture as SVG text."""
        if self.blocks is not None:
            return blocks_svg(self.blocks, self.names)
        return network_svg(self.columns, self.strengths, self.what, self.names, numbers=self.numbers)

    def page(self, history: Any = None) -> Page:
        """Return a self-contained HTML page; with the `history` of a filmed run, it has a slider over the epochs."""
        if history is not None:
            if history.recording is None:
                raise ValueError("this run was not recorded: pass callbacks=[nn.Film(samples)] to fit")
            made: Page = history.recording.page("The network, epoch by epoch", parts=["network"])
            return made
        body = f"<main><h1>The network</h1><div class='network'>{self.svg()}</div></main>"
        return Page("The network", body, {}, styles=[ASSETS / "network.css"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write .svg or .html and return the path.  Raises ValueError for any other suffix."""
        path = Path(path)
        if path.suffix.lower() not in (".svg", ".html"):
            raise ValueError(f"a network is saved as .svg or .html; got {path.name!r}")
        if path.suffix.lower() == ".html":
            return self.page().save(path)
        return write_whole(path, self.svg())

    def __repr__(self) -> str:
        if self.blocks is not None:
            return f"<picture of a network: {len(self.blocks.blocks)} blocks>"
        return f"<picture of a network: {' -> '.join(str(column.size) for column in self.columns)} nodes>"

    def _repr_svg_(self) -> str:
        return self.svg()


ASSETS = Path(__file__).parent / "assets"


def draw(
    model: Module,
    sample: Any = None,
    *others: Any,
    gradients: bool = False,
    max_units: int = 10,
    names: Sequence[str] = (),
    numbers: bool = False,
) -> NetworkPicture:
    """Draw `model` as columns of circles joined by arrows, or if it is no row of dense layers, as blocks.

    With a `sample` (features,), each circle is filled by its activation: blue if positive, vermillion if negative, and
    stronger if it is larger.  Arrows are coloured by the sign of their weight (negative ones are dashed), and are
    thicker for larger weights; with `gradients=True` they show d(loss)/d(weight) instead.  A column with more than
    `max_units` nodes shows its first and last ones.  `numbers=True` writes the weights, biases and activations into a
    picture of at most 60 arrows.  `names` label the outputs.

    The columns are the model's `nn.Linear` modules, in the order in which data passes them; a value that skips layers
    is a curve with the op that joins it; activations, and the ops between two layers, are named above the column that
    they change.  A model that is not an `nn.Sequential` is called once to see this, on zeros or on `sample` and, for a
    model of several inputs, the `others`.

    Any other model (convolutions, recurrence, attention, branches) is drawn as blocks: one for each call of a layer, or
    of an op between layers, with its parameters, the shape of its output, and arrows as the data of `sample` flows.  A
    sample without a batch axis gets one if the model needs it.  Above 24 blocks, inner modules are folded.

    Raises ValueError for a model that has neither columns nor takes the sample, and where there are no columns for
    `gradients` or `numbers`; also for `gradients=True` before backward(), and `numbers=True` with more arrows.

    >>> import nn
    >>> draw(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), np.ones(3, np.float32))
    <picture of a network: 3 -> 4 -> 2 nodes>
    >>> draw(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2)), np.ones((1, 8, 8)))
    <picture of a network: 6 blocks>
    """
    try:
        columns = columns_of(model, sample, max_units, *others)
    except ValueError as error:
        if gradients or numbers:
            raise
        try:
            return NetworkPicture(names=names, blocks=blocks_of(model, *([] if sample is None else [sample, *others])))
        except ValueError as other:
            raise ValueError(f"{error}; and as blocks: {other}") from error
    strengths = []
    for column in columns[1:]:
        assert column.layer is not None
        weight = column.layer.weight
        if gradients and weight.grad is None:
            raise ValueError(f"gradients=True needs gradients, but {column.name}.weight has none; call backward()")
        strengths.append(weight.grad.data if gradients and weight.grad is not None else weight.data)
    arrows = sum(len(a.shown) * len(b.shown) for a, b in itertools.pairwise(columns))
    if numbers and arrows > NUMBERS:
        raise ValueError(f"numbers=True is for pictures of at most {NUMBERS} arrows, and this one has {arrows}")
    return NetworkPicture(columns, strengths, "d(loss)/d(weight)" if gradients else "weight", names, numbers)


def network_svg(
    columns: Sequence[Column], strengths: Sequence[Any], what: str, names: Sequence[str], *, numbers: bool = False
) -> str:
    """Return the SVG; its lines and circles are in the order of `flat_weights` and `flat_values`."""
    most = max(len(column.shown) + bool(column.left_out) for column in columns)
    lanes = _lanes(columns)
    filled = any(column.values is not None for column in columns)
    width = 2 * SIDE + STEP * (len(columns) - 1)
    height = TOP + most * ROW + 44 + LANE * max(lanes.values(), default=0) + 20 * filled
    spots = [_spots(column, i, most) for i, column in enumerate(columns)]
    weights = flat_weights(columns, strengths)
    largest = max(float(np.abs(weights[np.isfinite(weights)]).max(initial=0.0)), 1e-12)
    lines, k = [], 0
    for before, after in itertools.pairwise(spots):
        for x2, y2 in after:
            for x1, y1 in before:
                looks = arrow_looks(float(weights[k]), largest)
                lines.append(
                    f'<line x1="{x1 + RADIUS}" y1="{y1:g}" x2="{x2 - RADIUS - 4}" y2="{y2:g}" {looks}>'
                    f"<title>{html.escape(what)} {weights[k]:.4g}</title></line>"
                )
                k += 1
    circles = []
    values, tops = flat_values(columns), scales(columns)
    for (x, y), value, top in zip((spot for column in spots for spot in column), values, tops, strict=True):
        said = "" if np.isnan(value) else f"<title>activation {value:.4g}</title>"
        circles.append(
            f'<circle cx="{x}" cy="{y:g}" r="{RADIUS}" {node_looks(float(value), float(top))}>{said}</circle>'
        )
    texts = [_titles(column, i, most) for i, column in enumerate(columns)]
    for (x, y), name in zip(spots[-1], names, strict=False):
        texts.append(f'<text x="{x + RADIUS + 6}" y="{y + 4:g}" class="name">{html.escape(str(name))}</text>')
    if numbers:
        texts += [*_weights(spots, weights), *_activations(spots, columns)]
    note = f"arrow: {what}, thicker if larger (largest {largest:.3g}); solid blue: positive, dashed orange: negative"
    note += "; grey curve: a skip" if lanes else ""
    note += "; b: bias" if numbers else ""
    width = max(width, 560)
    scale = NUMBERS_SCALE if numbers else 1
    tip = (
        '<marker id="to" viewBox="0 0 6 6" refX="1" refY="3" markerWidth="5" markerHeight="5" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#888888"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width * scale:g}" '
        f'height="{height * scale:g}" class="themed" font-family="Helvetica, Arial, sans-serif" font-size="12" '
        f'role="img" aria-label="a network of {" to ".join(str(c.size) for c in columns)} nodes"><defs>{tip}</defs>'
        f'<g class="arrows" fill="none" marker-end="url(#to)">{"".join(lines)}</g>'
        f'<g class="skips" fill="none" stroke="{GREY}" stroke-width="2">{_curves(spots, lanes)}</g>'
        f'<g class="nodes" stroke="{INK}" stroke-width="1.2">{"".join(circles)}</g>'
        f'<g class="words" fill="{INK}">{"".join(texts)}'
        f'<text x="{SIDE - 60}" y="{height - 10 - 20 * filled}" fill="{GREY}" class="note">{html.escape(note)}</text>'
        f"</g>{_legend(height - 8) if filled else ''}</svg>"
    )


def _weights(spots: Sequence[Sequence[tuple[int, float]]], weights: Sequence[float]) -> list[str]:
    """The number of each arrow, at a place on it where no other number is."""
    texts: list[str] = []
    taken: list[tuple[float, ...]] = [(x, y, 2.0 * RADIUS, 2.0 * RADIUS) for column in spots for x, y in column]
    pairs = [(p, q) for before, after in itertools.pairwise(spots) for q in after for p in before]
    for ((x1, y1), (x2, y2)), weight in zip(pairs, weights, strict=True):
        wide = 3.6 * len(f"{weight:.3g}")
        shares = [i / 20 for i in range(3, 18)]
        places = [(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, wide, 7.0) for share in shares]
        best = min(places, key=lambda place: sum(_over(place, other) for other in taken))
        taken.append(best)
        texts.append(_number(best[0], best[1] + 2, float(weight), "weight"))
    return texts


def _over(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The area that two rectangles (centre, width, height) share."""
    wide, high = ((a[i + 2] + b[i + 2]) / 2 - abs(a[i] - b[i]) for i in (0, 1))
    return max(0.0, wide) * max(0.0, high)


def _activations(spots: Sequence[Sequence[tuple[int, float]]], columns: Sequence[Column]) -> list[str]:
    """The activation in each circle, and the bias below it."""
    texts = []
    for places, column in zip(spots, columns, strict=True):
        bias = None if column.layer is None else column.layer.bias
        for (x, y), unit in zip(places, column.shown, strict=True):
            if column.values is not None:
                texts.append(_number(x, y + 2, float(column.values[unit]), "value"))
            if bias is not None:
                texts.append(_number(x, y + RADIUS + 7, float(bias.data[unit]), "bias", "b "))
    return texts


def _number(x: float, y: float, number: float, kind: str, before: str = "") -> str:
    looks = f'class="{kind}" font-size="6" text-anchor="middle" stroke="#ffffff" stroke-width="1.4"'
    return f'<text x="{x:g}" y="{y:g}" {looks} paint-order="stroke">{before}{number:.3g}</text>'


def _lanes(columns: Sequence[Column]) -> dict[Skip, int]:
    """The lane of each skip below the columns, from 1; skips that share a stretch have lanes of their own."""
    lanes: dict[Skip, int] = {}
    for skip in sorted((skip for column in columns for skip in column.skips), key=lambda skip: skip.end - skip.start):
        beside = {lane for other, lane in lanes.items() if other.start < skip.end and skip.start < other.end}
        lanes[skip] = next(lane for lane in range(1, len(lanes) + 2) if lane not in beside)
    return lanes


def _curves(spots: Sequence[Sequence[tuple[int, float]]], lanes: Mapping[Skip, int]) -> str:
    """The skips as curves below the columns, with the names of the ops that join them."""
    lowest = max(y for column in spots for _, y in column) + RADIUS
    parts = []
    for skip, lane in lanes.items():
        (x1, y1), (x2, y2) = spots[skip.start][-1], spots[skip.end][-1]
        y = lowest + LANE * lane
        path = f"M{x1 + 4},{y1 + RADIUS:g} C{x1 + 4},{y:g} {x1 + 4},{y:g} {x1 + 60},{y:g} L{x2 - 64},{y:g}"
        path += f" C{x2 - 6},{y:g} {x2 - 6},{y:g} {x2 - 6},{y2 + RADIUS + 5:g}"
        name = html.escape(skip.joins)
        parts.append(
            f'<path d="{path}" marker-end="url(#to)"><title>skip: {name} joins these values</title></path>'
            f'<text x="{x1 + STEP / 2:g}" y="{y - 5:g}" text-anchor="middle" stroke="none" fill="{GREY}">{name}</text>'
        )
    return "".join(parts)


def arrow_looks(weight: float, largest: float) -> str:
    """The SVG attributes of an arrow; one whose weight is not finite is red."""
    if not np.isfinite(weight):
        return 'stroke="#C00000" stroke-width="4"'
    size = min(1.0, abs(weight) / largest)
    dashed = ' stroke-dasharray="5 3"' if weight < 0 else ""
    colour = BLUE if weight >= 0 else VERMILLION
    width, opacity = THIN + (WIDE - THIN) * size, 0.25 + 0.75 * size
    return f'stroke="{colour}" stroke-width="{width:.2f}" stroke-opacity="{opacity:.2f}"{dashed}'


def node_looks(value: float, top: float) -> str:
    """The SVG fill of a node with this activation."""
    if np.isnan(value):
        return 'fill="#ffffff"'
    return f'fill="{BLUE if value >= 0 else VERMILLION}" fill-opacity="{min(1.0, abs(value) / top):.2f}"'


def _legend(y: float) -> str:
    """The fill of the circles in words, with circles as examples."""
    x, parts = SIDE - 60, []
    for shares, text in (((-1, -0.4), "negative"), ((0, 0.4, 1), "activation 0 to positive")):
        for share in shares:
            parts.append(f'<circle cx="{x + 6}" cy="{y - 4:g}" r="6" stroke="{INK}" {node_looks(share, 1)}/>')
            x += 16
        parts.append(f'<text x="{x + 2}" y="{y:g}" fill="{GREY}" class="note">{text}</text>')
        x += 10 + round(6.6 * len(text))
    parts.append(f'<text x="{x}" y="{y:g}" fill="{GREY}" class="note">full colour: the largest of the column</text>')
    return f'<g class="legend">{"".join(parts)}</g>'


def _spots(column: Column, i: int, most: int) -> list[tuple[int, float]]:
    """The positions of the shown nodes of column i; a column that omits nodes has a gap in the middle."""
    count = len(column.shown) + bool(column.left_out)
    top = TOP + RADIUS + (most - count) * ROW / 2
    rows = [n + (1 if column.left_out and n >= (len(column.shown) + 1) // 2 else 0) for n in range(len(column.shown))]
    return [(SIDE + STEP * i, top + ROW * row) for row in rows]


def _titles(column: Column, i: int, most: int) -> str:
    x = SIDE + STEP * i
    unit = "node" if column.size == 1 else "nodes"
    said = f'<text x="{x}" y="18" text-anchor="middle" font-weight="bold"><title>{html.escape(column.title)}</title>'
    said += f"{html.escape(column.heading)}</text>"
    said += f'<text x="{x}" y="34" text-anchor="middle" fill="{GREY}">{column.size:,} {unit}</text>'
    if column.left_out:
        count = len(column.shown) + 1
        y = TOP + RADIUS + (most - count) * ROW / 2 + ROW * ((len(column.shown) + 1) // 2)
        said += f'<text x="{x}" y="{y + 4:g}" text-anchor="middle" fill="{GREY}">… {column.left_out:,} more …</text>'
    return said
