"""Change the values of leaves: all of them or, after an error or an interrupt, none."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import chain, repeat, starmap
from typing import Any

import numpy as np

from .convention import deliver
from .errors import refuse
from .graph import Leaf, Node, next_number
from .libraries import carried, is_foreign, library_of
from .mode import MODE


class Attributes:
    """`number` grows with every change of a module's attribute, so that a compiled program notices one at once."""

    number = 0


ATTRIBUTES = Attributes()


def attributes_changed() -> None:
    """Note that an attribute of a module has changed: compiled programs look at their modules again.

    >>> before = ATTRIBUTES.number
    >>> attributes_changed()
    >>> ATTRIBUTES.number - before
    1
    """
    ATTRIBUTES.number += 1
    if (observer := MODE.get().observer) is not None:
        observer.attribute()


accumulating = threading.Lock()  # makes `leaf.grad = leaf.grad + g` atomic across threads


def set_all(objects: Iterable[Any], name: str, values: Iterable[Any]) -> None:
    """Set an attribute of many objects in one C call: an interrupt comes before or after it, never in between."""
    any(map(setattr, objects, repeat(name), values))  # runs to the end, because setattr returns None


def assign_all(leaves: Sequence[Any], arrays: Sequence[Any], *others: tuple[Any, str, Any]) -> None:
    """Set the array of each leaf, without a copy: all of them or, after an error or an interrupt, none.

    For optimisers, which made the arrays themselves; see `Tensor.assign`.  `others` are attributes of other objects
    to set at the same time: (object, name, value).

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
        if end := leaf.node or leaf._leaf:
            end.stamp = number  # a needless one, after an interrupt, only invalidates a graph
    any(chain(map(setattr, leaves, repeat("_data"), arrays), starmap(setattr, others)))  # in C, as in set_all


def copied_like(value: Any, old: Any) -> Any:
    """A copy of `value` in the memory order of the array `old`, by rows or by columns, and where that is."""
    if is_foreign(value) or is_foreign(old):
        value = carried(value, library_of(old))
    if is_foreign(value):
        return value.copy()
    flags = old.flags
    return np.array(value, order="F" if flags.f_contiguous and not flags.c_contiguous else "C")


def _checked(leaf: Any, new: Any) -> Any:
    """`new` in the dtype of this leaf; raises an error if it does not fit."""
    if not leaf.is_leaf:
        refuse("no leaf", "assign()", leaf.node.op.name)
    if new.shape != leaf.shape:
        refuse("assigned shape", new.shape, leaf.shape, error=ValueError)
    if new.dtype != leaf.dtype and not np.can_cast(new.dtype, leaf.dtype, "same_kind"):
        refuse("assigned dtype", new.dtype, leaf.dtype)
    return new.astype(leaf.dtype, copy=False)


def convert_all(leaves: Sequence[Any], arrays: Sequence[Any]) -> None:
    """`assign_all` with arrays of any shape and dtype; clears the gradients.

    >>> from autograd import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> convert_all([w], [np.zeros(3, np.float32)])
    >>> w
    Tensor([0., 0., 0.], dtype=float32, requires_grad=True)
    """
    changes: list[tuple[Any, str, Any]] = []
    for leaf, new in zip(leaves, arrays, strict=True):
        changes.append((leaf, "_data", new))
        if leaf._leaf is not None:
            outline = {"shape": new.shape, "dtype": new.dtype, "stamp": next_number(), "grad": None}
            changes += [(leaf._leaf, name, value) for name, value in outline.items()]
    any(starmap(setattr, changes))


def replace(tensor: Any, array: Any) -> None:
    """Set `tensor.data = array`, without a copy; graphs that read the old array can no longer be walked.

    A new shape or dtype clears the gradient.
    """
    if not tensor.is_leaf:
        refuse("no leaf", "another .data", tensor.node.op.name)
    if tensor._leaf is not None and array.shape == tensor.shape and array.dtype == tensor.dtype:
        assign_all([tensor], [array])
    else:
        convert_all([tensor], [array])


def accumulate(gradients: dict[Leaf, Any]) -> None:
    """Add new, unshared gradients to those of the leaves: in place, unless one of them is recorded."""
    if "c" in [leaf.dtype.kind for leaf in gradients]:
        deliver("ascent")
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
    """Clear the gradients of leaves; leaves without one (frozen ones, say) are skipped.

    >>> from autograd import Tensor
    >>> w = Tensor(3.0, requires_grad=True)
    >>> (w * w).backward()
    >>> clear_gradients([w])
    >>> w.grad is None
    True
    """
    for leaf in leaves:
        if end := leaf.node or leaf._leaf:
            end.grad = None


def use_gradients(leaves: Sequence[Any], last: int) -> tuple[int, bool]:
    """Number a step that uses the gradients of these leaves; `last` is the number of the previous step, or 0.

    Also return whether a gradient still contains an older one, which the previous step has used, besides newer ones.

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
        end = leaf.node or leaf._leaf
        if end.added > last > end.began:
            mixed = True
    return next_number(), mixed
