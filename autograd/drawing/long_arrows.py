"""Cut arrows that pass many ranks, or lead to the next row: each then starts at a copy of its box, beside its op.

Graphviz puts a box of its own on every rank that an arrow passes, and its time grows with the square of their number:
three weights of an unrolled recurrence of 40 steps pass 10,000 ranks, which took minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .snapshot import Arrow, Snapshot

PASSED = 200  # ranks that all arrows together may pass, or one per box in a larger picture
ROW = 4  # most ranks side by side: with a copy before them they are about 1600 pixels wide
COPIES = "Numbers as in (1) join a box to its underlined copies, which replace long arrows."


def cut_long_arrows(snapshot: Snapshot) -> None:
    """Cut the longest arrows, until the others pass few ranks, and give their boxes a mark, from 1.

    Graphviz chooses ranks that make the sum of all lengths least, so these ranks give an upper bound of its sum.
    """
    arrows = snapshot.arrows
    ranks = ranks_of(len(snapshot.boxes), arrows)
    passed = [ranks[arrow.end] - ranks[arrow.start] - 1 for arrow in arrows]
    left, most = sum(passed), max(PASSED, len(snapshot.boxes))
    for i in sorted(range(len(arrows)), key=lambda i: -passed[i]):
        if left <= most:
            break
        arrows[i].cut = True
        left -= passed[i]
    _mark(snapshot)


def in_rows(snapshot: Snapshot) -> Snapshot:
    """Return a wide snapshot with its ranks in rows: without the arrows between them, Graphviz stacks the rows."""
    ranks = ranks_of(len(snapshot.boxes), snapshot.arrows)
    count = max(ranks, default=0) - min(ranks, default=0) + 1
    if count <= ROW:
        return snapshot
    size = -(-count // -(-count // ROW))  # as many ranks in every row
    row = [(rank - min(ranks)) // size for rank in ranks]
    ops = {arrow.end for arrow in snapshot.arrows}
    for arrow in sorted(snapshot.arrows, key=lambda arrow: -row[arrow.end]):
        if arrow.start not in ops:
            row[arrow.start] = row[arrow.end]  # a source is in the row of the first op that reads it
    arrows = [replace(arrow, cut=arrow.cut or row[arrow.start] != row[arrow.end]) for arrow in snapshot.arrows]
    boxes = [replace(box) for box in snapshot.boxes]
    remarks = [text for text in snapshot.remarks if text != COPIES]
    made = replace(snapshot, boxes=boxes, arrows=arrows, remarks=remarks, rows=row)
    _mark(made)
    return made


def _mark(snapshot: Snapshot) -> None:
    """Number the boxes where cut arrows start."""
    cut = {arrow.start for arrow in snapshot.arrows if arrow.cut}
    for mark, place in enumerate(sorted(cut, key=lambda i: (snapshot.boxes[i].number or 0, i)), 1):
        snapshot.boxes[place].mark = mark
    if any(arrow.cut for arrow in snapshot.arrows):
        snapshot.remarks.append(COPIES)


def ranks_of(count: int, arrows: Sequence[Arrow]) -> list[int]:
    """Return the rank of each of `count` boxes: its longest path from a source.

    Sources, and ops that read only them (the input of a late step of a recurrence), are as near as possible to what
    they feed.

    >>> ranks_of(4, [Arrow(0, 1), Arrow(1, 2), Arrow(3, 2)])
    [0, 1, 2, 1]
    """
    into: list[list[int]] = [[] for _ in range(count)]
    out: list[list[int]] = [[] for _ in range(count)]
    for arrow in arrows:
        into[arrow.end].append(arrow.start)
        out[arrow.start].append(arrow.end)
    ranks, waiting = [0] * count, list(map(len, into))
    order = [i for i in range(count) if not into[i]]
    for i in order:  # grows while it is read
        for j in out[i]:
            ranks[j] = max(ranks[j], ranks[i] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    loose: set[int] = set()  # boxes that nothing but sources hold back
    for i in order:
        if all(not into[j] or (j in loose and len(out[j]) == 1) for j in into[i]):
            loose.add(i)
    for i in reversed(order):
        if i in loose and out[i]:
            ranks[i] = min(ranks[j] for j in out[i]) - 1
    return ranks
