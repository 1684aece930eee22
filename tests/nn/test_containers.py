"""Containers, and the methods of modules."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor


def test_a_list_of_modules_is_a_list():
    items = nn.ModuleList([nn.Linear(2, 3)])
    items.append(nn.ReLU()).extend([nn.Linear(3, 1), nn.Tanh()])
    assert len(items) == 4 and [type(m).__name__ for m in items] == ["Linear", "ReLU", "Linear", "Tanh"]
    items[3] = nn.Sigmoid()
    assert isinstance(items[-1], nn.Sigmoid) and isinstance(items[:2], nn.ModuleList) and len(items[:2]) == 2
    assert [name for name, _ in items.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(TypeError, match="argument 4"):
        items.append(np.tanh)
    with pytest.raises(TypeError, match="item 0"):
        items[0] = 5


def test_a_table_of_modules_is_a_dict():
    table = nn.ModuleDict({"cat": nn.Linear(2, 1)})
    table["dog"] = nn.ReLU()
    assert list(table) == ["cat", "dog"] == list(table.keys()) and len(table) == 2
    assert list(table.values()) == [table["cat"], table["dog"]] == [m for _, m in table.items()]
    with pytest.raises(TypeError, match="'bird'"):
        table["bird"] = "a bird"


def test_a_container_that_holds_itself_is_walked_once():
    items = nn.ModuleList([nn.Linear(2, 1)])
    items.append(items)
    assert len(items.parameters()) == 2 and list(items.state_dict()) == ["0.weight", "0.bias"]


def net():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def test_children_modules_and_buffers():
    model = net()
    assert list(model.children()) == list(model) and len(list(model.modules())) == 4
    names = [name for name, _ in model.named_buffers()]
    assert names == ["1.running_mean", "1.running_var", "1.num_batches_tracked"] and len(model.buffers()) == 3
    model.register_buffer("kept", Tensor([1.0, 2.0]))
    model.register_buffer("passing", np.ones(2), persistent=False)
    model.register_buffer("nothing", None)
    assert "kept" in model.state_dict() and "passing" not in model.state_dict() and model.nothing is None
    assert not model.kept.requires_grad


def test_apply_goes_from_the_inside_out():
    seen, model = [], net()
    assert model.apply(seen.append) is model
    assert seen[-1] is model and set(map(id, seen)) == set(map(id, model.modules()))


def test_frozen_parameters_stay_parameters_and_do_not_move():
    model = net()
    model[0].requires_grad_(False)
    assert len(model.parameters()) == 6
    model(np.ones((4, 2), np.float32) * [[1], [2], [3], [4]]).sum().backward()
    assert model[0].weight.grad is None and model[2].weight.grad is not None
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.requires_grad_()[0].weight.requires_grad


def test_another_dtype():
    model = net()
    assert {p.dtype for p in model.double().parameters()} == {np.dtype(np.float64)}
    counts = {b.dtype.kind for b in model.buffers()}
    assert counts == {"f", "i"}
    assert {p.dtype for p in model.float().parameters()} == {np.dtype(np.float32)}
    with pytest.raises(TypeError, match="floating-point"):
        model.to(int)


def test_a_state_that_does_not_fit_is_refused_key_by_key():
    model, other = net(), net()
    state = model.state_dict()
    wrong = {**state, "0.bias": np.ones(9), "2.bias": np.array(["a"]), "more": np.ones(1)}
    del wrong["0.weight"]
    with pytest.raises(ValueError, match=r"(?s)missing: 0.weight.*unexpected: more.*0.bias: shape.*2.bias: dtype"):
        other.load_state_dict(wrong)
    keys = other.load_state_dict({"2.bias": state["2.bias"] * 0 + 7, "more": np.ones(1)}, strict=False)
    assert "0.weight" in keys.missing_keys and keys.unexpected_keys == ["more"]
    assert other[2].bias.item() == 7


def test_shared_parameters_are_saved_under_each_name_and_must_agree():
    first = nn.Linear(2, 2)
    model = nn.Sequential(first, nn.ReLU(), first)
    state = model.state_dict()
    assert set(state) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    model.load_state_dict({"0.weight": np.ones((2, 2)), "0.bias": np.zeros(2)})
    with pytest.raises(ValueError, match=r"0\.weight: it is the same tensor as 2\.weight, and the values differ"):
        model.load_state_dict({**state, "2.weight": state["0.weight"] + 1})


def test_a_module_that_refers_to_the_one_around_it_is_walked_once():
    outer, inner = nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2)
    inner.around = outer
    outer.items.append(inner)
    assert len(list(outer.modules())) == 3 and len(outer.parameters()) == 4
    assert "1.around.1.weight" not in outer.state_dict() and "1.weight" in outer.state_dict()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Dropout(0.25), "p=0.25"),
        (nn.Embedding(5, 3), "5 rows of 3"),
        (nn.LayerNorm((2, 3)), "2x3"),
        (nn.RMSNorm(4), "4"),
        (nn.LeakyReLU(0.3), "negative_slope=0.3"),
        (nn.Softmax(0), "dim=0"),
        (nn.LogSoftmax(1), "dim=1"),
        (nn.Linear(2, 3, bias=False), "2 -> 3, bias=False"),
    ],
)
def test_a_module_describes_itself(module, words):
    assert f"{type(module).__name__}({words})" in repr(module)


def test_batch_norm_without_momentum_keeps_the_mean_of_all_batches():
    layer = nn.BatchNorm1d(2, momentum=None, dtype=float)
    batches = np.random.default_rng(0).normal(size=(3, 10, 2))
    for batch in batches:
        layer(batch)
    np.testing.assert_allclose(layer.running_mean.data, batches.mean(axis=(0, 1)))
    np.testing.assert_allclose(layer.running_var.data, batches.var(axis=1, ddof=1).mean(axis=0))


def test_prelu_has_one_slope_per_channel():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    slopes = np.array([0.1, 0.2, 0.3])
    y = nn.functional.prelu(x, slopes)
    np.testing.assert_allclose(y, np.where(x > 0, x, slopes[:, None] * x))
