"""What holds for layers of every kind: derivatives, dtypes, states, compiled steps, summaries."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from layer_kinds import KINDS, call, total

RANDOM = {name for name in KINDS if "Dropout" in name or name == "RReLU"}


def test_every_layer_with_sizes_is_in_the_table():
    of_axes = {name for name in nn.__all__ if name[-2:] in ("1d", "2d", "3d")} | {"Upsample", "Fold", "Unfold"}
    of_axes -= {"NLLLoss2d"}
    others = {"GRU", "LSTM", "RNN", "GroupNorm", "LayerNorm", "MultiheadAttention", "Transformer", "GRUCell"}
    assert of_axes | others <= {name.partition(" ")[0] for name in KINDS}


@pytest.fixture(params=KINDS)
def name(request):
    return request.param


def function_of(name, layer):
    """The layer as a function of its inputs and parameters."""
    names = [key for key, _ in layer.named_parameters()]
    count = len(KINDS[name].shapes)

    def function(*arrays):
        own = copy.deepcopy(layer)
        for key, array in zip(names, arrays[count:], strict=True):
            owner, _, attribute = key.rpartition(".")
            setattr(dict(own.named_modules())[owner], attribute, array)
        return total(name, own, arrays[:count])

    return function


def arrays_of(name, layer, dtype=float):
    return [*KINDS[name].inputs(dtype), *(p.data for p in layer.parameters())]


def gradients(name, layer, inputs):
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    layer.zero_grad()
    loss = total(name, layer, leaves)
    loss.backward()
    return loss.item(), [x.grad.data for x in [*leaves, *layer.parameters()] if x.grad is not None]


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_the_differences(name, training):
    layer = KINDS[name].layer().train(training)
    if name in RANDOM and training:
        pytest.skip("draws anew in every call")
    inputs = KINDS[name].inputs()
    _, found = gradients(name, layer, inputs)
    arrays, rng = [*inputs, *(p.data for p in layer.parameters())], np.random.default_rng(3)
    along = [rng.normal(size=a.shape) for a in arrays]

    def at(h):
        own = copy.deepcopy(layer)
        for p, v in zip(own.parameters(), along[len(inputs) :], strict=True):
            p.data = p.data + h * v
        return total(name, own, [x + h * v for x, v in zip(inputs, along, strict=False)])

    h = 1e-6
    slope = (at(h) - at(-h)) / (2 * h)
    slope = slope.item() if isinstance(slope, Tensor) else slope
    assert len(found) == len(arrays)
    np.testing.assert_allclose(sum(np.sum(g * v) for g, v in zip(found, along, strict=True)), slope, rtol=1e-6)


def test_second_derivatives_are_the_differences_of_the_first(name):
    layer = KINDS[name].layer().eval()
    inputs, rng = KINDS[name].inputs(), np.random.default_rng(4)
    v = [rng.normal(size=x.shape) for x in inputs]
    h, ends = 1e-6, []
    for step in (h, -h):
        _, found = gradients(name, layer, [x + step * d for x, d in zip(inputs, v, strict=True)])
        ends.append(found)
    expected = [(a - b) / (2 * h) for a, b in zip(*ends, strict=True)]
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    layer.zero_grad()
    total(name, layer, leaves).backward(create_graph=True)
    sources = [*leaves, *layer.parameters()]
    along = sum(np.sum(x.grad * d) for x, d in zip(leaves, v, strict=True))
    firsts = [x.grad for x in sources]
    for x in sources:
        x.grad = None
    along.backward()
    del firsts
    for x, numbers in zip(sources, expected, strict=True):
        found = 0.0 if x.grad is None else x.grad.data
        np.testing.assert_allclose(found, numbers, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_keep_the_dtype(name, dtype):
    layer = KINDS[name].layer(dtype)
    inputs = [Tensor(x, requires_grad=True) for x in KINDS[name].inputs(dtype)]
    outputs = call(name, layer, inputs)
    assert {y.dtype for y in outputs} == {np.dtype(dtype)}
    sum(np.sum(y) for y in outputs).backward()
    kept = [*inputs, *layer.parameters()]
    assert {x.grad.dtype for x in kept if x.grad is not None} == {np.dtype(dtype)}


def test_float32_is_near_float64(name):
    if name in RANDOM:
        pytest.skip("draws anew in every call")
    (a, of_a), (b, of_b) = (
        gradients(name, KINDS[name].layer(dtype), KINDS[name].inputs(dtype)) for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(a, b, rtol=1e-4)
    for x, y in zip(of_a, of_b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-3)


def test_a_state_moves_to_another_layer_and_to_a_file(name, tmp_path):
    layer, inputs = KINDS[name].layer(), KINDS[name].inputs()
    call(name, layer, inputs)  # moves running means
    other = copy.deepcopy(layer)
    for p in other.parameters():
        p.data = p.data + 1
    nn.save(layer, tmp_path / "state.npz")
    nn.load(tmp_path / "state.npz", other)
    for a, b in zip(call(name, layer.eval(), inputs), call(name, other.eval(), inputs), strict=True):
        np.testing.assert_array_equal(getattr(a, "data", a), getattr(b, "data", b))
    assert list(layer.state_dict()) == list(other.state_dict())


def test_a_compiled_step_is_the_eager_one(name):
    if name in RANDOM:
        pytest.skip("draws anew in every call")
    models = [KINDS[name].layer() for _ in range(2)]
    optimizers = [nn.SGD(model.parameters(), lr=0.01) if [*model.parameters()] else None for model in models]

    def step_of(model, optimizer):
        def step(*inputs):
            model.zero_grad()
            leaves = [Tensor(x, requires_grad=True) for x in inputs] if optimizer is None else inputs
            loss = total(name, model, leaves)
            loss.backward()
            if optimizer is not None:
                optimizer.step()
            return loss

        return step

    eager, compiled = (step_of(m, o) for m, o in zip(models, optimizers, strict=True))
    compiled = autograd.compile(compiled)
    for k in range(5):
        inputs = [x * (1 + k / 10) for x in KINDS[name].inputs()]
        np.testing.assert_allclose(compiled(*inputs).item(), eager(*inputs).item(), rtol=1e-9)
    for a, b in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_summary_names_the_layer_and_counts_its_parameters(name):
    layer, inputs = KINDS[name].layer(), KINDS[name].inputs()
    if name.startswith("LSTM"):
        inputs = inputs[:1]
    found = nn.summary(layer, *inputs)
    assert found.parameters == sum(p.size for p in layer.parameters())
    assert sum(row.parameters for row in found) == found.parameters
    assert found.flops >= 0 and str(found)


def test_the_input_stays_as_it_was(name):
    layer, inputs = KINDS[name].layer(), KINDS[name].inputs()
    before = [x.copy() for x in inputs]
    gradients(name, layer, inputs)
    for x, y in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, y)


STEPS_FIRST = {"RNN", "LSTM", "LSTM projected", "GRU", "MultiheadAttention", "MultiheadAttention with more"}


def test_an_empty_batch_gives_an_empty_result(name):
    layer = KINDS[name].layer().eval()
    first = name in STEPS_FIRST or name.startswith("Transformer")
    if name.startswith("InstanceNorm"):
        pytest.skip("needs values of a sample")
    inputs = [
        Tensor(x[:, :0] if first or (x.ndim == 3 and name.startswith("LSTM")) else x[:0], requires_grad=True)
        for x in KINDS[name].inputs()
    ]
    full = call(name, KINDS[name].layer().eval(), KINDS[name].inputs())
    outputs = call(name, layer, inputs)
    assert [y.ndim for y in outputs] == [y.ndim for y in full] and all(y.size == 0 for y in outputs)
    sum(np.sum(y) for y in outputs).backward()
    assert all(x.grad.shape == x.shape for x in inputs)
    assert all(p.grad is None or not p.grad.data.any() for p in layer.parameters())


MISFITS = {
    "one channel more": lambda x: np.concatenate([x, x[:, :1]], axis=1),
    "a longer last axis": lambda x: np.concatenate([x, x[..., :1]], axis=-1),
    "one axis": np.ravel,
    "seven axes": lambda x: x.reshape((1,) * (7 - x.ndim) + x.shape),
    "an empty last axis": lambda x: x[..., :0],
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_an_input_that_does_not_fit_is_refused_by_a_layer_with_its_name(name, misfit):
    inputs = KINDS[name].inputs()
    inputs[0] = MISFITS[misfit](inputs[0])
    said = ""
    try:
        call(name, KINDS[name].layer(), inputs)
    except (ValueError, TypeError) as error:
        said = str(error)
    names = (name.partition(" ")[0], "MultiheadAttention")  # which is what refuses inside a Transformer
    assert not said or said.startswith(names), said
    assert not said or re.search(" got |larger than|a multiple|does not divide|give outputs", said), said


HIDDEN = np.array([[True, True, True], [False, False, True]])


@pytest.mark.parametrize("kind", [k for k in KINDS if k.startswith(("Multihead", "TransformerE", "TransformerD"))])
def test_masks_hide_keep_the_dtype_and_are_refused_by_name(kind):
    layer, (x, *rest) = KINDS[kind].layer(np.float32).eval(), KINDS[kind].inputs(np.float32)
    layer, rest = (layer, (x, x)) if kind.startswith("Multi") else (layer, rest)
    name = {"M": "key_padding_mask", "E": "src_key_padding_mask", "D": "tgt_key_padding_mask"}[
        kind.removeprefix("Transformer")[0]
    ]
    one = HIDDEN & [[False], [True]]
    as_bool, as_number = (layer(x, *rest, **{name: m}) for m in (one, np.where(one, -np.inf, 0.0)))
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (as_bool, as_number)), strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6)
    with pytest.raises(TypeError, match=r"^MultiheadAttention: key_padding_mask is of booleans.* got int64"):
        layer(x, *rest, **{name: one.astype(np.int64)})
    if "more" not in kind:  # where a key is always seen
        with pytest.raises(
            ValueError, match=r"^MultiheadAttention\(4, 2 heads\): .* all keys from .* queries, first \(0, "
        ):
            layer(x, *rest, **{name: HIDDEN})
