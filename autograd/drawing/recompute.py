"""Recover intermediate values from nodes, or recompute them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..graph import Leaf, Node, Outline
from ..tensor import Tensor
from .recording import Note


def find_values(
    notes: Mapping[Node, Note], inputs: Mapping[Node, list[Any]], tensors: Iterable[Tensor], hidden: Collection[Any]
) -> dict[Any, Any]:
    """Return {key: array in the forward pass} for the inputs and nodes whose value was kept or can be recomputed.

    `notes` starts with the oldest node.  Nodes in `hidden` are not recomputed, so that a long graph costs no more than
    the part that is shown.
    """
    known = {tensor.node: tensor.data for tensor in tensors if tensor.node is not None}
    for node, note in notes.items():
        for key, array, edge in zip(inputs[node], note.arrays, note.edges, strict=True):
            if key is not None and _is_value(array, edge):
                known.setdefault(key, array)
        if note.value is not None:
            known.setdefault(node, note.value)
    for node, note in notes.items():
        if node not in known and node not in hidden:
            arrays = [_input(node, *pair, known) for pair in zip(note.arrays, note.edges, strict=True)]
            if not any(array is None for array in arrays):
                known[node] = node.op.forward(*arrays, **node.params)
    return known


def _input(node: Node, array: Any, edge: Any, known: Mapping[Any, Any]) -> Any:
    """An input of `node` as it was in the forward pass, or None."""
    if edge is None or _is_value(array, edge):
        return array if _is_value(array, edge) else None
    tensor = edge.tensor() if edge.__class__ is Leaf else None
    if tensor is not None and edge not in known and edge.stamp < node.number:  # not replaced since
        return tensor.data
    return known.get(edge)


def _is_value(array: Any, edge: Any) -> bool:
    """Whether `array` is a value, not the edge or Outline that replaces an array that was not kept."""
    return array is not None and array is not edge and array.__class__ is not Outline
