"""Choose what a picture of a large graph leaves out: one run of ops in its middle, which becomes one box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..graph import Node

FOLD = "folded"  # stands for everything that was left out


@dataclass
class Folded:
    """What is left out (nodes, leaves and keys of constants), and the words for it."""

    hidden: set[Any] = field(default_factory=set)
    title: str = ""
    lines: tuple[str, ...] = ()
    text: str = ""


def fold(inputs: Mapping[Node, list[Any]], named: Collection[Any], max_nodes: int) -> Folded:
    """Leave out nothing if `max_nodes` boxes are enough, else a run of ops and what only they use.

    `inputs` holds the keys of the inputs of every node, oldest node first.  Shown are the newest ops (three quarters of
    the room), the oldest ones, the constants that these use, and leaves (named ones first, half of the room at most).
    Since the run is one of creation numbers, no arrow leads from the run to itself through a box that is shown.
    """
    sources = dict.fromkeys(key for keys in inputs.values() for key in keys if key is not None and key not in inputs)
    if len(inputs) + len(sources) <= max_nodes:
        return Folded()
    leaves = sorted((key for key in sources if not isinstance(key, tuple)), key=lambda key: key not in named)
    shown: set[Any] = set(leaves[: max_nodes // 2])
    room = max_nodes - len(shown) - 1
    newest_first = list(inputs)[::-1]
    shown.add(newest_first[0])  # the loss, however many inputs it has
    newest = _take(newest_first, inputs, shown, room - 1 - room // 4, set())
    _take(newest_first[: max(newest, 1) - 1 : -1], inputs, shown, room // 4, set(leaves) - shown)
    hidden = (inputs.keys() | sources.keys()) - shown
    return Folded(hidden, *_words(hidden, len(inputs) + len(sources)))


def _take(nodes: list[Node], inputs: Mapping[Node, list[Any]], shown: set[Any], room: int, barred: set[Any]) -> int:
    """Show `nodes` in turn, with their constants, until the room is used up; how many were shown."""
    for count, node in enumerate(nodes):
        more = {node, *(key for key in inputs[node] if isinstance(key, tuple))} - shown
        room -= len(more)
        if room < 0 or not barred.isdisjoint(inputs[node]):
            return count
        shown |= more
    return len(nodes)


def _words(hidden: set[Any], total: int) -> tuple[str, tuple[str, ...], str]:
    ops = Counter(key.op.name for key in hidden if isinstance(key, Node))
    constants = sum(isinstance(key, tuple) for key in hidden)
    leaves = len(hidden) - ops.total() - constants
    title = f"{ops.total():,} op{'s' * (ops.total() != 1)}"
    lines = [f"{count:,} {name}" for name, count in ops.most_common(6)]
    if len(ops) > 6:
        lines.append(f"{ops.total() - sum(count for _, count in ops.most_common(6)):,} of {len(ops) - 6} other ops")
    lines += [f"with {n:,} {word}" for n, word in ((leaves, "parameters"), (constants, "constants")) if n]
    said = f"Folded: {len(hidden):,} of {total:,} boxes are one box here; max_nodes shows more."
    return title, tuple(lines), said
