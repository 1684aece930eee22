"""Write a snapshot as DOT text, the language of Graphviz.

Kinds of boxes differ by outline and word, and only then by colour (Okabe and Ito's palette, which colour-blind readers
can tell apart).  All text is escaped here and nowhere else.
"""

from __future__ import annotations

import html
import importlib
import math
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
DECADES, THIN, WIDE = 6, 0.8, 5.0  # gradients at least 10**6 times smaller than the largest get the thinnest arrow


def to_dot(snapshot: Snapshot, *, rankdir: str = "LR") -> str:
    """Return the DOT text of a snapshot.  Raises ImportError when the `graphviz` package is not installed."""
    try:
        graphviz: Any = importlib.import_module("graphviz")
    except ImportError as error:
        raise ImportError(f"drawing needs the graphviz package: {ADVICE}") from error
    graph = graphviz.Digraph("graph")
    font = {"fontname": "Helvetica", "fontsize": "11", "fontcolor": INK}
    graph.attr("graph", rankdir=rankdir, nodesep="0.3", ranksep="0.75", bgcolor="white", **font)
    graph.attr("graph", label=_html(_caption(snapshot)), labelloc="b", labeljust="l")
    graph.attr("node", margin="0.12,0.08", height="0.3", width="0.3", **font)
    graph.attr("edge", color=INK, arrowsize="0.7", **{**font, "fontsize": "9"}, labeldistance="1.6", labelangle="35")
    clusters = {None: graph} | {i: graphviz.Digraph(f"cluster_{i}") for i in range(len(snapshot.calls))}
    for i, box in enumerate(snapshot.boxes):
        tooltip = graphviz.escape(_plain(f"{box.title} {box.kind}"))
        clusters[box.call].node(f"b{i}", _label(box), tooltip=tooltip, **STYLES[box.kind])
    for arrow in {(arrow.start, arrow.end): arrow for arrow in snapshot.arrows if arrow.cut}.values():
        text, home = copied(snapshot.boxes[arrow.start]), snapshot.boxes[arrow.end].call
        looks = {"shape": "underline", "color": GREY, "fontcolor": GREY, "tooltip": graphviz.escape(text)}
        clusters[home].node(_name_of_start(arrow), _html(_text(text)), **looks)
    for i, call in reversed(list(enumerate(snapshot.calls))):  # innermost first: a frame is copied into its parent
        if clusters[i].body:
            frame = {"color": GREY, "style": "rounded", "margin": "12", "fontcolor": GREY, "fontsize": "10"}
            clusters[i].attr(label=_html(_text(call.title)), labeljust="l", labelloc="t", **frame)
            clusters[call.parent].subgraph(clusters[i])
    operands = {arrow.end for arrow in snapshot.arrows if arrow.slot}
    largest = max(map(size_of, snapshot.arrows), default=0.0)
    for arrow in snapshot.arrows:
        ends = _name_of_start(arrow), f"b{arrow.end}"
        if arrow.count > 1 or "folded" in (snapshot.boxes[arrow.start].kind, snapshot.boxes[arrow.end].kind):
            graph.edge(*ends, taillabel=f"{arrow.count:,} uses" if arrow.count > 1 else "")
        else:
            graph.edge(*ends, headlabel=str(arrow.slot + 1) if arrow.end in operands else "", labelfontcolor=GREY)
        if arrow.gradient is not None:
            graph.edge(*ends, **_backward(arrow.gradient, largest))
    return str(graph.source)


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


def _label(box: Box) -> str:
    """The lines of a box as a table: a heading, then a row for the value and one for the gradient."""
    shape = "" if box.shape is None else shape_text(box.shape)
    word = word_of(box)
    mark = f" ({box.mark})" if box.mark else ""
    if box.kind == "constant" and not box.shape:
        number = f"constant {' '.join(box.value.lines)}" if box.value else "constant, value not kept"
        return _html(_text(number + mark))
    title = f"<B>{_text(box.title)}</B>&nbsp; " if _plain(box.title) else ""  # markup may not be empty
    heading = f"{title}{_grey(f'{word} {shape}'.strip() + mark)}"
    rows = [f"<TR><TD ALIGN='LEFT' COLSPAN='2'>{heading}</TD></TR>"]
    if box.kind == "folded":
        rows += [f"<TR><TD ALIGN='LEFT' COLSPAN='2'>{_text(line)}</TD></TR>" for line in box.notes]
    else:
        rows += _row("value", box.value if box.value is not None else "not kept")
        if box.gradient != "not tracked" or box.kind == "input":
            order = "" if box.order is None else f"backward #{box.order}"
            rows += _row(".grad" if box.accumulated else "grad", box.gradient, order)
    return _html(f"<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='1'>{''.join(rows)}</TABLE>")


def _row(word: str, summary: ArraySummary | str, order: str = "") -> list[str]:
    lines = [summary] if isinstance(summary, str) else list(summary.lines)
    cells = [_text(line) for line in lines]
    if not isinstance(summary, str) and summary.nonfinite:
        cells.append(f"<FONT COLOR='{RED}'><B>{summary.nonfinite:,} non-finite</B></FONT>")
    if order:
        cells.append(f"<FONT COLOR='{VERMILLION}'>{_text(order)}</FONT>")
    words = [f"{_grey(word)}&nbsp; "] + [""] * (len(cells) - 1)
    return [f"<TR><TD ALIGN='LEFT'>{a}</TD><TD ALIGN='LEFT'>{b}</TD></TR>" for a, b in zip(words, cells, strict=True)]


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
