"""Every node type computes what ONNX's own examples say: those of its package, and PyTorch's exports in it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import nn
from nn.onnx.load import build

onnx = pytest.importorskip("onnx")
THOROUGH = settings().max_examples > 20
SLOW = {"averagepool", "lppool", "maxpool"}  # these examples take a second each to make: PyTorch's exports have pools
KINDS = {key.partition("/")[0] for key in nn.onnx.NODES}
NODES = pkgutil.iter_modules(importlib.import_module("onnx.backend.test.case.node").__path__)
MODULES = sorted(own.name for own in NODES if own.name.replace("_", "") in {kind.lower() for kind in KINDS} | {
    "rangeop", "if", "not", "and", "or", "xor", "scatter"} or own.name.startswith("reduce"))  # fmt: skip

LEFT_OUT = {  # by part of an example's name: dtypes that NumPy lacks, values that are not arrays, and other differences
    "bfloat16", "BFLOAT16", "FLOAT8", "INT4", "INT2", "FLOAT4", "STRING", "E8M0", "e8m0", "_seq", "_opt", "seq_none",
    "test_training_dropout",  # random numbers of NumPy's old generator
    "downsample_scales_linear_align_corners", "downsample_scales_cubic_align_corners",  # PyTorch and onnxruntime differ
    "argmax_2d_precomputed_strides", "test_scan_sum",  # refused: storage_order=1, and the form of opset 8
}  # fmt: skip


@functools.cache
def examples():
    """{module of ONNX's examples: those with node types that are known}."""
    node, found = importlib.import_module("onnx.backend.test.case.node"), {}
    for name in MODULES:
        if name not in SLOW or THOROUGH:
            before = len(node._NodeTestCases)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(f"{node.__name__}.{name}")
            found[name] = [case for case in node._NodeTestCases[before:] if known(case)]
    return found


def known(case):
    kinds = {own.op_type for own in case.model.graph.node}
    usual = not case.model.functions and not case.name.endswith("_expanded") and case.data_sets
    return usual and kinds <= KINDS and not any(part in case.name for part in LEFT_OUT)


def array(x):
    return onnx.numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else np.asarray(x)


def compared(model, inputs, wanted, rtol=1e-3, atol=1e-6):
    with np.errstate(all="ignore"):
        found = model(*map(array, inputs))
    found = found if isinstance(found, tuple) else (found,)
    for y, own in zip(found, map(array, wanted), strict=True):
        assert (y.dtype, y.shape) == (own.dtype, own.shape)
        np.testing.assert_allclose(y.data, own, rtol, atol)


@pytest.mark.parametrize("module", MODULES)
def test_a_node_computes_what_its_examples_say(module):
    if module in SLOW and not THOROUGH:
        pytest.skip("at night")
    for case in examples()[module]:
        try:
            for inputs, outputs in case.data_sets:
                compared(build(case.model, case.name), inputs, outputs, case.rtol, max(case.atol, 1e-6))
        except Exception as error:
            error.add_note(case.name)
            raise


def test_the_examples_are_many():
    assert sum(map(len, examples().values())) > 700


def test_an_error_planted_in_a_node_is_found(monkeypatch):
    monkeypatch.setitem(nn.onnx.NODES, "Softplus", lambda x: np.log(1.01 + np.exp(x)))
    with pytest.raises(AssertionError, match="Not equal"):
        test_a_node_computes_what_its_examples_say("softplus")


FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data"
EXPORTED = sorted(path.parent.relative_to(FOLDER) for path in FOLDER.glob("pytorch-*/*/model.onnx"))


def test_what_pytorch_exported_computes_alike():
    told = []
    for place in EXPORTED:
        try:
            model = nn.onnx.load(FOLDER / place / "model.onnx")
        except NotImplementedError as error:
            told.append(str(error))
            continue
        inputs, wanted = (tensors(FOLDER / place / "test_data_set_0", kind) for kind in ("input", "output"))
        compared(model, inputs, wanted, atol=1e-5)
    assert len(told) < 16 and all(" with the attribute " in text for text in told)  # of opset 6 and older


def tensors(folder, kind):
    paths = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))
    return [onnx.TensorProto.FromString(path.read_bytes()) for path in paths]


# ---- derivatives


@pytest.mark.parametrize(
    ("kind", "shapes", "attributes"),
    [
        ("Conv", [(1, 2, 5), (2, 2, 3), (2,)], {"auto_pad": "SAME_LOWER", "strides": [2]}),
        ("ConvTranspose", [(1, 2, 3), (2, 1, 3)], {"strides": [2], "output_padding": [1], "pads": [1, 0]}),
        ("AveragePool", [(1, 1, 5)], {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}),
        ("BatchNormalization", [(2, 3, 2), (3,), (3,)], {}),
        ("Resize", [(1, 1, 3, 3)], {"mode": "cubic"}),
        ("LSTM", [(3, 2, 2), (1, 8, 2), (1, 8, 2), (1, 16)], {"hidden_size": 2}),
        ("GRU", [(3, 2, 2), (1, 6, 2), (1, 6, 2)], {"hidden_size": 2}),
        ("GRU", [(3, 2, 2), (1, 6, 2), (1, 6, 2)], {"hidden_size": 2, "linear_before_reset": 1}),
        ("RNN", [(3, 2, 2), (2, 2, 2), (2, 2, 2)], {"hidden_size": 2, "direction": "bidirectional", "layout": 0}),
        ("HardSigmoid", [(4,)], {}), ("Erf", [(4,)], {}), ("LRN", [(1, 4, 3)], {"size": 3}),
        ("LpNormalization", [(2, 3)], {}), ("ScatterElements", [(3, 3), (2, 3)], {}),
    ],
)  # fmt: skip
def test_nodes_have_the_derivatives_that_differences_give(kind, shapes, attributes):
    import autograd

    rng = np.random.default_rng(0)
    function = nn.onnx.NODES[kind]
    arrays = [rng.normal(size=shape) for shape in shapes]
    rest = {"BatchNormalization": [np.ones(3), np.full(3, 2.0)], "Resize": [None, np.array([1.0, 1.0, 2.0, 1.5])]}

    def loss(*given):
        if kind == "ScatterElements":
            given = given[0], np.array([[0, 2, 1], [1, 0, 2]]), given[1]
        made = function(*given, *rest.get(kind, []), **attributes)
        parts = made if isinstance(made, tuple) else (made,)
        return sum(np.sum(np.sin(part)) for part in parts)

    assert autograd.gradcheck(loss, arrays)
