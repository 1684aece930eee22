"""summary: the output, parameters, multiply-adds and held memory of each layer of a model, for one batch."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import Tensor, enable_grad

from .elsewhere import SUMMARY, explains
from .inference import layer_calls, unfrozen
from .module import Module
from .multiply_adds import multiply_adds

__all__ = ["Summary", "summary"]


@dataclass
class Layer:
    """One call of a layer: its (first) output's shape, its parameters, multiply-adds, operations and held bytes."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    flops: int
    held: int


class Summary(list[Layer]):
    """The layers in the order in which they were called; prints as a table, with the totals below."""

    parameters: int = 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward pass."""
        return sum(layer.multiply_adds for layer in self)

    @property
    def flops(self) -> int:
        """Floating-point operations of one forward pass."""
        return sum(layer.flops for layer in self)

    @property
    def held(self) -> int:
        """Bytes held for the backward pass, parameters not counted."""
        return sum(layer.held for layer in self)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (
                x.name,
                x.kind,
                "x".join(map(str, x.shape)) or ("" if x.kind[0] == "(" else "scalar"),
                f"{x.parameters:,}",
                f"{x.multiply_adds:,}",
                f"{x.flops:,}",
                f"{x.held:,}",
            )
            for x in self
        ]
        return [
            *rows,
            ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", f"{self.flops:,}", f"{self.held:,}"),
        ]

    _HEAD = ("layer", "kind", "output", "parameters", "multiply-adds", "operations", "bytes held")

    def __str__(self) -> str:
        rows = [self._HEAD, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                c.rjust(w) if i > 2 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:-1], "-" * len(lines[0]), lines[-1]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in self._rows()]
        return f"<table><tr>{''.join(f'<th>{c}</th>' for c in self._HEAD)}</tr>{''.join(rows)}</table>"


@explains(SUMMARY)
def summary(model: Module, *inputs: Any) -> Summary:
    """Summarise `model` layer by layer for a batch, `model(*inputs)`; neither the model nor its modes change.

    Multiply-adds are those of matrix products, convolutions and recurrences in the forward pass.  Operations count each
    as two, an activation as one per element, a normalisation as five.  Products outside of all layers have a row of
    their own, and so have the parameters of layers that are not called.  Bytes held are those of the arrays, parameters
    excluded, that the graph keeps for the backward pass; each array counts where it is first kept.  A model with frozen
    parameters is called twice, to count them too.

    >>> import nn
    >>> print(summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), np.zeros((5, 3), np.float32)))
    layer  kind    output  parameters  multiply-adds  operations  bytes held
    ------------------------------------------------------------------------
    0      Linear  5x4             16             60         120          60
    1      ReLU    5x4              0              0          20          80
    2      Linear  5x2             10             40          80           0
    ------------------------------------------------------------------------
    total                          26            100         220         140
    """
    if not inputs or (isinstance(inputs[0], tuple) and all(isinstance(n, int) for n in inputs[0])):
        raise TypeError(f"summary takes a batch, not its shape; {SUMMARY['input_size']}")
    before = dict(model.state_dict())
    results: list[Any] = []
    handle = model.register_forward_hook(lambda module, given, output: results.append(output))
    try:
        with enable_grad():
            calls = recorded = layer_calls(model, *inputs)
            if not all(p.requires_grad for p in model.parameters()):
                with unfrozen(model):  # a frozen layer records no op
                    recorded = layer_calls(model, *inputs)
    finally:
        handle.remove()
        model.load_state_dict(before)  # undo changes to running means
    found = Summary()
    found.parameters = sum(p.size for p in model.parameters())
    seen = {id(array) for array in before.values()}  # weights are held anyway
    counted, known = set[int](), set[Any]()
    for (name, module, given, output), again in zip(calls, recorded, strict=True):
        own = [p for p in module.parameters() if id(p) not in counted]
        counted.update(map(id, own))
        outputs = _parts(output)
        shape, size = np.shape(outputs[0]) if outputs else (), sum(p.size for p in own)
        products = sum(map(multiply_adds, _between(again.inputs, again.output, known)))
        measured = 2 * products if type(module).flops is Module.flops else 0
        held = _held(_between(given, output, set()), seen)
        found.append(Layer(name, type(module).__name__, shape, size, products, measured or module.flops(shape), held))
    if products := sum(map(multiply_adds, _between((), results[-1], known))):
        found.append(Layer("", "(no layer)", (), 0, products, 2 * products, 0))
    if size := found.parameters - sum(layer.parameters for layer in found):
        found.append(Layer("", "(not called)", (), size, 0, 0, 0))
    return found


def _parts(output: Any) -> list[Any]:
    """The arrays of what a layer returned, which may be a tuple of tuples."""
    return [x for part in output for x in _parts(part)] if isinstance(output, tuple | list) else [output]


def _between(inputs: tuple[Any, ...], output: Any, known: set[Any]) -> list[Any]:
    """The nodes between the inputs and the output that are not `known`, which they are then."""
    stops = {x.node for x in _parts(inputs) if isinstance(x, Tensor)}
    waiting = [x.node for x in _parts(output) if isinstance(x, Tensor)]
    found, visited = [], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node.op is None or node in visited or node in stops:
            continue
        visited.add(node)
        waiting += node.edges or ()
        if node not in known:
            known.add(node)
            found.append(node)
    return found


def _held(nodes: list[Any], seen: set[int]) -> int:
    """The bytes of the arrays, not seen before, that the nodes keep."""
    total = 0
    for array in (array for node in nodes for array in node.kept or ()):
        if not isinstance(array, np.ndarray):
            continue
        owner: Any = array
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        if id(owner) not in seen:
            seen.add(id(owner))
            total += owner.nbytes if isinstance(owner, np.ndarray) else memoryview(owner).nbytes
    return total
