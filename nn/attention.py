"""Attention with several heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Tensor, split

from . import functional as F
from . import init
from .functional.attention import attention_weights
from .layers import Linear, naming, whole_numbers
from .module import Module, Parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention in `num_heads` parts of the features: query (L, n, embed_dim), key (S, n, kdim), value (S, n, vdim).

    A call returns the result (L, n, embed_dim) and the weights (n, L, S), averaged over the heads unless
    `average_attn_weights=False`, or None with `need_weights=False`.  With `batch_first` n is the first axis; without a
    batch it may be missing.  Masks say what is hidden, True for hidden, or are added: `key_padding_mask` (n, S) and
    `attn_mask` (L, S) or (n * num_heads, L, S); `is_causal` hides the keys behind the query's own place, unless there
    is an `attn_mask`.  `add_bias_kv` adds one learned key and value, and `add_zero_attn` one of zeros, which no mask
    hides; S grows by one for each.  Vaswani et al. 2017.  Raises ValueError for shapes that do not fit.

    >>> attend = MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = np.zeros((3, 5, 8), np.float32)
    >>> y, weights = attend(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        whole_numbers(self, embed_dim=embed_dim, num_heads=num_heads)
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads do not divide embed_dim {embed_dim}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"MultiheadAttention: dropout is a probability, from 0 to 1; got {dropout!r}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.generator = generator

        def weight(rows: int, columns: int) -> Parameter:
            parameter = Parameter(np.empty((rows, columns), dtype))
            init.xavier_uniform_(parameter, generator=generator)
            return parameter

        self.in_proj_weight: Parameter | None = None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = weight(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = weight(embed_dim, embed_dim)
            self.k_proj_weight = weight(embed_dim, self.kdim)
            self.v_proj_weight = weight(embed_dim, self.vdim)
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.bias_k: Parameter | None = None
        self.bias_v: Parameter | None = None
        if add_bias_kv:
            self.bias_k, self.bias_v = (Parameter(np.empty((1, 1, embed_dim), dtype)) for _ in range(2))
            for parameter in (self.bias_k, self.bias_v):
                init.xavier_normal_(parameter, generator=generator)
        self.add_zero_attn = add_zero_attn
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, generator=generator)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data[:] = 0

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        self._check(query, key, value)
        if np.ndim(query) == 2:
            padding = None if key_padding_mask is None else np.reshape(key_padding_mask, (1, -1))
            y, weights = self._attend(query[None], key[None], value[None], padding, need_weights, attn_mask, is_causal)
        elif self.batch_first:
            y, weights = self._attend(query, key, value, key_padding_mask, need_weights, attn_mask, is_causal)
        else:
            query, key, value = (np.swapaxes(x, 0, 1) for x in (query, key, value))
            y, weights = self._attend(query, key, value, key_padding_mask, need_weights, attn_mask, is_causal)
            y = np.swapaxes(y, 0, 1)
        if weights is not None and average_attn_weights:
            weights = np.mean(weights, axis=1)
        if np.ndim(query) == 2:
            return y[0], None if weights is None else weights[0]
        return y, weights

    def _check(self, query: Any, key: Any, value: Any) -> None:
        shapes = [np.shape(x) for x in (query, key, value)]
        widths = [self.embed_dim, self.kdim, self.vdim]
        if (
            {len(shape) for shape in shapes} not in ({2}, {3})
            or [shape[-1] for shape in shapes] != widths
            or shapes[1][:-1] != shapes[2][:-1]
            or (len(shapes[0]) == 3 and shapes[0][1 - self.batch_first] != shapes[1][1 - self.batch_first])
        ):
            raise ValueError(
                f"MultiheadAttention({self.describe()}) needs query, key and value with last axes "
                f"{', '.join(map(str, widths))}, one batch, and as many keys as values; got "
                f"{', '.join(map(str, shapes))}"
            )

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        """Queries, keys and values of all heads: (n, heads, length, size)."""
        size = self.embed_dim
        biases = [None] * 3 if self.in_proj_bias is None else split(self.in_proj_bias, 3)
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif query is key is value:  # one product for all three
            joined = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            return [self._heads(joined[..., i * size : (i + 1) * size]) for i in range(3)]
        else:
            weights = split(self.in_proj_weight, 3)
        given = zip((query, key, value), weights, biases, strict=True)
        return [self._heads(F.linear(x, weight, bias)) for x, weight, bias in given]

    def _heads(self, x: Any) -> Any:
        return np.swapaxes(np.reshape(x, (*np.shape(x)[:2], self.num_heads, self.embed_dim // self.num_heads)), 1, 2)

    def _one_more(self, x: Any, vector: Any) -> Any:
        """Keys or values with one more behind them: a learned vector, or None for zeros."""
        shape = (*x.shape[:2], 1, x.shape[3])
        if vector is None:
            return np.concatenate([x, np.zeros(shape, x.dtype, like=x)], axis=2)
        return np.concatenate([x, np.broadcast_to(np.reshape(vector, (1, shape[1], 1, shape[3])), shape)], axis=2)

    def _attend(
        self, query: Any, key: Any, value: Any, padding: Any, need_weights: bool, attn_mask: Any, is_causal: bool
    ) -> tuple[Any, Any]:
        if is_causal and attn_mask is None:
            attn_mask = ~np.tri(np.shape(query)[1], np.shape(key)[1], dtype=bool)
        mask = self._mask(padding, attn_mask, np.shape(query), np.shape(key))
        q, k, v = self._projected(query, key, value)
        more = [(self.bias_k, self.bias_v)] if self.bias_k is not None else []
        for of_keys, of_values in [*more, *([(None, None)] if self.add_zero_attn else [])]:
            k, v, mask = self._one_more(k, of_keys), self._one_more(v, of_values), _one_seen(mask)
        try:
            weights = attention_weights(q, k, v, mask, False, None)
        except ValueError as error:
            raise naming(self, error) from error
        dropped = F.dropout(weights, self.dropout, self.training, self.generator)
        joined = np.reshape(np.swapaxes(dropped @ v, 1, 2), np.shape(query))
        return self.out_proj(joined), weights if need_weights else None

    def _mask(self, padding: Any, attn_mask: Any, of_query: tuple[int, ...], of_key: tuple[int, ...]) -> Any:
        """Both masks as one: of booleans, True where a key may be seen, or numbers to add."""
        n, length, keys = of_query[0], of_query[1], of_key[1]
        padding, attn_mask = (np.asarray(m) if isinstance(m, list | tuple) else m for m in (padding, attn_mask))
        for name, given in (("key_padding_mask", padding), ("attn_mask", attn_mask)):
            if given is not None and given.dtype.kind not in "bf":
                raise TypeError(
                    f"MultiheadAttention: {name} is of booleans, True for hidden, or of floats; got {given.dtype}"
                )
        masks = []
        if padding is not None:
            if np.shape(padding) != (n, keys):
                raise ValueError(f"MultiheadAttention: key_padding_mask is ({n}, {keys}); got {np.shape(padding)}")
            masks.append(np.reshape(padding, (n, 1, 1, keys)))
        if attn_mask is not None:
            shape = np.shape(attn_mask)
            if shape not in ((length, keys), (n * self.num_heads, length, keys)):
                raise ValueError(
                    f"MultiheadAttention: attn_mask is ({length}, {keys}) or ({n * self.num_heads}, {length}, {keys}); "
                    f"got {shape}"
                )
            masks.append(attn_mask if len(shape) == 2 else np.reshape(attn_mask, (n, self.num_heads, length, keys)))
        if not masks:
            return None
        if all(mask.dtype == bool for mask in masks):
            hidden = masks[0] if len(masks) == 1 else masks[0] | masks[1]
            return ~hidden
        added = [np.where(mask, np.float32(-np.inf), np.float32(0)) if mask.dtype == bool else mask for mask in masks]
        return added[0] if len(added) == 1 else added[0] + added[1]

    def describe(self) -> str:
        return f"{self.embed_dim}, {self.num_heads} heads"


def _one_seen(mask: Any) -> Any:
    """A mask with one more key, which is seen."""
    if mask is None:
        return None
    first = mask[..., :1]
    seen = np.ones_like(first) if mask.dtype == bool else np.zeros_like(first)
    return np.concatenate([mask, seen], axis=-1)
