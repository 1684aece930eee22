"""Tensor: an array that remembers how it was computed, and works with NumPy's functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import Array
from .errors import GraphError, refuse
from .graph import Leaf, Node, next_number, walk
from .inputs import numbers_of, shared_numbers
from .mode import MODE, Observer, enable_grad
from .ownership import is_ours
from .updating import accumulate, assign_all, copied_like, replace


class Tensor(Array):
    """An array that remembers how it was computed.

    `data` is the array, `grad` the gradient that `backward()` stores on a leaf (a Tensor, or None before), `node` the
    place in the graph (a Node for the result of an op, a Leaf for a tensor with `requires_grad` that you made, None for
    a constant), and `name` its label in pictures.  `Tensor(data)` copies; `as_tensor(data)` shares.
    `requires_grad=True` on an integer or boolean array raises TypeError: such a tensor has no gradient.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_frozen", "name")
    __hash__ = object.__hash__  # by identity: `==` compares elements

    name: str | None
    _frozen: Any  # the node of a leaf that is frozen

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None) -> None:
        if isinstance(data, Tensor):
            if data.node is not None and not requires_grad:
                refuse("copy")
            data = constant_of(data, "Tensor(t)")._data
        if name is not None and not isinstance(name, str):
            refuse("name", repr(name)[:50])
        self._data, self.node, self.name = numbers_of(data, dtype), None, name
        self.requires_grad = requires_grad

    def __init_subclass__(cls) -> None:
        TENSORS.add(cls)

    # ---- what it is

    @property
    def data(self) -> Any:
        """The array; setting it replaces the array without a copy (see `assign`)."""
        return self._data

    @data.setter
    def data(self, array: Any) -> None:
        replace(self, array)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this Tensor; can be set on a leaf."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool | np.bool_):
            refuse("requires", value)
        if not self.is_leaf:
            refuse("no leaf", "requires_grad = ...", self.node.op.name)
        leaf = self._leaf or (Leaf(self) if value else None)  # a leaf that is frozen and freed stays the same one
        self._frozen, self.node = (None, leaf) if value else (leaf, None)

    @property
    def is_leaf(self) -> bool:
        """Whether you made this Tensor, rather than a recorded op."""
        return self.node.__class__ is not Node

    @property
    def _leaf(self) -> Any:
        """Where the gradients of this Tensor add up, if you made it: its `node`, also while it is frozen."""
        node = self.node
        return node if node.__class__ is Leaf else getattr(self, "_frozen", None)

    @property
    def grad(self) -> Tensor | None:
        """The sum of the gradients from `backward()`, or None; only leaves keep one, and keep it while frozen."""
        node = self.node
        return node.grad if node.__class__ is Leaf else getattr(self._leaf, "grad", None)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        leaf = self._leaf
        if leaf is None and gradient is not None:
            refuse("no place", "has none" if self.node is None else f"is the result of {self.node.op.name}")
        if gradient is not None and (gradient.__class__ not in TENSORS or gradient.shape != self.shape):
            refuse("grad", type(gradient).__name__, np.shape(getattr(gradient, "data", gradient)), self.shape)
        if leaf is not None:
            leaf.grad = gradient
            leaf.began = leaf.added = next_number()

    # ---- the graph

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to `leaf.grad` for every leaf with `requires_grad` that this tensor was computed from.

        `gradient` has the shape of this tensor and may be left out when it has one element (it is then 1).  The graph
        is freed on the way unless `retain_graph`; with `create_graph` the gradients are themselves recorded, so they
        can be differentiated again.  Either every leaf is updated or, after an error, none.

        Raises ValueError for a missing or wrongly shaped `gradient`, and GraphError (a RuntimeError) when this tensor
        records nothing or its graph was freed.

        >>> x = Tensor(2.0, requires_grad=True)
        >>> (x ** 3).backward()
        >>> x.grad
        Tensor(12.)
        """
        if self.node is None:
            refuse("backward", error=GraphError)
        gradients = differentiate({self: _seed(self, gradient)}, retain_graph=retain_graph, create_graph=create_graph)
        if create_graph:  # recorded gradients may share their memory, with each other or with `gradient`
            gradients = {leaf: g.copy() for leaf, g in gradients.items()}
        accumulate(gradients)

    def detach(self) -> Tensor:
        """The same array as a constant: no gradient flows back through it."""
        return constant_of(self, "detach()")

    def assign(self, value: Any) -> None:
        """Replace the value of a leaf by a copy of `value`, which must have its shape; this is how to update a weight.

        The copy has the memory order of the old value, by rows or by columns.  A graph that read the old value can no
        longer be walked.
        """
        assign_all([self], [copied_like(value.data if isinstance(value, Tensor) else value, self._data)])

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf:
            refuse("pickle", self.node.op.name)
        return type(self), (self.data, self.requires_grad), (None, {"name": self.name, "grad": self.grad})


TENSORS = {Tensor}  # and its subclasses: looking up a class in a set is faster than isinstance()
_new: Any = object.__new__


def tensor_of(data: Any, node: Any = None) -> Tensor:
    """Wrap `data` in a Tensor, without a copy, as the result of `node` (None: a constant)."""
    tensor: Tensor = _new(Tensor)
    tensor._data, tensor.node, tensor.name = data, node, None
    return tensor


def constant_of(tensor: Tensor, how: str) -> Tensor:
    """The same array without its history; `why` reports `how` the gradient was cut off."""
    observer = MODE.get().observer
    if observer is not None and tensor.node is not None:
        observer.cut([tensor.node], how)
    return tensor_of(tensor._data)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a Tensor that shares its memory (a Tensor is returned unchanged): changing the array changes both.

    >>> array = np.zeros(2)
    >>> as_tensor(array).data is array
    True
    """
    if isinstance(data, Tensor):
        if dtype is not None and data.dtype != dtype:
            refuse("shares", data.dtype, np.dtype(dtype))
        return data
    return tensor_of(shared_numbers(data, dtype))


# ---- gradients

_NOBODY = Observer()


def _seed(tensor: Tensor, gradient: Any) -> Tensor:
    """The gradient at the start of a walk from `tensor`: 1 if none is given."""
    data = tensor._data
    if gradient is None:
        if data.size != 1 or data.dtype.kind == "c":
            refuse("no gradient", data.shape, data.dtype, error=ValueError)
        quick = data.__class__ is np.ndarray and not data.shape  # np.ones_like takes three times as long
        return tensor_of(np.array(1.0, data.dtype) if quick else np.ones_like(data))
    if gradient.__class__ is bool:
        refuse("flag")
    seed = as_tensor(gradient)
    if seed.shape != data.shape:
        refuse("gradient shape", seed.shape, data.shape, error=ValueError)
    if seed.dtype.kind == "c" and data.dtype.kind != "c":
        refuse("gradient dtype", data.dtype)
    return seed if seed.dtype == data.dtype else seed.astype(data.dtype)


def differentiate(
    seeds: dict[Tensor, Tensor], *, wanted: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> dict[Any, Tensor]:
    """Walk back from the keys of `seeds` with their gradients; return {leaf or wanted node: gradient}.

    Without `create_graph`, each gradient has its own memory.  The gradient of a complex z = x + iy is d/dx + i d/dy,
    as in PyTorch; the walk sends its conjugate, because then the rules of holomorphic functions are those of real ones.
    """
    observer = MODE.get().observer or _NOBODY
    retain = create_graph if retain_graph is None else retain_graph
    visit = None if observer is _NOBODY else observer.backward
    starts: dict[Any, Any] = {}
    for tensor, seed in seeds.items():
        g, node = (seed if create_graph else seed.data).conj(), tensor.node
        starts[node] = starts[node] + g if node in starts else g
    observer.begin(seeds)
    try:
        if create_graph:
            with enable_grad():
                found = walk(starts, retain=retain, wanted=wanted, lift=_lift, visit=visit)
                arrived = {node: g.conj() for node, g in found.items()}
        else:
            arrived = walk(starts, retain=retain, wanted=wanted, visit=visit)
            starts.clear()  # so that no other reference to the gradients remains
            for node in arrived:
                g = arrived[node]
                arrived[node] = tensor_of((g if is_ours(g) else _own(g)).conj())
        observer.arrived(arrived)
        return arrived
    finally:
        observer.finish()


def _lift(node: Any) -> list[Any]:
    """Turn the kept arrays of `node` back into Tensors, so that a rule run on them records itself."""
    pairs = zip(node.kept, [node, *node.edges], strict=True)
    return [a if edge is None or a is edge or a is None else tensor_of(a, edge) for a, edge in pairs]


def _own(gradient: Any) -> Any:
    """A copy of a gradient whose array or memory is shared."""
    return np.asarray(gradient) if isinstance(gradient, np.generic) else gradient.copy()
