"""Choose what a picture of a large graph omits: whole modules, or else one run of ops in its middle."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..graph import Leaf, Node
from .modules import ModuleCalls

FOLD = "folded"  # the key of a run of ops that is left out
ARROWS = 3  # most arrows per box of `max_nodes`; Graphviz takes 3 s for 6,000
PARALLEL = 20  # most arrows from one box to another; more are drawn as one


@dataclass
class Folded:
    """What is left out: `into` maps a node, leaf or constant to the box that it is part of; `boxes` are these boxes.

    The key of a box is FOLD or the number of a call; its value is the title and the lines below it.  All arrows between
    two ends in `parallel` are drawn as one.
    """

    into: dict[Any, Any] = field(default_factory=dict)
    boxes: dict[Any, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    text: str = ""
    parallel: set[tuple[Any, Any]] = field(default_factory=set)


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
    folded.  A box has at most three arrows on average; beyond that, folding goes on.
    """
    sources = dict.fromkeys(key for keys in inputs.values() for key in keys if key is not None and key not in inputs)
    keys = [*inputs, *sources]
    parallel = _parallel(inputs)
    deepest = max((call.depth for call in calls), default=-1)
    limit = deepest + 1 if depth is None else depth
    while True:
        closed = {i for i, call in enumerate(calls) if call.depth >= limit and not _is_open(call.path, expand)}
        into = _into(keys, calls, closed)
        few = len(keys) - len(into) + len(set(into.values())) <= max_nodes
        if few and _count_arrows(inputs, into, parallel) <= ARROWS * max_nodes:
            folded = _modules(into, calls, len(keys)) if into else Folded()
        elif limit == 0:
            room = max_nodes
            folded = _run(inputs, sources, named, room)
            while room > 4 and _count_arrows(inputs, folded.into, parallel) > ARROWS * max_nodes:
                room = max(4, room // 2)  # every box reads many others
                folded = _run(inputs, sources, named, room)
        else:
            limit -= 1
            continue
        shown = [ends for ends in parallel if folded.into.keys().isdisjoint(ends)]
        if shown:
            merged = f"More than {PARALLEL} arrows from one box to another are drawn as one, without gradients."
            folded.text, folded.parallel = f"{folded.text} {merged}".strip(), set(shown)
        return folded


def _parallel(inputs: Mapping[Node, list[Any]]) -> set[tuple[Any, Any]]:
    """Return the pairs (key, node) for inputs that fill more slots of a node than there are arrows for."""
    long = ((node, Counter(keys)) for node, keys in inputs.items() if len(keys) > PARALLEL)
    return {(key, node) for node, counts in long for key, n in counts.items() if n > PARALLEL and key is not None}


def _count_arrows(
    inputs: Mapping[Node, list[Any]], into: Mapping[Any, Any], parallel: Collection[tuple[Any, Any]]
) -> int:
    """The number of arrows of a picture in which all arrows between a box and a folded box are one."""
    single = 0
    merged: set[tuple[Any, Any]] = set()
    for node, keys in inputs.items():
        end = into.get(node, node)
        for key in keys:
            start = into.get(key, key)
            if key in into or node in into or (key, node) in parallel:
                merged.add((start, end))
            elif key is not None:
                single += 1
    return single + len({(start, end) for start, end in merged if start != end and start is not None})


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
    sizes = [math.prod(key.shape) for key in keys if isinstance(key, Leaf)]
    lines = [f"{count:,} {name}" for name, count in ops.most_common(6)]
    if len(ops) > 6:
        lines.append(f"{ops.total() - sum(count for _, count in ops.most_common(6)):,} of {len(ops) - 6} other ops")
    if sizes:
        lines.append(f"with {_count(sum(sizes), 'parameter')} in {_count(len(sizes), 'tensor')}")
    return (*lines, *[f"with {_count(constants, 'constant')}"] * (constants > 0))


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"
