"""The step-by-step page of a snapshot: every step of the forward and of the backward pass."""

from __future__ import annotations

import html
import math
import re
from typing import Any

from .array_summary import ArraySummary, shape_text
from .dot import copied, penwidth, size_of, word_of
from .page import ASSETS, Page
from .snapshot import Arrow, Box, Snapshot


def to_page(snapshot: Snapshot, closed: list[int] | None = None) -> Page:
    """Return the page; the calls whose numbers are in `closed` start folded."""
    largest = max(map(size_of, snapshot.arrows), default=0.0)
    backward = _backward_arrows(snapshot)
    data = {
        "boxes": [_box(box) for box in snapshot.boxes],
        "arrows": [_arrow(arrow, largest) for arrow in snapshot.arrows],
        "calls": [{"title": call.title, "parent": call.parent} for call in snapshot.calls],
        "closed": closed or [],
        "steps": [*_forward(snapshot), *_seed(snapshot), *_backward(snapshot, backward)],
        "folded": " ".join(text for text in (*snapshot.remarks, snapshot.folded) if text),
    }
    loss = next((box for box in snapshot.boxes if box.kind == "loss"), None)
    title = f"Backpropagation of {_name(loss) if loss else 'the loss'}, step by step"
    return Page(
        title, _BODY.format(title=html.escape(title)), data, styles=[ASSETS / "steps.css"],
        scripts=[ASSETS / name for name in ("layout.js", "steps.js")],
    )  # fmt: skip


_BODY = """<main>
<h1>{title}</h1>
<div id="player"></div>
<section id="now" aria-live="polite"><p id="sentence"></p><div id="numbers"></div></section>
<div id="picture" tabindex="0" role="region" aria-label="The graph; tab through its boxes"></div>
<section id="details" aria-label="Details of a box"><p class="hint">Point at a box, or tab to it, for its shape, dtype,
histogram and source line. Click a module to close or open it.</p></section>
</main>"""


def _box(box: Box) -> dict[str, Any]:
    mark = f" ({box.mark})" if box.mark else ""
    title = " ".join(box.title.split()) or (box.kind if box.kind != "op" else "")
    return {
        "kind": box.kind,
        "title": title,
        "word": f"{word_of(box)} {'' if box.shape is None else shape_text(box.shape)}".strip() + mark,
        "dtype": box.dtype,
        "value": None if box.value is None else _summary(box.value),
        "gradient": box.gradient if isinstance(box.gradient, str) else _summary(box.gradient),
        "accumulated": box.accumulated,
        "order": box.order,
        "call": box.call,
        "line": box.line,
        "notes": list(box.notes),
        "copied": copied(box) if box.mark else "",
    }


def _summary(summary: ArraySummary) -> dict[str, Any]:
    said: dict[str, Any] = {"lines": list(summary.lines)}
    if summary.nonfinite:
        said["nonfinite"] = summary.nonfinite
    if summary.cells:
        said["cells"] = [[_cell(x) for x in row] for row in summary.cells]
    if summary.histogram is not None:
        low, high, counts = summary.histogram
        said["histogram"] = {"low": low, "high": high, "counts": list(counts)}
    return said


def _cell(x: float) -> float | str:
    """A number for JSON, which has no NaN."""
    return float(f"{x:.4g}") if math.isfinite(x) else str(x)


def _arrow(arrow: Arrow, largest: float) -> dict[str, Any]:
    said: dict[str, Any] = {"start": arrow.start, "end": arrow.end, "slot": arrow.slot + 1, "count": arrow.count}
    if arrow.cut:
        said["cut"] = True
    if arrow.gradient is not None:
        said["width"] = 5.0 if arrow.gradient.nonfinite else round(penwidth(arrow.gradient.rms, largest), 2)
        said["bad"] = bool(arrow.gradient.nonfinite)
    return said


def _name(box: Box) -> str:
    return " ".join((box.title or box.kind).split()).partition(" = ")[0]


def _forward(snapshot: Snapshot) -> list[dict[str, Any]]:
    """One step per op, in execution order."""
    inputs: dict[int, list[Arrow]] = {}
    for arrow in snapshot.arrows:
        inputs.setdefault(arrow.end, []).append(arrow)
    steps = []
    for i in sorted(inputs, key=lambda i: (snapshot.boxes[i].number or 0, i)):
        box = snapshot.boxes[i]
        operands = sorted(inputs[i], key=lambda arrow: arrow.slot)
        taken = ", ".join(_operand(snapshot.boxes[a.start]) for a in operands)
        made = ", ".join(box.value.lines) if box.value is not None else "a value that was not kept"
        name, equals, call = " ".join(box.title.split()).rpartition(" = ")
        op, *params = re.split(r" (?=\w+=)", call)
        text = f"Forward: {name}{equals}{op}({', '.join([taken, *params])}) = {made}."
        if box.kind == "folded":
            text = f"Forward: through {box.title}."
        rows = [["inputs", taken], ["output", made]]
        steps.append({"phase": "forward", "box": i, "text": text, "rows": rows})
    return steps


def _operand(box: Box) -> str:
    if box.kind == "constant" and not box.shape and box.value is not None:
        return ", ".join(box.value.lines)
    return _name(box)


def _seed(snapshot: Snapshot) -> list[dict[str, Any]]:
    places = [i for i, box in enumerate(snapshot.boxes) if box.kind == "loss" and not isinstance(box.gradient, str)]
    steps = []
    for i in places:
        gradient = snapshot.boxes[i].gradient
        assert isinstance(gradient, ArraySummary)
        given = ", ".join(gradient.lines)
        text = "Backward starts here: the gradient of the loss with respect to itself is 1."
        if given != "1":
            text = "Backward starts here, with the gradient that backward() was given."
        steps.append({"phase": "seed", "box": i, "text": text, "rows": [["d(loss)/d(loss)", given]]})
    return steps


def _backward_arrows(snapshot: Snapshot) -> list[int]:
    """The numbers of the arrows that a gradient flowed back along, in that order."""
    found = [i for i, arrow in enumerate(snapshot.arrows) if arrow.gradient is not None and arrow.total is not None]
    return sorted(found, key=lambda i: (-(snapshot.boxes[snapshot.arrows[i].end].number or 0), snapshot.arrows[i].slot))


def _backward(snapshot: Snapshot, order: list[int]) -> list[dict[str, Any]]:
    expected: dict[int, int] = {}
    arrived: dict[int, int] = {}
    for i in order:
        start = snapshot.arrows[i].start
        expected[start] = expected.get(start, 0) + 1
    steps = []
    for i in order:
        arrow = snapshot.arrows[i]
        assert arrow.gradient is not None and arrow.total is not None
        source, target = snapshot.boxes[arrow.end], snapshot.boxes[arrow.start]
        n, of = arrived.get(arrow.start, 0) + 1, expected[arrow.start]
        arrived[arrow.start] = n
        g = source.gradient if isinstance(source.gradient, ArraySummary) else None
        sent = arrow.rule or "its share"
        text = f"Backward: {_name(source)} takes dL/d(out) and sends {sent} to {_name(target)}."
        if n > 1:
            text += f" It is added to the gradient so far: contribution {n} of {of}."
        elif of > 1:
            text += f" This is the first of {of} contributions."
        contribution, total = ", ".join(arrow.gradient.lines), ", ".join(arrow.total.lines)
        rows = [["g, the incoming gradient", ", ".join(g.lines)]] if g else []
        rows += [["local rule", sent], ["contribution", contribution]]
        rows += [["running sum", f"{total} ({n} of {of})"]] if of > 1 else []
        steps.append(
            {"phase": "backward", "arrow": i, "box": arrow.end, "target": arrow.start, "text": text, "rows": rows}
            | {"sum": list(arrow.total.lines), "done": n == of, "nonfinite": arrow.total.nonfinite}
        )
    return steps
