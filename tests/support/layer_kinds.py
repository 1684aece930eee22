"""Every kind of layer with small sizes, and inputs for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nn


@dataclass
class Kind:
    """A layer with its arguments, and the shapes of its inputs."""

    make: Callable[..., Any]
    args: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)

    def layer(self, dtype: Any = float) -> Any:
        nn.manual_seed(0)
        made = self.make(*self.args, **self.options)
        return made.to(dtype)

    def inputs(self, dtype: Any = float) -> list[Any]:
        """Random numbers of which no two are close, so that no tie is within a step."""
        rng, drawn = np.random.default_rng(1), []
        for shape in self.shapes:
            n = int(np.prod(shape))
            drawn.append(((rng.permutation(n) + 0.5) / n * 2 - 1).reshape(shape).astype(dtype))
        return drawn


def _axes(name: str, *args: Any, channels: int = 2, size: int = 4, **options: Any) -> dict[str, Kind]:
    """A kind of layer of one, two and three axes."""
    return {
        f"{name}{n}d": Kind(getattr(nn, f"{name}{n}d"), args, ((2, channels, *(size,) * n),), options)
        for n in (1, 2, 3)
        if hasattr(nn, f"{name}{n}d")
    }


_X = (3, 2, 4)  # steps, samples, features
KINDS: dict[str, Kind] = {
    **_axes("Conv", 2, 3, 2),
    **_axes("ConvTranspose", 2, 3, 2, stride=2, size=2),
    **_axes("MaxPool", 2),
    **_axes("AvgPool", 2),
    **_axes("AdaptiveAvgPool", 3),
    **_axes("AdaptiveMaxPool", 3),
    **_axes("BatchNorm", 2, size=2),
    **_axes("InstanceNorm", 2, size=2, affine=True),
    **_axes("ZeroPad", 1, size=2),
    **_axes("ConstantPad", 1, 2.5, size=2),
    **_axes("ReflectionPad", 1, size=2),
    **_axes("ReplicationPad", 1, size=2),
    **_axes("CircularPad", 1, size=2),
    **_axes("Dropout", 0.5, size=2),
    "GroupNorm": Kind(nn.GroupNorm, (2, 4), ((2, 4, 3),)),
    "LayerNorm": Kind(nn.LayerNorm, (4,), ((2, 3, 4),)),
    "RMSNorm": Kind(nn.RMSNorm, (4,), ((2, 3, 4),)),
    "PixelShuffle": Kind(nn.PixelShuffle, (2,), ((1, 4, 2, 3),)),
    "PixelUnshuffle": Kind(nn.PixelUnshuffle, (2,), ((1, 2, 4, 2),)),
    "ChannelShuffle": Kind(nn.ChannelShuffle, (2,), ((2, 4, 3),)),
    "Upsample": Kind(nn.Upsample, (3,), ((1, 2, 2, 4),), {"mode": "bilinear"}),
    "Unfold": Kind(nn.Unfold, (2,), ((1, 2, 3, 4),)),
    "Fold": Kind(nn.Fold, ((3, 3), 2), ((1, 4, 4),)),
    "Softmax2d": Kind(nn.Softmax2d, (), ((1, 3, 2, 2),)),
    "AlphaDropout": Kind(nn.AlphaDropout, (0.5,), ((2, 3),)),
    "FeatureAlphaDropout": Kind(nn.FeatureAlphaDropout, (0.5,), ((2, 3, 2),)),
    "RReLU": Kind(nn.RReLU, (), ((2, 3),)),
    "Linear": Kind(nn.Linear, (4, 3), ((2, 3, 4),)),
    "RNN": Kind(nn.RNN, (4, 3), (_X,)),
    "RNN of ReLU": Kind(nn.RNN, (4, 3), (_X,), {"nonlinearity": "relu", "batch_first": True}),
    "LSTM": Kind(nn.LSTM, (4, 3), (_X, (2, 2, 3), (2, 2, 3)), {"bidirectional": True}),
    "LSTM projected": Kind(nn.LSTM, (4, 3), (_X, (2, 2, 2), (2, 2, 3)), {"bidirectional": True, "proj_size": 2}),
    "GRU": Kind(nn.GRU, (4, 3, 2), (_X,), {"dropout": 0.0}),
    "RNNCell": Kind(nn.RNNCell, (4, 3), ((2, 4), (2, 3))),
    "LSTMCell": Kind(nn.LSTMCell, (4, 3), ((2, 4),)),
    "GRUCell": Kind(nn.GRUCell, (4, 3), ((2, 4), (2, 3))),
    "MultiheadAttention": Kind(nn.MultiheadAttention, (4, 2), (_X, (5, 2, 4), (5, 2, 4))),
    "MultiheadAttention with more": Kind(
        nn.MultiheadAttention, (4, 2), (_X, (5, 2, 4), (5, 2, 4)), {"add_bias_kv": True, "add_zero_attn": True}
    ),
    "TransformerEncoderLayer": Kind(nn.TransformerEncoderLayer, (4, 2, 5, 0.0), (_X,)),
    "TransformerDecoderLayer": Kind(nn.TransformerDecoderLayer, (4, 2, 5, 0.0), (_X, (2, 2, 4))),
    "Transformer": Kind(nn.Transformer, (4, 2, 1, 1, 5, 0.0), (_X, (2, 2, 4))),
}


def call(kind: str, layer: Any, inputs: Any) -> list[Any]:
    """The floating-point results of a layer; a state of two arrays is given as a pair."""
    x, *rest = inputs
    made = layer(x, tuple(rest)) if len(rest) == 2 and kind.startswith("LSTM") else layer(x, *rest)
    flat = [*made] if isinstance(made, tuple) else [made]
    return [y for part in flat for y in (part if isinstance(part, tuple) else (part,))]


def total(kind: str, layer: Any, inputs: Any) -> Any:
    """A number that depends on all results, and bends."""
    return sum(np.sum(y * y * 0.5 + y * 0.1) for y in call(kind, layer, inputs))
