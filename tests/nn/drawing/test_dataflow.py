"""nn.draw follows the data: skips are drawn, and a model that is not a row of layers is refused."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import nn
from autograd import no_grad
from nn.drawing.columns import columns_of
from nn.drawing.dataflow import Skip


class Wired(nn.Module):
    """Layers of width 3; layer i reads the sum of the columns in `wires[i]`, and so does the output."""

    def __init__(self, wires):
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in wires[1:]])
        self.wires = wires

    def forward(self, x):
        columns = [x]
        for layer, wires in zip([*self.layers, None], self.wires, strict=True):
            value = functools.reduce(np.add, [columns[i] for i in wires])
            columns.append(value if layer is None else np.tanh(layer(value)))
        return columns[-1]


def wirings(count):
    """Every network of `count` layers: what each layer, and the output, may read."""
    choices = [
        [s for n in range(1, i + 2) for s in itertools.combinations(range(i + 1), n)] for i in range(1, count + 1)
    ]
    return [((0,), *rest) for rest in itertools.product(*choices)]


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
    else:
        with pytest.raises(ValueError, match="follow one another"):
            nn.draw(model, x)


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
        nn.draw(Detached(), np.zeros(2, np.float32))


def test_a_value_from_before_the_first_layer_is_not_drawn_as_the_input():
    class Before(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(np.tanh(x)) + x

    with pytest.raises(ValueError, match="a value from before the first Linear layer"):
        nn.draw(Before())


def test_following_changes_nothing():
    nn.manual_seed(0)
    model = nn.Sequential(Residual(), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    nn.draw(model)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
