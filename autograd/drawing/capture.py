"""Take a snapshot of the graph behind a loss.  Nothing here recurses: a graph may be as deep as memory allows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..callsite import line_at
from ..errors import GraphError
from ..graph import Leaf, Node, Outline, fit, walk
from ..tensor import Tensor
from .array_summary import summarise
from .fold import FOLD, Folded, fold
from .long_arrows import cut_long_arrows
from .modules import ModuleCalls, find_calls
from .names import TensorNames, key_of, name_of, names_of_constants, rule_of
from .recompute import find_values
from .recording import Note, note_of
from .snapshot import ELSEWHERE, NO_PATH, NOT_YET, OTHER, UNSEEN, Arrow, Box, Snapshot


def take(
    loss: Tensor, names: Mapping[str, Tensor], model: Any = None, *, run_backward: bool = False, **folding: Any
) -> Snapshot:
    """Take a snapshot of the graph behind `loss`; `folding` is passed to `fold`.

    If `model` has modules and was not watched, the snapshot says so.  Raises GraphError if the graph was freed
    unwatched.
    """
    notes = find(loss)
    with np.errstate(all="ignore"):  # an overflow also happened in the forward or backward pass, and is shown in red
        if run_backward and not loss.is_leaf and not _same_walk(loss, notes):
            notes = walked(loss, notes)
        inputs = {node: inputs_of(node, note) for node, note in notes.items()}
        calls = find_calls(notes, inputs)
        camera = _Camera(loss, names, notes, inputs, calls, folding)
        snapshot = camera.shoot(run_backward)
        if hasattr(model, "named_modules") and any(note.place is None for note in notes.values()):
            snapshot.remarks.append(
                "Modules not known: compute the loss inside `with autograd.watch():` to frame them."
            )
        return snapshot


def find(loss: Tensor) -> dict[Node, Note]:
    """Return {node: note} for every node behind `loss`, oldest first."""
    found: dict[Node, Note] = {}
    waiting = [] if loss.is_leaf else [loss.node]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        note = note_of(node)
        if note is None:
            raise GraphError(
                f"the graph behind {node.op.name} was freed by backward(), so there is nothing left to draw; "
                f"compute the loss inside `with autograd.watch():`, or draw before backward(), or call "
                f"backward(retain_graph=True)"
            )
        found[node] = note
        waiting += [edge for edge in note.edges if edge.__class__ is Node]
    return dict(sorted(found.items(), key=lambda item: item[0].number))


def walked(loss: Tensor, notes: dict[Node, Note]) -> dict[Node, Note]:
    """The notes with gradients from a separate backward walk, which changes no `.grad` and keeps the graph."""
    if loss.data.size != 1:
        raise ValueError(f"run_backward=True needs a loss of one element, and this Tensor has shape {loss.shape}")
    filled: dict[Node, Note] = {}

    def visit(node: Node, gradient: Any) -> None:
        note = filled[node] = notes[node].without_gradient()
        note.gradient, note.order, note.began = gradient, len(filled), node is loss.node

    walk({loss.node: np.ones_like(loss.data)}, retain=True, visit=visit)
    return {node: filled[node] for node in notes}


def _same_walk(loss: Tensor, notes: dict[Node, Note]) -> bool:
    """Whether all gradients are known and come from one walk, which began at `loss` with 1."""
    first = notes[loss.node]
    known = all(note.gradient is not None and note.turn == first.turn for note in notes.values())
    return known and first.began and bool((first.gradient == 1).all())


class _Camera:
    """The state of one snapshot: the boxes and names of all tensors."""

    def __init__(
        self,
        loss: Tensor,
        names: Mapping[str, Tensor],
        notes: dict[Node, Note],
        inputs: dict[Node, list[Any]],
        calls: ModuleCalls,
        folding: Mapping[str, Any],
    ) -> None:
        self.loss, self.notes, self.inputs, self.calls = loss, notes, inputs, calls
        self.named = {key_of(tensor): name for name, tensor in names.items()}
        self.tensors = {key_of(tensor): tensor for tensor in names.values()} | {loss.node: loss}
        self.arrays = {id(tensor.data): name for name, tensor in names.items() if not tensor.requires_grad}
        if any(note.place is None for note in notes.values()):
            self.arrays = names_of_constants() | self.arrays
        self.room: int = folding["max_nodes"]
        self.folded: Folded = fold(inputs, self.named, calls, **folding)
        self.input_names = {
            key: name
            for node, note in notes.items()
            for key, name in zip(inputs[node], note.names, strict=False)
            if name
        }
        self.names = TensorNames(notes, self.named)
        self.turn = 0 if loss.is_leaf else notes[loss.node].turn
        self.began = loss.is_leaf or notes[loss.node].began
        seen = sorted(note.order for note in notes.values() if self.has_gradient(note))
        self.rank = {order: i for i, order in enumerate(seen, 1)}
        closed = [call for call in self.folded.boxes if call != FOLD]
        self.snapshot = Snapshot(calls=list(calls), folded=self.folded.text, closed=closed)
        leaves = (edge for note in notes.values() for edge in note.edges if edge.__class__ is Leaf)
        made = 0 if loss.is_leaf else loss.node.number  # older gradients are those of an earlier graph
        self.unseen = not seen and any(leaf.grad is not None and leaf.added > made for leaf in leaves)
        self.places: dict[Any, int] = {}
        self.replaced: set[Any] = set()  # leaves whose value has changed since the forward pass
        self.known = find_values(notes, inputs, list(self.tensors.values()), self.folded.into)

    def has_gradient(self, note: Note) -> bool:
        return note.gradient is not None and note.turn == self.turn and self.began

    def shoot(self, run_backward: bool) -> Snapshot:
        into = self.folded.into
        numbers = {into[node]: node.number for node in self.notes if node in into}
        for key, (title, lines) in self.folded.boxes.items():
            self._place(key, Box("folded", title, notes=lines, number=numbers.get(key, 0)))  # only inputs may be folded
        totals: dict[Any, Any] = {}
        partial: set[Any] = set()  # leaves for which some share of the gradient is unknown
        arrows: list[Arrow] = []
        for node, note in reversed(self.notes.items()):  # newest first, the order in which the walk sums
            shares = self._shares(node, note)
            called = self.names.inputs(node, note)
            for slot, (key, edge) in enumerate(zip(self.inputs[node], note.edges, strict=True)):
                if edge.__class__ is Leaf:
                    if edge.stamp > node.number:
                        self.replaced.add(edge)
                    if shares[slot] is None:
                        partial.add(edge)
                if shares[slot] is not None:
                    totals[edge] = totals[edge] + shares[slot] if edge in totals else shares[slot]
                if key is not None:
                    arrows += self._arrow(key, node, slot, shares[slot], totals.get(edge), called)
            totals.pop(node, None)
        for key in partial:
            totals.pop(key, None)
        for leaf in dict.fromkeys(key for keys in self.inputs.values() for key in keys if key.__class__ is Leaf):
            if leaf not in into:
                self._place(leaf, self._leaf(leaf, totals.get(leaf)))
        if self.loss.is_leaf:
            total = np.ones_like(self.loss.data) if run_backward else None
            self._place(self.loss.node, self._leaf(self.loss.node, total))
        self._unreached()
        self.snapshot.arrows = _merged(arrows)
        cut_long_arrows(self.snapshot)
        return self.snapshot

    def _unreached(self) -> None:
        """Place the named tensors that the loss does not depend on, while there is room."""
        here, into = self.places, self.folded.into
        named = [key for key in self.named if key not in here and key not in into and self.tensors[key].requires_grad]
        room = max(0, self.room - len(self.snapshot.boxes))
        for key in named[:room]:
            tensor = self.tensors[key]
            kind = "parameter" if tensor.is_leaf else "op"
            self._place(key, Box(kind, self.named[key], tensor.shape, summarise(tensor.data), NO_PATH))
        if len(named) > room:
            self.snapshot.remarks.append(f"{len(named) - room:,} more named tensors have no path to it.")

    def _place(self, key: Any, box: Box) -> int:
        box.call = self.calls[key].parent if isinstance(key, int) else self.calls.of.get(key)
        if FOLD in self.folded.boxes or box.kind == "input":
            box.call = None  # a run of ops cuts through modules, and a named input comes from outside
        if key not in self.places:
            self.places[key] = len(self.snapshot.boxes)
            self.snapshot.boxes.append(box)
        else:
            self.snapshot.boxes[self.places[key]] = box
        return self.places[key]

    def _arrow(self, key: Any, node: Node, slot: int, share: Any, total: Any, called: list[str]) -> list[Arrow]:
        into = self.folded.into
        start, end = into.get(key, key), into.get(node, node)
        if start == end:
            return []
        merge = key in into or node in into or (key, node) in self.folded.parallel
        arrow = Arrow(self._box(start), self._box(end), slot, 0 if merge else 1)
        if share is not None:
            arrow.gradient, arrow.total = summarise(share), summarise(total)
            arrow.rule = "" if node in into else rule_of(node, slot, called)
        return [arrow]

    def _box(self, key: Any) -> int:
        """The index of the box of `key`, which is created if needed."""
        if key in self.places:
            return self.places[key]
        if key.__class__ is Node:
            return self._place(key, self._op(key))
        if key.__class__ is Leaf:
            return self._place(key, Box("parameter", ""))  # a placeholder, because its gradient is not summed yet
        value = self.known.get(key)
        name = self.input_names.get(key) or (self.arrays.get(id(value)) if hasattr(value, "shape") else None)
        shape = getattr(value, "shape", None)
        box = Box("input" if name else "constant", name or "", shape, None if value is None else summarise(value))
        box.dtype = str(getattr(value, "dtype", ""))
        return self._place(key, box)

    def _op(self, node: Node) -> Box:
        note, value, name = self.notes[node], self.known.get(node), self.named.get(node)
        kind, title = "op", _call(node)
        if node is self.loss.node:
            kind, name = "loss", name or self.loss.name
        if name and name != node.op.name:
            title = f"{name} = {title}"
        box = Box(kind, title, node.shape, None if value is None else summarise(value), NOT_YET, number=node.number)
        box.dtype, box.line = str(node.dtype), "" if note.place is None else line_at(note.place)
        if self.has_gradient(note):
            box.gradient, box.order = summarise(note.gradient), self.rank[note.order]
        elif note.gradient is not None:
            box.gradient = OTHER if self.began else ELSEWHERE
        elif node.edges is None or self.unseen:
            box.gradient = UNSEEN
        return box

    def _leaf(self, leaf: Leaf, total: Any) -> Box:
        kind, tensor = "loss" if leaf is self.loss.node else "parameter", leaf.tensor()
        value = self.known.get(leaf, None if tensor is None or leaf in self.replaced else tensor.data)
        shown = None if value is None else summarise(value)
        name = self.named.get(leaf) or name_of(leaf) or ""
        box = Box(kind, name, leaf.shape, shown, NOT_YET, dtype=str(leaf.dtype))
        if total is not None:
            box.gradient = summarise(total)
        elif leaf.grad is not None:
            box.gradient, box.accumulated = summarise(leaf.grad.data), True
        return box

    def _shares(self, node: Node, note: Note) -> list[Any]:
        """The gradient that `node` sends back through each slot (None: none, unknown or not shown)."""
        shares: list[Any] = [None] * len(note.edges)
        into, home = self.folded.into, self.folded.into.get(node, node)
        if self.has_gradient(note):
            # The walk sends conjugates, see `differentiate`; a real array is its own.
            back = node.op.gradients(note.gradient.conj(), [note.value, *note.arrays], node.params)
            for slot, edge in enumerate(note.edges):
                if edge is not None and (edge.__class__ is Leaf or into.get(edge, edge) is not home):
                    shares[slot] = fit(back(slot), edge, node).conj()
        return shares


def inputs_of(node: Node, note: Note) -> list[Any]:
    """The key of each input's box: its node or leaf, or a key for a constant; None for an omitted operand.

    An array that several ops read is one box; a number gets a box for each use.
    """
    keys: list[Any] = []
    for slot, (array, edge) in enumerate(zip(note.arrays, note.edges, strict=True)):
        if edge is not None:
            keys.append(edge)
        elif array is None or (array.__class__ is Outline and array.shape is None):
            keys.append(None)
        elif hasattr(array, "shape") and array.shape and array.__class__ is not Outline:
            keys.append(("array", id(array)))
        else:
            keys.append(("number", node.number, slot))
    return keys


def _call(node: Node) -> str:
    """The op and its short parameters: `sum axis=0`."""
    short = [(key, value) for key, value in node.params.items() if value is not None and not hasattr(value, "shape")]
    said = [f"{key}={value!r}" for key, value in short]
    return " ".join([node.op.name, *(text for text in said if len(text) <= 30)])


def _merged(arrows: list[Arrow]) -> list[Arrow]:
    """Merge all arrows between a box and a folded box into one, with their count, and keep the others."""
    merged: dict[Any, Arrow] = {}
    unique = itertools.count()
    for arrow in arrows:
        whole = merged.setdefault(next(unique) if arrow.count else (arrow.start, arrow.end), arrow)
        if not arrow.count or whole is not arrow:
            whole.count += 1
            whole.gradient = arrow.gradient if whole.count == 1 else None  # several arrows have no single gradient
    return list(merged.values())
