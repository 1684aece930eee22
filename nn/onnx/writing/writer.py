"""The graph that is being written: nodes, weights, constants, and sizes that follow the batch."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recording import Made


class CannotWrite(NotImplementedError):
    """An op that cannot be written."""


class Varies(Exception):
    """A constant has another shape for another batch: the batch must have a fixed size."""


class Step:
    """An op of the sample's trace with the same op of the other traces; the first of these may have another batch."""

    def __init__(self, writer: Writer, versions: Sequence[Made]) -> None:
        self.writer, self.versions = writer, versions
        self.own = versions[0]
        self.params, self.kind = self.own.params, self.own.kind
        self.shape, self.dtype = self.own.value.shape, self.own.value.dtype

    def __len__(self) -> int:
        return len(self.own.inputs)

    def param(self, name: str, default: Any = None) -> list[Any]:
        """A parameter in every trace."""
        return [made.params.get(name, default) for made in self.versions]

    def given(self, i: int) -> list[Any]:
        """Input i in every trace."""
        return [made.inputs[i] for made in self.versions]

    def shape_of(self, i: int) -> tuple[int, ...]:
        """The shape of input i."""
        return np.shape(self.own.arrays[i])

    def x(self, i: int = 0, dtype: Any = None) -> str:
        """The name of input i; a constant is written in `dtype`, by default its own, for a number the result's."""
        return self.writer.value(self, self.given(i), dtype)

    def refuse(self, why: str) -> CannotWrite:
        return CannotWrite(f"{self.kind} in {self.own.place} {why}")


def same(values: Sequence[Any]) -> bool:
    """Whether the arrays are equal, shape by shape and number by number."""
    first = np.asarray(values[0])
    return all(np.array_equal(first, np.asarray(v), equal_nan=first.dtype.kind == "f") for v in values[1:])


class Writer:
    """Nodes in order and what they read; `batches` is the length of the batch in each trace."""

    def __init__(self, weights: dict[str, Any], batches: Sequence[int]) -> None:
        self.helper = importlib.import_module("onnx.helper")
        self.arrays = importlib.import_module("onnx.numpy_helper")
        self.nodes: list[Any] = []
        self.weights = weights  # by name
        self.names = {id(array): name for name, array in weights.items()}
        self.used: set[str] = set()
        self.taken = {*weights}
        self.known: dict[Any, str] = {}  # nodes and leaves of the graph that have a name
        self.whole: list[tuple[str, list[Any]]] = []  # inputs of whole numbers: name, and value in every trace
        self.kept: dict[Any, str] = {}  # constants
        self.states: dict[Any, Any] = {}  # what `recurrent` made, by node; see recurrence.py
        self.renamed: dict[str, str] = {}  # results that got the name of an output
        self.batches, self.length = batches, ""

    def name(self, base: str) -> str:
        name, n = base, 1
        while name in self.taken:
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Write a node; returns the name of its output, or a list of several."""
        made = [self.name(kind.lower()) for _ in range(outputs)]
        options = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(self.helper.make_node(kind, list(inputs), made, name=f"{kind}_{made[0]}", **options))
        return made[0] if outputs == 1 else made

    def constant(self, value: Any, dtype: Any = None) -> str:
        """The name of a Constant."""
        array = np.ascontiguousarray(np.asarray(value, dtype))
        array = array.reshape(np.shape(value))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.kept:
            self.kept[key] = self.node("Constant", value=self.arrays.from_array(array))
        return self.kept[key]

    def value(self, step: Step, given: Sequence[Any], dtype: Any = None) -> str:
        """The name of a value: a node's result, a weight, an input of whole numbers or a constant."""
        own = given[0]
        if not isinstance(own, np.ndarray | np.generic | float | int | bool | complex | list | tuple):
            if own in self.known:
                name = self.known[own]
                return self.weight(name) if name in self.weights else name
            raise step.refuse("reads a value that the recorded graph does not lead to")
        if id(own) in self.names:
            return self.weight(self.names[id(own)])
        for name, arrays in self.whole:
            if all(np.array_equal(a, b) for a, b in zip(arrays, given, strict=True)):
                return name
        if not isinstance(own, np.ndarray | np.generic) and dtype is None:
            dtype = step.dtype
        if same(given):
            return self.constant(own, dtype)
        return self.grown(step, given, dtype)

    def grown(self, step: Step, given: Sequence[Any], dtype: Any = None) -> str:
        """A constant whose shape follows the batch: all of its numbers are one number."""
        if all(np.shape(v) == np.shape(given[0]) for v in given):
            raise step.refuse(
                "reads numbers that depend on the model's input, and that NumPy computed outside of the recorded "
                "graph: a comparison or an argmax, say; use a layer or function of nn for it, or give it to the model "
                "as an input"
            )
        numbers = {v.flat[0].item() for v in given if v.size}
        if len(numbers) > 1 or not all((v == v.flat[0]).all() for v in given if v.size):
            raise Varies
        one = np.asarray(numbers.pop() if numbers else 0, dtype or given[0].dtype)
        return self.node("Expand", self.constant(one), self.ints([np.shape(v) for v in given]))

    def weight(self, name: str) -> str:
        self.used.add(name)
        return name

    def ints(self, versions: Sequence[Any]) -> str:
        """Whole numbers, one list for each trace, as a one-dimensional int64; some may follow the batch."""
        rows = [[int(n) for n in version] for version in versions]
        if all(row == rows[0] for row in rows):
            return self.constant(np.array(rows[0], np.int64))
        return self.node("Concat", *(self._follows([row[i] for row in rows]) for i in range(len(rows[0]))), axis=0)

    def _follows(self, values: Sequence[int]) -> str:
        """One whole number (1,): constant, or `k` times the length of the batch plus `c`."""
        if len(set(values)) == 1:
            return self.constant(np.array(values[:1], np.int64))
        k, steps = values[1] - values[0], self.batches[1] - self.batches[0]
        c = values[0] - k * self.batches[0]
        if not steps or any(v != k * n + c for v, n in zip(values, self.batches, strict=True)):
            raise Varies
        found = self.length
        found = found if k == 1 else self.node("Mul", found, self.constant(np.array([k], np.int64)))
        return found if c == 0 else self.node("Add", found, self.constant(np.array([c], np.int64)))

    def new_shape(self, x: str, versions: Sequence[Sequence[int]]) -> str:
        """x reshaped; one size that follows the batch is written as -1."""
        own = list(versions[0])
        varying = [i for i, column in enumerate(zip(*versions, strict=True)) if len(set(column)) > 1]
        if len(varying) == 1 and 0 not in own:
            own[varying[0]] = -1
            return self.node("Reshape", x, self.constant(np.array(own, np.int64)))
        return self.node("Reshape", x, self.ints(versions), allowzero=int(0 in own) or None)

    def cast(self, x: str, dtype: Any) -> str:
        return self.node("Cast", x, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
