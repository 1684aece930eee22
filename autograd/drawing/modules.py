"""Find the module call that each op belongs to, so that a picture can frame a call, or fold it into one box.

A call is a run of consecutive ops in the forward pass.  No arrow leaves such a run and comes back, so folding one never
makes a cycle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..callsite import name_within
from ..graph import Node
from .recording import Note


@dataclass
class ModuleCall:
    """One call of a module: its title (`0 Linear(64 -> 32)`), its dotted path, and the call around it, if any."""

    title: str
    path: str
    parent: int | None
    depth: int


class ModuleCalls(list[ModuleCall]):
    """All calls of a graph, parents before children; `of` maps an op, leaf or constant to its innermost call."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Any, int] = {}

    def above(self, call: int | None) -> list[int]:
        """This call and those around it, outermost first."""
        found = []
        while call is not None:
            found.append(call)
            call = self[call].parent
        return found[::-1]


def find_calls(notes: Mapping[Node, Note], inputs: Mapping[Node, Iterable[Any]]) -> ModuleCalls:
    """Find the calls that made the nodes, oldest first.

    Only a watched forward pass tells: an op that reads a module's weight may belong to a penalty on it, and an
    activation reads no weight.
    """
    calls, running = ModuleCalls(), list[tuple[Any, int, int]]()
    for node, note in notes.items():
        same = 0
        for (module, number, call), (now, number_now) in zip(running, note.modules, strict=False):
            if module is not now or (number != number_now and number and number_now):
                break
            running[same] = (module, number or number_now, call)
            same += 1
        del running[same:]
        for module, number in note.modules[same:]:
            parent, _, above = running[-1] if running else (None, 0, None)
            name = "" if parent is None else name_within(parent, module)
            path = ".".join(part for part in (calls[above].path if above is not None else "", name) if part)
            calls.append(ModuleCall(_title(name, module), path, above, len(running)))
            running.append((module, number, len(calls) - 1))
        if running:
            calls.of[node] = running[-1][2]
    _place_inputs(calls, notes, inputs)
    return calls


def _place_inputs(calls: ModuleCalls, notes: Mapping[Node, Note], inputs: Mapping[Node, Iterable[Any]]) -> None:
    """Place each leaf or constant in the innermost call around all ops that read it, and named inputs outside."""
    around: dict[Any, list[int]] = {}
    for node, note in notes.items():
        above = calls.above(calls.of.get(node))
        for key, name in itertools.zip_longest(inputs[node], note.names):
            if key is not None and key not in notes:
                if isinstance(key, tuple) and name:
                    around[key] = []
                old = around.get(key, above)
                around[key] = [a for a, b in zip(old, above, strict=False) if a == b]
    calls.of.update({key: above[-1] for key, above in around.items() if above})


def _title(name: str, module: Any) -> str:
    """`0 Linear(64 -> 32)`"""
    kind, describe = type(module).__name__, getattr(module, "describe", None)
    said = describe() if callable(describe) else ""
    return f"{name} {kind}({said})".strip() if said else f"{name} {kind}".strip()
