"""nn.summary: shapes, parameters, operations and held bytes, by hand."""

from __future__ import annotations

import numpy as np

import nn


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
