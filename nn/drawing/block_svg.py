"""Draw blocks below one another: the next one at the end of a straight arrow, and any other at the end of a curve."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence

from .blocks import Block, Blocks

BLUE, INK, GREY, VERMILLION = "#0072B2", "#222222", "#5f6368", "#D55E00"
WIDTH, HEIGHT, GAP, LANE, SIDE, TOP = 430, 42, 22, 18, 60, 14
SHEETS = 5  # most channels that are drawn; their number is written beside them


def blocks_svg(picture: Blocks, names: Sequence[str] = ()) -> str:
    """Return the SVG; `names` are those of the outputs."""
    blocks = picture.blocks
    curves = [(a, b) for a, b in picture.links if b != a + 1]
    lanes = _lanes(curves)
    right = SIDE + WIDTH
    width = right + LANE * (max(lanes.values(), default=0) + 1) + 24
    tops = [TOP + i * (HEIGHT + GAP) for i in range(len(blocks))]
    words = _caption(picture, width)
    height = tops[-1] + HEIGHT + 24 + 16 * len(words)
    parts = [_block(block, top, names) for block, top in zip(blocks, tops, strict=True)]
    middle = SIDE + WIDTH / 2
    for a, b in picture.links:
        if b == a + 1:
            parts.append(_arrow(f"M{middle},{tops[a] + HEIGHT} L{middle},{tops[b] - 5}", blocks, a, b))
            continue
        x, start, end = right + LANE * lanes[a, b] + 6, tops[a] + HEIGHT * 0.72, tops[b] + HEIGHT * 0.28
        path = f"M{right},{start:g} C{x},{start:g} {x},{start:g} {x},{start + 18:g} L{x},{end - 18:g}"
        parts.append(_arrow(f"{path} C{x},{end:g} {x},{end:g} {right + 6},{end:g}", blocks, a, b))
    for i, line in enumerate(words):
        parts.append(_text(16, tops[-1] + HEIGHT + 26 + 16 * i, line, f'fill="{GREY}" font-size="11" class="note"'))
    tip = (
        '<marker id="down" viewBox="0 0 6 6" refX="1" refY="3" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="{GREY}"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'class="themed" font-family="Helvetica, Arial, sans-serif" font-size="12" role="img" '
        f'aria-label="a network of {len(blocks)} blocks"><defs>{tip}</defs>{"".join(parts)}</svg>'
    )


def _lanes(curves: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The lane of each curve, from 1; curves that share a stretch have lanes of their own."""
    lanes: dict[tuple[int, int], int] = {}
    for a, b in sorted(curves, key=lambda ends: ends[1] - ends[0]):
        beside = {lane for (c, d), lane in lanes.items() if c < b and a < d}
        lanes[a, b] = next(lane for lane in range(1, len(lanes) + 2) if lane not in beside)
    return lanes


def _arrow(path: str, blocks: Sequence[Block], a: int, b: int) -> str:
    ends = " to ".join((blocks[i].name or blocks[i].title) for i in (a, b))
    looks = f'fill="none" stroke="{GREY}" stroke-width="1.6" marker-end="url(#down)"'
    return f'<path class="link" data-ends="{a} {b}" d="{path}" {looks}><title>{html.escape(ends)}</title></path>'


def _block(block: Block, top: int, names: Sequence[str]) -> str:
    """A box with its name and kind, and on the right its parameters and what leaves it."""
    colour, dash, radius = INK, "", 9
    if block.kind in ("input", "output"):
        colour, dash, radius = GREY, ' stroke-dasharray="5 4"', 2
    elif block.parameters or block.shared:
        colour = BLUE
    parts = []
    if block.kind == "folded":
        parts.append(_box(SIDE + 4, top - 4, GREY, "", radius))
    parts.append(_box(SIDE, top, colour, dash, radius))
    if block.channels:
        parts.append(_sheets(block.channels, top))
    if block.steps:
        parts.append(_loop(block.steps, top))
    end = SIDE + WIDTH - 10
    shapes = "; ".join(_shape(shape) for shape in block.shapes)
    counted = f"{block.parameters:,} parameter{'s' * (block.parameters != 1)}" if block.parameters else ""
    shared = f"shares those of {', '.join(block.shared)}" if block.shared else ""
    title = f"output: {', '.join(map(str, names))}" if block.kind == "output" and names else block.title
    name = f'<tspan font-weight="bold">{html.escape(_cut(block.name, 24))}</tspan> ' if block.name else ""
    weight = ' font-weight="bold"' if block.kind == "op" else ""
    room = 62 - len(_cut(block.name, 24)) - len(_cut(shapes, 30))
    below = ", ".join(text for text in (counted, shared) if text)
    y = top + (17 if below else 25)
    parts.append(f'<text x="{SIDE + 10}" y="{y}" fill="{INK}"{weight}>{name}{html.escape(_cut(title, room))}</text>')
    parts.append(_text(end, y, _cut(shapes, 30), f'fill="{INK}" text-anchor="end"'))
    parts.append(_text(SIDE + 10, top + 33, _cut(below, 70), f'fill="{BLUE}" font-size="11"'))
    said = " ".join(text for text in (block.name, title, shapes, counted, shared) if text)
    return f'<g class="block {block.kind}"><title>{html.escape(said)}</title>{"".join(parts)}</g>'


def _box(x: int, y: int, colour: str, dash: str, radius: int) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{radius}" fill="#ffffff" '
        f'stroke="{colour}" stroke-width="1.5"{dash}/>'
    )


def _sheets(channels: int, top: int) -> str:
    """Channels as sheets behind one another, with their number."""
    count = min(channels, SHEETS)
    sheets = "".join(
        f'<rect x="{8 + 3 * i}" y="{top + 3 * i}" width="20" height="20" fill="#ffffff" stroke="{BLUE}"/>'
        for i in range(count)
    )
    return f'<g class="channels"><title>{channels} channels</title>{sheets}</g>' + _text(
        8, top + HEIGHT, f"{channels} ch", f'fill="{BLUE}" font-size="11"'
    )


def _loop(steps: int, top: int) -> str:
    """The state that goes back into a recurrence, and how often."""
    path = f"M{SIDE},{top + 32} C{SIDE - 34},{top + 38} {SIDE - 34},{top + 4} {SIDE - 7},{top + 10}"
    looks = f'fill="none" stroke="{VERMILLION}" stroke-width="1.6" marker-end="url(#down)"'
    said = f"<title>the state of each step goes into the next one, {steps} steps</title>"
    return f'<path class="loop" d="{path}" {looks}>{said}</path>' + _text(
        2, top + 25, f"{steps}x", f'fill="{VERMILLION}" font-size="11"'
    )


def _caption(picture: Blocks, width: int) -> list[str]:
    said = ["Top to bottom: one call in eval() mode. Right: the shape of what leaves a block."]
    if any(block.channels for block in picture.blocks):
        said.append(f"Sheets: channels, at most {SHEETS} are drawn.")
    if any(block.steps for block in picture.blocks):
        said.append("Loop: the state goes from step to step.")
    return textwrap.wrap(" ".join([*said, *picture.remarks]), int(width / 5.8))


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(x: float, y: float, text: str, looks: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" {looks}>{html.escape(text)}</text>' if text else ""
