"""nn.summary: shapes, parameters, operations and held bytes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from layer_kinds import KINDS


def test_the_columns_by_hand():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2, bias=False))
    found = nn.summary(model, np.zeros((5, 3), np.float32))
    assert [layer.shape for layer in found] == [(5, 4), (5, 4), (5, 4), (5, 2)]
    assert [layer.parameters for layer in found] == [16, 0, 8, 8] and found.parameters == 32
    assert [layer.flops for layer in found] == [5 * 4 * 6, 20, 100, 5 * 2 * 7]
    assert found[0].held == 5 * 3 * 4 and found[1].held == 5 * 4 * 4  # the input; tanh keeps its output
    assert "total" in str(found) and "<table>" in found._repr_html_()


def test_shared_layers_count_once_and_nothing_changes():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.BatchNorm1d(3), layer)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    found = nn.summary(model, np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    assert [x.parameters for x in found] == [12, 6, 0] and found.parameters == 18
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    assert model(np.zeros((2, 3), np.float32)).shape == (2, 3)


def test_arrays_in_a_buffer_count_once():
    layer = nn.Linear(3, 4)
    layer.weight.data = np.frombuffer(bytearray(48), np.float32).reshape(4, 3)
    x = np.frombuffer(bytearray(60), np.float32).reshape(5, 3)
    assert nn.summary(nn.Sequential(layer, nn.Tanh()), x)[0].held == 5 * 3 * 4


def test_operations_of_layers_with_kernels_steps_and_heads():
    x = np.zeros((1, 2, 4, 4), np.float32)
    (row,) = nn.summary(nn.Conv2d(2, 3, 2), x)
    assert (row.shape, row.parameters) == ((1, 3, 3, 3), 3 * 2 * 4 + 3)
    assert row.flops == 27 * 2 * (2 * 4)  # a product and a sum for every weight and output; the bias is the last sum
    (row,) = nn.summary(nn.ConvTranspose2d(2, 3, 2, stride=2, bias=False), x)
    assert row.flops == 3 * 64 * (2 * 2 - 1)  # each output has one place of the kernel
    (row,) = nn.summary(nn.GRU(4, 3), np.zeros((5, 2, 4), np.float32))
    assert row.shape == (5, 2, 3) and row.flops == 2 * 10 * (9 * 4 + 9 * 3)
    found = nn.summary(nn.MultiheadAttention(4, 2), *[np.zeros((5, 2, 4), np.float32)] * 3)
    assert [x.name for x in found] == ["out_proj", ""] and found[1].flops == 2 * 10 * 4 * (4 + 4 + 4 + 2 * 5)


def test_parameters_beside_inner_modules_have_a_row():
    class Scaled(nn.Module):
        def __init__(self):
            self.inner, self.scale = nn.Linear(2, 2), nn.Parameter(np.ones(2))

        def forward(self, x):
            return self.inner(x) * self.scale

    found = nn.summary(nn.Sequential(Scaled()), np.zeros((1, 2), np.float32))
    assert [(x.name, x.parameters) for x in found] == [("0.inner", 6), ("0", 2)]
    assert found.parameters == 8


# Multiply-adds of every kind of layer that multiplies matrices, by hand: samples, times the weights that each meets.
PRODUCTS = {
    "Conv1d": 2 * 3 * (3 * 2 * 2),
    "Conv2d": 2 * 9 * (3 * 2 * 4),
    "Conv3d": 2 * 27 * (3 * 2 * 8),
    "ConvTranspose1d": 2 * 2 * (2 * 3 * 2),
    "ConvTranspose2d": 2 * 4 * (2 * 3 * 4),
    "ConvTranspose3d": 2 * 8 * (2 * 3 * 8),
    "Linear": 6 * 12,
    "RNN": 6 * (3 * 4 + 3 * 3),
    "RNN of ReLU": 6 * (3 * 4 + 3 * 3),
    "LSTM": 2 * 6 * (12 * 4 + 12 * 3),
    # the weights from states to outputs and back are multiplied once, 12x2 by 2x3; outputs are products of states
    "LSTM projected": 2 * (6 * (12 * 4 + 12 * 3) + 12 * 2 * 3 + 6 * 3 * 2),
    "GRU": 6 * (9 * 4 + 9 * 3 + 9 * 3 + 9 * 3),
    "RNNCell": 2 * (3 * 4 + 3 * 3),
    "LSTMCell": 2 * (12 * 4 + 12 * 3),
    "GRUCell": 2 * (9 * 4 + 9 * 3),
    # q and out of 3 steps, k and v of 5, scores and sums of 3 x 5 pairs of vectors of 4
    "MultiheadAttention": 2 * (3 * 16 * 2 + 5 * 16 * 2 + 3 * 5 * 4 * 2),
    "MultiheadAttention with more": 2 * (3 * 16 * 2 + 5 * 16 * 2 + 3 * 7 * 4 * 2),  # two keys more
    "TransformerEncoderLayer": 2 * (3 * 16 * 4 + 3 * 3 * 4 * 2 + 3 * 20 * 2),
    # self-attention of 3 steps, attention to 2 steps of memory, two linear layers
    "TransformerDecoderLayer": 2 * (3 * 16 * 4 + 3 * 3 * 4 * 2 + 3 * 16 * 2 + 2 * 16 * 2 + 3 * 2 * 4 * 2 + 3 * 20 * 2),
}
AVERAGES = {"AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "Upsample", "Transformer"}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in AVERAGES])
def test_multiply_adds_of_every_kind_of_layer(kind, frozen):
    layer, inputs = KINDS[kind].layer(), KINDS[kind].inputs()
    for p in layer.parameters():
        p.requires_grad = not frozen
    found = nn.summary(layer, *(inputs[:1] if "LSTM" in kind else inputs))
    assert found.multiply_adds == PRODUCTS.get(kind, 0)
    for row in found:
        outputs = int(np.prod(row.shape))  # without a bias, the first product of a sum is not added
        assert row.flops >= 2 * row.multiply_adds - outputs and row.flops >= outputs * (row.multiply_adds > 0)
    assert all(p.requires_grad != frozen for p in layer.parameters())


def test_groups_and_packed_sequences_count_what_is_computed():
    (row,) = nn.summary(nn.Conv2d(4, 6, 3, groups=2, bias=False), np.zeros((1, 4, 5, 5), np.float32))
    assert row.multiply_adds == 6 * 9 * (2 * 9) and row.flops == 2 * row.multiply_adds - 6 * 9
    packed = nn.pack_padded_sequence(np.zeros((5, 2, 4), np.float32), [5, 2])
    (row,) = nn.summary(nn.GRU(4, 3), packed)
    assert row.multiply_adds == 7 * (9 * 4 + 9 * 3)


def test_products_outside_of_layers_have_a_row():
    class Scores(nn.Module):
        def __init__(self):
            self.query = nn.Linear(3, 3)

        def forward(self, x):
            return self.query(x) @ np.swapaxes(x, 1, 2)

    found = nn.summary(Scores(), np.zeros((2, 5, 3), np.float32))
    assert [(x.kind, x.multiply_adds) for x in found] == [("Linear", 2 * 5 * 9), ("(no layer)", 2 * 25 * 3)]
    assert found.multiply_adds == 90 + 150 and "(no layer)" in str(found)


def test_parameters_add_up_also_if_layers_are_not_called():
    class Part(nn.Module):
        def __init__(self):
            self.a, self.unused = nn.Linear(3, 3), nn.Linear(3, 9)

        def forward(self, x):
            return self.a(x)

    found = nn.summary(Part(), np.zeros((2, 3), np.float32))
    assert sum(layer.parameters for layer in found) == found.parameters == 12 + 36
    row = str(found).splitlines()[-3].split()
    assert row == ["(not", "called)", "36", "0", "0", "0"]
