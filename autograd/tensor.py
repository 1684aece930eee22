"""Tensor: an array that remembers how it was made, and speaks NumPy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat, starmap
from sys import getrefcount
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .graph import ALONE, GraphError, Node, next_number, walk
from .mode import MODE, enable_grad
from .protocols import dispatch, needed
from .refusing import ELSEWHERE, Absent, is_foreign, numbers_of, refuse

USED, MIXED = -1, -2  # stamps of a gradient: a step has used it; it is the sum of one that was used and of newer ones

_leaves = threading.Lock()  # makes `leaf.grad = leaf.grad + g` atomic across threads


class Tensor:
    """An array with a memory of how it was computed.

    `data` is the array, `grad` the gradient that `backward()` leaves on a leaf (a Tensor, or None before), `node` how
    it was made (None for a leaf: a tensor that you made yourself), and `name` what pictures call it.
    `Tensor(data)` copies; `as_tensor(data)` shares.  `requires_grad=True` on an integer or boolean array raises
    TypeError, for such a tensor has no gradient.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "data", "grad", "name", "node", "requires_grad", "stamp")
    __hash__ = object.__hash__  # by identity: `==` compares elements

    data: Any
    grad: Tensor | None
    node: Node | None
    requires_grad: bool
    name: str | None
    stamp: int

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None) -> None:
        if isinstance(data, Tensor):
            if data.requires_grad and not requires_grad:
                refuse("copy")
            data = constant_of(data, "Tensor(t)").data
        self.data, self.grad, self.node = numbers_of(data, requires_grad, dtype), None, None
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a Tensor is a string; got {name!r:.50}")
        self.requires_grad, self.stamp, self.name = bool(requires_grad), 0, name

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape  # type: ignore[no-any-return]  # data is Any: it may be traced

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype  # type: ignore[no-any-return]  # likewise

    @property
    def ndim(self) -> int:
        return len(self.data.shape)

    @property
    def size(self) -> int:
        return self.data.size  # type: ignore[no-any-return]  # likewise

    @property
    def T(self) -> Tensor:
        """The transpose: all axes in reverse order."""
        return self.transpose()  # type: ignore[no-any-return]  # a method that its op makes

    @property
    def mT(self) -> Tensor:
        """Every matrix (the last two axes) transposed."""
        return self.swapaxes(-1, -2)  # type: ignore[no-any-return]  # likewise

    def __len__(self) -> int:
        if not self.data.shape:
            raise TypeError("a 0-d Tensor has no length; other libraries take its array, t.data")
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.data.shape:
            raise TypeError("iteration over a 0-d Tensor")
        return (self[i] for i in range(len(self.data)))

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix="Tensor(", threshold=100)
        notes = [""] if self.data.dtype in (np.float64, np.int64, np.bool_) else ["", f"dtype={self.data.dtype}"]
        if self.node is not None:
            notes.append(f"op={self.node.op.name}")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"Tensor({body}{', '.join(notes)})"

    def item(self) -> Any:
        """The only element, as a Python number.  Raises ValueError when there is not exactly one."""
        if self.data.size != 1:
            raise ValueError(f"item() needs exactly one element, and this Tensor has shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """The elements as (nested lists of) Python numbers."""
        return self.data.tolist()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def _number(self) -> Any:
        if self.requires_grad:
            refuse("number")
        return self.item()

    def __bool__(self) -> bool:
        return bool(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # ---- the graph

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to `leaf.grad` for every leaf with `requires_grad` that this tensor was computed from.

        `gradient` has the shape of this tensor and may be left out when it has one element (it is 1 then).  The graph
        is let go of on the way unless `retain_graph`; with `create_graph` the gradients are themselves recorded, so
        they can be differentiated again.  Either every leaf is updated or, after an error, none.

        Raises ValueError for a missing or wrongly shaped `gradient`, and GraphError (a RuntimeError) when this tensor
        records nothing or its graph was let go of.

        >>> x = Tensor(2.0, requires_grad=True)
        >>> (x ** 3).backward()
        >>> x.grad
        Tensor(12.)
        """
        if not self.requires_grad:
            refuse("backward", error=GraphError)
        if gradient is None:
            if self.data.size != 1 or self.data.dtype.kind == "c":
                refuse("no gradient", self.shape, self.dtype, error=ValueError)
            seed = tensor_of(_ones_like(self.data))
        else:
            if gradient.__class__ is bool:
                raise TypeError("backward() takes the gradient first; write retain_graph=True, or create_graph=True")
            seed = as_tensor(gradient)
            if seed.data.shape != self.data.shape:
                raise ValueError(f"backward() got a gradient of shape {seed.shape} for a Tensor of shape {self.shape}")
            if seed.data.dtype != self.data.dtype:
                if seed.dtype.kind == "c" and self.dtype.kind != "c":
                    raise TypeError(f"backward() got a complex gradient for a Tensor of {self.dtype}")
                seed = seed.astype(self.dtype)
        gradients = differentiate({self: seed}, retain_graph=retain_graph, create_graph=create_graph)
        if create_graph:  # recorded gradients may share their memory, with each other or with `gradient`
            gradients = {leaf: g.copy() for leaf, g in gradients.items()}
        with _leaves:
            for leaf, g in gradients.items():
                if leaf.grad is not None:
                    gradients[leaf] = _sum(leaf.grad, g)
            set_all(gradients, "grad", gradients.values())

    def detach(self) -> Tensor:
        """The same array as a constant: what is computed from it sends no gradient back through here."""
        return constant_of(self, "detach()")

    def assign(self, value: Any) -> None:
        """Replace the value of a leaf by a copy of `value`, which must have its shape; this is how a weight is updated.

        The copy lies in memory as the old value does, row by row or column by column.  A graph recorded before refuses
        to be walked afterwards if it read the old value.
        """
        data, flags = value.data if isinstance(value, Tensor) else value, self.data.flags
        order: Any = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
        assign_all([self], [data.copy(order) if hasattr(data, "__array_function__") else np.array(data, order=order)])

    def _checked(self, new: Any) -> Any:
        """`new` in the dtype of this leaf, if it can be its value."""
        if self.node is not None:
            raise TypeError("assign() is for leaves; this Tensor is the result of an op, so compute a new one instead")
        if new.shape != self.shape:
            raise ValueError(f"assign() was given shape {new.shape} for a Tensor of shape {self.shape}")
        if new.dtype != self.dtype and not np.can_cast(new.dtype, self.dtype, "same_kind"):
            raise TypeError(f"assign() was given {new.dtype} for a Tensor of {self.dtype}")
        return new.astype(self.dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.node is not None:
            refuse("pickle", self.node.op.name)
        return _rebuild, (type(self), self.data, self.requires_grad, self.name, self.grad)

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        if params.get("out") is not None:
            refuse("out", ufunc.__name__)
        params.pop("order", None)  # how the result lies in memory
        return dispatch(ufunc if method == "__call__" else (ufunc, method))(*inputs, **needed(params))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch(function)(*args, **needed(kwargs))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.requires_grad:
            refuse("array")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        refuse("item")

    if TYPE_CHECKING:  # attached by op.py when the ops register, and by hooks.py

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def register_hook(self, hook: Callable[[Tensor], Any]) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __getattr__(self, method: str) -> Any: ...


for _name, _instead in ELSEWHERE.items():
    setattr(Tensor, _name, Absent(_name, f"here that is {_instead}"))  # until an op has this name

_ONES = {np.dtype(kind): np.broadcast_to(kind(1), ()) for kind in (np.float16, np.float32, np.float64)}  # read-only


def _ones_like(array: Any) -> Any:
    """np.ones_like, which takes as long as recording an op, for the 0-d array that most walks begin at."""
    one = _ONES.get(array.dtype) if array.shape == () else None
    return np.ones_like(array) if one is None or array.__class__ is not np.ndarray else one


def set_all(objects: Iterable[Any], name: str, values: Iterable[Any]) -> None:
    """Set an attribute of many objects in one call of C: an interrupt falls before or after it, never between."""
    any(map(setattr, objects, repeat(name), values))  # to the end, for setattr returns None


def _sum(old: Tensor, new: Tensor) -> Tensor:
    """The gradient `old` of a leaf and one that nobody else has seen yet: added there, in place, if nothing records."""
    if not isinstance(old, Tensor) or old.data.shape != new.data.shape:
        refuse("grad", type(old).__name__, np.shape(getattr(old, "data", old)), new.data.shape)
    if old.requires_grad or new.requires_grad:
        new = old + new
    else:
        new.data += old.data
    if old.stamp < 0:
        new.stamp = MIXED
    return new


def assign_all(leaves: Sequence[Tensor], arrays: Sequence[Any], *others: tuple[Any, str, Any]) -> None:
    """Give each leaf its array, without a copy: all at once, or after an error or an interrupt none of them.

    For optimisers, which made the arrays themselves; see `Tensor.assign`.  `others` are attributes of other objects
    that are set in the same moment: (object, name, value).

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> assign_all([w], [w.data * 2])
    >>> w
    Tensor([2., 4.], requires_grad=True)
    """
    for leaf, new in zip(leaves, arrays, strict=True):
        old = leaf.data
        if new.shape != old.shape or new.dtype is not old.dtype or leaf.node is not None:
            arrays = [leaf._checked(new) for leaf, new in zip(leaves, arrays, strict=True)]
            break
    number = next_number()
    for leaf in leaves:
        leaf.stamp = number  # one too many, after an interrupt, only refuses a graph
    any(chain(map(setattr, leaves, repeat("data"), arrays), starmap(setattr, others)))  # in C, as in set_all


def use_gradients(leaves: Sequence[Tensor]) -> bool:
    """Note that a step uses the gradients of these leaves; whether one still holds what an earlier step had used.

    >>> w = Tensor(1.0, requires_grad=True)
    >>> for _ in range(2):
    ...     (w * w).backward()
    ...     print(use_gradients([w]))
    False
    True
    """
    mixed = False
    for leaf in leaves:
        g = leaf.grad
        if g is not None:
            if g.stamp == MIXED:
                mixed = True
            g.stamp = USED
    return mixed


new: Any = object.__new__


def tensor_of(data: Any, node: Node | None = None) -> Tensor:
    """The Tensor of an op: `data` as it is, made by `node` (None: a constant)."""
    tensor: Tensor = new(Tensor)
    tensor.data, tensor.node, tensor.requires_grad = data, node, node is not None
    tensor.grad, tensor.name, tensor.stamp = None, None, 0
    return tensor


def constant_of(tensor: Tensor, how: str) -> Tensor:
    """The same array without its history; `how` the gradient was cut off is what `why` will say."""
    observer = MODE.get().observer
    if observer is not None and tensor.requires_grad:
        observer.cut([tensor.node or tensor], how)
    return tensor_of(tensor.data)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a Tensor that shares its memory (a Tensor is returned as it is): changing the array changes both.

    >>> array = np.zeros(2)
    >>> as_tensor(array).data is array
    True
    """
    if isinstance(data, Tensor):
        if dtype is not None and data.dtype != dtype:
            raise TypeError(f"as_tensor shares memory, so {data.dtype} cannot become {np.dtype(dtype)}; use astype")
        return data
    if (type(data) is np.ndarray or is_foreign(data)) and dtype in (None, data.dtype) and data.dtype.kind in "fciub":
        return tensor_of(data)
    return tensor_of(Tensor(data, dtype=dtype).data)


def differentiate(
    seeds: dict[Tensor, Tensor],
    *,
    wanted: frozenset[Node] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> dict[Any, Tensor]:
    """Walk back from the keys of `seeds` with their gradients; {leaf or wanted node: gradient}, each its own memory.

    The gradient of a complex z = x + iy is d/dx + i d/dy, as in PyTorch; the walk sends its conjugate, since then the
    rules of holomorphic functions are those of real ones.
    """
    observer = MODE.get().observer
    visit = None if observer is None else observer.backward
    if observer is not None:
        observer.begin(seeds)
    retain = create_graph if retain_graph is None else retain_graph
    starts = {tensor.node or tensor: (seed if create_graph else seed.data).conj() for tensor, seed in seeds.items()}
    if create_graph:
        with enable_grad():
            arrived = walk(starts, retain=retain, wanted=wanted, lift=_lift, visit=visit)
            if observer is not None:
                observer.arrived(arrived)
            return {edge: g.conj() for edge, g in arrived.items()}
    arrived = walk(starts, retain=retain, wanted=wanted, visit=visit)
    starts.clear()
    if observer is not None:
        observer.arrived(arrived)
    for edge in arrived:
        g = arrived[edge]
        if getrefcount(g) > ALONE or g.__class__ is not np.ndarray or not (g.base is None or _is_whole(g)):
            g = _own(g)
        arrived[edge] = tensor_of(g.conj())
    return arrived


def _lift(node: Node) -> list[Any]:
    """The kept arrays of `node` as the Tensors that they were, so that a rule run on them records itself."""
    assert node.kept is not None and node.edges is not None
    lifted = []
    for array, edge in zip(node.kept, [node, *node.edges], strict=True):
        if edge is None or array is edge or array is None:
            lifted.append(array)  # a constant, or an input that no rule reads
        elif edge.__class__ is Node:
            lifted.append(tensor_of(array, edge))
        elif edge.data is array:
            lifted.append(edge)
        else:
            raise GraphError(f"an input of {node.op.name} was replaced after the forward pass that used it")
    return lifted


def _base_holders(view: Any) -> int:
    base = view.base
    return getrefcount(base)


OWN = _base_holders(np.empty(1)[:])  # of an array that is held by nothing but this view of it


def _is_whole(view: Any) -> bool:
    """Whether a view is as good as an array: nobody else holds the memory, no element repeats, all may be changed."""
    return _base_holders(view) <= OWN and view.flags.forc and view.flags.writeable


def _own(array: Any) -> Any:
    """A copy of a gradient that others hold, or whose memory they hold."""
    if isinstance(array, np.generic):
        return np.asarray(array)
    if isinstance(array, Tensor):
        raise TypeError("a rule returned a Tensor, not an array; does it read an argument whose name begins with _?")
    return array.copy()


def _rebuild(kind: type[Tensor], data: Any, requires_grad: bool, name: str | None, grad: Tensor | None) -> Tensor:
    tensor = kind(data, requires_grad, name=name)
    tensor.grad = grad
    return tensor
