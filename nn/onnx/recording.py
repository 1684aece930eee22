"""Record what a model computes from a sample: ops in order, each beside itself for other samples.

A value that NumPy computes outside of the recorded graph would be a constant in a file.  So the model is called for
other samples too: what differs between them depends on the input, and `save` refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd import Tensor, enable_grad, watch

from ..inference import evaluating
from ..module import Module


@dataclass(eq=False)
class Made:
    """An op, or a call of a layer that is written as a whole, in one trace."""

    kind: str  # the op's name, or the layer's class
    owner: Any  # None, or the layer
    params: dict[str, Any]
    inputs: list[Any]  # nodes of the graph, or plain arrays and numbers
    arrays: list[Any]  # the values of all inputs
    node: Any
    value: Any
    place: str


@dataclass(eq=False)
class Trace:
    """What one call of a model computed, in order."""

    inputs: list[Tensor]
    outputs: list[tuple[str, Any]] = field(default_factory=list)
    steps: list[Made] = field(default_factory=list)
    weights: dict[Any, str] = field(default_factory=dict)  # names of the parameters, by their leaves

    def arrays(self) -> list[Any]:
        """The arrays of the outputs."""
        return [value.data if isinstance(value, Tensor) else np.asarray(value) for _, value in self.outputs]


def trace(model: Module, sample: Sequence[Any], wholes: Sequence[type]) -> Trace:
    """Call the model in eval() mode; calls of layers whose class is among `wholes` are recorded as one step."""
    inputs = [Tensor(x, requires_grad=x.dtype.kind == "f", dtype=x.dtype) for x in sample]
    names = {id(module): name for name, module in model.named_modules()}
    calls: dict[Any, tuple[Module, tuple[Any, ...], Any]] = {}

    def note(module: Any, given: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.node is not None:
            calls[output.node] = module, given, output

    found = Trace(inputs)
    with ExitStack() as stack:
        for module in model.modules():
            if type(module) in wholes:
                stack.callback(module.register_forward_hook(note).remove)
        stack.enter_context(_recorded(model))
        found.weights = {p.node: name for name, p in model.named_parameters() if p.node is not None}
        found.outputs = list(_flat("output", model(*inputs)))
    ends = [y.node for _, y in found.outputs if isinstance(y, Tensor) and y.node is not None]
    found.steps = _steps(ends, calls, names)
    return found


@contextmanager
def _recorded(model: Module) -> Iterator[None]:
    """In the block the model is in eval() mode, and all that reads its parameters, frozen or not, is recorded."""
    frozen = [p for p in model.parameters() if not p.requires_grad and p.dtype.kind == "f"]
    for p in frozen:
        p.requires_grad = True
    try:
        with evaluating(model), enable_grad(), watch():
            yield
    finally:
        for p in frozen:
            p.requires_grad = False


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of what a model returned, each with a name."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(str(key), part)
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from _flat(f"{name}{i}", part)
    else:
        yield name, value


def _steps(ends: Sequence[Any], calls: dict[Any, Any], names: dict[int, str]) -> list[Made]:
    """All that the ends depend on, in order."""
    found: dict[Any, Made] = {}
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node in found or getattr(node, "op", None) is None:
            continue
        path = [part for part, _ in node.note.modules]
        where = f"{names.get(id(path[-1])) or 'the model'} ({type(path[-1]).__name__})" if path else "the model"
        if node in calls:
            module, given, output = calls[node]
            inputs = [x.node if isinstance(x, Tensor) and x.node is not None else _plain(x) for x in given]
            place = f"{names[id(module)] or 'the model'} ({type(module).__name__})"
            found[node] = Made(
                type(module).__name__, module, {}, inputs, [_plain(x) for x in given], node, output.data, place
            )
        else:
            note = node.note
            inputs = [a if e is None else e for e, a in zip(note.edges, note.arrays, strict=True)]
            found[node] = Made(
                node.op.name, None, dict(node.params or {}), inputs, list(note.arrays), node, note.value, where
            )
        waiting += [x for x in found[node].inputs if getattr(x, "op", None) is not None]
    return sorted(found.values(), key=lambda step: int(step.node.number))


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


# ---- other samples


def another(x: Any, rng: np.random.Generator) -> Any:
    """Other numbers of the same shape and kind: whole ones from the same range, others of both signs."""
    if x.dtype.kind in "iub":
        return rng.permutation(x.reshape(-1)).reshape(x.shape) if x.size > 1 else x.copy()
    size = float(np.abs(x).max(initial=0.0)) or 1.0
    return (-x * 0.75 + rng.normal(size=x.shape) * (size * 0.5)).astype(x.dtype)


def longer(x: Any, axis: int) -> Any:
    """One sample more on an axis: the order is turned around and the first comes twice."""
    grown = np.concatenate([np.take(x, [0], axis), x], axis)
    return np.ascontiguousarray(np.flip(grown, axis))
