"""Keep what `backward()` frees while a graph is watched: the values, inputs, edges and gradients of every node."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from ..callsite import CallSite, modules_running, place_of_caller
from ..graph import Node
from ..mode import F, Observer, Switch
from ..tensor import Tensor

# The watched calls that are under way, outermost first: pairs of a module and the number of the call.
_CALLS: ContextVar[tuple[tuple[Any, int], ...]] = ContextVar("watched_calls", default=())
_next_call = itertools.count(1).__next__


class Note:
    """What is known about a node: its output array, its input arrays, its edges, and its gradient, if any.

    `value` is None if it was not kept.  An entry of `arrays` may be the edge (or an Outline) that replaces an array
    that was not kept; an omitted operand is None.  `order` numbers the gradients of one watcher, and `turn` its
    walks; `began` says that the walk began here and nowhere else.  `modules` are the running modules, outermost first,
    as pairs with the number of the call (0 if unknown), `place` is the line of the user's program, and `names` are
    those of the input Tensors; these three are known only for a watched forward pass.
    """

    __slots__ = ("arrays", "began", "edges", "gradient", "modules", "names", "order", "place", "turn", "value")

    def __init__(self, value: Any, arrays: Sequence[Any], edges: Sequence[Any]) -> None:
        self.value, self.arrays, self.edges = value, arrays, edges
        self.gradient: Any = None
        self.order = self.turn = 0
        self.began = False
        self.modules: tuple[tuple[Any, int], ...] = ()
        self.place: CallSite | None = None
        self.names: tuple[str | None, ...] = ()

    def without_gradient(self) -> Note:
        """Return a copy as it was before any backward pass."""
        note = Note(self.value, self.arrays, self.edges)
        note.modules, note.place, note.names = self.modules, self.place, self.names
        return note


class Watcher(Observer):
    """The observer of ops and walks; it writes a Note on every node."""

    def __init__(self) -> None:
        self.order = self.turn = 0
        self.seed: Any = None  # the node at which a walk began

    def finish(self) -> None:
        self.seed = None

    def around(self, kind: str, owner: Any, function: F) -> F:
        """Number the calls of modules, so that two calls of one module in a row are two frames of a picture."""
        if kind != "module":
            return function

        @functools.wraps(function)
        def numbered(*args: Any, **kwargs: Any) -> Any:
            token = _CALLS.set((*_CALLS.get(), (owner, _next_call())))
            try:
                return function(*args, **kwargs)
            finally:
                _CALLS.reset(token)

        return numbered  # type: ignore[return-value]  # it has the signature of `function`

    def forward(self, node: Node, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """Write a Note on the new `node` of an op that computed `data` from `arrays`."""
        assert node.edges is not None
        node.note = note = Note(data, arrays, node.edges)
        note.modules, note.place = calls_running(), place_of_caller()
        note.names = tuple(getattr(x, "name", None) if isinstance(x, Tensor) else None for x in inputs)

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        self.turn += 1
        self.seed = next(iter(seeds)).node if len(seeds) == 1 else None

    def backward(self, node: Node, gradient: Any) -> None:
        """Note the gradient of `node`."""
        self.order += 1
        note = note_of(node)
        assert note is not None  # the walk frees a node only after this call
        note.gradient = gradient.data if isinstance(gradient, Tensor) else gradient
        note.order, note.turn, note.began = self.order, self.turn, node is self.seed
        node.note = note


def calls_running() -> tuple[tuple[Any, int], ...]:
    """The modules whose calls are under way, outermost first, each with the number of its call.

    The number is 0 for a call that began outside of the watch, and in hooks, which run around the forward.
    """
    numbers = iter(_CALLS.get())
    found, call = [], next(numbers, None)
    for module in modules_running():
        known = call is not None and call[0] is module
        found.append((module, call[1] if call is not None and known else 0))
        call = next(numbers, None) if known else call
    return tuple(found)


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
