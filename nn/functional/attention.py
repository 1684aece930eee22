"""Attention: averages of values, weighted by how well queries and keys agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd import Tensor

from ..placement import is_elsewhere
from .activations import softmax
from .arrays import array_of
from .dense import dropout

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    generator: np.random.Generator | None = None,
) -> Any:
    """softmax(query key^T scale + mask) value: (..., L, E), (..., S, E) and (..., S, V) -> (..., L, V).

    `scale` is 1/sqrt(E) unless it is given.  `attn_mask` broadcasts to (..., L, S): of booleans, it says which keys a
    query may see; of numbers, it is added.  `is_causal` hides the keys behind the query's own place.  `dropout_p` is
    applied to the weights, also outside of training.  With `enable_gqa` there may be fewer heads (the third axis from
    the end) of key and value than of query, each for several of these.  Vaswani et al. 2017.  Raises ValueError for
    shapes that do not fit and for a mask that hides all keys from a query, TypeError for a mask of whole numbers.

    >>> q = np.array([[1.0, 0.0]])
    >>> k, v = np.array([[9.0, 0.0], [-9.0, 0.0]]), np.array([[1.0], [0.0]])
    >>> scaled_dot_product_attention(q, k, v).round(3)
    array([[1.]])
    """
    weights = attention_weights(query, key, value, attn_mask, is_causal, scale, enable_gqa)
    if dropout_p:
        weights = dropout(weights, dropout_p, True, generator)
    return weights @ (_shared(value, query) if enable_gqa else value)


def _shared(x: Any, query: Any) -> Any:
    """Key or value with each head repeated for the heads of `query` that share it."""
    return np.repeat(x, np.shape(query)[-3] // np.shape(x)[-3], axis=-3)


def attention_weights(
    query: Any, key: Any, value: Any, mask: Any, is_causal: bool, scale: float | None, grouped: bool = False
) -> Any:
    """The weights (..., L, S) of `scaled_dot_product_attention`."""
    of_query, of_key, of_value = np.shape(query), np.shape(key), np.shape(value)
    if min(map(len, (of_query, of_key, of_value))) < 2 or of_query[-1] != of_key[-1] or of_key[-2] != of_value[-2]:
        raise ValueError(
            f"attention needs query (..., L, E), key (..., S, E) and value (..., S, V); got {of_query}, {of_key} and "
            f"{of_value}"
        )
    if grouped:
        if min(len(of_query), len(of_key)) < 3 or of_key[-3] != of_value[-3] or of_query[-3] % of_key[-3]:
            raise ValueError(
                f"attention: {of_query} queries cannot share the heads of keys {of_key}, values {of_value}"
            )
        key = _shared(key, query)
    if is_causal and mask is not None:
        raise ValueError("attention takes attn_mask or is_causal, not both")
    scores = (query * (1 / math.sqrt(of_query[-1]) if scale is None else scale)) @ np.swapaxes(key, -1, -2)
    if is_causal:
        mask = np.tri(of_query[-2], of_key[-2], dtype=bool, like=array_of(query))
    if mask is None:
        return softmax(scores)
    plain = mask.data if isinstance(mask, Tensor) else np.asarray(mask, like=array_of(query))
    fits = zip(np.shape(scores)[::-1], plain.shape[::-1], strict=False)
    if plain.ndim > np.ndim(scores) or any(n not in (1, m) for m, n in fits):
        raise ValueError(f"attention needs an attn_mask that broadcasts to {np.shape(scores)}; got {plain.shape}")
    if plain.dtype.kind not in "bf":
        raise TypeError(f"attention: a mask is of booleans, True for seen, or of floats; got {plain.dtype}")
    seen = plain if plain.dtype == bool else plain != -np.inf
    blind = ~seen.any(-1)
    if not is_elsewhere(seen) and blind.any():
        place = tuple(int(i) for i in np.argwhere(blind)[0])
        raise ValueError(
            f"attention: the mask {plain.shape} hides all keys from {int(blind.sum())} of {blind.size} queries, first "
            f"{place}; let them see one, and ignore their result"
        )
    if plain.dtype == bool:
        return softmax(np.where(plain, scores, -np.inf))
    return softmax(scores + (mask if isinstance(mask, Tensor) else plain).astype(scores.dtype))
