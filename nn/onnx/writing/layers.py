"""Layers that are written as a whole: one node of the same name, or what the op's graph does not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import activations, convolution, dropping, layers, normalization, pooling
from ...functional.windows import pads_of
from .windows import pads
from .writer import Step, Writer


def _weight(w: Writer, s: Step, name: str) -> str:
    """The name of a layer's weight, or "" if it has none."""
    tensor = getattr(s.own.owner, name, None)
    return "" if tensor is None else w.weight(w.names[id(tensor.data)])


def _number(w: Writer, s: Step, value: float) -> str:
    return w.constant(np.asarray(value, s.dtype))


def _bare(w: Writer, s: Step, axes: int) -> tuple[str, bool]:
    """The input with a batch, which is added if there is none."""
    single = len(s.shape_of(0)) == axes + 1
    return (w.node("Unsqueeze", s.x(), w.constant(np.array([0], np.int64))) if single else s.x()), single


def _conv(w: Writer, s: Step) -> str:
    layer = s.own.owner
    transposed = isinstance(layer, convolution._ConvTranspose)
    x, single = _bare(w, s, layer.axes)
    padding = pads_of(s.kind, layer.padding, layer.kernel_size, layer.stride, layer.dilation)
    options: dict[str, Any] = {"strides": layer.stride, "dilations": layer.dilation, "group": layer.groups}
    kind, options["pads"] = "Conv", pads(padding)
    if transposed:
        kind = "ConvTranspose"
        old, axes = s.shape_of(0)[-layer.axes :], layer.axes
        options["output_padding"] = [
            size - ((n - 1) * stride - sum(pad) + dilation * (k - 1) + 1)
            for size, n, stride, pad, dilation, k in zip(
                s.shape[-axes:], old, layer.stride, padding, layer.dilation, layer.kernel_size, strict=True
            )
        ]
    elif layer.padding_mode != "zeros":
        mode = {"reflect": "reflect", "replicate": "edge"}.get(layer.padding_mode)
        if mode is None:
            raise s.refuse(f"has padding_mode={layer.padding_mode!r}")
        widths = [0, 0, *(a for a, _ in padding), 0, 0, *(b for _, b in padding)]
        x, options["pads"] = w.node("Pad", x, w.constant(np.array(widths, np.int64)), mode=mode), None
    bias = _weight(w, s, "bias")
    made = w.node(kind, x, _weight(w, s, "weight"), *([bias] if bias else []), **options)
    return w.node("Squeeze", made, w.constant(np.array([0], np.int64))) if single else made


def _batch_norm(w: Writer, s: Step) -> str:
    layer = s.own.owner
    if layer.running_mean is None:
        raise s.refuse("has no running averages, so it reads those of the batch")
    names = [_weight(w, s, name) for name in ("weight", "bias", "running_mean", "running_var")]
    for i, usual in ((0, 1.0), (1, 0.0)):
        names[i] = names[i] or w.constant(np.full(layer.num_features, usual, s.dtype))
    return str(w.node("BatchNormalization", s.x(), *names, epsilon=layer.eps))


def _layer_norm(w: Writer, s: Step) -> str:
    layer = s.own.owner
    scale = _weight(w, s, "weight") or w.constant(np.ones(layer.normalized_shape, s.dtype))
    bias = _weight(w, s, "bias")
    axis = -len(layer.normalized_shape)
    return str(w.node("LayerNormalization", s.x(), scale, *([bias] if bias else []), axis=axis, epsilon=layer.eps))


def _embedding(w: Writer, s: Step) -> str:
    return str(w.node("Gather", _weight(w, s, "weight"), s.x(), axis=0))


def _relu6(w: Writer, s: Step) -> str:
    return str(w.node("Clip", s.x(), _number(w, s, 0), _number(w, s, 6)))


def _hardsigmoid(w: Writer, s: Step) -> str:
    return str(w.node("HardSigmoid", s.x(), alpha=1 / 6, beta=0.5))


def _hardswish(w: Writer, s: Step) -> str:
    return str(w.node("HardSwish", s.x()))


def _hardshrink(w: Writer, s: Step) -> str:
    size = w.node("Abs", s.x())
    inside = w.node("LessOrEqual", size, _number(w, s, s.own.owner.lambd))
    return str(w.node("Where", inside, _number(w, s, 0), s.x()))


def _threshold(w: Writer, s: Step) -> str:
    layer = s.own.owner
    below = w.node("LessOrEqual", s.x(), _number(w, s, layer.threshold))
    return str(w.node("Where", below, _number(w, s, layer.value), s.x()))


def _rrelu(w: Writer, s: Step) -> str:
    layer = s.own.owner
    return str(w.node("LeakyRelu", s.x(), alpha=(layer.lower + layer.upper) / 2))


def _adaptive_max_pool(w: Writer, s: Step) -> str:
    """Windows of one size are a MaxPool; others are taken axis by axis, part by part."""
    if s.own.owner.return_indices:
        raise s.refuse("has return_indices=True")
    axes = int(s.kind[-2])
    old, new = s.shape_of(0)[-axes:], s.shape[-axes:]
    if all(n and size % n == 0 for size, n in zip(old, new, strict=True)):
        kernel = [size // n for size, n in zip(old, new, strict=True)]
        x, single = _bare(w, s, axes)
        made = w.node("MaxPool", x, kernel_shape=kernel, strides=kernel)
        return w.node("Squeeze", made, w.constant(np.array([0], np.int64))) if single else made
    made = s.x()
    for axis, (size, n) in enumerate(zip(old, new, strict=True), len(s.shape) - axes):
        parts = []
        for i in range(n):
            limits = [i * size // n, -(-(i + 1) * size // n), axis]
            part = w.node("Slice", made, *(w.constant(np.array([value], np.int64)) for value in limits))
            parts.append(w.node("ReduceMax", part, axes=[axis], keepdims=1))
        made = w.node("Concat", *parts, axis=axis)
    return str(made)


def _each(family: Any, name: str, function: Callable[[Writer, Step], str]) -> dict[type, Callable[[Writer, Step], str]]:
    """The layers of one, two and three axes."""
    return {getattr(family, f"{name}{n}d"): function for n in (1, 2, 3)}


LAYERS_WRITTEN: dict[type, Callable[[Writer, Step], str]] = {
    **_each(convolution, "Conv", _conv), **_each(convolution, "ConvTranspose", _conv),
    **_each(normalization, "BatchNorm", _batch_norm), **_each(pooling, "AdaptiveMaxPool", _adaptive_max_pool),
    normalization.LayerNorm: _layer_norm, layers.Embedding: _embedding, activations.ReLU6: _relu6,
    activations.Hardsigmoid: _hardsigmoid, activations.Hardswish: _hardswish, activations.Hardshrink: _hardshrink,
    activations.Threshold: _threshold, dropping.RReLU: _rrelu,
}  # fmt: skip
