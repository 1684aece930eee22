"""A snapshot of a graph: boxes (tensors) and arrows (operands) as plain data, before any layout or colour.

An op and its output are one box.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .array_summary import ArraySummary
from .modules import ModuleCall

# The text of a gradient that has no number to show.
NO_PATH = "0 (no path reaches it)"
NOT_YET = "not computed yet"
NOT_TRACKED = "not tracked"
UNSEEN = "not kept (backward() ran outside watch())"
OTHER = "not kept (a later backward() replaced it)"
ELSEWHERE = "not shown (backward() began at another tensor)"


@dataclass
class Box:
    """One tensor: the op that made it, its value and its gradient.

    `kind` is parameter, input (a named constant), constant, op, loss or folded.  `value` is None if it was not kept.
    `gradient` is an ArraySummary or one of the texts above; if `accumulated`, it is the leaf's `.grad`, to which other
    losses may have added, not the gradient of this loss alone.  `order` is the box's position in the backward pass,
    from 1; `call` is the index in `Snapshot.calls` of the call around the box; `number` orders the ops by execution;
    `line` is the line of the user's program, if the graph was watched; `mark` is a number that joins a box to its
    copies, where its cut arrows start, or 0.
    """

    kind: str
    title: str
    shape: tuple[int, ...] | None = None
    value: ArraySummary | None = None
    gradient: ArraySummary | str = NOT_TRACKED
    accumulated: bool = False
    order: int | None = None
    notes: tuple[str, ...] = ()
    call: int | None = None
    number: int | None = None
    dtype: str = ""
    line: str = ""
    mark: int = 0


@dataclass
class Arrow:
    """One operand slot: the box `start` feeds input number `slot` of the box `end` (`count` slots in one if folded).

    `gradient` is the share of d(loss)/d(start) that comes back through this slot, if it is known; `rule` is its
    formula, and `total` the sum of this share and the earlier ones.  If `cut`, it is drawn from a copy of its start.
    """

    start: int
    end: int
    slot: int = 0
    count: int = 1
    gradient: ArraySummary | None = None
    rule: str = ""
    total: ArraySummary | None = None
    cut: bool = False


@dataclass
class Snapshot:
    """A whole picture as data; an arrow's `start` and `end` are indices into `boxes`."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    calls: list[ModuleCall] = field(default_factory=list)
    folded: str = ""
    remarks: list[str] = field(default_factory=list)  # sentences for the caption
    closed: list[int] = field(default_factory=list)  # the calls that are folded
    rows: list[int] = field(default_factory=list)  # the row of each box, if the picture is in rows
