"""A Tensor that is filled item by item, as arrays are in loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import refuse
from .mode import MODE, enable_grad
from .ops.index import own
from .ops.joining import assemble
from .tensor import Tensor, as_tensor


class Buffer(Tensor):
    """A Tensor whose items are set one by one; see `buffer`.

    Its data and node are made when something reads them: one op that joins all values.
    """

    __slots__ = ("_dtype", "_grid", "_owner", "_pieces", "_same", "_whole")

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._dtype, self.name = np.dtype(dtype), None
        if self._dtype.kind not in "fc":
            refuse("buffer dtype", self._dtype)
        shape = np.empty(shape, bool).shape  # NumPy's own errors
        self._grid = np.arange(int(np.prod(shape))).reshape(shape)  # the number of every item
        self._owner = np.full(self._grid.size, -1)  # the piece that every item was set with
        self._pieces: list[tuple[Any, Any]] = []  # (the numbers of items, their value)
        self._same: dict[Any, Any] = {}  # {numbers: value}
        self._whole: Tensor | None = None

    def __setitem__(self, index: Any, value: Any) -> None:
        numbers = self._grid[own(index)]  # type: ignore[no-untyped-call]  # ops are untyped
        taken = self._owner[numbers] >= 0
        if np.any(taken) or (np.ndim(numbers) and len(np.unique(numbers)) < numbers.size):
            refuse("set twice", self._named(np.extract(taken, numbers)) or index, error=ValueError)
        if isinstance(value, list | tuple) and any(isinstance(x, Tensor) for x in value):
            refuse("list", "buffer")
        value = self._checked(value, np.shape(numbers), index)
        self._owner[numbers] = len(self._pieces)
        self._pieces.append((numbers, value))
        self._same[_key(numbers)] = value

    def __getitem__(self, index: Any) -> Tensor:
        if self._whole is not None:
            return self._whole[index]
        numbers = self._grid[own(index)]  # type: ignore[no-untyped-call]  # ops are untyped
        value = self._same.get(_key(numbers))  # often all that is read, as the item before in a recurrence
        if value is None or np.shape(value) != np.shape(numbers) or value.dtype != self._dtype:
            value = self._joined(numbers)
        return value if isinstance(value, Tensor) else Tensor(value)

    @property
    def tensor(self) -> Tensor:
        """All items, as a Tensor that cannot be set any more.  Raises ValueError if one has not been set."""
        if self._whole is None:
            self._whole = self._joined(self._grid)
            self._pieces, self._same = [], {}
        return self._whole

    def _joined(self, numbers: Any) -> Tensor:
        """The items with these numbers."""
        wanted = self._owner[numbers].reshape(-1)
        if np.any(wanted < 0):
            refuse("unset", self._named(np.reshape(numbers, -1)[wanted < 0]), error=ValueError)
        pieces = [self._pieces[i] for i in np.unique(wanted)]
        there = np.concatenate([np.zeros(0, int), *(np.reshape(n, -1) for n, _ in pieces)])
        order = np.argsort(there)
        with enable_grad():  # what no_grad() was to leave out was left out when it was set
            values, shapes = [value for _, value in pieces], [np.shape(n) for n, _ in pieces]
            row = as_tensor(assemble(values, shapes=shapes, order=order, dtype=self._dtype))
            places = np.searchsorted(there[order], np.reshape(numbers, -1))
            whole = len(places) == len(there) and np.array_equal(places, np.arange(len(places)))
            return (row if whole else row[places]).reshape(np.shape(numbers))

    def _checked(self, value: Any, shape: tuple[int, ...], index: Any) -> Any:
        """A value for items of this shape, as a Tensor or an array of its own."""
        recorded = isinstance(value, Tensor) and MODE.get().recording
        value = value if recorded else value.detach() if isinstance(value, Tensor) else np.array(value)
        if value.dtype.kind not in "fciub" or (value.dtype.kind == "c" and self._dtype.kind != "c"):
            refuse("buffer value", value.dtype, self._dtype)
        n = len(shape) - value.ndim
        if n < 0 or any(m not in (1, k) for m, k in zip(value.shape, shape[n:], strict=True)):
            refuse("buffer shape", index, shape, value.shape, error=ValueError)
        return value if isinstance(value, Tensor) else value.astype(self._dtype)

    def _named(self, numbers: Any) -> str:
        """The indices of items, the first five."""
        places = [i[0] if len(i) == 1 else tuple(i) for i in np.argwhere(np.isin(self._grid, numbers)).tolist()]
        more = f" and {len(places) - 5} more" if len(places) > 5 else ""
        return ", ".join(map(str, places[:5])) + more

    # ---- what Tensor keeps in attributes

    @property
    def _data(self) -> Any:
        return self.tensor._data

    @_data.setter
    def _data(self, array: Any) -> None:
        self.tensor._data = array

    @property
    def node(self) -> Any:
        return self.tensor.node

    @node.setter
    def node(self, node: Any) -> None:
        self.tensor.node = node

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of items along each axis."""
        return self._grid.shape  # type: ignore[no-any-return]  # _grid is Any

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the items."""
        return self._dtype  # type: ignore[no-any-return]  # likewise

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._grid.ndim

    @property
    def size(self) -> int:
        """The number of items."""
        return self._grid.size

    def __len__(self) -> int:
        return len(self._grid)

    def __repr__(self) -> str:
        unset = int(np.count_nonzero(self._owner < 0))
        return f"Buffer of shape {self.shape}, {unset} of {self.size} items not set" if unset else repr(self.tensor)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.tensor.__reduce__()


def _key(numbers: Any) -> Any:
    """What is equal for equal numbers of items in one shape."""
    return int(numbers) if isinstance(numbers, np.integer) else (numbers.shape, numbers.tobytes())


def buffer(shape: int | tuple[int, ...], dtype: Any = float) -> Buffer:
    """A Tensor to be filled in a loop, as an array from np.empty: `out[i] = value`.

    Items are set by any index or slice, in any order, once each, to numbers, arrays or Tensors that broadcast to the
    items' shape; gradients go to each of these.  An item can be read once it is set, and when all are, the buffer is a
    Tensor of this shape and dtype (floating-point or complex) for every function: one op joins the values, in a time
    proportional to their number.

    Raises ValueError for an item that is read before it is set, or set twice, and for a value of another shape;
    TypeError for another dtype, and for a complex value in a real buffer.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> out = buffer(3)
    >>> for i in range(3):
    ...     out[i] = x[i] ** 2
    >>> out.sum().backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """
    return Buffer(shape, dtype)
