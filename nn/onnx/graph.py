"""A graph of ONNX as steps that run one after the other; what depends on constants alone is computed once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd import Tensor

from .nodes import NODES, Unsupported, function_of

_RANDOM = (
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
    "Dropout",
)


@dataclass(eq=False)
class Step:
    """A node: its type, the opset in whose sense it is meant, names of inputs ("" for none) and outputs, attributes."""

    kind: str
    opset: int
    place: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    frees: tuple[str, ...] = ()  # values that no later step reads

    def reads(self) -> set[str]:
        """The names of the values that the step reads, also inside its graphs."""
        inner = [part.outer() for part in self.attributes.values() if isinstance(part, Graph)]
        return {*self.inputs, *(name for names in inner for name in names)} - {""}

    def run(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The results of the node, given all values that are known."""
        function = function_of(self.kind, self.opset)
        assert function is not None  # `missing` was empty
        given = {"outputs": len(self.outputs), "scope": values}
        options = self.attributes | {name: given[name] for name in given.keys() & names_of(function)[0]}
        try:
            made = function(*(values[name] if name else None for name in self.inputs), **options)
        except Unsupported as error:
            raise Unsupported(f"{self.place} {error}, which nn.onnx does not support") from None
        except Exception as error:
            error.add_note(f"in {self.place.rstrip(',')}")
            raise
        results = made if isinstance(made, tuple | list) else (made,)
        return tuple(value if isinstance(value, Tensor) else np.asarray(value) for value in results)

    def problem(self) -> str:
        """Why the node cannot run, or ""."""
        function = function_of(self.kind, self.opset)
        if function is None:
            return f"{self.kind}: {self.place}"
        known, any_ = names_of(function)
        unknown = [name for name in self.attributes if name not in known and not any_]
        return f"{self.kind} with the attribute {', '.join(unknown)}: {self.place}" if unknown else ""


@functools.cache
def names_of(function: Any) -> tuple[frozenset[str], bool]:
    """The names of a function's arguments, and whether it takes any keyword."""
    if isinstance(function, np.ufunc):
        return frozenset(), False
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters), any(p.kind is p.VAR_KEYWORD for p in parameters)


@dataclass(eq=False)
class Graph:
    """Steps in order, the names of inputs and outputs, and the constants among the values."""

    inputs: list[str]
    outputs: list[str]
    steps: list[Step]
    constants: dict[str, Any] = field(default_factory=dict)

    def outer(self) -> set[str]:
        """The values that the steps read and that are made outside of this graph."""
        made = {*self.inputs, *self.constants, *(name for step in self.steps for name in step.outputs)}
        return ({name for step in self.steps for name in step.reads()} | {*self.outputs}) - made

    def all_steps(self) -> Iterator[Step]:
        """The steps, also those of graphs inside."""
        for step in self.steps:
            yield step
            for part in step.attributes.values():
                if isinstance(part, Graph):
                    yield from part.all_steps()

    def fold(self) -> None:
        """Run the steps that read constants alone, and note which values each of the others reads last."""
        rest = []
        for step in self.steps:
            if step.reads() <= self.constants.keys() and step.kind not in _RANDOM:
                self.constants |= zip(step.outputs, step.run(self.constants), strict=False)
            else:
                rest.append(step)
        self.steps = rest
        for step in rest:
            for part in step.attributes.values():
                if isinstance(part, Graph):
                    part.fold()
        kept, later = {*self.outputs, *self.constants}, set[str]()
        for step in reversed(self.steps):
            step.frees = tuple((step.reads() | {*step.outputs}) - kept - later)
            later |= step.reads()

    def run(self, given: Mapping[str, Any], scope: Mapping[str, Any] | None = None) -> list[Any]:
        """The outputs, for the inputs `given` by name and the values of the graph around this one."""
        values = {**(scope or {}), **self.constants, **given}
        for step in self.steps:
            values |= zip(step.outputs, step.run(values), strict=False)
            for name in step.frees:
                values.pop(name, None)
        return [values[name] for name in self.outputs]


def missing(graph: Graph, path: str) -> None:
    """Raise NotImplementedError if nodes cannot run: the message names their types and places."""
    problems: dict[str, list[str]] = {}
    for step in graph.all_steps():
        if problem := step.problem():
            kind, _, place = problem.partition(": ")
            problems.setdefault(kind, []).append(place)
    if problems:
        raise NotImplementedError(
            f"{path}: nn.onnx does not know {'; '.join(_named(*item) for item in problems.items())}. It knows "
            f"{len({key.partition('/')[0] for key in NODES})} node types (docs/onnx.md lists them); "
            f"nn.onnx.NODES[type] = function adds one"
        )


def _named(kind: str, places: Iterable[str]) -> str:
    first, *others = (place.rstrip(",") for place in places)
    return f"node type {kind} ({first}{f', and {len(others)} more' if others else ''})"
