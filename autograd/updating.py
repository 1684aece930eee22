"""Changing the values of leaves: all at once or, after an error or an interrupt, none of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import chain, repeat, starmap
from typing import Any

import numpy as np

from .errors import refuse
from .graph import Leaf, Node, next_number

accumulating = threading.Lock()  # makes `leaf.grad = leaf.grad + g` atomic across threads


def set_all(objects: Iterable[Any], name: str, values: Iterable[Any]) -> None:
    """Set an attribute of many objects in one call of C: an interrupt falls before or after it, never between."""
    any(map(setattr, objects, repeat(name), values))  # to the end, for setattr returns None


def assign_all(leaves: Sequence[Any], arrays: Sequence[Any], *others: tuple[Any, str, Any]) -> None:
    """Give each leaf its array, without a copy: all at once, or after an error or an interrupt none of them.

    For optimisers, which made the arrays themselves; see `Tensor.assign`.  `others` are attributes of other objects
    that are set in the same moment: (object, name, value).

    >>> from autograd import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> assign_all([w], [w.data * 2])
    >>> w
    Tensor([2., 4.], requires_grad=True)
    """
    for leaf, new in zip(leaves, arrays, strict=True):
        old = leaf._data
        if new.shape != old.shape or new.dtype is not old.dtype or leaf.node.__class__ is Node:
            arrays = [_checked(leaf, new) for leaf, new in zip(leaves, arrays, strict=True)]
            break
    number = next_number()
    for leaf in leaves:
        if leaf.node is not None:
            leaf.node.stamp = number  # one too many, after an interrupt, only refuses a graph
    any(chain(map(setattr, leaves, repeat("_data"), arrays), starmap(setattr, others)))  # in C, as in set_all


def _checked(leaf: Any, new: Any) -> Any:
    """`new` in the dtype of this leaf, if it can be its value."""
    if not leaf.is_leaf:
        refuse("no leaf", "assign()", leaf.node.op.name)
    if new.shape != leaf.shape:
        refuse("assigned shape", new.shape, leaf.shape, error=ValueError)
    if new.dtype != leaf.dtype and not np.can_cast(new.dtype, leaf.dtype, "same_kind"):
        refuse("assigned dtype", new.dtype, leaf.dtype)
    return new.astype(leaf.dtype, copy=False)


def convert_all(leaves: Sequence[Any], arrays: Sequence[Any]) -> None:
    """`assign_all` with arrays of any shape and dtype; gradients are forgotten.

    >>> from autograd import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> convert_all([w], [np.zeros(3, np.float32)])
    >>> w
    Tensor([0., 0., 0.], dtype=float32, requires_grad=True)
    """
    changes: list[tuple[Any, str, Any]] = []
    for leaf, new in zip(leaves, arrays, strict=True):
        changes.append((leaf, "_data", new))
        if leaf.node is not None:
            outline = {"shape": new.shape, "dtype": new.dtype, "stamp": next_number(), "grad": None}
            changes += [(leaf.node, name, value) for name, value in outline.items()]
    any(starmap(setattr, changes))


def replace(tensor: Any, array: Any) -> None:
    """What `tensor.data = array` does: another array, without a copy; graphs that read the old one refuse to be walked.

    With another shape or dtype, the gradient is forgotten.
    """
    if not tensor.is_leaf:
        refuse("no leaf", "another .data", tensor.node.op.name)
    if tensor.node is not None and array.shape == tensor.shape and array.dtype == tensor.dtype:
        assign_all([tensor], [array])
    else:
        convert_all([tensor], [array])


def accumulate(gradients: dict[Leaf, Any]) -> None:
    """Add to the gradients of leaves new ones that nobody has seen yet: in place, unless something records."""
    number = next_number()
    with accumulating:
        for leaf, new in gradients.items():
            leaf.added, old = number, leaf.grad
            if old is None:
                leaf.began = number
            elif old.requires_grad or new.requires_grad:
                gradients[leaf] = old + new
            else:
                new._data += old.data
        set_all(gradients, "grad", gradients.values())


def clear_gradients(leaves: Iterable[Any]) -> None:
    """Forget the gradients of leaves; those that have none (frozen ones, say) are passed over.

    >>> from autograd import Tensor
    >>> w = Tensor(3.0, requires_grad=True)
    >>> (w * w).backward()
    >>> clear_gradients([w])
    >>> w.grad is None
    True
    """
    for leaf in leaves:
        if leaf.node is not None:
            leaf.node.grad = None


def use_gradients(leaves: Sequence[Any], last: int) -> tuple[int, bool]:
    """The number of a step that uses the gradients of these leaves, given that of the step before, or 0.

    And whether a gradient is the sum of one that the step before has used and of newer ones.

    >>> from autograd import Tensor
    >>> w, last = Tensor(1.0, requires_grad=True), 0
    >>> for _ in range(2):
    ...     (w * w).backward()
    ...     last, mixed = use_gradients([w], last)
    ...     print(mixed)
    False
    True
    """
    mixed = False
    for leaf in leaves:
        node: Leaf = leaf.node
        if node.began < last < node.added:
            mixed = True
    return next_number(), mixed
