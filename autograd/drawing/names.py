"""The names of tensors in a picture or a trace, and rules written with them."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Leaf, Node
from ..tensor import Tensor
from .mathematics import mathematics
from .recording import Note


class TensorNames:
    """The name of each tensor: the user's, else its op's, numbered if the op occurs more than once."""

    def __init__(self, notes: Mapping[Node, Note], named: Mapping[Any, str]) -> None:
        self.named = dict(named)
        counts: dict[str, int] = {}
        last = {node.op.name: node for node in notes}
        for node in notes:
            counts[node.op.name] = n = counts.get(node.op.name, 0) + 1
            only = n == 1 and last[node.op.name] is node
            self.named.setdefault(node, node.op.name if only else f"{node.op.name} {n}")

    def __getitem__(self, edge: Any) -> str:
        return self.named.get(edge) or name_of(edge) or "a leaf"

    def inputs(self, node: Node, note: Note) -> list[str]:
        """The names of the inputs for a formula; "" for an input without a name."""
        given = [*note.names, *[None] * len(note.edges)]
        called = []
        for edge, array, name in zip(note.edges, note.arrays, given, strict=False):
            if edge is None:
                called.append(name or (f"{array:.6g}" if array.__class__ in (int, float) else ""))
            else:
                unnamed = edge.__class__ is Node and self[edge].partition(" ")[0] == edge.op.name
                called.append("" if unnamed or self[edge] == "a leaf" else self[edge])
        return called


def rule_of(node: Node, slot: int, called: Sequence[str]) -> str:
    """The rule of `node` for its input `slot` as mathematics; `called` names the inputs."""
    if node.op.every is not None:
        return mathematics(node.op.every)
    return mathematics(node.op.rules[slot], ["", *called])


def name_of(edge: Any) -> str | None:
    """The name of a leaf's tensor; of one that no longer exists, the name that it was made with."""
    tensor = edge.tensor() if edge.__class__ is Leaf else None
    return getattr(edge, "name", None) if tensor is None else tensor.name


def names_of_constants() -> dict[int, str]:
    """Return {id of the array: name} for all constant Tensors in memory that have a name.

    An unwatched graph keeps their arrays alone.  An array under two names has none.
    """
    kinds, pending = {Tensor}, [Tensor]
    while pending:
        pending += (new := [kind for kind in pending.pop().__subclasses__() if kind not in kinds])
        kinds.update(new)
    found: dict[int, str] = {}
    for tensor in gc.get_objects():
        if type(tensor) in kinds and tensor.node is None and getattr(tensor, "name", None):
            key = id(tensor.data)
            found[key] = tensor.name if found.get(key, tensor.name) == tensor.name else ""
    return found


def key_of(tensor: Tensor) -> Any:
    """The key of a Tensor in a picture: its node or leaf, or the Tensor itself for a constant."""
    return tensor if tensor.node is None else tensor.node
