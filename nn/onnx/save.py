"""`save`: a model as an ONNX file, written from what one call of it records."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, no_grad
from autograd.files import write_whole

from ..module import Module
from .load import build, package
from .recording import Trace, another, longer, trace
from .writing import LAYERS_WRITTEN, OPS_WRITTEN, CannotWrite, Step, Varies, Writer, same

__all__ = ["save"]

OPSET, IR = 17, 8  # of 2022: every runtime in use reads them


def save(model: Module, path: str | Path, sample: Any, *, batch_axis: int | None = 0) -> None:
    """Write `model`, as it predicts, to an ONNX file; `sample` is its input, or a tuple of its inputs.

    The file holds what `model(sample)` computes in eval() mode, with the parameters under their names; inputs are named
    after the arguments of `forward`.  The axis `batch_axis` of the inputs may have any length in the file, if the model
    computes the same with one sample more; with None, or if it does not, all sizes are those of the sample.  Needs the
    extra `onnx`.

    What the model decides in Python (an `if`, a loop) is written as it went for the sample.  Raises NotImplementedError
    for an op that ONNX does not have, and for numbers that depend on the input and that NumPy computed outside of the
    recorded graph: the message names the op and the module.  Before it is written, the file is run by `load` for other
    inputs too, and ValueError says if its results differ.

    >>> import tempfile
    >>> import nn
    >>> path = Path(tempfile.mkdtemp()) / "model.onnx"
    >>> save(nn.Linear(3, 2), path, np.zeros((1, 3), np.float32))
    >>> nn.onnx.load(path)(np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """
    package()
    given = sample if isinstance(sample, tuple) else (sample,)
    arrays = [np.array(x.data if isinstance(x, Tensor) else x) for x in given]
    made, traces = _model(model, arrays, batch_axis)
    _check(made, traces, Path(path).name)
    write_whole(path, made.SerializeToString())


def _model(model: Module, arrays: Sequence[Any], batch_axis: int | None) -> tuple[Any, list[Trace]]:
    """The ModelProto, and the traces that it was made from."""
    kinds = [*LAYERS_WRITTEN]
    first = trace(model, arrays, kinds)
    rng = np.random.default_rng(0)
    others = [_tried(model, [another(x, rng) for x in arrays], first) for _ in range(2)]
    same = [first, *(found for found in others if found is not None)]
    if batch_axis is not None and _one_length(arrays, batch_axis):
        grown = _tried(model, [longer(x, batch_axis) for x in arrays], first)
        if grown is not None:
            try:
                traces = [first, grown, *same[1:]]
                return _written(model, traces, batch_axis), traces
            except Varies:
                pass
    return _written(model, same, None), same


def _one_length(arrays: Sequence[Any], axis: int) -> bool:
    """Whether the axis has one length in all inputs."""
    return all(x.ndim > axis for x in arrays) and len({x.shape[axis] for x in arrays}) == 1


def _tried(model: Module, arrays: Sequence[Any], first: Trace) -> Trace | None:
    """The trace of another sample, or None if the model does not take it, or runs other ops for it."""
    try:
        with np.errstate(all="ignore"):
            found = trace(model, arrays, [*LAYERS_WRITTEN])
    except Exception:  # whatever a model raises for a sample that it cannot take
        return None
    if [made.kind for made in found.steps] == [made.kind for made in first.steps]:
        return found
    if [x.shape for x in arrays] == [x.data.shape for x in first.inputs]:
        raise CannotWrite(
            "the model computes with other ops for other inputs of the same shape: it decides by their values, in "
            "Python, and a file would hold one of the ways only"
        )
    return None


def _written(model: Module, traces: Sequence[Trace], batch_axis: int | None) -> Any:
    helper = package("onnx.helper")
    weights = {name: tensor.data for name, tensor in _state(model)}
    axis = 0 if batch_axis is None else batch_axis
    w = Writer(weights, [own.inputs[0].shape[axis] if own.inputs[0].ndim > axis else 1 for own in traces])
    names = _inputs(model, w, traces[0])
    for name, column in zip(names, zip(*(own.inputs for own in traces), strict=True), strict=True):
        if column[0].node is not None:
            w.known[column[0].node] = name
        else:
            w.whole.append((name, [x.data for x in column]))
    w.known |= traces[0].weights
    if batch_axis is not None:
        w.length = w.node("Gather", w.node("Shape", names[0]), w.constant(np.array([axis], np.int64)), axis=0)
    for versions in zip(*(own.steps for own in traces), strict=True):
        step = Step(w, versions)
        owner = step.own.owner
        write = OPS_WRITTEN.get(step.kind) if owner is None else LAYERS_WRITTEN[type(owner)]
        if write is None:
            raise step.refuse("has no node type of ONNX here (docs/onnx.md lists the ops that are written)")
        try:
            w.known[step.own.node] = write(w, step)
        except Varies as error:
            if batch_axis is not None:
                raise
            raise step.refuse("has a size or an index that depends on the numbers of the model's input") from error
    outputs = [_output(w, traces, i) for i in range(len(traces[0].outputs))]
    graph = helper.make_graph(
        _needed(w.nodes, outputs),
        type(model).__name__,
        [_described(helper, name, [own.inputs[i].data for own in traces], w) for i, name in enumerate(names)],
        [_described(helper, name, [own.arrays()[i] for own in traces], w) for i, name in enumerate(outputs)],
        [w.arrays.from_array(np.ascontiguousarray(array), name) for name, array in weights.items() if name in w.used],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="plaingrad"
    )  # fmt: skip
    package("onnx.checker").check_model(made)
    return made


def _needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """The nodes that the outputs depend on."""
    found, wanted = [], {*outputs}
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            found.append(node)
            wanted |= {*node.input}
    return found[::-1]


def _inputs(model: Module, w: Writer, own: Trace) -> list[str]:
    """Names for the inputs: those of the arguments of `forward`."""
    parameters = inspect.signature(model.forward).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named += [f"input{i}" if len(own.inputs) > 1 else "input" for i in range(len(named), len(own.inputs))]
    return [w.name(name) for name, _ in zip(named, own.inputs, strict=False)]


def _output(w: Writer, traces: Sequence[Trace], i: int) -> str:
    """Write output i under its own name."""
    name, value = traces[0].outputs[i]
    if isinstance(value, Tensor) and value.node is not None:
        found = w.known.get(value.node) or ""
    else:
        versions = [own.arrays()[i] for own in traces]
        alike = (name for name, arrays in w.whole if all(map(np.array_equal, arrays, versions)))
        found = next(alike, "") or (w.constant(versions[0]) if same(versions) else "")
    if not found:
        raise CannotWrite(
            f"{name}, which the model returns, does not come from recorded ops: NumPy computed it from plain arrays"
        )
    if found in w.weights:
        w.weight(found)
    named = w.name(name)
    maker = next((node for node in w.nodes if found in node.output), None)
    if maker is None or maker.op_type == "Constant" or found in w.renamed:
        w.nodes.append(w.helper.make_node("Identity", [w.renamed.get(found, found)], [named], name=f"Identity_{named}"))
        return named
    w.renamed[found] = named
    for node in w.nodes:
        for own in (node.input, node.output):
            own[:] = [named if given == found else given for given in own]
    return named


def _described(helper: Any, name: str, versions: Sequence[Any], w: Writer) -> Any:
    """The type of an input or output; sizes that follow the batch have a name."""
    own: list[int | str] = []
    for column in zip(*(x.shape for x in versions), strict=True):
        follows = len(set(column)) > 1
        exact = follows and all(n == length for n, length in zip(column, w.batches, strict=True))
        own.append("batch" if exact else f"of_batch_{column[0]}" if follows else column[0])
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(versions[0].dtype), own)


def _check(made: Any, traces: Sequence[Trace], name: str) -> None:
    """Run the model as `load` reads it.  Raises ValueError if it computes something else than the traces."""
    loaded = build(made, name)
    for own in traces:
        with no_grad(), np.errstate(all="ignore"):
            found = loaded(*(x.data for x in own.inputs))
        for (output, _), y, wanted in zip(
            own.outputs, found if isinstance(found, tuple) else (found,), own.arrays(), strict=True
        ):
            size = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-6)) if wanted.size else 1.0
            if y.shape != wanted.shape or not np.allclose(y.data, wanted, 1e-2, size * 1e-3, equal_nan=True):
                raise ValueError(
                    f"{name} is not written, because it would compute another {output} than the model for an input of "
                    f"shape {own.inputs[0].shape}"
                )


def _state(model: Module) -> list[tuple[str, Any]]:
    return [*model.named_parameters(), *model.named_buffers()]
