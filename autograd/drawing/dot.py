"""Write a snapshot as DOT text, the language of Graphviz.

Kinds of boxes differ by outline and word, and only then by colour (Okabe and Ito's palette, which colour-blind readers
can tell apart).  All text is escaped here and nowhere else.
"""

from __future__ import annotations

import html
import importlib
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from .array_summary import ArraySummary, shape_text
from .snapshot import Arrow, Box, Snapshot

ADVICE = "pip install plaingrad[pictures]"
INK, GREY, BLUE, VERMILLION, RED = "#222222", "#666666", "#0072B2", "#D55E00", "#C00000"
STYLES = {
    "parameter": {"shape": "box", "style": "bold", "color": BLUE, "penwidth": "2.5"},
    "input": {"shape": "box", "style": "dashed", "color": GREY},
    "constant": {"shape": "box", "style": "dashed", "color": GREY},
    "op": {"shape": "box", "style": "rounded", "color": INK},
    "loss": {"shape": "box", "peripheries": "2", "color": VERMILLION, "penwidth": "1.5"},
    "folded": {"shape": "box3d", "color": GREY},
}
NUMBERS = 16  # a parameter of at most this many elements is shown as numbers, a larger matrix as colours
LONG = 24  # a longer title of an op has its parameters on a line of their own
SOURCES = 3  # most sources of an op on one rank of a picture from top to bottom
BESIDE = 4  # most columns of a matrix with its gradient beside it, not below
DECADES, THIN, WIDE = 6, 0.8, 5.0  # gradients at least 10**6 times smaller than the largest get the thinnest arrow


def to_dot(snapshot: Snapshot, *, rankdir: str = "LR") -> str:
    """Return the DOT text of a snapshot.  Raises ImportError when the `graphviz` package is not installed."""
    try:
        graphviz: Any = importlib.import_module("graphviz")
    except ImportError as error:
        raise ImportError(f"drawing needs the graphviz package: {ADVICE}") from error
    graph = graphviz.Digraph("graph")
    font = {"fontname": "Helvetica", "fontsize": "11", "fontcolor": INK}
    graph.attr("graph", rankdir=rankdir, nodesep="0.25", ranksep="0.5", bgcolor="white", **font)
    graph.attr("graph", label=_html(_caption(snapshot)), labelloc="b", labeljust="l")
    graph.attr("node", margin="0.12,0.08", height="0.3", width="0.3", **font)
    graph.attr("edge", color=INK, arrowsize="0.7", **{**font, "fontsize": "9"})
    operands = _operands(snapshot)
    clusters = {None: graph} | {i: graphviz.Digraph(f"cluster_{i}") for i in range(len(snapshot.calls))}
    rows = snapshot.rows or [0] * len(snapshot.boxes)
    for i in sorted(range(len(rows)), key=lambda i: -rows[i]):  # Graphviz puts what it reads first at the bottom
        box = snapshot.boxes[i]
        tooltip = graphviz.escape(_plain(f"{box.title} {box.kind}"))
        label = _label(box, operands.get(i, []), rankdir)
        clusters[box.call].node(f"b{i}", label, tooltip=tooltip, **STYLES[box.kind])
    for arrow in {(arrow.start, arrow.end): arrow for arrow in snapshot.arrows if arrow.cut}.values():
        text, home = copied(snapshot.boxes[arrow.start]), snapshot.boxes[arrow.end].call
        looks = {"shape": "underline", "color": GREY, "fontcolor": GREY, "tooltip": graphviz.escape(text)}
        clusters[home].node(_name_of_start(arrow), _html(_text(text)), **looks)
    for i, call in reversed(list(enumerate(snapshot.calls))):  # innermost first: a frame is copied into its parent
        if clusters[i].body:
            frame = {"color": GREY, "style": "rounded", "margin": "12", "fontcolor": GREY, "fontsize": "10"}
            clusters[i].attr(label=_html(_text(call.title)), labeljust="l", labelloc="t", **frame)
            clusters[call.parent].subgraph(clusters[i])
    lengths = _lengths(snapshot) if rankdir in ("TB", "BT") else {}
    largest = max(map(size_of, snapshot.arrows), default=0.0)
    for arrow in snapshot.arrows:
        start, end = snapshot.boxes[arrow.start], f"b{arrow.end}"
        if not _is_merged(arrow, snapshot) and arrow.end in operands:
            end += f":i{arrow.slot + 1}"
        ends = _name_of_start(arrow), end
        looks = {"weight": "1" if start.kind in ("parameter", "constant") else "8"}  # data flows straight
        looks |= {"minlen": lengths[id(arrow)]} if id(arrow) in lengths else {}
        graph.edge(*ends, taillabel=f"{arrow.count:,} uses" if arrow.count > 1 else "", **looks)
        if arrow.gradient is not None:
            graph.edge(*ends, **_backward(arrow.gradient, largest))
    return str(graph.source)


def _lengths(snapshot: Snapshot) -> dict[int, str]:
    """The ranks that arrows span at least: sources at most three side by side, a module below the one before."""
    made = {arrow.end for arrow in snapshot.arrows}
    sources: dict[int, list[Arrow]] = {}
    for arrow in snapshot.arrows:
        if arrow.start not in made and not arrow.cut:
            sources.setdefault(arrow.end, []).append(arrow)
    found: dict[int, str] = {}
    above: dict[int, int] = {}
    for end, arrows in sources.items():
        ranks = above[end] = -(-len(arrows) // SOURCES)
        found |= {id(arrow): str(1 + i % ranks) for i, arrow in enumerate(arrows)}
    for arrow in snapshot.arrows:  # the sources of a module's first op lie below the module before
        if arrow.start in made and snapshot.boxes[arrow.start].call != snapshot.boxes[arrow.end].call:
            found[id(arrow)] = str(1 + above.get(arrow.end, 0))
    return found


def _is_merged(arrow: Arrow, snapshot: Snapshot) -> bool:
    """Whether an arrow joins a folded box, or stands for several."""
    return arrow.count > 1 or "folded" in (snapshot.boxes[arrow.start].kind, snapshot.boxes[arrow.end].kind)


def _operands(snapshot: Snapshot) -> dict[int, list[int]]:
    """The numbers of the operands of each box that has several, from 1."""
    found: dict[int, set[int]] = {}
    for arrow in snapshot.arrows:
        if not _is_merged(arrow, snapshot):
            found.setdefault(arrow.end, set()).add(arrow.slot + 1)
    return {i: sorted(slots) for i, slots in found.items() if max(slots) > 1}


def _name_of_start(arrow: Arrow) -> str:
    """The name of the DOT node where an arrow starts: its box, or if the arrow is cut, a copy of the box."""
    return f"c{arrow.start}_{arrow.end}" if arrow.cut else f"b{arrow.start}"


def _backward(gradient: ArraySummary, largest: float) -> dict[str, str]:
    """The attributes of the backward half of an arrow; a larger gradient makes it wider."""
    said = f"gradient, root mean square {gradient.rms:.4g}"
    looks = {"dir": "back", "style": "dashed", "color": VERMILLION, "tooltip": said, "edgetooltip": said}
    if gradient.nonfinite:
        return looks | {"color": RED, "penwidth": f"{WIDE:.2f}", "taillabel": "non-finite", "fontcolor": RED}
    return looks | {"penwidth": f"{penwidth(gradient.rms, largest):.2f}"}


def penwidth(size: float, largest: float) -> float:
    """The width in points of an arrow for a gradient of `size`, on a logarithmic scale up to `largest`.

    >>> [round(penwidth(size, 1.0), 2) for size in (1.0, 1e-3, 1e-9, 0.0)]
    [5.0, 2.9, 0.8, 0.8]
    """
    if size == 0 or largest == 0:
        return THIN
    share = 1 + math.log10(size / largest) / DECADES
    return THIN + (WIDE - THIN) * min(1.0, max(0.0, share))


def size_of(arrow: Arrow) -> float:
    """The root mean square of the gradient that flows back along an arrow; 0 if it is unknown or not finite."""
    return arrow.gradient.rms if arrow.gradient and not arrow.gradient.nonfinite else 0.0


def _caption(snapshot: Snapshot) -> str:
    words = ["Solid arrows: forward."]
    sizes = [size for size in map(size_of, snapshot.arrows) if size]
    if any(arrow.gradient for arrow in snapshot.arrows):
        span = f" (root mean square {min(sizes):.2g} to {max(sizes):.2g}, log scale)" if sizes else ""
        words.append(f"Dashed arrows: backward, wider for a larger gradient{span}.")
    shown = [x for box in snapshot.boxes for x in (box.value, box.gradient) if isinstance(x, ArraySummary)]
    if any("std " in line for summary in shown for line in summary.lines):
        words.append("std: standard deviation.")
    if any(_matrix(box) for box in snapshot.boxes):
        words.append("Cells: blue is positive, orange negative, and stronger is larger within its matrix.")
    if any(box.value is None and box.kind != "folded" for box in snapshot.boxes):
        words.append("Values not kept: compute the loss inside `with autograd.watch():` to see them.")
    words += [text for text in (*snapshot.remarks, snapshot.folded) if text]
    return "".join(f"{html.escape(line)}<BR ALIGN='LEFT'/>" for line in words)


def copied(box: Box) -> str:
    """The text of a copy of a box: `w (1)`."""
    name = _plain(box.title) or (" ".join(box.value.lines) if box.value and not box.shape else box.kind)
    return f"{_plain(name, 40)} ({box.mark})"


def word_of(box: Box) -> str:
    """The kind of a box in one word; a loss of several elements is an output."""
    return "output" if box.kind == "loss" and math.prod(box.shape or ()) != 1 else box.kind


def _label(box: Box, operands: Sequence[int], rankdir: str) -> str:
    """The lines of a box as a table: the operands, where arrows end; a heading; the value and the gradient."""
    shape = "" if box.shape is None else shape_text(box.shape)
    word = word_of(box)
    mark = f" ({box.mark})" if box.mark else ""
    if box.kind == "constant" and not box.shape:
        number = f"constant {' '.join(box.value.lines)}" if box.value else "constant, value not kept"
        return _html(_text(number + mark))
    name, params = box.title, ""
    if len(name) > LONG and box.kind in ("op", "loss"):
        name, params = re.split(r" (?=\w+=|$)", f"{box.title} ", maxsplit=1)
    title = f"<B>{_text(name)}</B>&nbsp; " if _plain(name) else ""  # markup may not be empty
    heading = f"{title}{_grey(f'{word} {shape}'.strip() + mark)}"
    rows = [
        f"<TR><TD ALIGN='LEFT' COLSPAN='3'>{text}</TD></TR>" for text in (heading, params and _grey(params)) if text
    ]
    order = "" if box.order is None else f"backward #{box.order}"
    if box.kind == "folded":
        rows += [f"<TR><TD ALIGN='LEFT' COLSPAN='2'>{_text(line)}</TD></TR>" for line in box.notes]
    elif _matrix(box):
        rows += _matrices(box)
    else:
        rows += _row("value", box.value if box.value is not None else "not kept")
        if box.gradient != "not tracked" or box.kind == "input":
            rows += _row(_grad(box), box.gradient, order)
    table = f"{_TABLE}{''.join(rows)}</TABLE>"
    return _html(_with_operands(table, operands, rankdir) if operands else table)


_TABLE = "<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='1'>"


def _with_operands(table: str, operands: Sequence[int], rankdir: str) -> str:
    """The table with a numbered cell for each operand, on the side where its arrow comes in."""
    cells = [f"<TD PORT='i{n}' BGCOLOR='#ECECEC'>{n}</TD>" for n in operands]
    side = "<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='3' CELLPADDING='2'>{}</TABLE>"
    if rankdir in ("TB", "BT"):
        side = side.format(f"<TR>{''.join(cells)}</TR>")
    else:
        side = side.format("".join(f"<TR>{cell}</TR>" for cell in cells))
    pair = [f"<TD>{side}</TD>", f"<TD>{table}</TD>"]
    pair = pair if rankdir in ("TB", "LR") else pair[::-1]
    between = "</TR><TR>" if rankdir in ("TB", "BT") else ""
    return f"{_TABLE}<TR>{between.join(pair)}</TR></TABLE>"


def _grad(box: Box) -> str:
    return ".grad" if box.accumulated else "grad"


def _matrix(box: Box) -> bool:
    """Whether a parameter is shown as a matrix of numbers or colours."""
    return box.kind == "parameter" and box.value is not None and bool(box.value.cells)


def _matrices(box: Box) -> list[str]:
    """The rows for the value and the gradient of a small matrix, side by side."""
    assert box.value is not None
    found = [("value", box.value), (_grad(box), box.gradient)]
    wide = len(box.value.cells[0]) > BESIDE
    columns = []
    for word, summary in found:
        texts = [_grey(word), _text(summary) if isinstance(summary, str) else _coloured(summary)]
        if not isinstance(summary, str):
            texts += [_nonfinite(summary.nonfinite)] * (summary.nonfinite > 0)
            texts += [] if _few(summary) else map(_text, summary.lines)
        columns.append(texts)
    if wide:
        return [f"<TR><TD ALIGN='LEFT'>{text}</TD></TR>" for texts in columns for text in texts]
    pairs = itertools.zip_longest(*columns, fillvalue="")
    return [f"<TR><TD ALIGN='LEFT'>{a}</TD><TD WIDTH='10'></TD><TD ALIGN='LEFT'>{b}</TD></TR>" for a, b in pairs]


def _few(summary: ArraySummary) -> bool:
    return len(summary.cells) * len(summary.cells[0]) <= NUMBERS


def _coloured(summary: ArraySummary) -> str:
    """A matrix as a table: numbers in colour, or colours alone if it is larger."""
    numbers = _few(summary)
    largest = max((abs(x) for row in summary.cells for x in row if math.isfinite(x)), default=0.0)
    rows = []
    for row in summary.cells:
        looks = "" if numbers else " WIDTH='10' HEIGHT='10' FIXEDSIZE='TRUE'"
        cells = [
            f"<TD ALIGN='RIGHT' BGCOLOR='{shade(x, largest)}'{looks}>{f'{x:.3g}' if numbers else ''}</TD>" for x in row
        ]
        rows.append(f"<TR>{''.join(cells)}</TR>")
    size = f" FIXEDSIZE='TRUE' WIDTH='{11 * len(summary.cells[0]) + 1}' HEIGHT='{11 * len(rows) + 1}'"
    looks = f"BORDER='0' CELLBORDER='0' CELLSPACING='1' CELLPADDING='1' ALIGN='LEFT'{'' if numbers else size}"
    return f"<TABLE {looks}>{''.join(rows)}</TABLE>"


def shade(x: float, largest: float) -> str:
    """The colour of a cell: blue for positive numbers, orange for negative ones, and paler for smaller ones.

    >>> shade(0.0, 2.0), shade(2.0, 2.0), shade(-1.0, 2.0)
    ('#ffffff', '#80b8d8', '#f4d7bf')
    """
    if not math.isfinite(x):
        return "#F0A0A0"
    share = 0.5 * abs(x) / largest if largest else 0.0
    full = BLUE if x > 0 else VERMILLION
    parts = [int(full[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)


def _row(word: str, summary: ArraySummary | str, order: str = "") -> list[str]:
    lines = [summary] if isinstance(summary, str) else list(summary.lines)
    cells = [_text(line) for line in lines]
    if not isinstance(summary, str) and summary.nonfinite:
        cells.append(_nonfinite(summary.nonfinite))
    if order:
        cells.append(f"<FONT COLOR='{VERMILLION}'>{_text(order)}</FONT>")
    words = [f"{_grey(word)}&nbsp; "] + [""] * (len(cells) - 1)
    return [f"<TR><TD ALIGN='LEFT'>{a}</TD><TD ALIGN='LEFT'>{b}</TD></TR>" for a, b in zip(words, cells, strict=True)]


def _nonfinite(count: int) -> str:
    return f"<FONT COLOR='{RED}'><B>{count:,} non-finite</B></FONT>"


def _grey(word: str) -> str:
    return f"<FONT COLOR='{GREY}'>{_text(word)}</FONT>"


def _plain(text: str, most: int = 60) -> str:
    """`text` as one line without control characters, cut to fit a box."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _text(text: str) -> str:
    """Escape `text` for an HTML-like label, where Graphviz reads entities and then backslash sequences."""
    return html.escape(_plain(text)).replace("\\", "\\\\")


def _html(markup: str) -> str:
    """Put markup in angle brackets, so that Graphviz reads it as markup."""
    return f"<{markup}>"
