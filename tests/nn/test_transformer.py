"""Transformer layers as their parts, one after the other."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F

RNG = np.random.default_rng(0)
X, MEMORY = RNG.normal(size=(5, 3, 8)), RNG.normal(size=(4, 3, 8))
CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)


def dense(layer, x, activation=F.relu):
    return layer.linear2(activation(layer.linear1(x)))


def test_an_encoder_layer_is_its_parts():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, dtype=float)
    x = layer.norm1(X + layer.self_attn(X, X, X)[0])
    np.testing.assert_allclose(layer(X).data, layer.norm2(x + dense(layer, x)).data)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", norm_first=True, dtype=float)
    y = layer.norm1(X)
    x = X + layer.self_attn(y, y, y, attn_mask=CAUSAL)[0]
    np.testing.assert_allclose(layer(X, CAUSAL).data, (x + dense(layer, layer.norm2(x), F.gelu)).data)


def test_a_decoder_layer_is_its_parts():
    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, np.tanh, dtype=float)
    x = layer.norm1(X + layer.self_attn(X, X, X, attn_mask=CAUSAL)[0])
    x = layer.norm2(x + layer.multihead_attn(x, MEMORY, MEMORY)[0])
    np.testing.assert_allclose(layer(X, MEMORY, CAUSAL).data, layer.norm3(x + dense(layer, x, np.tanh)).data)


def test_copies_begin_equal_and_learn_apart():
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, 0.0, dtype=float), 2, nn.LayerNorm(8, dtype=float)
    )
    a, b = encoder.layers
    assert a.linear1.weight is not b.linear1.weight
    np.testing.assert_array_equal(a.linear1.weight.data, b.linear1.weight.data)
    np.testing.assert_allclose(encoder(X).data, encoder.norm(b(a(X))).data)


def test_what_comes_later_does_not_matter_to_a_causal_model():
    model = nn.Transformer(8, 2, 1, 1, 16, 0.0, dtype=float)
    later = X.copy()
    later[3:] = 9
    for options in ({"tgt_mask": CAUSAL}, {"tgt_is_causal": True}):
        a, b = (model(MEMORY, x, **options).data for x in (X, later))
        np.testing.assert_allclose(a[:3], b[:3])
        assert not np.allclose(a[3:], b[3:])


def test_padding_does_not_matter():
    model = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True, dtype=float)
    src, tgt = MEMORY.swapaxes(0, 1), X.swapaxes(0, 1)
    hidden = np.zeros((3, 4), bool)
    hidden[:, 2:] = True
    other = src.copy()
    other[:, 2:] = 7
    options = {"src_key_padding_mask": hidden, "memory_key_padding_mask": hidden}
    np.testing.assert_allclose(model(src, tgt, **options).data, model(other, tgt, **options).data)
    np.testing.assert_allclose(model(src, tgt, **options).data, model(src[:, :2], tgt).data)


def test_dropout_is_off_in_eval():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.5, dtype=float, generator=np.random.default_rng(0))
    assert not np.allclose(layer(X).data, layer(X).data)
    layer.eval()
    np.testing.assert_array_equal(layer(X).data, layer(X).data)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.TransformerEncoderLayer(8, 3), "3 heads do not divide embed_dim 8"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="sin"), "'relu', 'gelu' or a function; got 'sin'"),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 4), 0), "num_layers is at least 1"),
        (lambda: nn.Transformer(8, 2, 1, 1, 4)(X, X[..., :4]), "needs query, key and value"),
        (lambda: nn.Transformer(8, 2, 1, 1, 4)(X[:, :2], X), r"\(5, 2, 8\)"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
