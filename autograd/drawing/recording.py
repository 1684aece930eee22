"""Remember, while someone watches, what `backward()` lets go of: values, inputs, edges and gradients of every node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..callsite import CallSite, modules_running, place_of_caller
from ..graph import Node
from ..mode import Observer, Switch
from ..tensor import Tensor


class Note:
    """What is known of a node: the array that it made, its input arrays, its edges, and the gradient if one came.

    `value` is None where it was not kept, and an entry of `arrays` may be the edge (or an outline) that stands in for
    an array that was not kept; with `complete`, all were.  `order` counts the gradients of one watcher and `turn` the
    walks that they came in.  `modules` are those whose calls were under way, outermost first, and `place` is the line
    of the user's program and `names` those of the input Tensors; they are known only of a pass that was watched.
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
        """The same forward pass, before any backward."""
        note = Note(self.value, self.arrays, self.edges, self.complete)
        note.modules, note.place, note.names = self.modules, self.place, self.names
        return note


class Watcher(Observer):
    """The observer that ops and walks report to; it writes a Note on every node that passes."""

    def __init__(self) -> None:
        self.order = self.turn = self.last = 0

    def forward(self, node: Node, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """An op made `data` from `arrays` and left `node` behind."""
        assert node.edges is not None
        node.note = note = Note(data, arrays, node.edges, complete=True)
        note.modules, note.place = modules_running(), place_of_caller()
        note.names = tuple(getattr(x, "name", None) if isinstance(x, Tensor) else None for x in inputs)

    def backward(self, node: Node, gradient: Any) -> None:
        """The gradient of `node` is complete.  A walk goes from newer to older, so a newer node starts another walk."""
        if node.number >= self.last:
            self.turn += 1
        self.last = node.number
        self.order += 1
        note = note_of(node)
        assert note is not None  # the walk lets go of a node only after this call
        note.gradient = gradient.data if isinstance(gradient, Tensor) else gradient
        note.order, note.turn = self.order, self.turn
        node.note = note


def note_of(node: Node) -> Note | None:
    """The note on `node`; one made from what the node itself keeps if nobody watched; None if that was let go of."""
    note: Note | None = getattr(node, "note", None)
    if note is None and node.kept is not None and node.edges is not None:
        note = Note(node.kept[0], node.kept[1:], node.edges)
    return note


def watch() -> Switch:
    """Inside this block, graphs remember their values and gradients, so that `draw` shows them after `backward()`.

    Works like `no_grad`: for this thread or asyncio task, as a `with` block or as a decorator.  What is remembered
    lives as long as the graph, so a watched training step needs the memory of all its intermediate arrays at once.

    >>> from autograd import draw
    >>> x = Tensor(3.0, requires_grad=True)
    >>> with watch():
    ...     loss = x * x
    ...     loss.backward()
    >>> draw(loss)
    <picture of multiply: 2 boxes, 2 arrows>
    """
    return Switch(observer=Watcher())
