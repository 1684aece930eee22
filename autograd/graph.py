"""The backward graph: the Node that an op creates, the Leaf that stores a gradient, and the walk over them.

It depends on neither ops nor Tensors.  An edge of a node is the node of one of its inputs: another Node, or a Leaf.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

import numpy as np

from .errors import GraphError, explain_rule, refuse
from .ownership import is_ours
from .parts import Part

# Every node, and every change of a leaf, takes the next number, so "newer" is "larger" throughout.
next_number = itertools.count(1).__next__


class Outline:
    """The shape and dtype of an array that a node does not keep; the shape of an operand that was None is None."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = None if array is None else np.shape(array), getattr(array, "dtype", None)


class Leaf:
    """The end of the graph at a tensor that you made; its gradients add up in `grad`.

    `stamp` is the number of the last change of the tensor's value, `began` that of the last new `grad`, and `added`
    that of the last addition to it.  `tensor()` is the tensor, or None once it has been freed.
    """

    __slots__ = ("__weakref__", "added", "began", "dtype", "grad", "hooks", "name", "shape", "stamp", "tensor")
    edges: tuple[Any, ...] = ()
    kept = op = None
    number = 0  # older than every node

    def __init__(self, tensor: Any) -> None:
        if tensor.dtype.kind not in "fc":
            refuse("whole numbers", tensor.dtype)
        self.shape, self.dtype, self.name, self.tensor = tensor.shape, tensor.dtype, tensor.name, weakref.ref(tensor)
        self.grad: Any = None
        self.hooks: list[Callable[[Any], Any]] | None = None
        self.began = self.added = self.stamp = 0


class Node:
    """How one tensor was made: the op, and for each input an edge to its origin.

    `edges[i]` is the node or leaf behind input i, or None where no gradient is needed.  `kept` is `[out, *inputs]`, the
    arguments of the op's rules; an input that no rule will read is replaced by its edge (or an Outline), so the array
    can be freed.  A node never refers to its output Tensor (that would be a cycle), nor to its output array unless a
    rule reads it.  `hooks` are functions that see, and may replace, its gradient.  `note` is set only while a graph is
    watched (see `autograd.watch`).
    """

    __slots__ = ("__weakref__", "dtype", "edges", "hooks", "kept", "note", "number", "op", "params", "shape")

    op: Any
    edges: tuple[Any, ...] | None
    kept: list[Any] | None
    params: dict[str, Any]
    number: int
    shape: tuple[int, ...]
    dtype: Any
    hooks: list[Callable[[Any], Any]] | None
    note: Any

    def __repr__(self) -> str:
        return f"<{self.op.name} #{self.number} {self.shape} {self.dtype}>"


def sum_to(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum `gradient` over the axes along which an array of `shape` was repeated."""
    extra = len(gradient.shape) - len(shape)
    if extra > 0:
        gradient = gradient.sum(axis=tuple(range(extra)))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


def fit(gradient: Any, like: Any, node: Node) -> Any:
    """Convert `gradient` to the shape and dtype of its input; GraphError names a rule at fault."""
    pairs = zip(like.shape[::-1], gradient.shape[::-1], strict=False)
    if len(gradient.shape) < len(like.shape) or any(n not in (1, m) for n, m in pairs):
        refuse("shape of rule", node.op.name, gradient.shape, like.shape, error=GraphError)
    gradient = sum_to(gradient, like.shape)
    if gradient.dtype.kind == "c" and like.dtype.kind != "c":
        gradient = gradient.real
    return gradient.astype(like.dtype, copy=False)


def walk(
    gradients: Mapping[Any, Any], *, retain: bool = False, wanted: Any = None, lift: Any = None, visit: Any = None
) -> dict[Any, Any]:
    """Send gradients back from the given nodes, newest node first, and return {leaf: gradient}.

    `gradients` maps the starting nodes to their gradients.  With `wanted`, a frozenset of nodes, the walk ends there
    and returns {node: gradient} for those nodes only.  A node's arrays are freed once it is walked, unless `retain`.
    `lift` turns a node's kept arrays into Tensors, so that the rules record themselves (higher orders);
    `visit(node, gradient)` is called when a gradient is complete.
    """
    ends = wanted or frozenset()
    # Nodes older than every end lead to none of them.
    oldest = 0 if wanted is None else min((node.number for node in ends), default=inf)
    pending = dict(gradients)  # what remains at the end has arrived
    owned: set[Any] = set()  # nodes whose gradient has no other owner, so it may be added to in place
    heap = [(-node.number, node) for node in pending if node.number and node not in ends]
    heapify(heap)
    while heap:
        number, node = heappop(heap)
        g = pending.pop(node)
        kept, edges, op, params = node.kept, node.edges, node.op, node.params
        if kept is None or edges is None:
            refuse("walked", op.name, error=GraphError)
        if node.hooks or g.__class__ is Part:
            g = hooked(node, g)
        if lift is not None:
            kept = lift(node)
        if visit is not None:
            visit(node, g.conj())  # as users see it; a real array is its own conjugate
        rules, arguments, i, gx = op.rules, (g, *kept), -1, None
        back = op.every and op.every(*arguments, **params)
        for edge in edges:  # counted by hand: zip and enumerate take 0.1 us more
            i += 1
            if edge is None or edge.number < oldest:
                continue
            if not edge.number and edge.stamp > -number and (op.view or node.kept[i + 1] is not edge):  # it is read
                refuse("replaced", op.name, error=GraphError)
            try:
                gx = back(i) if back else rules[i](*arguments, **params) if params else rules[i](*arguments)
                if gx.shape != edge.shape or gx.dtype is not edge.dtype:
                    gx = fit(gx, edge, node)
            except (AttributeError, TypeError) as error:
                explain_rule(op, gx, error)
            total = pending.get(edge)
            if total is None:
                if edge.number and edge not in ends:
                    heappush(heap, (-edge.number, edge))
            elif edge in owned or is_ours(total):
                total += gx
                gx = total
                owned.add(edge)
            else:
                gx = total + gx
                owned.add(edge)
            pending[edge] = gx
            gx = None  # so that its memory is freed before the next rule runs
        if not retain:
            node.kept = node.edges = None
    if wanted is not None:
        pending = {node: g for node, g in pending.items() if node in ends}
    return {x: hooked(x, g) if x.hooks or g.__class__ is Part else g for x, g in pending.items()}


def hooked(node: Any, gradient: Any) -> Any:
    """The gradient of a node or leaf as an array, after its hooks have run."""
    gradient = gradient.whole() if gradient.__class__ is Part else gradient
    for hook in tuple(node.hooks or ()):
        gradient = hook(gradient)
    return gradient
