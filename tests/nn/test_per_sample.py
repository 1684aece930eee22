"""The gradients of single samples: those of a loop over the samples, for every layer, loss and use of a parameter."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import nn
from autograd import Tensor
from layer_kinds import KINDS
from nn import per_sample

MSE = nn.MSELoss()


class Reaching(nn.Module):
    """Layers used twice, a shared weight, one read without its layer, and samples that are not the first axis."""

    def __init__(self, how):
        self.how, self.layer, self.other = how, nn.Linear(4, 4, dtype=float), nn.Linear(4, 4, dtype=float)
        if how == "tied":
            self.other.weight = self.layer.weight

    def forward(self, x):
        y = self.layer(x) if self.how != "by steps" else np.swapaxes(self.layer(np.swapaxes(x, 0, 1)), 0, 1)
        if self.how in ("twice", "tied", "by steps"):
            y = (self.layer if self.how == "twice" else self.other)(np.tanh(y))
        if self.how == "read":
            y = np.tanh(y) @ self.layer.weight.T
        if self.how == "mixed":
            y = y - np.mean(y, axis=0, keepdims=True) * y
        return self.other(y) if self.how == "unused" and x is None else y


def by_hand(model, loss, X, y):
    """Row by row, with backward()."""
    rows = []
    for i in range(len(X)):
        model.zero_grad()
        loss(model(X[i : i + 1]), *(() if y is None else (y[i : i + 1],))).backward()
        rows.append({k: np.zeros_like(p.data) if p.grad is None else p.grad.data for k, p in model.named_parameters()})
    model.zero_grad()
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def compare(model, loss, X, y, dtype=float):
    expected, state = by_hand(model, loss, X, y), model.state_dict()
    found = nn.per_sample_gradients(model, loss, X, y)
    assert [*found] == [*expected]
    for name in expected:
        assert found[name].dtype == expected[name].dtype and found[name].shape == expected[name].shape
        close = {"rtol": 1e-10, "atol": 1e-12} if dtype is float else {"rtol": 1e-3, "atol": 1e-5}
        np.testing.assert_allclose(found[name], expected[name], **close, err_msg=name)
    assert all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))


def batched(kind):
    """Kinds of one input whose first axis is the samples."""
    return len(KINDS[kind].shapes) == 1 and "RNN" not in kind and kind not in ("LSTM", "GRU", "LSTMCell")


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if batched(kind)])
def test_every_layer(kind, dtype):
    layer = KINDS[kind].layer(dtype).eval()
    x = np.random.default_rng(0).normal(size=(4, *KINDS[kind].shapes[0][1:])).astype(dtype)
    if not [*layer.parameters()]:
        return
    first = layer(x)
    target = np.zeros(np.shape(first[0] if isinstance(first, tuple) else first), dtype)
    compare(layer, lambda p, t: np.mean((p - t) ** 2 + p), x, target, dtype)


CONVS = [
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": "same", "groups": 2},
    {"padding": 1, "padding_mode": "circular"},
    {"padding": 2, "padding_mode": "reflect", "bias": False},
]


@pytest.mark.parametrize("options", CONVS, ids=str)
@pytest.mark.parametrize("axes", [1, 2])
def test_convolutions_and_the_rest_of_a_network(axes, options):
    nn.manual_seed(0)
    conv = getattr(nn, f"Conv{axes}d")(2, 4, 3, dtype=float, **options)
    model = nn.Sequential(conv, nn.GroupNorm(2, 4, dtype=float), nn.ReLU(), nn.Flatten())
    x = np.random.default_rng(0).normal(size=(5, 2, *(6, 5)[:axes]))
    model.append(nn.Linear(model(x).shape[1], 3, dtype=float))
    model[4].bias.requires_grad = False
    found = nn.per_sample_gradients(model, nn.CrossEntropyLoss(), x, np.array([0, 1, 2, 0, 1]))
    assert "4.bias" not in found and "4.weight" in found
    model[4].bias.requires_grad = True
    compare(model, nn.CrossEntropyLoss(weight=np.array([1.0, 2.0, 3.0])), x, np.array([0, 1, 2, 0, 1]))


@pytest.mark.parametrize("how", ["twice", "tied", "read", "mixed", "by steps", "unused"])
@pytest.mark.parametrize("steps", [3, 5])
def test_what_a_pass_of_all_cannot_see_is_found_by_single_samples(how, steps):
    nn.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(5, steps, 4))
    compare(Reaching(how), MSE, x, np.zeros((5, steps, 4)))


def test_embeddings_sum_the_uses_of_a_row():
    model = nn.Sequential(nn.Embedding(6, 4, padding_idx=2, dtype=float), nn.Flatten(), nn.Linear(12, 2, dtype=float))
    x = np.array([[1, 1, 5], [2, 0, 2], [3, 4, 3], [0, 0, 0]])
    compare(model, MSE, x, np.ones((4, 2)))
    compare(model, lambda p: np.sum(p**2), x, None)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_any_number_of_samples(n):
    layer, x = nn.Linear(3, 2, dtype=float), np.random.default_rng(0).normal(size=(n, 3))
    found = nn.per_sample_gradients(layer, MSE, x, np.zeros((n, 2)))
    assert found["weight"].shape == (n, 2, 3)
    if n:
        compare(layer, MSE, x, np.zeros((n, 2)))


def test_their_mean_is_the_gradient_of_the_batch():
    layer, x, y = nn.Linear(3, 2, dtype=float), np.ones((4, 3)), np.arange(8.0).reshape(4, 2)
    found = nn.per_sample_gradients(layer, MSE, Tensor(x), y)
    MSE(layer(x), y).backward()
    np.testing.assert_allclose(found["weight"].mean(0), layer.weight.grad.data, rtol=1e-12)


def test_layers_of_the_table_take_one_pass(monkeypatch):
    """The loop is for the first and the last sample alone."""
    calls, alone = [], per_sample._Samples.alone
    monkeypatch.setattr(per_sample._Samples, "alone", lambda self, i: calls.append(i) or alone(self, i))
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2))
    nn.per_sample_gradients(model, MSE, np.ones((9, 3), np.float32), np.zeros((9, 2), np.float32))
    assert calls == [0, 8]
    assert {kind.__name__ for kind in per_sample._RULES} <= {name for name, v in vars(nn).items() if inspect.isclass(v)}


def test_a_batch_norm_in_training_is_refused():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match=r"BatchNorm1d '1' computes with the other samples.*eval\(\)"):
        nn.per_sample_gradients(model, MSE, np.ones((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="one label per sample; got 4 and 3"):
        nn.per_sample_gradients(model.eval(), MSE, np.ones((4, 3)), np.zeros((3, 2)))
