"""MultiheadAttention against a loop over heads, its masks, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor

RNG = np.random.default_rng(0)
Q, K = RNG.normal(size=(4, 3, 8)), RNG.normal(size=(5, 3, 8))


def by_heads(layer, q, k, v, hidden=None):
    """The result and the weights (n, heads, L, S) of arrays with the batch first."""
    weights = np.split(layer.in_proj_weight.data, 3) if layer.in_proj_weight is not None else [
        layer.q_proj_weight.data, layer.k_proj_weight.data, layer.v_proj_weight.data
    ]  # fmt: skip
    biases = np.split(layer.in_proj_bias.data, 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
    size, results, found = layer.embed_dim // layer.num_heads, [], []
    for head in range(layer.num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].swapaxes(1, 2) / np.sqrt(size)
        scores = scores if hidden is None else np.where(hidden, -np.inf, scores)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        found.append(e / e.sum(-1, keepdims=True))
        results.append(found[-1] @ v[..., part])
    y = np.concatenate(results, -1) @ layer.out_proj.weight.data.T + layer.out_proj.bias.data
    return y, np.stack(found, 1)


@pytest.mark.parametrize("widths", [{}, {"kdim": 6, "vdim": 5}])
def test_every_head_attends(widths):
    layer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=float, **widths)
    layer.in_proj_bias.data = RNG.normal(size=24)
    layer.out_proj.bias.data = RNG.normal(size=8)
    q = RNG.normal(size=(3, 4, 8))
    k, v = (RNG.normal(size=(3, 5, widths.get(name, 8))) for name in ("kdim", "vdim"))
    y, weights = layer(q, k, v)
    expected, of_heads = by_heads(layer, q, k, v)
    np.testing.assert_allclose(y.data, expected)
    np.testing.assert_allclose(weights.data, of_heads.mean(1))
    np.testing.assert_allclose(layer(q, k, v, average_attn_weights=False)[1].data, of_heads)
    assert layer(q, k, v, need_weights=False)[1] is None
    steps_first = nn.MultiheadAttention(8, 2, dtype=float, **widths)
    steps_first.load_state_dict(layer.state_dict())
    np.testing.assert_allclose(steps_first(*(x.swapaxes(0, 1) for x in (q, k, v)))[0].data.swapaxes(0, 1), expected)
    one, of_one = layer(q[1], k[1], v[1])
    np.testing.assert_allclose(one.data, expected[1])
    np.testing.assert_allclose(of_one.data, of_heads.mean(1)[1])


def test_attention_to_itself_is_one_product_with_equal_results():
    layer = nn.MultiheadAttention(8, 2, dtype=float)
    np.testing.assert_allclose(layer(Q, Q, Q)[0].data, layer(Q, Q.copy(), Q.copy())[0].data)


@pytest.mark.parametrize(
    "kind", ["padding", "attention", "both", "heads", "added", "added and padding", "causal", "causal and padding"]
)
def test_masks_hide_keys(kind):
    layer = nn.MultiheadAttention(8, 2, batch_first=True, dtype=float)
    q, k = Q.swapaxes(0, 1), K.swapaxes(0, 1)
    padding = np.zeros((3, 5), bool)
    padding[0, 3:] = padding[2, 1:] = True
    attention = np.triu(np.ones((4, 5), bool), 1)
    hidden, options = {
        "padding": (padding[:, None], {"key_padding_mask": padding}),
        "attention": (attention, {"attn_mask": attention}),
        "both": (padding[:, None] | attention, {"key_padding_mask": padding, "attn_mask": attention}),
        "heads": (attention, {"attn_mask": np.broadcast_to(attention, (6, 4, 5))}),
        "added": (attention, {"attn_mask": np.where(attention, -np.inf, 0)}),
        "added and padding": (
            padding[:, None] | attention, {"attn_mask": np.where(attention, -np.inf, 0), "key_padding_mask": padding}
        ),
        "causal": (attention, {"is_causal": True}),
        "causal and padding": (padding[:, None] | attention, {"is_causal": True, "key_padding_mask": padding}),
    }[kind]  # fmt: skip
    y, weights = layer(q, k, k, **options)
    expected, of_heads = by_heads(layer, q, k, k, hidden)
    np.testing.assert_allclose(y.data, expected)
    np.testing.assert_allclose(weights.data, of_heads.mean(1))


def test_dropout_is_off_in_eval():
    layer = nn.MultiheadAttention(8, 2, dropout=0.5, dtype=float, generator=np.random.default_rng(0))
    assert not np.allclose(layer(Q, K, K)[0].data, layer(Q, K, K)[0].data)
    layer.eval()
    np.testing.assert_array_equal(layer(Q, K, K)[0].data, layer(Q, K, K)[0].data)


LAYER = nn.MultiheadAttention(8, 2, dtype=float)
HIDDEN = np.zeros((3, 5), bool)
HIDDEN[1] = True


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MultiheadAttention(8, 3), "MultiheadAttention: 3 heads do not divide embed_dim 8"),
        (lambda: nn.MultiheadAttention(8, 0), "0 heads"),
        (lambda: LAYER(Q[..., :4], K, K), r"MultiheadAttention\(8, 2 heads\) needs.*8, 8, 8.*got \(4, 3, 4\)"),
        (lambda: LAYER(Q, K, K[:4]), "as many keys as values"),
        (lambda: LAYER(Q, K[:, :2], K[:, :2]), r"\(4, 3, 8\), \(5, 2, 8\)"),
        (lambda: LAYER(Q, K[:, 0], K[:, 0]), "needs query, key and value"),
        (lambda: LAYER(Q, K, K, key_padding_mask=HIDDEN), "hides all keys from"),
        (lambda: LAYER(Q, K, K, key_padding_mask=HIDDEN.T), r"key_padding_mask is \(3, 5\); got \(5, 3\)"),
        (
            lambda: LAYER(Q, K, K, attn_mask=np.zeros((5, 4), bool)),
            r"attn_mask is \(4, 5\) or \(6, 4, 5\); got \(5, 4\)",
        ),
        (lambda: nn.MultiheadAttention(8, 2, dropout=2.0), "dropout is a probability"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_masks_may_be_lists():
    x = Tensor(Q)
    padding = [[False, False, False, True]] * 3
    np.testing.assert_array_equal(LAYER(x, x, x, padding)[0].data, LAYER(x, x, x, np.array(padding))[0].data)
    np.testing.assert_array_equal(
        LAYER(x[:, 0], x[:, 0], x[:, 0], padding[0])[0].data, LAYER(x, x, x, padding)[0].data[:, 0]
    )
    mask = [[0.0, 1.0, 0.0, 0.0]] * 4
    np.testing.assert_array_equal(
        LAYER(x, x, x, attn_mask=mask)[0].data, LAYER(x, x, x, attn_mask=np.array(mask))[0].data
    )
