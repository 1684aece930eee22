"""Backpropagation step by step: `for step in trace(loss)` yields one contribution of a rule to an input at a time."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import Node, fit
from ..tensor import Tensor
from .array_summary import summarise
from .capture import find, inputs_of
from .names import TensorNames, key_of, rule_of
from .recompute import find_values
from .recording import Note


@dataclass(frozen=True)
class Step:
    """One contribution: `op` receives `gradient`, d(loss)/d(its output), and its rule sends a share to input `slot`.

    `source` and `target` are the names of the output and the input, and `rule` is the local rule as mathematics (g is
    the incoming gradient).  `contribution` is its result for this input, and `total` the sum of the `arrived` out of
    `expected` contributions; when the two counts are equal, it is d(loss)/d(input).  All three are NumPy arrays:
    `gradient` has the shape of the output, `contribution` and `total` have that of the input.
    """

    number: int
    op: str
    source: str
    target: str
    slot: int
    rule: str
    gradient: Any
    contribution: Any
    total: Any
    arrived: int
    expected: int
    node: Any = None
    edge: Any = None

    @property
    def sentence(self) -> str:
        """This step in words."""
        said = f"{self.op} takes dL/d({self.source}) and sends {self.rule or 'its share'} to {self.target}"
        if self.expected == 1:
            return f"{said}."
        if self.arrived == 1:
            return f"{said}, the first of {self.expected} contributions."
        done = ", which completes the sum" if self.arrived == self.expected else ""
        return f"{said}; it is added to the gradient so far: contribution {self.arrived} of {self.expected}{done}."

    def __str__(self) -> str:
        return f"{self.number:3}  {self.sentence}  sum: {', '.join(summarise(self.total).lines)}"


class Trace(list[Step]):
    """All steps, in backward order; it prints as a table."""

    _HEAD = ("step", "op", "gradient of the output", "rule", "to", "contribution", "running sum")

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for s in self:
            told = [", ".join(summarise(a).lines) for a in (s.gradient, s.contribution, s.total)]
            count = "" if s.expected == 1 else f" ({s.arrived} of {s.expected})"
            yield str(s.number), s.op, told[0], s.rule, s.target, told[1], told[2] + count

    def __str__(self) -> str:
        rows = [self._HEAD, *self._rows()]
        widths = [min(44, max(map(len, column))) for column in zip(*rows, strict=True)]
        cut = [[c if len(c) <= w else f"{c[: w - 1]}…" for c, w in zip(row, widths, strict=True)] for row in rows]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cut)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in self._rows()]
        return f"<table><tr>{''.join(f'<th>{c}</th>' for c in self._HEAD)}</tr>{''.join(rows)}</table>"


def trace(loss: Tensor, names: Mapping[str, Tensor] | Any = None) -> Trace:
    """Return the backward pass of `loss`, step by step; it changes no `.grad` and keeps the graph.

    `names` is {name: tensor} or a module, as for `draw`.  Raises GraphError when `loss` has no graph, or backward() has
    freed it (a graph made inside `watch()` survives), and ValueError when `loss` has more than one element.

    >>> x, w = Tensor(3.0, requires_grad=True, name="x"), Tensor(2.0, requires_grad=True, name="w")
    >>> for step in trace(x * w):
    ...     print(step)
      1  multiply takes dL/d(multiply) and sends g · w to x.  sum: 2
      2  multiply takes dL/d(multiply) and sends g · x to w.  sum: 3
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"trace() takes a loss Tensor; got {type(loss).__name__}; for a matrix, use np.trace")
    if not loss.requires_grad:
        raise GraphError("there is no graph to trace: none of the inputs of this Tensor has requires_grad=True")
    if loss.data.size != 1:
        raise ValueError(
            f"trace() takes a loss of one element, and this Tensor has shape {loss.shape}; for a matrix, use np.trace"
        )
    notes = find(loss)
    pairs = names.named_parameters() if hasattr(names, "named_parameters") else dict(names or {}).items()
    named = {key_of(tensor): name for name, tensor in pairs}
    with np.errstate(all="ignore"):
        return Trace(_steps(loss, notes, TensorNames(notes, named)))


def _steps(loss: Tensor, notes: dict[Node, Note], names: TensorNames) -> Iterator[Step]:
    expected: dict[Any, int] = {}
    for note in notes.values():
        for edge in note.edges:
            if edge is not None:
                expected[edge] = expected.get(edge, 0) + 1
    inputs = {node: inputs_of(node, note) for node, note in notes.items()}
    known = find_values(notes, inputs, [loss], ())
    totals: dict[Any, Any] = {loss.node: np.ones_like(loss.data)}
    arrived: dict[Any, int] = {}
    number = 0
    for node in reversed(notes):
        note, g = notes[node], totals.pop(node)
        pairs = zip(note.arrays, note.edges, strict=True)
        arrays = [array if edge is None else known.get(edge, array) for array, edge in pairs]
        called = names.inputs(node, note)
        out = note.value if note.value is not None else known.get(node)
        back = node.op.gradients(g, [out, *arrays], node.params)
        for slot, edge in enumerate(note.edges):
            if edge is None:
                continue
            part = fit(back(slot), edge, node)
            totals[edge] = totals[edge] + part if edge in totals else part
            arrived[edge] = arrived.get(edge, 0) + 1
            number += 1
            said = rule_of(node, slot, called)
            shown = g.conj(), part.conj(), totals[edge].conj()  # the walk sends conjugates, see `differentiate`
            yield Step(
                number, node.op.name, names[node], names[edge], slot, said, *shown, arrived[edge], expected[edge], node,
                edge,
            )  # fmt: skip
