"""`why`: one sentence on why a gradient is missing, zero, or not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from .anomaly import cuts_of, reaches
from .graph import GraphError, Node
from .mode import Observer, Switch
from .tensor import Tensor, differentiate


def why(parameter: Tensor, loss: Tensor | None = None, optimizer: Any = None) -> str:
    """Why the gradient of `parameter` is None, zero or not finite, as far as it can be known, in one sentence.

    With the `loss` (whose graph must still be there: `backward(retain_graph=True)`) the graph itself is asked; with the
    `optimizer`, whether it holds the parameter.  What was cut off by detach or no_grad inside the latest
    `detect_anomaly` block is found with its line.

    >>> w, x = Tensor(2.0, requires_grad=True), Tensor(-3.0)
    >>> loss = np.maximum(w * x, 0.0)
    >>> loss.backward(retain_graph=True)
    >>> why(w, loss)
    'its gradient is zero: all paths end at maximum, which sends back 0 (units that are off, or a factor 0)'
    """
    if not parameter.requires_grad:
        return "it has no gradient, for it was made without requires_grad=True (or detached, or under no_grad())"
    if parameter.node is not None:
        return (
            f"it is no leaf but the result of {parameter.node.op.name}, and gradients are kept for leaves only; "
            f"use register_hook, or autograd.watch"
        )
    if optimizer is not None and not any(p is parameter for p in optimizer.params):
        return "the optimizer does not hold it: it was made, or assigned to the model, after the optimizer"
    grad = None if parameter.grad is None else parameter.grad.data
    if grad is not None and not np.isfinite(grad).all():
        count = int((~np.isfinite(grad)).sum())
        return (
            f"{count} of {grad.size} elements of its gradient are not finite: run the step inside "
            f"autograd.detect_anomaly(), which names the operation that made the first"
        )
    if grad is not None and grad.any():
        return "nothing is wrong: its gradient is finite and not zero"
    state = "its gradient is None" if grad is None else "its gradient is zero"
    return f"{state}: {_of_path(parameter, loss, grad)}"


def _of_path(parameter: Tensor, loss: Tensor | None, grad: Any) -> str:
    cuts = list(cuts_of(parameter))
    cut = f"what was computed from it was cut off by {cuts[0].how} in {cuts[0].line}" if cuts else ""
    if loss is None:
        if cut:
            return cut
        if grad is None:
            return (
                "no backward() has reached it yet; if one was called, its loss does not depend on it through recorded "
                "ops: pass the loss, or run the step inside autograd.detect_anomaly(), to learn where the path ends"
            )
        return "all paths pass factors that are 0; pass the loss (and retain_graph=True) to learn which"
    if not loss.requires_grad:
        return cut or "the loss records nothing, so it does not depend on any parameter"
    if loss.node is not None and loss.node.edges is None:
        return "the graph of the loss was already let go of by backward(); pass retain_graph=True to ask afterwards"
    if not reaches(loss.node or loss, parameter):
        return cut or "the loss does not depend on it: no path of recorded ops leads from it to the loss"
    if grad is None:
        return "the loss depends on it, and backward() has not been called since zero_grad()"
    return _killer(parameter, loss)


class _Trail(Observer):
    """The gradients that nodes were given, where these were not zero."""

    def __init__(self) -> None:
        self.alive: dict[Node, Any] = {}

    def backward(self, node: Node, gradient: Any) -> None:
        if np.any(gradient):
            self.alive[node] = gradient


def _killer(parameter: Tensor, loss: Tensor) -> str:
    """The op after which the gradient was zero."""
    trail = _Trail()
    try:
        with Switch(observer=trail):
            differentiate({loss: Tensor(np.ones_like(loss.data))}, retain_graph=True)
    except GraphError as error:
        return str(error)
    seen = set(stack := [loss.node] if loss.node in trail.alive else [])
    ends: list[str] = []  # ops that were given a gradient and sent back 0
    while stack:
        node = stack.pop()
        assert node.kept is not None and node.edges is not None
        for edge, rule in zip(node.edges, node.op.rules, strict=False):
            if edge in trail.alive and reaches(edge, parameter):
                if edge not in seen:
                    seen.add(edge)
                    stack.append(edge)
            elif edge is parameter and np.any(rule(trail.alive[node].conj(), *node.kept, **node.params)):
                return "what arrives on its paths adds up to 0"
            elif edge is not None and reaches(edge, parameter):
                ends.append(node.op.name)
    if not ends:
        return "it is the loss itself, or backward() was given a gradient of 0"
    return f"all paths end at {ends[0]}, which sends back 0 (units that are off, or a factor 0)"
