"""The backward graph: the Node that an op leaves behind, and the walk that sends gradients back through it.

Knows no op and no Tensor class.  An edge of a node is another Node, or a leaf: any object with `data`
(an array) and `stamp`, in practice a Tensor that the user made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

from numpy import empty, ndarray

# Every node, and every change of a leaf, takes the next number, so "newer" is "larger" throughout.
next_number = itertools.count(1).__next__


# {id of a node or leaf: functions that see, and may replace, its gradient}; empty unless somebody registered one.
HOOKS: dict[int, list[Callable[[Any], Any]]] = {}


class GraphError(RuntimeError):
    """The graph cannot be walked: it was let go of, or a value that it needs has been replaced."""


class Outline:
    """The shape and dtype of an array that a node did not keep."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = array.shape, array.dtype


class Node:
    """How one tensor was made: the op, and for each input the edge back to where that input came from.

    `edges[i]` is the Node or leaf behind input i, or None where no gradient is needed.  `kept` is `[out, *inputs]`,
    the arguments of the op's rules; where no rule that will run reads an input, the input's edge stands in for it, so
    its array can be freed.  A node never refers to its output Tensor (that would be a cycle), nor to its output array
    unless a rule reads it.  `note` is set only while someone watches (see `autograd.watch`).
    """

    __slots__ = ("__weakref__", "dtype", "edges", "kept", "note", "number", "op", "params", "shape")

    op: Any
    edges: list[Any] | None
    kept: list[Any] | None
    params: dict[str, Any]
    number: int
    shape: tuple[int, ...]
    dtype: Any
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
    """Give `gradient` the shape and dtype of the input that it belongs to, or say which rule is at fault."""
    if like.dtype.kind not in "fc":
        raise TypeError(
            f"{node.op.name}: an input of {like.dtype} has requires_grad=True, and whole numbers have no gradient"
        )
    given = gradient.shape
    if given != like.shape:
        broadcast = len(given) >= len(like.shape) and all(
            n in (1, m) for n, m in zip(like.shape[::-1], given[::-1], strict=False)
        )
        if not broadcast:
            raise GraphError(
                f"{node.op.name}: its rule returned a gradient of shape {given} for an input of shape {like.shape}"
            )
        gradient = sum_to(gradient, like.shape)
    if gradient.dtype != like.dtype:
        if gradient.dtype.kind == "c" and like.dtype.kind != "c":
            gradient = gradient.real
        gradient = gradient.astype(like.dtype)
    return gradient


def walk(
    gradients: dict[Any, Any],
    *,
    retain: bool = False,
    wanted: frozenset[Node] | None = None,
    lift: Callable[[Node], list[Any]] | None = None,
    visit: Callable[[Node, Any], None] | None = None,
) -> dict[Any, Any]:
    """Send gradients back from the given nodes, newest node first, and return {leaf: gradient}.

    `gradients` maps the edges to start from to the gradients that they start with.  With `wanted`, the walk ends at
    those nodes and returns {node: gradient} for them alone.  A node is let go of once walked, unless `retain`.
    `lift` turns a node's kept arrays into Tensors, so that the rules record themselves (higher orders);
    `visit(node, gradient)` sees each gradient when it is complete.
    """
    oldest = min((node.number for node in wanted or ()), default=0)  # what is older than every end cannot lead to one
    pending: dict[Node, Any] = {}
    arrived: dict[Any, Any] = {}
    owned: set[Any] = set()  # edges whose gradient nobody else can hold, so that it may be added to in place
    heap: list[tuple[int, Node]] = []
    for edge, gradient in gradients.items():
        if edge.__class__ is Node and (wanted is None or edge not in wanted):
            pending[edge] = gradient
            heappush(heap, (-edge.number, edge))
        elif wanted is None or edge in wanted:
            arrived[edge] = gradient

    while heap:
        number, node = heappop(heap)
        g = pending.pop(node)
        kept, edges, params = node.kept, node.edges, node.params
        if kept is None or edges is None:
            raise GraphError(
                f"the graph behind {node.op.name} has already been walked backward (perhaps until an error) and its "
                f"arrays were let go of; pass retain_graph=True to the first backward(), or run the forward pass again"
            )
        if HOOKS:
            g = _hooked(node, g)
        if lift is not None:
            kept = lift(node)
        if visit is not None:
            visit(node, g.conj())  # as users see it; a real array is its own conjugate
        arguments, rules, i = (g, *kept), node.op.rules, -1
        for edge in edges:  # counted by hand: zip and enumerate take 0.1 us more
            i += 1
            if edge is None:
                continue
            if edge.__class__ is Node:
                like, store = edge, pending
                if wanted is not None:
                    if edge in wanted:
                        store = arrived
                    elif edge.number < oldest:
                        continue
            elif wanted is not None:
                continue
            else:
                like, store = edge.data, arrived
                if edge.stamp > -number and _reads(node, edge):
                    raise GraphError(
                        f"an input of {node.op.name} was replaced (by an optimiser step or assign()) after the forward "
                        f"pass that used it; run the forward pass again before backward()"
                    )
            gx = rules[i](*arguments, **params) if params else rules[i](*arguments)
            try:
                if gx.shape != like.shape or gx.dtype is not like.dtype:
                    gx = fit(gx, like, node)
            except AttributeError:
                if hasattr(gx, "shape"):
                    raise
                raise TypeError(f"{node.op.name}: its rule returned {gx!r:.50}, which is no array") from None
            total = store.get(edge)
            if total is None:
                store[edge] = gx
                if store is pending:
                    heappush(heap, (-edge.number, edge))
            elif edge in owned or (getrefcount(total) <= ALONE and _is_plain(total)):
                total += gx
                store[edge] = total
                owned.add(edge)
            else:
                store[edge] = total + gx
                owned.add(edge)
            gx = None  # so that its memory is free again before the next rule runs
        if not retain:
            node.kept = node.edges = None
    return {edge: _hooked(edge, g) for edge, g in arrived.items()} if HOOKS else arrived


def _is_plain(array: Any) -> bool:
    """Whether this is an array of its own memory that may be written to."""
    return array.__class__ is ndarray and array.base is None and array.flags.writeable


def _holders(arrays: dict[Any, Any]) -> int:
    array = arrays[0]
    return getrefcount(array)


# What `getrefcount(array)` says of an array that one dict and one variable hold; interpreters count differently.
ALONE = _holders({0: empty(0)})


def _hooked(edge: Any, gradient: Any) -> Any:
    for hook in HOOKS.get(id(edge), ()):
        gradient = hook(gradient)
    return gradient


def _reads(node: Node, leaf: Any) -> bool:
    """Whether a rule of `node` reads the value of `leaf` (where none does, the leaf itself stands in for its array).

    Of a view of the leaf it is taken for granted that somebody reads it.
    """
    assert node.kept is not None and node.edges is not None
    return node.op.view or any(
        edge is leaf and array is not leaf for array, edge in zip(node.kept[1:], node.edges, strict=True)
    )
