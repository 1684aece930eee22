"""`load`: networks put together by hand as published ones are, beside onnxruntime; training; and what is refused."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor
from onnx_files import flat, near, run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def numbers(*shape, seed=0, size=1.0):
    return (np.random.default_rng(seed).normal(size=shape) * size).astype(np.float32)


class File:
    """An ONNX graph that is put together node by node."""

    def __init__(self, **inputs):
        self.nodes, self.weights, self.outputs = [], [], []
        self.inputs = [
            helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()
        ]  # fmt: skip

    def __call__(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        given = [x if isinstance(x, str) else self.weight(x) for x in inputs]
        self.nodes.append(helper.make_node(kind, given, names, name=f"/part/{kind}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, array, name=None):
        name = name or f"w.{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def graph(self, *outputs, kind=TensorProto.FLOAT):
        named = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
        return helper.make_graph(self.nodes, "graph", self.inputs, named, self.weights)

    def write(self, path, *outputs, opset=17, **options):
        model = helper.make_model(
            self.graph(*outputs, **options), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        )  # fmt: skip
        path.write_bytes(model.SerializeToString())
        return path


F32, I64 = TensorProto.FLOAT, TensorProto.INT64


def conv(file, x, channels, out, size=3, stride=1, group=1, seed=0):
    weight = numbers(out, channels // group, size, size, seed=seed, size=0.3)
    pad = [size // 2] * 4
    return file("Conv", x, weight, numbers(out), strides=[stride] * 2, pads=pad, group=group, kernel_shape=[size] * 2)


def text_detector(path):
    """A map of where text is: depthwise blocks, squeeze and excite, a pyramid joined by Resize, ConvTranspose."""
    f = File(x=(F32, ["n", 3, "h", "w"]))
    stem = conv(f, "x", 3, 8, stride=2)
    norm = f("BatchNormalization", stem, numbers(8), numbers(8, seed=1), numbers(8, seed=2), np.abs(numbers(8)) + 1)
    a = f("HardSwish", norm)
    b = f("Relu", conv(f, a, 8, 8, stride=2, group=8))
    gate = conv(f, f("GlobalAveragePool", b), 8, 8, size=1)
    b = f("Mul", b, f("HardSigmoid", gate, alpha=0.2, beta=0.5))
    up = f("Resize", b, "", np.float32([1, 1, 2, 2]), mode="nearest", coordinate_transformation_mode="asymmetric",
           nearest_mode="floor")  # fmt: skip
    joined = f("Concat", f("Add", a, up), a, axis=1)
    half = f("ConvTranspose", conv(f, joined, 16, 4), numbers(4, 4, 2, 2), numbers(4), strides=[2, 2])
    out = f("Sigmoid", f("ConvTranspose", f("Relu", half), numbers(4, 1, 2, 2), numbers(1), strides=[2, 2]))
    return f.write(path, out), [numbers(2, 3, 16, 24)]


def text_recogniser(path):
    """Columns of a feature map as a sequence for two LSTMs of both directions; shapes are computed in the graph."""
    f = File(x=(F32, ["n", 1, 8, "w"]))
    a = f("MaxPool", f("Relu", conv(f, "x", 1, 4)), kernel_shape=[2, 2], strides=[2, 2])
    a = f("Relu", conv(f, a, 4, 6))
    a = f("AveragePool", a, kernel_shape=[4, 1], strides=[4, 1])
    sequence = f("Transpose", f("Squeeze", a, np.array([2])), perm=[2, 0, 1])
    for i, width in enumerate((6, 10)):
        weights = numbers(2, 20, width, size=0.4), numbers(2, 20, 5, size=0.4), numbers(2, 40)
        n = f("Gather", f("Shape", sequence), np.array([1]), axis=0)
        zeros = f("ConstantOfShape", f("Concat", np.array([2]), n, np.array([5]), axis=0))
        y, *_ = f("LSTM", sequence, *weights, "", zeros, zeros, outputs=3, hidden_size=5, direction="bidirectional")
        sizes = f("Concat", f("Slice", f("Shape", y), np.array([0]), np.array([1])), np.array([-1, 10]), axis=0)
        sequence = f("Reshape", f("Transpose", y, perm=[0, 2, 1, 3]), sizes)
        assert i < 2
    logits = f("Add", f("MatMul", sequence, numbers(10, 7)), numbers(7))
    return f.write(path, f("Softmax", logits, axis=2)), [numbers(3, 1, 8, 12)]


def text_direction(path):
    """A classifier whose head is a pooled vector, Gemm and Softmax."""
    f = File(x=(F32, ["n", 3, "h", "w"]))
    a = f("Clip", conv(f, "x", 3, 6, stride=2), np.float32(0), np.float32(6))
    a = f("Add", a, f("Mul", a, f("Sigmoid", conv(f, f("ReduceMean", a, axes=[2, 3], keepdims=1), 6, 6, size=1))))
    flat_ = f("Flatten", f("GlobalAveragePool", a))
    return f.write(path, f("Softmax", f("Gemm", flat_, numbers(2, 6), numbers(2), transB=1))), [numbers(4, 3, 8, 10)]


def pitch(path):
    """Sound in frames through convolutions, then the mean of the bins around the largest: Pad, TopK-free ArgMax."""
    f = File(sound=(F32, ["n", 64]))
    a = f("Unsqueeze", "sound", np.array([1]))
    mean = f("ReduceMean", a, axes=[2], keepdims=1)
    spread = f("Sqrt", f("ReduceMean", f("Pow", f("Sub", a, mean), np.float32(2)), axes=[2], keepdims=1))
    a = f("Div", f("Sub", a, mean), f("Max", spread, np.float32(1e-6)))
    a = f("Pad", a, np.array([0, 0, 3, 0, 0, 4]), np.float32(0))
    a = f("Relu", f("Conv", a, numbers(8, 1, 8), numbers(8), strides=[4]))
    a = f("BatchNormalization", a, numbers(8), numbers(8), numbers(8), np.abs(numbers(8)) + 1)
    a = f("Reshape", f("Transpose", f("MaxPool", a, kernel_shape=[2], strides=[2]), perm=[0, 2, 1]), np.array([0, -1]))
    bins = f("Sigmoid", f("Gemm", a, numbers(64, 12, size=0.2), numbers(12)))
    best = f("ArgMax", bins, axis=1, keepdims=1)
    near_best = f("Less", f("Abs", f("Sub", f("Range", np.array(0), np.array(12), np.array(1)), best)), np.array(3))
    shares = f("Where", near_best, bins, np.float32(0))
    pitch = f("Div", f("ReduceSum", f("Mul", shares, np.arange(12, dtype=np.float32)), np.array([1])),
              f("ReduceSum", shares, np.array([1])))  # fmt: skip
    return f.write(path, pitch, bins), [numbers(3, 64)]


def voice_activity(path):
    """A spectrum by Conv, its size, an encoder, an LSTM with its state as input and output, and If on the rate."""
    f = File(sound=(F32, ["n", 64]), state=(F32, [2, "n", 6]), rate=(I64, []))
    a = f("Pad", f("Unsqueeze", "sound", np.array([1])), np.array([0, 0, 8, 0, 0, 8]), mode="reflect")
    waves = f("Conv", a, numbers(10, 1, 16), strides=[8])
    real, imaginary = f("Split", waves, np.array([5, 5]), outputs=2, axis=1)
    size = f("Sqrt", f("Add", f("Mul", real, real), f("Mul", imaginary, imaginary)))

    def branch(width, seed):
        inner = File()
        made = inner("Relu", inner("Conv", size, inner.weight(numbers(6, 5, width, seed=seed), f"inner{seed}"),
                                   pads=[width // 2] * 2, strides=[2]))  # fmt: skip
        inner.nodes[-1].output[0] = f"made{seed}"
        del made
        return inner.graph(f"made{seed}")

    usual = f("Equal", "rate", np.array(16000))
    a = f("If", usual, then_branch=branch(3, 1), else_branch=branch(1, 2))
    steps = f("Transpose", a, perm=[2, 0, 1])
    h = f("Slice", "state", np.array([0]), np.array([1]), np.array([0]))
    c = f("Slice", "state", np.array([1]), np.array([2]), np.array([0]))
    y, last, cell = f("LSTM", steps, numbers(1, 24, 6), numbers(1, 24, 6), numbers(1, 48), "", h, c, outputs=3,
                      hidden_size=6)  # fmt: skip
    y = f("Relu", f("Transpose", f("Squeeze", y, np.array([1])), perm=[1, 2, 0]))
    out = f("ReduceMean", f("Sigmoid", f("Conv", y, numbers(1, 6, 1), numbers(1))), axes=[2], keepdims=0)
    state = f("Concat", last, cell, axis=0)
    return f.write(path, out, state), [numbers(2, 64), numbers(2, 2, 6, seed=3), np.array(16000)]


NETWORKS = [text_detector, text_recogniser, text_direction, pitch, voice_activity]


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_networks_compute_what_onnxruntime_does(make, tmp_path):
    path, inputs = make(tmp_path / "network.onnx")
    model = nn.onnx.load(path)
    near(flat(model(*inputs)), run(path, inputs))
    if make is voice_activity:
        inputs[-1] = np.array(8000)
        near(flat(model(*inputs)), run(path, inputs))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        near(flat(other(*inputs)), flat(model(*inputs)))


@pytest.mark.parametrize("make", [text_detector, text_recogniser, text_direction], ids=lambda make: make.__name__)
def test_a_network_learns_and_is_written_again(make, tmp_path):
    path, (x,) = make(tmp_path / "network.onnx")
    model = nn.onnx.load(path)
    weights = {own.name for own in onnx.load(path).graph.initializer if own.data_type == F32}
    assert {name for name, _ in model.named_parameters()} <= {*model.state_dict()} <= weights
    before, wanted = dict(model.state_dict()), np.roll(model(x).data, 1, axis=-1)
    optimizer, losses = nn.Adam(model.parameters(), lr=0.01), []
    for _ in range(4):
        loss = np.mean(np.square(model(x) - wanted))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    learned = {name for name, _ in model.named_parameters()}
    changed = {name for name, array in model.state_dict().items() if not np.array_equal(array, before[name])}
    assert changed <= learned and len(changed) > len(learned) / 2
    nn.onnx.save(model, tmp_path / "again.onnx", x)
    again = nn.onnx.load(tmp_path / "again.onnx")
    near(run(tmp_path / "again.onnx", [x]), flat(model(x)))
    assert {name for name, _ in again.named_parameters()} == learned
    nn.save(model, tmp_path / "state.npz")
    fresh = nn.onnx.load(path)
    nn.load(tmp_path / "state.npz", fresh)
    near(flat(fresh(x)), flat(model(x)))


def small(path):
    f = File(a=(F32, ["n", 3]), b=(F32, ["n", 3]))
    return f.write(path, f("Mul", f("Add", "a", "b"), f.weight(np.float32([1, 2, 3]), "scale")))


def test_inputs_are_given_in_order_or_by_name_and_checked(tmp_path):
    model = nn.onnx.load(small(tmp_path / "s.onnx"))
    a, b = numbers(2, 3), numbers(2, 3, seed=1)
    assert (model.input_names, model.output_names, type(model(a, b))) == (["a", "b"], ["Mul_1_0"], Tensor)
    for found in (model(a, b), model(a, b=b), model(b=b, a=a), model(a.astype(float), Tensor(b))):
        np.testing.assert_allclose(found.data, (a + b) * [1, 2, 3], rtol=1e-6)
    assert repr(model).startswith("OnnxModel(a, b -> Mul_1_0: 2 nodes")
    for call in (lambda: model(a), lambda: model(a, b, b), lambda: model(a, c=b), lambda: model(a, b, a=a)):
        with pytest.raises(TypeError, match=r"takes the inputs a: float32 \(n, 3\), b: float32"):
            call()
    for wrong in (numbers(2, 4), numbers(3)):
        with pytest.raises(ValueError, match=r"input b: float32 \(n, 3\); got shape"):
            model(a, wrong)
    with pytest.raises(TypeError, match="input a: float32"):
        model(a * 1j, b)


def test_weights_keep_their_names_where_a_module_has_none_of_them(tmp_path):
    names = ["layer.weight", "layer.bias", "0.weight", "forward", "training", "a..b", "a", "a.b", "x/y:0", "_graph"]
    f = File(x=(F32, [3]))
    y = "x"
    for i, name in enumerate(names):
        y = f("Add", y, f.weight(np.float32([i, 0, 1]), name))
    model = nn.onnx.load(f.write(tmp_path / "n.onnx", y))
    assert {*model.state_dict()} == {
        "layer.weight", "layer.bias", "0.weight", "forward_", "training_", "a__b", "a", "a_.b", "x/y:0", "_graph_",
    }  # fmt: skip
    near(flat(model(numbers(3))), run(tmp_path / "n.onnx", [numbers(3)]))


def test_what_depends_on_constants_alone_is_computed_once(tmp_path):
    f = File(x=(F32, [2]))
    size = f("Cast", f("Mul", np.array([3]), np.array([4])), to=F32)
    model = nn.onnx.load(f.write(tmp_path / "c.onnx", f("Mul", "x", f("Sqrt", size))))
    assert [step.kind for step in model._graph.steps] == ["Mul"]


def test_a_missing_node_type_is_named_with_its_place_and_can_be_added(tmp_path, monkeypatch):
    f = File(x=(F32, ["n", 3]))
    inner = File()
    inner.nodes.append(helper.make_node("Bernoulli", ["x"], ["inside"], name="drawn"))
    f("If", np.array(True), then_branch=inner.graph("inside"), else_branch=inner.graph("inside"))
    path = f.write(tmp_path / "m.onnx", f("Unique", f("Det", "x"), outputs=1))
    with pytest.raises(NotImplementedError) as told:
        nn.onnx.load(path)
    for part in (
        "m.onnx",
        "Bernoulli (node 'drawn' (Bernoulli), which makes 'inside', and 1 more)",
        "Unique (node '/part/Unique_2' (Unique), which makes 'Unique_2_0')",
        "nn.onnx.NODES[type]",
    ):
        assert part in str(told.value)
    for kind in ("Bernoulli", "Unique"):
        monkeypatch.setitem(nn.onnx.NODES, kind, lambda x: x)
    nn.onnx.load(path)


def test_an_attribute_or_a_form_of_a_node_that_is_missing_is_named_too(tmp_path):
    f = File(x=(F32, [1, 1, 4]))
    path = f.write(tmp_path / "m.onnx", f("Add", f("MaxPool", "x", kernel_shape=[2]), "x"))
    model = onnx.load(path)
    model.graph.node[1].attribute.append(helper.make_attribute("broadcast", 1))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotImplementedError, match=r"Add with the attribute broadcast \(node '/part/Add_1'"):
        nn.onnx.load(path)
    f = File(x=(F32, [3, 1, 2]))
    y, _ = f("LSTM", "x", numbers(1, 8, 2), numbers(1, 8, 2), outputs=2, hidden_size=2, clip=1.0)
    loaded = nn.onnx.load(f.write(tmp_path / "c.onnx", y))
    with pytest.raises(NotImplementedError, match=r"'/part/LSTM_0' .* has the attribute clip, which"):
        loaded(numbers(3, 1, 2))


def test_an_error_inside_a_node_names_the_node(tmp_path):
    f = File(x=(F32, ["n"]))
    loaded = nn.onnx.load(f.write(tmp_path / "e.onnx", f("Reshape", "x", np.array([2, 3]))))
    with pytest.raises(ValueError, match="reshape") as told:
        loaded(numbers(5))
    assert told.value.__notes__[0] == "in node '/part/Reshape_0' (Reshape), which makes 'Reshape_0_0'"


@pytest.mark.parametrize("content", [b"", b"no model", b"\x89HDF\r\n\x1a\n12345", b"<html>"])
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"^x.onnx is not a whole ONNX model"):
        nn.onnx.load(tmp_path / "x.onnx")


def test_a_file_that_was_cut_is_refused(tmp_path):
    path, _ = text_direction(tmp_path / "x.onnx")
    content = path.read_bytes()
    for size in range(1, len(content), len(content) // 20):
        path.write_bytes(content[:size])
        with pytest.raises((ValueError, NotImplementedError)):
            nn.onnx.load(path)
    with pytest.raises(FileNotFoundError):
        nn.onnx.load(tmp_path / "none.onnx")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (
        lambda: nn.onnx.load(tmp_path / "x.onnx"),
        lambda: nn.onnx.save(nn.ReLU(), tmp_path / "x.onnx", numbers(2)),
    ):
        with pytest.raises(ImportError, match=r"pip install plaingrad\[onnx\]"):
            call()


def test_what_pytorch_exports_computes_alike(tmp_path):
    torch = pytest.importorskip("torch")
    layers, x = torch.nn, numbers(2, 3, 17, 17)
    image = layers.Sequential(
        layers.Conv2d(3, 8, 3, 2, 1), layers.BatchNorm2d(8), layers.Hardswish(), layers.MaxPool2d(2, ceil_mode=True),
        layers.ConvTranspose2d(8, 4, 3, 2, 1, 1), layers.GroupNorm(2, 4), layers.PReLU(4), layers.InstanceNorm2d(4),
        layers.PixelShuffle(2), layers.Upsample(scale_factor=2, mode="bilinear"), layers.ReflectionPad2d(1),
        layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(1, 2), layers.GELU(),
    )  # fmt: skip
    layer = layers.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    encoder = layers.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    sequence = layers.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
    for model, own in (
        (image, x),
        (encoder, numbers(2, 5, 8)),
        (sequence, numbers(2, 5, 4)),
        (layers.GRU(4, 5), numbers(5, 2, 4)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model.eval(), (torch.tensor(own),), tmp_path / "t.onnx", dynamo=False, opset_version=17)
        with torch.no_grad():
            wanted = [array.numpy() for array in tensors_of(model(torch.tensor(own)))]
        found = flat(nn.onnx.load(tmp_path / "t.onnx")(own))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def tensors_of(result):
    return [x for part in result for x in tensors_of(part)] if isinstance(result, tuple) else [result]
