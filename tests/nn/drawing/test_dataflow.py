"""Columns follow the data: skips are drawn, and a model that is not a row of layers is refused."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import no_grad
from nn.drawing.columns import columns_of
from nn.drawing.dataflow import Skip
from wirings import Wired, wirings


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("wires", wirings(3), ids=str)
def test_skips_are_those_of_the_network_or_it_is_refused(wires, sample):
    nn.manual_seed(0)
    model, x = Wired(wires), np.array([1.0, -1.0, 0.5], np.float32) if sample else None
    if all(i in read for i, read in enumerate(wires)):
        columns = columns_of(model, x)
        assert [column.name for column in columns[1:]] == [f"layers.{i}" for i in range(3)]
        found = [skip for column in columns for skip in column.skips]
        assert found == [Skip(j, i, "add") for i, read in enumerate(wires) for j in read if j != i]
        assert [c.title.removeprefix("output: ") for c in columns[1:]] == [
            f"layers.{i} Linear{', tanh' if sample else ''}" for i in range(3)
        ]
    else:
        with pytest.raises(ValueError, match="follow one another"):
            columns_of(model, x)


class Residual(nn.Module):
    def __init__(self, join=np.add):
        self.first, self.second, self.act, self.join = nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU(), join

    def forward(self, x):
        return self.join(x, self.second(self.act(self.first(x))))


def test_a_skip_is_a_curve_with_the_op_that_joins_it():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), Residual(), Residual(np.multiply), nn.Linear(3, 1))
    picture = nn.draw(model)
    assert [skip for column in picture.columns for skip in column.skips] == [Skip(1, 3, "add"), Skip(3, 5, "multiply")]
    svg = picture.svg()
    assert svg.count("joins these values") == 2 and "grey curve: a skip" in svg
    assert "skip" not in nn.draw(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))).svg().partition('<g class="nodes"')[2]


def test_a_layer_that_is_used_twice_is_two_columns():
    nn.manual_seed(0)
    layer = nn.Linear(2, 2)
    assert repr(nn.draw(nn.Sequential(layer, nn.ReLU(), layer))) == "<picture of a network: 2 -> 2 -> 2 nodes>"


def test_a_model_that_takes_something_else_needs_a_sample():
    class Shifted(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(x[:, 5:])

    with pytest.raises(ValueError, match=r"cannot tell how Shifted joins its layers.*; pass a sample="):
        nn.draw(Shifted())
    assert nn.draw(Shifted(), np.zeros(7, np.float32)).columns[0].size == 2


def test_an_input_that_cannot_be_followed_is_refused():
    class Detached(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            with no_grad():
                h = self.a(x)
            return self.b(h)

    with pytest.raises(ValueError, match=r"layer b does not read layer a"):
        columns_of(Detached(), np.zeros(2, np.float32))


def test_a_value_from_before_the_first_layer_is_not_drawn_as_the_input():
    class Before(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(np.tanh(x)) + x

    with pytest.raises(ValueError, match="a value from before the first Linear layer"):
        columns_of(Before())


@pytest.mark.parametrize("sample", [None, np.ones((1, 4, 4), np.float32)])
@pytest.mark.parametrize("before", [nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(1), nn.BatchNorm2d(1)])
def test_what_a_layer_makes_of_the_input_is_not_drawn_as_the_input(before, sample):
    with pytest.raises(ValueError, match="changes the input before the first"):
        columns_of(nn.Sequential(before, nn.Flatten(), nn.Linear(16, 2)), sample)
    assert columns_of(nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(16, 2)), sample)[0].size == 16


def test_following_changes_nothing():
    nn.manual_seed(0)
    model = nn.Sequential(Residual(), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    model[0].first.weight.requires_grad = False
    nn.draw(model)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.first.weight"]
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


class Chain(nn.Module):
    """Three layers; `between` is applied to what reaches place 0 (the first layer's output), 1, or 2 (the output)."""

    def __init__(self, place, between):
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
        self.extra, self.never = nn.Parameter(np.ones(3, np.float32)), nn.Linear(3, 3)
        self.place, self.between = place, between

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == self.place:
                x = self.between(self, x)
        return x


USES = {
    "its own": (lambda s, x: x * s.extra, "extra"),
    "of another layer": (lambda s, x: x @ s.never.weight + 1.0, "never.weight"),
    "of a drawn layer": (lambda s, x: np.tanh(x) @ s.layers[0].weight.T, "layers.0.weight"),
    "by way of an op": (lambda s, x: x + np.exp(s.extra) * 2.0, "extra"),
    "as a call of a function": (lambda s, x: nn.functional.layer_norm(x, (3,), s.extra), "extra"),
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("use", USES)
def test_a_parameter_that_is_used_between_layers_is_refused(use, place, frozen):
    between, name = USES[use]
    model = Chain(place, between)
    for parameter in model.parameters():
        parameter.requires_grad = not frozen
    for sample in (None, np.ones(3, np.float32)):
        with pytest.raises(ValueError, match=rf"reads {name} outside of a layer.*follow one another"):
            columns_of(model, sample)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("between", "title", "value"),
    [
        (lambda s, x: np.tanh(x), ", tanh", np.tanh),
        (lambda s, x: nn.functional.relu(x), ", relu", lambda x: np.maximum(x, 0)),
        (lambda s, x: np.exp(np.expand_dims(x.reshape(3), 0).T.T) * 2, ", exp, multiply", lambda x: 2 * np.exp(x)),
        (lambda s, x: x, "", lambda x: x),
    ],
)
def test_functions_between_layers_are_named_as_modules_are(between, title, value, place):
    nn.manual_seed(0)
    model, x = Chain(place, between), np.array([1.0, -1.0, 0.5], np.float32)
    columns, h = columns_of(model, x), x
    for i, (layer, column) in enumerate(zip(model.layers, columns[1:], strict=True)):
        h = layer(h).data if i != place else value(layer(h).data)
        assert column.title.removeprefix("output: ") == f"layers.{i} Linear" + (title if i == place else "")
        np.testing.assert_allclose(column.values, h, rtol=1e-6)
    nn.draw(model)


@pytest.mark.parametrize("frozen", [False, True])
def test_parameters_of_a_layer_between_are_its_own_affair(frozen):
    class Scale(nn.Module):
        def __init__(self):
            self.by = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return np.tanh(x * self.by)

    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), Scale(), nn.LayerNorm(3)), Residual())
    for parameter in model.parameters():
        parameter.requires_grad = not frozen
    assert columns_of(model, np.ones(3, np.float32))[1].title == "0.0 Linear, Scale, LayerNorm"


FALSE = {
    "the result of another layer": (lambda s, x: s.a(x).sum(keepdims=True), r"has 1 values.*layer a has 3"),
    "part of the result": (lambda s, x: s.a(x)[:, :2], r"has 2 values.*layer a has 3"),
    "nothing of the input": (lambda s, x: s.a(np.ones((1, 3), np.float32)), r"layer a does not read the input"),
    "a parameter for the input": (lambda s, x: s.a(s.own), r"layer a does not read the input"),
    "no layer": (lambda s, x: np.tanh(x), r"calls none of its nn\.Linear"),
    "a keyword": (lambda s, x: s.a(x=x), r"call an nn\.Linear as layer\(x\)"),
    "a second row of layers": (lambda s, x: s.a(x) + s.b(x), "layer b does not read layer a"),
}


@pytest.mark.parametrize("what", FALSE)
def test_what_no_row_of_layers_computes_is_refused(what):
    forward, said = FALSE[what]

    class Model(nn.Module):
        def __init__(self):
            self.a, self.b, self.own = nn.Linear(3, 3), nn.Linear(3, 3), nn.Parameter(np.ones((1, 3), np.float32))

        def forward(self, x):
            return forward(self, x)

    for sample in (None, np.ones(3, np.float32)):
        with pytest.raises(ValueError, match=said):
            columns_of(Model(), sample)


def test_a_model_of_several_inputs_is_drawn_from_a_sample_of_each():
    class Two(nn.Module):
        def __init__(self, join):
            self.a, self.b, self.join = nn.Linear(3, 4), nn.Linear(4, 2), join

        def forward(self, x, z):
            return self.join(self, x, z)

    x, z = np.ones(2, np.float32), np.ones(1, np.float32)
    picture = nn.draw(Two(lambda s, x, z: s.b(s.a(np.concatenate([x, z], axis=1)))), x, z)
    assert repr(picture) == "<picture of a network: 3 -> 4 -> 2 nodes>"
    with pytest.raises(ValueError, match="a value from before the first Linear layer"):
        columns_of(Two(lambda s, x, z: s.b(s.a(np.concatenate([x, z], axis=1))) + z), x, 10, z)
    with pytest.raises(ValueError, match="got 1 and 2 rows"):
        columns_of(Two(max), x, 10, np.ones((2, 1), np.float32))
