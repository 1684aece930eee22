"""`load`: an ONNX file as a module whose parameters are the file's floating-point weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, as_tensor

from ..file_kinds import kind_by_content
from ..module import Buffer, Module, Parameter
from .graph import Graph, Step, missing
from .nodes import DTYPES

__all__ = ["OnnxModel", "load"]

# Inputs of nodes that are numbers of a layer but not learned, by node type and position.
_NOT_LEARNED = {
    "BatchNormalization": (3, 4), "Resize": (1, 2, 3), "Upsample": (1,), "Clip": (1, 2), "Pad": (2,), "Dropout": (1,),
    "OneHot": (2,), "Range": (0, 1, 2), "Cast": (0,),
}  # fmt: skip


def package(name: str = "onnx") -> Any:
    """The package `onnx`, or a part of it; ImportError names the extra."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError("nn.onnx needs the package onnx: pip install plaingrad[onnx]") from error


class Input:
    """What a graph says of an input: its name, dtype and sizes (a name or None where any size fits)."""

    def __init__(self, name: str, dtype: Any, shape: Sequence[int | str | None] | None) -> None:
        self.name, self.dtype, self.shape = name, dtype, None if shape is None else tuple(shape)

    def __repr__(self) -> str:
        sizes = "of any shape" if self.shape is None else f"({', '.join(str(n or '?') for n in self.shape)})"
        return f"{self.name}: {self.dtype or 'values'} {sizes}"

    def check(self, x: Any) -> Any:
        """x as the graph needs it.  Raises ValueError for another shape, TypeError for another kind of numbers."""
        x = x if isinstance(x, Tensor) else np.asarray(x)
        shape = np.shape(x)
        if self.shape is not None and (
            len(shape) != len(self.shape)
            or any(isinstance(n, int) and n != m for n, m in zip(self.shape, shape, strict=True))
        ):
            raise ValueError(f"the model's input {self}; got shape {shape}")
        if self.dtype is None or x.dtype == self.dtype:
            return x
        if not np.can_cast(x.dtype, self.dtype, "same_kind"):
            raise TypeError(f"the model's input {self}; got {x.dtype}")
        return x.astype(self.dtype)


class Part(Module):
    """The weights of a file whose dotted names begin alike."""


class OnnxModel(Module):
    """The network of an ONNX file.  Call it with the inputs in order or by name; it returns its output, or a tuple.

    Its parameters are the floating-point weights of the file, under the names that they have there, so it can be
    trained further, frozen, and saved.  `inputs` and `outputs` are the names of these.  Dropout and batch normalisation
    behave as the file says: a file for inference does not drop, and keeps its running means.
    """

    def __init__(self, graph: Graph, inputs: Sequence[Input], weights: Mapping[str, Any], learned: set[str]) -> None:
        self._graph, self._inputs = graph, tuple(inputs)
        self._paths = {
            name: self._hold(name, Parameter(array) if name in learned else Buffer(array))
            for name, array in weights.items()
        }

    def _hold(self, name: str, tensor: Tensor) -> tuple[str, ...]:
        """Make `tensor` an attribute under its dotted name, and return the path to it."""
        parts = name.split(".") if all(name.split(".")) else [name.replace(".", "_")]
        place: Module = self
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            while hasattr(place, part) and (last or not isinstance(getattr(place, part), Part)):
                part += "_"
            parts[i] = part
            if last:
                setattr(place, part, tensor)
            elif not hasattr(place, part):
                setattr(place, part, Part())
            place = getattr(place, part)
        return tuple(parts)

    def _tensor(self, path: tuple[str, ...]) -> Any:
        place: Any = self
        for part in path:
            place = getattr(place, part)
        return place

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [given.name for given in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return list(self._graph.outputs)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        given = dict(zip(self.input_names, inputs, strict=False)) | named
        if (
            len(inputs) > len(self._inputs)
            or given.keys() != {*self.input_names}
            or len(inputs) + len(named) > len(given)
        ):
            got = f"{len(inputs)} by position" + (f" and {', '.join(named)} by name" if named else "")
            raise TypeError(f"the model takes the inputs {', '.join(map(str, self._inputs)) or 'none'}; got {got}")
        values: dict[str, Any] = {own.name: own.check(given[own.name]) for own in self._inputs}
        values |= {name: self._tensor(path) for name, path in self._paths.items()}
        made = [y if isinstance(y, Tensor) else as_tensor(y) for y in self._graph.run(values)]
        return made[0] if len(made) == 1 else tuple(made)

    def describe(self) -> str:
        return f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}: {len(self._graph.steps)} nodes"


def load(path: str | Path) -> OnnxModel:
    """The network of an ONNX file as a Module, to run, to train further, and to `save` again.

    Needs the extra `onnx`; nothing in the file is executed but the node types of docs/onnx.md.  Raises OSError for a
    file that cannot be opened, ValueError for one that is not a whole ONNX model, and NotImplementedError for node
    types (or attributes of them) that are not known: the message names each with its place in the graph.

    >>> import tempfile
    >>> import nn
    >>> path = Path(tempfile.mkdtemp()) / "model.onnx"
    >>> nn.onnx.save(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), path, np.zeros((1, 3), np.float32))
    >>> model = load(path)
    >>> model.input_names, [name for name, _ in model.named_parameters()]
    (['x'], ['0.weight', '0.bias'])
    """
    onnx, path = package(), Path(path)
    with path.open("rb") as file:
        start = file.read(64)
    try:
        model = onnx.load(str(path))
        if model.functions:
            model = package("onnx.inliner").inline_local_functions(model)
    except OSError:
        raise
    except Exception as error:  # of protobuf, and of the package for weights in files beside it
        kind = kind_by_content(start, ".onnx")
        raise ValueError(f"{path.name} is not a whole ONNX model{f' but {kind}' if kind else ''}: {error}") from error
    if not model.graph.output or not model.opset_import:
        raise ValueError(f"{path.name} is not a whole ONNX model: it has no outputs, or names no set of node types")
    return build(model, path.name)


def build(model: Any, name: str) -> OnnxModel:
    """The module of a ModelProto; `name` is for error messages."""
    opsets = {own.domain: own.version for own in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 1))
    weights = {own.name: _array(own) for own in model.graph.initializer}
    graph = read_graph(model.graph, opset)
    missing(graph, name)
    floats = {key for key, value in weights.items() if value.dtype.kind == "f"}
    fixed = {
        read for step in graph.all_steps() for i, read in enumerate(step.inputs) if i in _NOT_LEARNED.get(step.kind, ())
    }
    graph.constants |= {key: value for key, value in weights.items() if key not in floats}
    graph.fold()
    inputs = [_input(own) for own in model.graph.input if own.name not in weights]
    return OnnxModel(graph, inputs, {key: weights[key] for key in weights if key in floats}, floats - fixed)


def _array(tensor: Any) -> Any:
    """The array of a TensorProto; bfloat16 and smaller become float32, which has all of their values."""
    array = package("onnx.numpy_helper").to_array(tensor)
    return np.array(array if array.dtype in DTYPES.values() else array.astype(np.float32))


def _input(value: Any) -> Input:
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [
            own.dim_value if own.HasField("dim_value") else (own.dim_param or None) for own in tensor.shape.dim
        ]  # fmt: skip
    return Input(value.name, DTYPES.get(tensor.elem_type), shape)


def read_graph(graph: Any, opset: int) -> Graph:
    """The Graph of a GraphProto; its own weights, if it is inside another, are constants."""
    steps = []
    for i, node in enumerate(graph.node):
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        outputs = ", ".join(map(repr, node.output))
        place = f"node {node.name!r}" if node.name else f"node {i}"
        place = f"{place} ({domain}{node.op_type}), which makes {outputs},"
        attributes = {own.name: _attribute(own, opset) for own in node.attribute}
        steps.append(Step(domain + node.op_type, opset, place, tuple(node.input), tuple(node.output), attributes))
    return Graph([own.name for own in graph.input], [own.name for own in graph.output], steps)


def _attribute(attribute: Any, opset: int) -> Any:
    value = package().helper.get_attribute_value(attribute)
    kinds = package().AttributeProto
    if attribute.type == kinds.TENSOR:
        return _array(value)
    if attribute.type == kinds.GRAPH:
        inner = read_graph(value, opset)
        inner.constants |= {own.name: _array(own) for own in value.initializer}
        return inner
    if attribute.type == kinds.STRING:
        return value.decode()
    if attribute.type == kinds.STRINGS:
        return tuple(text.decode() for text in value)
    return tuple(value) if attribute.type in (kinds.INTS, kinds.FLOATS) else value
