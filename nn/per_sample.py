"""The gradient of every sample's own loss, in one pass where the layers allow it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor, enable_grad, no_grad

from . import functional as F
from .convolution import Conv1d, Conv2d, Conv3d
from .functional.windows import pads_of
from .functional_call import functional_call
from .layers import Embedding, Linear
from .module import Module
from .normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    RMSNorm,
)  # fmt: skip
from .rows import length, read, source_of

__all__ = ["per_sample_gradients"]

Gradients = dict[str, Any]
_BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


def per_sample_gradients(model: Module, loss: Callable[..., Any], X: Any, y: Any = None) -> Gradients:
    """{name of a parameter: gradients (n, *its shape)}: row i is that of `loss(model(X[i:i+1]), y[i:i+1])`.

    Without y, the loss gets the prediction alone.  Dense layers, convolutions, embeddings and norms give all rows in
    one pass, from what goes into a layer and the gradient of what comes out (Goodfellow 2015); a model with other
    parameters, or whose first or last sample has another gradient alone than in the batch, takes its samples one by
    one.  Frozen parameters are left out, and no `.grad` changes.  Raises ValueError for a BatchNorm in training, where
    no sample has a gradient of its own.

    >>> import nn
    >>> model = nn.Linear(2, 1)
    >>> rows = per_sample_gradients(model, nn.MSELoss(), np.ones((5, 2)), np.zeros((5, 1)))
    >>> rows["weight"].shape, rows["bias"].shape
    ((5, 1, 2), (5, 1))
    """
    for name, module in model.named_modules():
        if isinstance(module, _BATCH_NORMS) and (module.training or module.running_mean is None):
            raise ValueError(
                f"{type(module).__name__} {name!r} computes with the other samples of a batch, so no sample has a "
                f"gradient of its own: call model.eval(), or use GroupNorm"
            )
    sources = [source_of(part) for part in ((X,) if y is None else (X, y))]
    n = length(sources[0])
    if length(sources[-1]) != n:
        raise ValueError(f"per_sample_gradients needs one label per sample; got {n} and {length(sources[-1])}")
    values = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    samples = _Samples(model, loss, sources, values)
    if n > 2 and all(type(module) in _RULES for module in model.modules() if _owns(module)):
        found = samples.together(n)
        if found is not None and all(_agree(found, samples.alone(i), i) for i in (0, n - 1)):
            return found
    rows = [samples.alone(i) for i in range(n)]
    return {
        name: np.stack([row[name] for row in rows]) if n else np.zeros((0, *v.shape), v.dtype)
        for name, v in values.items()
    }


def _owns(module: Module) -> bool:
    """Whether a module has parameters of its own, besides those of the modules inside it."""
    inside = {id(p) for child in module.children() for p in child.parameters()}
    return any(id(p) not in inside for p in module.parameters())


def _agree(found: Gradients, row: Gradients, i: int) -> bool:
    """Whether row i of the gradients is that of the sample alone, to rounding."""
    for name, one in row.items():
        scale = float(np.abs(one).max(initial=0.0))
        tolerance = math.sqrt(np.finfo(one.dtype).eps)
        if not np.allclose(found[name][i], one, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            return False
    return True


class _Samples:
    """A model, its loss and samples."""

    def __init__(self, model: Module, loss: Callable[..., Any], sources: list[Any], values: Gradients) -> None:
        self.model, self.loss, self.sources, self.values = model, loss, sources, values

    def _read(self, rows: Any) -> tuple[Any, ...]:
        return tuple(read(source, rows) for source in self.sources)

    def alone(self, i: int) -> Gradients:
        """The gradients of one sample."""
        leaves = {name: Tensor(value, requires_grad=True) for name, value in self.values.items()}
        x, *labels = self._read(np.array([i]))
        with enable_grad():
            self.loss(functional_call(self.model, leaves, (x,)), *labels).backward()
        return {
            name: np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad.data for name, leaf in leaves.items()
        }

    def together(self, n: int) -> Gradients | None:
        """The gradients of all, or None where an input of a layer does not have the samples as its first axis."""
        uses: list[tuple[Module, Any, Tensor]] = []

        def keep(module: Module, inputs: tuple[Any, ...], output: Any) -> Any:
            probe = Tensor(np.zeros_like(output.data), requires_grad=True)  # its gradient is that of the output
            uses.append((module, getattr(inputs[0], "data", inputs[0]), probe))
            return output + probe

        layers = [module for module in self.model.modules() if type(module) in _RULES]
        handles = [layer.register_forward_hook(keep) for layer in layers]
        x, *labels = self._read(np.arange(n))
        try:
            with enable_grad():
                predicted = functional_call(self.model, self.values, (x,))
                if not isinstance(predicted, Tensor) or predicted.shape[:1] != (n,) or not uses:
                    return None
                losses = [self.loss(predicted[i : i + 1], *(_rows_of(label, i) for label in labels)) for i in range(n)]
                np.sum(np.stack(losses)).backward()
        finally:
            for handle in handles:
                handle.remove()
        if any(np.shape(x)[:1] != (n,) for _, x, _ in uses):
            return None
        return self._collected(uses, n)

    def _collected(self, uses: list[tuple[Module, Any, Tensor]], n: int) -> Gradients:
        """The sum over all uses of a parameter, by its name."""
        names = {id(p): name for name, p in self.model.named_parameters()}
        found: Gradients = {}
        for layer, x, probe in uses:
            if probe.grad is None:
                continue
            with no_grad():
                rows = _RULES[type(layer)](layer, np.asarray(x), probe.grad.data)
            for attribute, gradient in rows.items():
                name = names.get(id(getattr(layer, attribute, None)), "")
                if name in self.values:
                    gradient = gradient.reshape(n, *self.values[name].shape)
                    found[name] = found[name] + gradient if name in found else gradient
        return {
            name: found[name] if name in found else np.zeros((n, *value.shape), value.dtype)
            for name, value in self.values.items()
        }


def _rows_of(label: Any, i: int) -> Any:
    return {key: value[i : i + 1] for key, value in label.items()} if isinstance(label, dict) else label[i : i + 1]


# ---- the gradients of a layer's parameters, from its input x and the gradient g of its output


def _linear(layer: Any, x: Any, g: Any) -> Gradients:
    n = len(x)
    if x.ndim == 2:
        return {"weight": g[:, :, None] * x[:, None, :], "bias": g}
    x, g = x.reshape(n, -1, layer.in_features), g.reshape(n, -1, layer.out_features)
    return {"weight": np.swapaxes(g, 1, 2) @ x, "bias": g.sum(1)}


def _conv(layer: Any, x: Any, g: Any) -> Gradients:
    n, axes, groups = len(x), layer.axes, layer.groups
    pads = pads_of("conv", layer.padding, layer.kernel_size, layer.stride, layer.dilation)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(x, [width for pair in reversed(pads) for width in pair], mode)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + axes)))
    steps = tuple(slice(None, None, s) for s in layer.stride)
    windows = windows[(slice(None), slice(None), *steps, *(slice(None, None, d) for d in layer.dilation))]
    # (n, channels, *places, *kernel) -> (n, groups, places, channels of a group * kernel)
    windows = np.moveaxis(windows, 1, 1 + axes).reshape(n, math.prod(g.shape[2:]), groups, -1)
    of_out = g.reshape(n, groups, g.shape[1] // groups, -1)
    return {"weight": of_out @ np.swapaxes(windows, 1, 2), "bias": g.reshape(n, g.shape[1], -1).sum(-1)}


def _norm(layer: Any, x: Any, g: Any) -> Gradients:
    """Of layers whose result is weight * z + bias, with z from the layer itself: weight 1 and bias 0."""
    weight, bias = layer.weight, getattr(layer, "bias", None)
    if weight is None:
        return {}
    plain = {"weight": np.ones_like(weight.data)} | ({"bias": np.zeros_like(bias.data)} if bias is not None else {})
    z = functional_call(layer, plain, (x,))
    learned = range(1, 2) if not hasattr(layer, "normalized_shape") else range(x.ndim - weight.ndim, x.ndim)
    others = tuple(axis for axis in range(1, x.ndim) if axis not in learned)
    return {"weight": (g * z.data).sum(others), "bias": g.sum(others)}


def _embedding(layer: Any, x: Any, g: Any) -> Gradients:
    rows = np.zeros((len(x), *layer.weight.shape), g.dtype)
    x, g = x.reshape(len(x), -1), g.reshape(len(x), -1, layer.embedding_dim)
    if layer.padding_idx is not None:
        g = np.where((x == layer.padding_idx % layer.num_embeddings)[..., None], 0.0, g)
    np.add.at(rows, (np.arange(len(x))[:, None], x), g)
    return {"weight": rows}


_NORMS = (*_BATCH_NORMS, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, GroupNorm, LayerNorm, RMSNorm)
_RULES: dict[type[Module], Callable[[Any, Any, Any], Gradients]] = {
    Linear: _linear,
    Embedding: _embedding,
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _conv),
    **dict.fromkeys(_NORMS, _norm),
}
