"""Follow the data of one sample from layer to layer, so that a drawing shows every skip, or is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from autograd import Tensor, enable_grad, watch

from ..containers import Sequential
from ..inference import LayerCall, evaluating, layer_calls, unfrozen
from ..layers import Dropout, Flatten, Identity, Linear
from ..module import Module

SAME = (Dropout, Flatten, Identity)  # layers that keep every value of a sample
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


class Step(NamedTuple):
    """A call of a layer, or an op between the layers (then `module` is None), in the order in which data passes."""

    name: str
    kind: str
    module: Module | None
    output: Any


# Ops that keep every value of a column, so that a title does not need them.
LAYOUT = {"reshape", "transpose", "swapaxes", "squeeze", "expand_dims", "astype", "copy", "positive"}


def follow(model: Module, *inputs: Any) -> tuple[list[Step], Any, list[Skip]]:
    """Call the model on a batch of one sample; return its steps from the first Linear on, its input, and the skips.

    Raises ValueError if a Linear does not read the one before it, if its input cannot be followed, or if a parameter
    takes part in what no layer does.
    """
    outputs: list[Any] = []
    given = [Tensor(x, requires_grad=True) if x.dtype.kind in "fc" else x for x in inputs]
    handle = model.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        with unfrozen(model) as parameters, evaluating(model), enable_grad(), watch():
            calls = layer_calls(model, *given)
    finally:
        handle.remove()
    before = list(given)
    while calls and not isinstance(calls[0].module, Linear):
        call = calls.pop(0)
        before.append(call.output)
        if not [*call.module.children()] and not isinstance(call.module, SAME):
            raise ValueError(_refused(f"the layer {call.name} changes the input before the first nn.Linear"))
    if not calls:
        raise ValueError(f"{type(model).__name__} calls none of its nn.Linear layers, so there is nothing to draw")
    if any(isinstance(call.module, Linear) and not call.inputs for call in calls):
        raise ValueError("nn.draw follows what a layer gets by position: call an nn.Linear as layer(x)")
    if not _reads(calls[0].inputs, given):
        raise ValueError(_refused(f"layer {calls[0].name} does not read the input"))
    ops, skips = _skips(before, calls, outputs[-1], parameters)
    last = next(call for call in reversed(calls) if isinstance(call.module, Linear))
    sizes = [math.prod(node.shape) for node in nodes_of([outputs[-1]])]
    if math.prod(last.output.shape) not in sizes:
        values = f"the result of {type(model).__name__} has {' and '.join(map(str, sizes))} values"
        raise ValueError(_refused(f"{values}, and its last layer {last.name} has {last.module.out_features}"))
    return _in_order(calls, sorted(ops, key=lambda node: int(node.number))), calls[0].inputs[0], skips


def _inside_layer(node: Any, parameters: Mapping[Any, tuple[str, Any]]) -> bool:
    """Whether a node is inside a layer.  Raises ValueError if it reads a parameter that is not that layer's own."""
    if node.op is None or node.note is None:  # a leaf, or an op from before the call
        return True
    owner = node.note.modules[-1][0] if node.note.modules else None
    layer = owner is not None and not [*owner.children()]
    own = {id(p) for p in owner.parameters()} if owner is not None and layer else set()
    read = [parameters[edge] for edge in node.edges or () if edge in parameters]
    if foreign := [name for name, p in read if id(p) not in own]:
        raise ValueError(_refused(f"the op {node.op.name} reads {', '.join(foreign)} outside of a layer"))
    return layer


def _reads(values: Sequence[Any], given: Sequence[Any]) -> bool:
    """Whether the values come from the input; True for whole numbers, which the graph does not know."""
    wanted = {*nodes_of(given)}
    return len(wanted) < len(given) or any(
        node in wanted or wanted.intersection(node.edges or ()) for node in [*nodes_of(values), *_between({}, values)]
    )


def _in_order(calls: Sequence[LayerCall], ops: Sequence[Any]) -> list[Step]:
    """The calls of layers and the ops between them."""
    steps: list[Step] = []
    waiting = [Step("", node.op.name, None, node.note.value) for node in ops]
    numbers = [int(node.number) for node in ops]
    for call in calls:
        ends = [int(node.number) for node in nodes_of([call.output])]
        while numbers and ends and numbers[0] < max(ends):
            numbers.pop(0)
            steps.append(waiting.pop(0))
        if not [*call.module.children()]:
            steps.append(Step(call.name, type(call.module).__name__, call.module, call.output))
    return steps + waiting


def _refused(why: str) -> str:
    return f"{why}; nn.draw shows only layers that follow one another; autograd.draw(loss) shows any graph"


def _skips(
    before: Sequence[Any], calls: Sequence[LayerCall], output: Any, parameters: Mapping[Any, tuple[str, Any]]
) -> tuple[list[Any], list[Skip]]:
    """The ops between the layers that change the values of a column, and the skips."""
    linear = [call for call in calls if isinstance(call.module, Linear)]
    columns: dict[Any, int] = dict.fromkeys(nodes_of(before), HIDDEN) | dict.fromkeys(nodes_of(linear[0].inputs), 0)
    skips: list[Skip] = []
    ops: list[Any] = []
    for i, call in enumerate(linear):
        if i:
            otherwise = f"layer {call.name} does not read layer {linear[i - 1].name}"
            skips += _joined(columns, call.inputs, i, otherwise, parameters, ops)
            columns.update(dict.fromkeys(nodes_of(call.inputs), i))  # what was joined there
        columns.update(dict.fromkeys(nodes_of([call.output]), i + 1))
    last = f"the output does not come from layer {linear[-1].name}"
    skips += _joined(columns, [output], len(linear), last, parameters, ops)
    return ops, skips


def _joined(
    columns: Mapping[Any, int],
    values: Sequence[Any],
    end: int,
    otherwise: str,
    parameters: Mapping[Any, tuple[str, Any]],
    ops: list[Any],
) -> list[Skip]:
    """The skips to `values`, which should come from column `end`; adds the ops outside of layers to `ops`."""
    origins: dict[Any, set[int]] = {}
    joins: dict[int, str] = {}
    for node in _between(columns, values):
        found = [{columns[edge]} if edge in columns else origins.get(edge, set()) for edge in node.edges or ()]
        together = origins[node] = set[int]().union(*found)
        if not _inside_layer(node, parameters) and node.op.name not in LAYOUT and end in together and together in found:
            ops.append(node)
        for column in together - {end}:
            if end in together and not any({column, end} <= part for part in found):
                joins.setdefault(column, node.op.name)
    ends = [{columns[node]} if node in columns else origins.get(node, set()) for node in nodes_of(values)]
    starts = set[int]().union(*ends)
    if end not in starts or HIDDEN in starts:
        if HIDDEN in starts:
            otherwise = "a value from before the first Linear layer also reaches a later one"
        raise ValueError(_refused(otherwise))
    return [Skip(start, end, joins.get(start, "joined")) for start in sorted(starts - {end})]


def _between(columns: Mapping[Any, int], values: Iterable[Any]) -> list[Any]:
    """The nodes from the values back to the columns, oldest first."""
    seen: set[Any] = set()
    waiting = list(nodes_of(values))
    while waiting:
        node = waiting.pop()
        if node not in seen and node not in columns:
            seen.add(node)
            waiting += [edge for edge in node.edges or () if edge is not None]
    return sorted(seen, key=lambda node: int(node.number))


def nodes_of(values: Iterable[Any]) -> Iterator[Any]:
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
