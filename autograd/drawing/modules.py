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


def find_calls(notes: Mapping[Node, Note], inputs: Mapping[Node, Iterable[Any]], model: Any = None) -> ModuleCalls:
    """Find the calls that made the nodes, oldest first.

    If the forward pass was not watched, an op that reads a parameter of `model` is assigned to the parameter's module.
    """
    calls, running = ModuleCalls(), list[tuple[Any, int]]()
    owners = _owners(model)
    for node, note in notes.items():
        modules = note.modules or next((owners[edge] for edge in note.edges if edge in owners), ())
        same = 0
        while same < min(len(running), len(modules)) and running[same][0] is modules[same]:
            same += 1
        del running[same:]
        for module in modules[same:]:
            parent, above = running[-1] if running else (None, None)
            name = "" if parent is None else name_within(parent, module)
            path = ".".join(part for part in (calls[above].path if above is not None else "", name) if part)
            calls.append(ModuleCall(_title(name, module), path, above, len(running)))
            running.append((module, len(calls) - 1))
        if running:
            calls.of[node] = running[-1][1]
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


def _owners(model: Any) -> dict[Any, tuple[Any, ...]]:
    """Return {leaf of a parameter: the modules around it, outermost first}."""
    if not hasattr(model, "named_modules"):
        return {}
    modules = dict(model.named_modules())
    found = {}
    for name, parameter in model.named_parameters():
        parts = name.split(".")[:-1]
        paths = ["", *itertools.accumulate(parts, lambda a, b: f"{a}.{b}")]
        found[parameter.node] = tuple(modules[path] for path in paths if path in modules)
    return found


def _title(name: str, module: Any) -> str:
    """`0 Linear(64 -> 32)`"""
    kind, describe = type(module).__name__, getattr(module, "describe", None)
    said = describe() if callable(describe) else ""
    return f"{name} {kind}({said})".strip() if said else f"{name} {kind}".strip()
