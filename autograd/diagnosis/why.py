"""`why`: one sentence on why a gradient is missing, zero, or not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import Leaf, Node
from ..mode import Observer, Switch
from ..tensor import Tensor, differentiate
from .anomaly import behind, cuts_of, reaches


def why(parameter: Tensor, loss: Tensor | None = None, optimizer: Any = None) -> str:
    """Explain in one sentence why the gradient of `parameter` is None, zero or not finite, as far as it can be known.

    With the `loss` (whose graph must still exist: `backward(retain_graph=True)`), the graph is searched too; with the
    `optimizer`, it is checked for the parameter.  Cuts inside the latest `detect_anomaly` block, by detach, no_grad, a
    cast to integers or a function without a gradient, are reported with their line.  Raises TypeError for arguments
    that are not Tensors or an optimizer.

    >>> w, x = Tensor(2.0, requires_grad=True), Tensor(-3.0)
    >>> loss = np.maximum(w * x, 0.0)
    >>> loss.backward(retain_graph=True)
    >>> why(w, loss)
    'its gradient is zero: all paths end at maximum, which sends back 0 (units that are off, or a factor 0)'
    """
    for name, given in (("a parameter", parameter), ("a loss", loss)):
        if not isinstance(given, Tensor) and (given is not None or name == "a parameter"):
            more = "; ask for each: for p in model.parameters()" if hasattr(given, "parameters") else ""
            raise TypeError(f"why() takes {name}, which is a Tensor; got {type(given).__name__}{more}")
    if optimizer is not None and not hasattr(optimizer, "params"):
        raise TypeError(f"why() takes an optimizer, whose params it looks at; got {type(optimizer).__name__}")
    if not parameter.requires_grad:
        return "it has no gradient: it was made without requires_grad=True (or frozen, detached, or under no_grad())"
    if not parameter.is_leaf:
        return (
            f"it is not a leaf but the result of {parameter.node.op.name}, and gradients are kept for leaves only; "
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
    cuts = sorted(cuts_of(parameter.node), key=lambda cut: "no gradient" in cut.how)  # which may have been for a mask
    cut = f"what was computed from it was cut off by {cuts[0].how} in {cuts[0].line}" if cuts else ""
    if loss is None:
        if grad is not None:
            return "all paths contain factors of 0; pass the loss (and retain_graph=True) to learn which"
        return cut or (
            "no backward() has reached it yet, or a compiled step has used it (compile with grads=True to keep it); "
            "if one was called, its loss does not depend on it through recorded ops (.data and .item() leave none): "
            "pass the loss, or run the step inside autograd.detect_anomaly(), to learn where the path ends"
        )
    if not loss.requires_grad:
        return cut or "the loss records nothing, so it does not depend on any parameter"
    if loss.node.edges is None:
        freed = "the graph of the loss was already freed by backward(); pass retain_graph=True to ask afterwards"
        return f"{cut}, or {freed}" if cut and grad is None else freed
    if not reaches(loss.node, parameter.node):
        return cut or "the loss does not depend on it: no path of recorded ops leads from it to the loss"
    if grad is None:
        return "the loss depends on it, and backward() has not been called since zero_grad()"
    return _killer(parameter, loss)


class _Trail(Observer):
    """Collects the gradients of nodes that are not zero."""

    def __init__(self) -> None:
        self.alive: dict[Node, Any] = {}

    def backward(self, node: Node, gradient: Any) -> None:
        if np.any(gradient):
            self.alive[node] = gradient


def _killer(parameter: Tensor, loss: Tensor) -> str:
    """Name the op after which the gradient is zero."""
    trail = _Trail()
    try:
        with Switch(observer=trail):
            differentiate({loss: Tensor(np.ones_like(loss.data))}, retain_graph=True)
    except GraphError as error:
        return str(error)
    leading: set[Any] = {parameter.node}  # nodes that lead to the parameter; a node is newer than its inputs
    for node in sorted(behind(loss.node), key=lambda node: node.number):
        if any(edge in leading for edge in node.edges or () if edge is not None):
            leading.add(node)
    for node in sorted(trail.alive, key=lambda node: -node.number):  # nearest to the loss first
        assert node.kept is not None and node.edges is not None
        back = node.op.gradients(trail.alive[node].conj(), node.kept, node.params)
        for i, edge in enumerate(node.edges):
            if edge is None or edge not in leading or edge in trail.alive:
                continue
            if not np.any(back(i)):
                return f"all paths end at {node.op.name}, which sends back 0 (units that are off, or a factor 0)"
            if edge.hooks:
                name = "the parameter" if edge.__class__ is Leaf else f"the result of {edge.op.name}"
                return f"a hook on {name} makes it 0"
            return "what arrives on its paths adds up to 0"
    return "it is the loss itself, or backward() was given a gradient of 0"
