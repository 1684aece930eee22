"""Attention against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn.functional as F


def attention(q, k, v, mask=None, scale=None):
    scores = np.einsum("...le,...se->...ls", q, k) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("...ls,...sv->...lv", weights / weights.sum(-1, keepdims=True), v)


@st.composite
def problems(draw):
    lead = draw(st.sampled_from([(), (2,), (2, 4)]))
    length, keys, size, width = (draw(st.integers(1, 4)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    q, k = rng.normal(size=(*lead, length, size)), rng.normal(size=(*lead, keys, size))
    v = rng.normal(size=(*lead, keys, width))
    kind = draw(st.sampled_from([None, "bool", "number", "hidden", "causal"]))
    seen = rng.random((length, keys)) < 0.5
    seen[:, rng.integers(keys)] = True
    if kind == "causal":
        return q, k, v, np.tri(length, keys, dtype=bool), {"is_causal": True}
    mask = {None: None, "bool": seen, "number": rng.normal(size=(length, keys)), "hidden": np.where(seen, 0, -np.inf)}[
        kind
    ]
    return q, k, v, mask, {"attn_mask": mask, "scale": draw(st.sampled_from([None, 0.3]))}


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_attention_is_its_formula(problem, dtype):
    q, k, v, mask, options = problem
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    mask = mask.astype(dtype) if mask is not None and mask.dtype != bool else mask
    options = {**options, **({"attn_mask": mask} if "attn_mask" in options else {})}
    y = F.scaled_dot_product_attention(q, k, v, **options)
    assert y.dtype == dtype
    expected = attention(q, k, v, mask, options.get("scale"))
    np.testing.assert_allclose(y, expected, rtol=1e-3 if dtype == np.float32 else 1e-10, atol=1e-5)


@given(problems())
def test_derivatives_of_every_order(problem):
    q, k, v, _, options = problem
    q, k, v = (x[0] if x.ndim > 3 else x for x in (q, k, v))
    assert autograd.gradcheck(lambda *x: F.scaled_dot_product_attention(*x, **options), [q, k, v], order=2)


def test_heads_share_keys_and_values():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 6, 3, 4)), rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(2, 2, 5, 3))
    y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    np.testing.assert_allclose(y, attention(q, k.repeat(3, 1), v.repeat(3, 1)))


def test_dropped_weights_are_scaled():
    q = np.zeros((1, 200, 4))
    v = np.ones((1, 200, 1))
    y = F.scaled_dot_product_attention(q, q, v, dropout_p=0.25, generator=np.random.default_rng(0))
    assert abs(y.mean() - 1) < 0.02 and y.std() > 0.01


Q, K, V = np.zeros((2, 4, 3)), np.zeros((2, 5, 3)), np.zeros((2, 5, 6))
HIDDEN = np.ones((4, 5), bool)
HIDDEN[1] = False


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((Q, K[..., :2], V), {}, r"got \(2, 4, 3\), \(2, 5, 2\) and \(2, 5, 6\)"),
        ((Q, K, V[:, :4]), {}, r"query \(..., L, E\), key"),
        ((Q[0, 0], K, V), {}, "query"),
        ((Q, K, V), {"attn_mask": HIDDEN}, "hides all keys from"),
        ((Q, K, V), {"attn_mask": np.where(HIDDEN, 0, -np.inf)}, "hides all keys from"),
        ((Q, K, V), {"attn_mask": HIDDEN, "is_causal": True}, "attn_mask or is_causal, not both"),
        ((Q, K[:1, :], V), {"enable_gqa": True}, "cannot share the heads"),
        ((Q, K, V), {"attn_mask": np.ones((3, 5), bool)}, r"attn_mask that broadcasts to \(2, 4, 5\); got \(3, 5\)"),
        ((Q, K, V), {"dropout_p": 1.5}, "probability"),
    ],
)
def test_what_does_not_fit_is_named(args, options, message):
    with pytest.raises(ValueError, match=message):
        F.scaled_dot_product_attention(*args, **options)
