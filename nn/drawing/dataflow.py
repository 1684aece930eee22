"""Follow the data of one sample from layer to layer, so that a drawing shows every skip, or is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograd import Tensor, enable_grad

from ..containers import Sequential
from ..inference import LayerCall, evaluating, layer_calls
from ..layers import Linear
from ..module import Module

HIDDEN = -1  # the column of values before the input column


@dataclass(frozen=True)
class Skip:
    """The values of column `start` (0 is the input) also reach what reads column `end`, where the op `joins` is."""

    start: int
    end: int
    joins: str


def row_of(model: Module) -> list[tuple[str, Module]] | None:
    """The layers of a Sequential, or of Sequentials in it, by name and in order; None for any other model."""
    if isinstance(model, Linear):
        return [("", model)]
    if type(model) is not Sequential:
        return None
    found: list[tuple[str, Module]] = []
    waiting: list[tuple[str, Module]] = [("", model)]
    while waiting:
        name, module = waiting.pop()
        if type(module) is Sequential:
            named = [(f"{name}.{i}".lstrip("."), part) for i, part in enumerate(module)]
            waiting += named[::-1]
        elif [*module.children()]:
            return None
        else:
            found.append((name, module))
    return found


def follow(model: Module, rows: Any) -> tuple[list[LayerCall], list[Skip]]:
    """Call the model on a batch of one sample; return its calls from the first Linear on, and the skips between them.

    Raises ValueError if a Linear does not read the one before it, or if its input cannot be followed.
    """
    outputs: list[Any] = []
    x = Tensor(rows, requires_grad=True) if rows.dtype.kind in "fc" else rows
    handle = model.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        with evaluating(model), enable_grad():
            calls = layer_calls(model, x)
    finally:
        handle.remove()
    before = [x]
    while calls and not isinstance(calls[0].module, Linear):
        before.append(calls.pop(0).output)
    return calls, _skips(before, calls, outputs[-1])


def _skips(before: Sequence[Any], calls: Sequence[LayerCall], output: Any) -> list[Skip]:
    linear = [call for call in calls if isinstance(call.module, Linear)]
    if not linear:
        return []
    columns: dict[Any, int] = dict.fromkeys(_nodes(before), HIDDEN) | dict.fromkeys(_nodes(linear[0].inputs), 0)
    skips: list[Skip] = []
    for i, call in enumerate(linear):
        if i:
            skips += _joined(columns, call.inputs, i, f"layer {call.name} does not read layer {linear[i - 1].name}")
            columns.update(dict.fromkeys(_nodes(call.inputs), i))  # what was joined there
        columns.update(dict.fromkeys(_nodes([call.output]), i + 1))
    return skips + _joined(columns, [output], len(linear), f"the output does not come from layer {linear[-1].name}")


def _joined(columns: Mapping[Any, int], values: Iterable[Any], end: int, otherwise: str) -> list[Skip]:
    """The skips to `values`, which should come from column `end`."""
    origins: dict[Any, set[int]] = {}
    joins: dict[int, str] = {}
    for node in _between(columns, values):
        found = [{columns[edge]} if edge in columns else origins.get(edge, set()) for edge in node.edges or ()]
        together = origins[node] = set[int]().union(*found)
        for column in together - {end}:
            if end in together and not any({column, end} <= part for part in found):
                joins.setdefault(column, node.op.name)
    ends = [{columns[node]} if node in columns else origins.get(node, set()) for node in _nodes(values)]
    starts = set[int]().union(*ends)
    if end not in starts or HIDDEN in starts:
        if HIDDEN in starts:
            otherwise = "a value from before the first Linear layer also reaches a later one"
        raise ValueError(
            f"{otherwise}; nn.draw shows only layers that follow one another; autograd.draw(loss) shows any graph"
        )
    return [Skip(start, end, joins.get(start, "joined")) for start in sorted(starts - {end})]


def _between(columns: Mapping[Any, int], values: Iterable[Any]) -> list[Any]:
    """The nodes from the values back to the columns, oldest first."""
    seen: set[Any] = set()
    waiting = list(_nodes(values))
    while waiting:
        node = waiting.pop()
        if node not in seen and node not in columns:
            seen.add(node)
            waiting += [edge for edge in node.edges or () if edge is not None]
    return sorted(seen, key=lambda node: int(node.number))


def _nodes(values: Iterable[Any]) -> Iterator[Any]:
    """The nodes of all Tensors in the values."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            if value.node is not None:
                yield value.node
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
