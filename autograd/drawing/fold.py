"""Choose what a picture of a large graph leaves out: whole modules, or else one run of ops in its middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..graph import Node
from .modules import ModuleCalls

FOLD = "folded"  # the key of a run of ops that is left out


@dataclass
class Folded:
    """What is left out: `into` maps a node, leaf or constant to the box that it is part of; `boxes` are these boxes.

    The key of a box is FOLD or the number of a call; its value is the title and the lines below it.
    """

    into: dict[Any, Any] = field(default_factory=dict)
    boxes: dict[Any, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    text: str = ""


def fold(
    inputs: Mapping[Node, list[Any]],
    named: Collection[Any],
    calls: ModuleCalls,
    *,
    max_nodes: int,
    depth: int | None = None,
    expand: Collection[str] = (),
) -> Folded:
    """Fold the modules nested more than `depth` deep, then more of them until at most `max_nodes` boxes are left.

    `inputs` maps every node to the keys of its inputs, oldest node first.  The innermost modules are folded first;
    those whose path is in `expand` stay open, and so do those around them.  If that is not enough, a run of ops is
    folded.
    """
    sources = dict.fromkeys(key for keys in inputs.values() for key in keys if key is not None and key not in inputs)
    keys = [*inputs, *sources]
    deepest = max((call.depth for call in calls), default=-1)
    limit = deepest + 1 if depth is None else depth
    while True:
        closed = {i for i, call in enumerate(calls) if call.depth >= limit and not _is_open(call.path, expand)}
        into = _into(keys, calls, closed)
        if len(keys) - len(into) + len(set(into.values())) <= max_nodes:
            return _modules(into, calls, len(keys)) if into else Folded()
        if limit == 0:
            return _run(inputs, sources, named, max_nodes)
        limit -= 1


def _is_open(path: str, expand: Collection[str]) -> bool:
    """Whether `expand` opens the module at `path`, or one inside it."""
    return any(wanted == path or wanted.startswith(f"{path}.") or not path for wanted in expand)


def _into(keys: Iterable[Any], calls: ModuleCalls, closed: Collection[int]) -> dict[Any, Any]:
    """Return {key: the outermost closed call around it}."""
    outermost = [next((a for a in calls.above(i) if a in closed), None) for i in range(len(calls))]
    places = ((key, outermost[calls.of[key]]) for key in keys if key in calls.of)
    return {key: call for key, call in places if call is not None}


def _modules(into: dict[Any, Any], calls: ModuleCalls, total: int) -> Folded:
    members: dict[Any, list[Any]] = {}
    for key, call in into.items():
        members.setdefault(call, []).append(key)
    boxes = {call: (calls[call].title, _contents(keys)) for call, keys in members.items()}
    modules = f"{len(boxes):,} module{'s' if len(boxes) != 1 else ''}"
    text = f"Folded: {modules}, with {len(into):,} of {total:,} boxes; use expand= or max_nodes= to see more."
    return Folded(into, boxes, text)


def _run(inputs: Mapping[Node, list[Any]], sources: Collection[Any], named: Collection[Any], room: int) -> Folded:
    """Leave out a run of ops and the inputs that only they use.

    The picture keeps the newest ops (three quarters of the room), the oldest ones, their constants, and leaves (named
    ones first, at most half of the room).  The run is contiguous in creation order, so no arrow leaves it and returns
    through a box that is shown.
    """
    leaves = sorted((key for key in sources if not isinstance(key, tuple)), key=lambda key: key not in named)
    shown: set[Any] = set(leaves[: room // 2])
    room -= len(shown) + 1
    newest_first = list(inputs)[::-1]
    shown.add(newest_first[0])  # the loss, however many inputs it has
    newest = _take(newest_first, inputs, shown, room - 1 - room // 4, set())
    _take(newest_first[: max(newest, 1) - 1 : -1], inputs, shown, room // 4, set(leaves) - shown)
    into = {key: FOLD for key in (*inputs, *sources) if key not in shown}
    ops = sum(isinstance(key, Node) for key in into)
    text = f"Folded: {len(into):,} of {len(inputs) + len(sources):,} boxes, into one; use max_nodes= to see more."
    title = f"{ops:,} op{'s' * (ops != 1)}" if ops else f"{len(into):,} inputs"
    return Folded(into, {FOLD: (title, _contents(into))}, text)


def _take(nodes: list[Node], inputs: Mapping[Node, list[Any]], shown: set[Any], room: int, barred: set[Any]) -> int:
    """Show `nodes` in turn, with their constants, while there is room; return how many are shown."""
    for count, node in enumerate(nodes):
        more = {node, *(key for key in inputs[node] if isinstance(key, tuple))} - shown
        room -= len(more)
        if room < 0 or not barred.isdisjoint(inputs[node]):
            return count
        shown |= more
    return len(nodes)


def _contents(keys: Iterable[Any]) -> tuple[str, ...]:
    """Describe what is folded."""
    keys = list(keys)
    ops = Counter(key.op.name for key in keys if isinstance(key, Node))
    constants = sum(isinstance(key, tuple) for key in keys)
    leaves = len(keys) - ops.total() - constants
    lines = [f"{count:,} {name}" for name, count in ops.most_common(6)]
    if len(ops) > 6:
        lines.append(f"{ops.total() - sum(count for _, count in ops.most_common(6)):,} of {len(ops) - 6} other ops")
    lines += [f"with {n:,} {word}{'s' * (n != 1)}" for n, word in ((leaves, "parameter"), (constants, "constant")) if n]
    return tuple(lines)
