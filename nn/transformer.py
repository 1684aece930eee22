"""The layers of a transformer, and the transformer itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor

from . import functional as F
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .layers import Dropout, Linear, whole_numbers
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip


def _activation(given: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if callable(given):
        return given
    if given not in ("relu", "gelu"):
        raise ValueError(f"activation is 'relu', 'gelu' or a function; got {given!r}")
    found: Callable[[Any], Any] = getattr(F, given)
    return found


class _Layer(Module):
    """What encoder and decoder layers share: attention to themselves and two dense layers, each added to its input."""

    def _begin(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: str | Callable[[Any], Any],
        norm_first: bool,
        attentions: int,
        options: dict[str, Any],
        norms: dict[str, Any],
        batch_first: bool,
    ) -> None:
        made = {"dtype": options["dtype"], "generator": options["generator"]}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, options["bias"], batch_first=batch_first, **made)
        if attentions == 2:
            self.multihead_attn = MultiheadAttention(
                d_model, nhead, dropout, options["bias"], batch_first=batch_first, **made
            )
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout, generator=options["generator"])
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        for i in range(1, attentions + 2):
            setattr(self, f"norm{i}", LayerNorm(d_model, **norms))
        for i in range(1, attentions + 2):
            setattr(self, f"dropout{i}", Dropout(dropout, generator=options["generator"]))
        self.norm_first, self.activation = norm_first, _activation(activation)

    def _dense(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _added(self, x: Any, number: int, part: Callable[[Any], Any]) -> Any:
        """x plus what a part makes of it, with the norm before the part or after the sum."""
        norm, drop = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        return x + drop(part(norm(x))) if self.norm_first else norm(x + drop(part(x)))


def _options(bias: bool, eps: float, dtype: Any, generator: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"bias": bias, "dtype": dtype, "generator": generator}, {"eps": eps, "bias": bias, "dtype": dtype}


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then two dense layers: x (T, n, d_model) -> the same shape.

    Each part is added to its input and standardised, after the sum or with `norm_first` before the part.  With
    `batch_first` x is (n, T, d_model).  Masks are those of `MultiheadAttention`.  Vaswani et al. 2017.

    >>> TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)(np.zeros((5, 3, 8), np.float32)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        options, norms = _options(bias, layer_norm_eps, dtype, generator)
        self._begin(
            d_model, nhead, dim_feedforward, dropout, activation, norm_first, 1, options, norms, batch_first
        )  # fmt: skip

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        def attend(x: Any) -> Any:
            return self.self_attn(
                x, x, x, src_key_padding_mask, need_weights=False, attn_mask=src_mask, is_causal=is_causal
            )[0]  # fmt: skip

        made: Tensor = self._added(self._added(src, 1, attend), 2, self._dense)
        return made


class TransformerDecoderLayer(_Layer):
    """An encoder layer that attends to a memory as well: tgt (T, n, d_model), memory (S, n, d_model).

    >>> x, memory = np.zeros((5, 3, 8), np.float32), np.zeros((7, 3, 8), np.float32)
    >>> TransformerDecoderLayer(8, nhead=2, dim_feedforward=16)(x, memory).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        options, norms = _options(bias, layer_norm_eps, dtype, generator)
        self._begin(
            d_model, nhead, dim_feedforward, dropout, activation, norm_first, 2, options, norms, batch_first
        )  # fmt: skip

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Any) -> Any:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, need_weights=False, attn_mask=tgt_mask, is_causal=tgt_is_causal
            )[0]  # fmt: skip

        def remember(x: Any) -> Any:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, need_weights=False, attn_mask=memory_mask,
                is_causal=memory_is_causal,
            )[0]  # fmt: skip

        made: Tensor = self._added(self._added(self._added(tgt, 1, attend), 2, remember), 3, self._dense)
        return made


class _Layers(Module):
    """Copies of a layer, one after the other, and a norm after the last."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        whole_numbers(self, num_layers=num_layers)
        if num_layers < 1:
            raise ValueError(f"{type(self).__name__}: num_layers is at least 1; got {num_layers}")
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def _through(self, x: Any, *args: Any, **options: Any) -> Any:
        for layer in self.layers:
            x = layer(x, *args, **options)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Layers):
    """Copies of an encoder layer, all of which begin with the same weights.

    >>> layer = TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    >>> TransformerEncoder(layer, num_layers=2)(np.zeros((5, 3, 8), np.float32)).shape
    (5, 3, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Tensor:
        made: Tensor = self._through(src, mask, src_key_padding_mask, is_causal)
        return made


class TransformerDecoder(_Layers):
    """Copies of a decoder layer, all of which begin with the same weights."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(self, tgt: Any, memory: Any, *masks: Any, **options: Any) -> Tensor:
        made: Tensor = self._through(tgt, memory, *masks, **options)
        return made


class Transformer(Module):
    """Encoder and decoder: src (S, n, d_model) and tgt (T, n, d_model) -> (T, n, d_model); Vaswani et al. 2017.

    >>> model = Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> model(np.zeros((7, 3, 8), np.float32), np.zeros((5, 3, 8), np.float32)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        args = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        made: dict[str, Any] = {"dtype": dtype, "generator": generator}
        norms = [LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(2)]
        self.encoder = TransformerEncoder(TransformerEncoderLayer(*args, **made), num_encoder_layers, norms[0])
        self.decoder = TransformerDecoder(TransformerDecoderLayer(*args, **made), num_decoder_layers, norms[1])
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter, generator=generator)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        made: Tensor = self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip
        return made

    @staticmethod
    def generate_square_subsequent_mask(size: int) -> Any:
        """The mask (size, size) to add to scores, which hides what comes later: 0 where a key is seen, else -inf.

        >>> Transformer.generate_square_subsequent_mask(2)
        array([[  0., -inf],
               [  0.,   0.]], dtype=float32)
        """
        return np.where(np.tri(size, dtype=bool), np.float32(0), np.float32(-np.inf))
