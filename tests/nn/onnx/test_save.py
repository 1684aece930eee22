"""What `save` writes is computed alike by onnxruntime, by `load` and by the model, for other batches too."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import OPS
from layer_kinds import KINDS, call
from nn import functional as F
from onnx_files import near, saved
from samples import CALLS, sample, varied

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Called(nn.Module):
    """A function of the input as a module."""

    def __init__(self, function):
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Layer(nn.Module):
    """A layer of a kind, whose results are made flat."""

    def __init__(self, kind, layer):
        self.kind, self.layer = kind, layer

    def forward(self, *inputs):
        return call(self.kind, self.layer, inputs)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_computes_alike_and_keeps_its_parameters(kind, tmp_path):
    layer = KINDS[kind].layer(np.float32)
    inputs = KINDS[kind].inputs(np.float32)
    call(kind, layer, inputs)  # moves running means
    model = Layer(kind, layer)
    loaded = saved(model, tmp_path / "layer.onnx", tuple(inputs))
    kept = {name: x for name, x in model.state_dict().items() if x.dtype.kind == "f"}
    assert {*loaded.state_dict()} == kept.keys()
    for name, array in loaded.state_dict().items():
        np.testing.assert_array_equal(array, kept[name])
    assert {name for name, _ in loaded.named_parameters()} == {name for name, _ in model.named_parameters()}


ACTIVATIONS = [name for name in nn.activations.__all__ if name != "Threshold"]


@pytest.mark.parametrize("name", [*ACTIVATIONS, "Threshold", "PReLU"])
def test_every_activation_computes_alike(name, tmp_path):
    model = nn.Threshold(0.2, 9.0) if name == "Threshold" else getattr(nn, name)()
    corners = np.float32([[-60, -6, -3, -1], [-0.5, 0, 0.5, 1], [3, 6, 25, 60]])
    saved(nn.Sequential(nn.Identity(), model), tmp_path / "a.onnx", corners, numbers(5, 4))


WRITTEN = set(nn.onnx.OPS_WRITTEN)
UNWRITTEN = {  # what ONNX does not have, or not as this op needs it
    ("getitem", "indexed by arrays"), ("einsum", "several numbers of axes"), ("reshape", "another order"),
    ("round", "decimals"), ("roll", "one axis"), ("concatenate", "axis=None"), ("recurrent", "packed sequences"),
}  # fmt: skip


def cases_of(name):
    """Pairs of float32 inputs that vary and a function of them, one pair for each sample call of an op."""
    for own, i in CALLS:
        inputs, params = sample(own, i) if own == name else ([], {})
        if own == name and "mean" not in params and varied(inputs) and all(x.dtype.kind == "f" for x in varied(inputs)):
            yield case_of(OPS[name].function, inputs, params)


def case_of(op, inputs, params):
    arrays = [np.asarray(x, np.float32) if getattr(x, "dtype", None) == np.float64 else x for x in inputs]
    first = next(k for k, x in enumerate(arrays) if getattr(x, "dtype", None) == np.float32 or isinstance(x, list))
    given = arrays[first] if isinstance(arrays[first], list) else [arrays[first]]

    def function(*given):
        own = [*arrays]
        own[first] = list(given) if isinstance(arrays[first], list) else given[0]
        made = op(*own, **params)
        return made[0] if op.__name__ == "recurrent" else made  # h of all steps

    return [np.asarray(x, np.float32) for x in given], function


def together(cases):
    """One model of several functions, and its inputs: a file is written and read once."""
    ends = np.cumsum([0, *(len(given) for given, _ in cases)])

    def function(*given):
        return [own(*given[a:b]) for (_, own), a, b in zip(cases, ends[:-1], ends[1:], strict=True)]

    return Called(function), tuple(x for given, _ in cases for x in given)


def refusal(model, path, inputs):
    """Why the model is not written, or None."""
    try:
        nn.onnx.save(model, path, inputs, batch_axis=None)
    except NotImplementedError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_every_op_that_is_written_computes_alike(name, tmp_path):
    cases, written = list(cases_of(name)), []
    if not cases:
        assert name == "real"  # whose cases are complex
        return
    for case in cases:
        model, inputs = together([case])
        if (told := refusal(model, tmp_path / "case.onnx", inputs)) is None:
            written.append(case)
        else:
            assert any(name == op and part in told for op, part in UNWRITTEN), told
            assert " in the model (Called) " in told
    model, inputs = together(written)
    saved(model, tmp_path / "op.onnx", inputs, batch_axis=None)


def test_an_error_planted_in_a_translation_is_found_before_a_file_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(nn.onnx.OPS_WRITTEN, "tanh", lambda w, s: w.node("Sinh", s.x()))
    with pytest.raises(ValueError, match="is not written, because it would compute another output"):
        nn.onnx.save(nn.Tanh(), tmp_path / "x.onnx", numbers(2, 3))
    assert not [*tmp_path.iterdir()]


# ---- networks, with batches of other lengths than the sample's


class Residual(nn.Module):
    def __init__(self, channels):
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norms = [nn.BatchNorm2d(channels) for _ in range(2)]

    def forward(self, x):
        return F.relu(x + self.norms[1](self.second(F.relu(self.norms[0](self.first(x))))))


class Sentences(nn.Module):
    def __init__(self, kind):
        self.words = nn.Embedding(9, 4)
        self.layer = kind(4, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, tokens):
        y, _ = self.layer(self.words(tokens))
        return self.head(y[:, -1])


class Words(nn.Module):
    def __init__(self):
        self.words = nn.Embedding(9, 8)
        self.places = nn.Parameter(numbers(6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 9)

    def forward(self, tokens):
        hidden = self.encoder(self.words(tokens) + self.places[: np.shape(tokens)[1]], is_causal=True)
        return self.head(np.mean(hidden, axis=1))


def tokens(n):
    return np.random.default_rng(n).integers(0, 9, (n, 6))


NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(), nn.Linear(8, 2)), lambda n: numbers(n, 4)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), Residual(4),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.LogSoftmax(),
        ),
        lambda n: numbers(n, 1, 8, 8),
    ),
    "gru": (lambda: Sentences(nn.GRU), tokens),
    "lstm": (lambda: Sentences(nn.LSTM), tokens),
    "transformer": (Words, tokens),
    "u-net": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1), nn.InstanceNorm2d(4), nn.Hardswish(), nn.ConvTranspose2d(4, 4, 4, 2, 1),
            nn.GroupNorm(2, 4), nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 1), nn.Hardsigmoid(),
        ),
        lambda n: numbers(n, 1, 8, 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_alike_for_every_batch_and_can_be_trained_further(name, tmp_path):
    nn.manual_seed(0)
    make, batch = NETWORKS[name]
    model = make()
    model.train()
    if name == "cnn":
        model(batch(5))  # moves running means
    mode = [module.training for module in model.modules()]
    nn.onnx.save(model, tmp_path / "n.onnx", batch(2))
    assert [module.training for module in model.modules()] == mode
    loaded = saved(model, tmp_path / "n.onnx", batch(2), batch(1), batch(7))
    onnx.checker.check_model(onnx.load(tmp_path / "n.onnx"), full_check=True)
    assert {n for n, _ in loaded.named_parameters()} <= {n for n, _ in model.named_parameters()}
    states = [dict(own.state_dict()) for own in (model, loaded)]
    for key, array in states[1].items():
        np.testing.assert_array_equal(array, states[0][key])
    for own in (model, loaded):
        np.sum(np.square(own(batch(3)))).backward()
    gradients = dict(model.named_parameters())
    for key, p in loaded.named_parameters():
        near([p.grad.data], [gradients[key].grad.data])


def test_a_frozen_parameter_is_written_and_stays_frozen(tmp_path):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    for p in model.parameters():
        p.requires_grad = False
    loaded = saved(model, tmp_path / "f.onnx", np.array([[1, 2], [3, 0]]))
    assert not any(p.requires_grad for p in model.parameters())
    assert [name for name, _ in loaded.named_parameters()] == ["0.weight", "1.weight", "1.bias"]


def test_inputs_and_outputs_have_the_names_of_the_model(tmp_path):
    class Two(nn.Module):
        def forward(self, image, scale):
            return {"larger": image * scale, "sum": image + scale, "again": image}

    nn.onnx.save(Two(), tmp_path / "t.onnx", (numbers(2, 3), numbers(2, 3, seed=1)))
    loaded = nn.onnx.load(tmp_path / "t.onnx")
    assert (loaded.input_names, loaded.output_names) == (["image", "scale"], ["larger", "sum", "again"])
    np.testing.assert_array_equal(loaded(scale=np.float32([[2]] * 3) + numbers(3, 3) * 0, image=numbers(3, 3))[0],
                                  numbers(3, 3) * 2)  # fmt: skip


def test_the_batch_may_be_another_axis_or_fixed(tmp_path):
    def sizes():
        shape = onnx.load(tmp_path / "b.onnx").graph.input[0].type.tensor_type.shape
        return [own.dim_param or own.dim_value for own in shape.dim]

    x = numbers(4, 2, 3)
    saved(Called(lambda x: np.reshape(x, (4, -1))), tmp_path / "b.onnx", x)
    assert sizes() == [4, 2, 3]  # the model takes no other batch
    saved(Called(lambda x: np.reshape(x, (4, -1))), tmp_path / "b.onnx", x, numbers(4, 5, 3), batch_axis=1)
    assert sizes() == [4, "batch", 3]
    saved(Called(np.tanh), tmp_path / "b.onnx", x, batch_axis=None)
    assert sizes() == [4, 2, 3]
    double = Called(lambda x: np.reshape(x, (2 * np.shape(x)[0], -1)) + np.zeros((2 * len(x), 1), np.float32))
    saved(double, tmp_path / "b.onnx", x, numbers(7, 2, 3))
    assert sizes() == ["batch", 2, 3]


# ---- what cannot be written


class Deep(nn.Module):
    def __init__(self, function):
        self.layers = nn.Sequential(nn.Linear(3, 3), Called(function))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x: np.linalg.inv(x), r"inv in layers\.1 \(Called\) has no node type"),
        (lambda x: np.where(x > 0, x, 0.0), r"where in layers\.1 \(Called\) reads numbers that depend on the model's"),
        (lambda x: x * x.data.max(), r"multiply in layers\.1 \(Called\) reads numbers that depend"),
        (lambda x: x[np.argmax(x.data[:, 0])], r"getitem in layers\.1 \(Called\) has a size or an index that depends"),
        (lambda x: np.argmax(x, axis=1), "output, which the model returns, does not come from recorded ops"),
    ],
)
def test_what_cannot_be_written_is_named_with_its_place(function, told, tmp_path):
    nn.manual_seed(0)
    with pytest.raises(NotImplementedError, match=told):
        nn.onnx.save(Deep(function), tmp_path / "x.onnx", np.abs(numbers(3, 3)))
    assert not [*tmp_path.iterdir()]


def test_a_decision_by_values_is_refused(tmp_path):
    model = Called(lambda x: x * 2 if x.data.mean() > 0 else np.tanh(x))
    with pytest.raises(NotImplementedError, match="other ops for other inputs of the same shape"):
        nn.onnx.save(model, tmp_path / "x.onnx", np.abs(numbers(3, 3)))


def test_packed_sequences_are_refused(tmp_path):
    def function(x):
        packed = nn.pack_padded_sequence(x, [3, 2])
        return layer(packed)[1]

    layer = nn.GRU(3, 2)
    with pytest.raises(NotImplementedError, match=r"in several places|packed sequences"):
        nn.onnx.save(Called(function), tmp_path / "x.onnx", numbers(3, 2, 3), batch_axis=None)


def test_every_op_of_layers_is_written():
    """The others are derivatives of these, losses, and an alignment; a new op of a layer belongs in the table."""
    of_layers = {name for name, op in OPS.items() if op.function.__module__.startswith("nn.") and op.rules}
    others = {"convolution_weight", "window_spread", "window_pick", "window_place", "ctc"}
    assert of_layers - WRITTEN == others | {name for name in of_layers if name.endswith("_cross_entropy")}
