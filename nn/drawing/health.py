"""Diagnose a training run: each layer's gradient, weight change and dead units, and a summary in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import Tensor

from ..activations import ReLU
from ..inference import evaluating, layer_calls
from ..module import Module


@dataclass
class LayerHealth:
    """One layer in one epoch.

    `gradient` is the norm of d(loss)/d(weights) in the last batch, `moved` the norm of the weight change in this epoch
    over the norm of the weights, and `dead` the share of units that are 0 for every sample of the probe (None: no
    ReLU).
    """

    name: str
    gradient: float
    moved: float
    dead: float | None = None


def health_of(model: Module, before: Mapping[str, Any], probe: Any) -> list[LayerHealth]:
    """Return the health of every module with parameters of its own; `before` is the state when the epoch began."""
    dead = dead_units(model, probe)
    found = []
    for name, module in model.named_modules():
        own = [(key, p) for key, p in module.named_parameters() if "." not in key]
        if not own:
            continue
        norm = _norm([p.data for _, p in own])
        moved = _norm([p.data - before[f"{name}.{key}".lstrip(".")] for key, p in own])
        gradient = _norm([p.grad.data for _, p in own if p.grad is not None])
        found.append(LayerHealth(name, gradient, moved / max(norm, 1e-30), dead.get(name)))
    return found


def dead_units(model: Module, probe: Any) -> dict[str, float]:
    """Return {name of the layer before a ReLU: the share of its units that are 0 for every sample of `probe`}."""
    with evaluating(model):
        calls = layer_calls(model, probe)
    found: dict[str, float] = {}
    last = ""
    for name, module, _, output in calls:
        if isinstance(module, ReLU):
            value = output.data if isinstance(output, Tensor) else np.asarray(output)
            off = np.reshape(value, (len(value), -1)) == 0
            found[last or name] = float(np.mean(np.all(off, axis=0)))
        elif module.parameters():
            last = name
    return found


def in_words(layers: Sequence[LayerHealth], lr: float, headings: Mapping[str, str] | None = None) -> list[str]:
    """Describe this epoch in words, with the `headings` of layers that have one.

    Weights usually change by 1e-5 to 3e-1 of their size per epoch.
    """
    said = []
    for layer in layers:
        name = (headings or {}).get(layer.name) or (f"layer {layer.name}" if layer.name else "the layer")
        if layer.dead is not None and layer.dead >= 0.2:
            said.append(f"{name}: {layer.dead:.0%} of units never fire")
        if not np.isfinite(layer.gradient):
            said.append(f"{name}: its gradient is not finite")
        elif layer.gradient == 0:
            said.append(f"{name}: its gradient is 0, so it learns nothing")
        elif layer.moved > 0.5:
            said.append(
                f"{name}: weights moved by {layer.moved:.0%} of their size, which is a lot; lr {lr:g} may be too large"
            )
        elif layer.moved < 1e-5:
            said.append(f"{name}: weights hardly move ({layer.moved:.1e} of their size); lr {lr:g} may be too small")
    gradients = [layer.gradient for layer in layers if np.isfinite(layer.gradient) and layer.gradient > 0]
    if len(gradients) > 2 and gradients[0] < 1e-3 * gradients[-1]:
        said.append("the first layer's gradient is less than 0.001 of the last layer's: gradients vanish")
    return said or ["all layers learn: gradients reach every layer, and weights change at a healthy rate"]


def _norm(arrays: Sequence[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays)))
