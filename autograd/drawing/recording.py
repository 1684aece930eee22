"""Keep what `backward()` frees while a graph is watched: the values, inputs, edges and gradients of every node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..callsite import CallSite, modules_running, place_of_caller
from ..graph import Node
from ..mode import Observer, Switch
from ..tensor import Tensor


class Note:
    """What is known about a node: its output array, its input arrays, its edges, and its gradient, if any.

    `value` is None if it was not kept.  An entry of `arrays` may be the edge (or an Outline) that replaces an array
    that was not kept; if `complete`, all were kept.  `order` numbers the gradients of one watcher, and `turn` its
    walks.  `modules` are the running modules, outermost first, `place` is the line of the user's program, and `names`
    are those of the input Tensors; these three are known only for a watched forward pass.
    """

    __slots__ = ("arrays", "complete", "edges", "gradient", "modules", "names", "order", "place", "turn", "value")

    def __init__(self, value: Any, arrays: Sequence[Any], edges: Sequence[Any], complete: bool = False) -> None:
        self.value, self.arrays, self.edges, self.complete = value, arrays, edges, complete
        self.gradient: Any = None
        self.order = self.turn = 0
        self.modules: tuple[Any, ...] = ()
        self.place: CallSite | None = None
        self.names: tuple[str | None, ...] = ()

    def without_gradient(self) -> Note:
        """Return a copy as it was before any backward pass."""
        note = Note(self.value, self.arrays, self.edges, self.complete)
        note.modules, note.place, note.names = self.modules, self.place, self.names
        return note


class Watcher(Observer):
    """The observer of ops and walks; it writes a Note on every node."""

    def __init__(self) -> None:
        self.order = self.turn = self.last = 0

    def forward(self, node: Node, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """Write a Note on the new `node` of an op that computed `data` from `arrays`."""
        assert node.edges is not None
        node.note = note = Note(data, arrays, node.edges, complete=True)
        note.modules, note.place = modules_running(), place_of_caller()
        note.names = tuple(getattr(x, "name", None) if isinstance(x, Tensor) else None for x in inputs)

    def backward(self, node: Node, gradient: Any) -> None:
        """Note the gradient of `node`.  A walk goes from newer to older nodes, so a newer node starts another walk."""
        if node.number >= self.last:
            self.turn += 1
        self.last = node.number
        self.order += 1
        note = note_of(node)
        assert note is not None  # the walk frees a node only after this call
        note.gradient = gradient.data if isinstance(gradient, Tensor) else gradient
        note.order, note.turn = self.order, self.turn
        node.note = note


def note_of(node: Node) -> Note | None:
    """The note on `node`, or one made from what an unwatched node keeps, or None if that was freed."""
    note: Note | None = getattr(node, "note", None)
    if note is None and node.kept is not None and node.edges is not None:
        note = Note(node.kept[0], node.kept[1:], node.edges)
    return note


def watch() -> Switch:
    """Keep the values and gradients of graphs in this block, so that `draw` shows them after `backward()`.

    Like `no_grad`, it applies to this thread or asyncio task, and is a `with` block or a decorator.  The arrays live as
    long as the graph, so a watched training step holds all its intermediate arrays in memory at once.

    >>> from autograd import draw
    >>> x = Tensor(3.0, requires_grad=True)
    >>> with watch():
    ...     loss = x * x
    ...     loss.backward()
    >>> draw(loss)
    <picture of multiply: 2 boxes, 2 arrows>
    """
    return Switch(observer=Watcher())
