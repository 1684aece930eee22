"""Recurrent layers: directions, layers, batches first, states, packed sequences, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor

KINDS = ["RNN", "LSTM", "GRU"]
X = np.random.default_rng(0).normal(size=(5, 3, 4))


def first(state):
    return state[0] if isinstance(state, tuple) else state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_a_cell_at_every_step(kind, bias):
    layer, cell = getattr(nn, kind)(4, 2, bias=bias, dtype=float), getattr(nn, kind + "Cell")(4, 2, bias, dtype=float)
    cell.load_state_dict({name.removesuffix("_l0"): array for name, array in layer.state_dict().items()})
    y, last = layer(X)
    state = None
    for t, x in enumerate(X):
        state = cell(x, state)
        np.testing.assert_allclose(first(state).data, y[t].data)
    for own, end in zip(*((s if kind == "LSTM" else (s,)) for s in (state, last)), strict=True):
        np.testing.assert_allclose(end[0].data, own.data)
    one = cell(X[0, 0], None)
    np.testing.assert_allclose(first(one).data, first(cell(X[0])).data[0])


@pytest.mark.parametrize("kind", KINDS)
def test_two_directions_are_two_layers(kind):
    both = getattr(nn, kind)(4, 2, bidirectional=True, dtype=float)
    state = both.state_dict()
    y, last = both(X)
    for part, ending, x in ((slice(2), "_l0", X), (slice(2, 4), "_l0_reverse", X[::-1])):
        one = getattr(nn, kind)(4, 2, dtype=float)
        one.load_state_dict({k.removesuffix("_reverse"): v for k, v in state.items() if k.endswith(ending)})
        own, end = one(x)
        own = own.data[::-1] if "reverse" in ending else own.data
        np.testing.assert_allclose(y[..., part].data, own)
        np.testing.assert_allclose(first(last).data[int("reverse" in ending)], first(end).data[0])


@pytest.mark.parametrize("kind", KINDS)
def test_layers_follow_one_another(kind):
    deep = getattr(nn, kind)(4, 2, num_layers=2, dtype=float)
    state = deep.state_dict()
    ones = [getattr(nn, kind)(inputs, 2, dtype=float) for inputs in (4, 2)]
    x = X
    for k, one in enumerate(ones):
        one.load_state_dict({name.replace(f"_l{k}", "_l0"): v for name, v in state.items() if name.endswith(f"_l{k}")})
        x, end = one(x)
        np.testing.assert_allclose(first(deep(X)[1]).data[k], first(end).data[0])
    np.testing.assert_allclose(deep(X)[0].data, x.data)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_first_and_single_sequences(kind):
    layer = getattr(nn, kind)(4, 2, dtype=float)
    other = getattr(nn, kind)(4, 2, batch_first=True, dtype=float)
    other.load_state_dict(layer.state_dict())
    y, last = layer(X)
    z, end = other(X.swapaxes(0, 1))
    np.testing.assert_allclose(z.data.swapaxes(0, 1), y.data)
    np.testing.assert_allclose(first(end).data, first(last).data)
    one, of_one = layer(X[:, 1])
    np.testing.assert_allclose(one.data, y.data[:, 1])
    np.testing.assert_allclose(first(of_one).data, first(last).data[:, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 5, 4], [1, 1, 1]])
def test_a_packed_batch_is_its_sequences_one_by_one(kind, lengths):
    layer = getattr(nn, kind)(4, 2, num_layers=2, bidirectional=True, dtype=float)
    rng = np.random.default_rng(1)
    start = [rng.normal(size=(4, 3, 2)) for _ in range(2 if kind == "LSTM" else 1)]
    given = tuple(start) if kind == "LSTM" else start[0]
    packed = nn.pack_padded_sequence(Tensor(X, requires_grad=True), lengths, enforce_sorted=False)
    y, last = layer(packed, given)
    padded, found = nn.pad_packed_sequence(y, total_length=5)
    assert found.tolist() == lengths
    for i, n in enumerate(lengths):
        own_start = tuple(s[:, i : i + 1] for s in start)
        own, end = layer(X[:n, i : i + 1], own_start if kind == "LSTM" else own_start[0])
        np.testing.assert_allclose(padded.data[:n, i], own.data[:, 0])
        assert not padded.data[n:, i].any()
        for a, b in zip(*((s if kind == "LSTM" else (s,)) for s in (last, end)), strict=True):
            np.testing.assert_allclose(a.data[:, i], b.data[:, 0])


def test_dropout_is_between_layers_and_off_in_eval():
    layer = nn.GRU(4, 2, num_layers=2, dropout=0.5, dtype=float, generator=np.random.default_rng(0))
    a, b = layer(X)[0].data, layer(X)[0].data
    assert not np.allclose(a, b)
    layer.eval()
    np.testing.assert_array_equal(layer(X)[0].data, layer(X)[0].data)


def test_shown_are_the_options_that_were_chosen():
    assert repr(nn.LSTM(3, 4)) == "LSTM(3 -> 4): 144 parameters"
    layer = nn.RNN(3, 4, 2, "relu", batch_first=True, bidirectional=True, dropout=0.1, bias=False)
    shown = repr(layer)
    for word in ("num_layers=2", "relu", "batch_first", "bidirectional", "dropout=0.1", "bias=False"):
        assert word in shown
    assert nn.RNNCell(3, 4, nonlinearity="relu").describe() == "3 -> 4, relu"


S = np.zeros((1, 3, 2))
WRONG = {
    "features": (lambda: nn.GRU(5, 2)(X), r"GRU\(5 -> 2\) needs.*\(T, n, 5\).*got \(5, 3, 4\)"),
    "features, batch first": (lambda: nn.GRU(5, 2, batch_first=True)(X), r"GRU\(.*\(n, T, 5\)"),
    "axes": (lambda: nn.LSTM(4, 2)(X[None]), r"LSTM\(4 -> 2\).*got \(1, 5, 3, 4\)"),
    "packed features": (lambda: nn.GRU(5, 2)(nn.pack_padded_sequence(X, [5, 5, 5])), r"GRU\(5 -> 2\).*5.*got.*4"),
    "state": (lambda: nn.GRU(4, 2)(X, np.zeros((1, 2, 2))), r"GRU.*first states of shape \(1, 3, 2\); got \(1, 2, 2\)"),
    "state of layers": (lambda: nn.GRU(4, 2, 2)(X, S), r"\(2, 3, 2\); got \(1, 3, 2\)"),
    "one of two states": (lambda: nn.LSTM(4, 2)(X, (S,)), r"LSTM.*\(h, c\)"),
    "no pair": (lambda: nn.LSTM(4, 2)(X, S), r"LSTM.*\(h, c\)"),
    "pair": (lambda: nn.GRU(4, 2)(X, (S, S)), "GRU.*first states"),
    "no steps": (lambda: nn.RNN(4, 2)(X[:0]), r"RNN\(.*at least one step.*\(0, 3, 4\)"),
    "cell features": (lambda: nn.LSTMCell(5, 2)(X[0]), r"LSTMCell\(5 -> 2\).*\(n, 5\).*got \(3, 4\)"),
    "cell state": (lambda: nn.GRUCell(4, 2)(X[0], np.zeros((2, 2))), r"GRUCell.*\(3, 2\).*got \(2, 2\)"),
    "cell pair": (lambda: nn.LSTMCell(4, 2)(X[0], np.zeros((3, 2))), r"LSTMCell.*\(h, c\)"),
    "sizes": (lambda: nn.RNN(4, 0), "RNN: hidden_size and num_layers are at least 1"),
    "dropout": (lambda: nn.RNN(4, 2, dropout=2), "RNN: dropout is a probability"),
    "nonlinearity": (lambda: nn.RNN(4, 2, nonlinearity="sin"), "'tanh' or 'relu'; got 'sin'"),
    "proj_size": (lambda: nn.LSTM(4, 2, proj_size=2), "proj_size is at least 0 and below hidden_size, 2; got 2"),
    "projected state": (lambda: nn.LSTM(4, 2, proj_size=1)(X, (S, S)), r"of shapes \(1, 3, 1\) and \(1, 3, 2\); got"),
    "cell sizes": (lambda: nn.RNNCell(4, 0), "RNNCell.*at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_error_names_the_layer_what_it_got_and_what_it_needs(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()
