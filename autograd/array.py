"""The part of Tensor that mirrors NumPy's arrays: shape, conversion to numbers, and the methods that ops attach."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .elsewhere import TENSOR
from .errors import Absent, refuse
from .numpy_calls import dispatch, needed

if TYPE_CHECKING:
    from ._methods import Methods  # a stub, written from the registry
    from .tensor import Tensor
else:
    Methods = object


# NumPy's functions that make an array; with `like=t` they make one on the device of this Tensor's array, a constant.
MAKERS = {np.array, np.asarray, np.asanyarray, np.arange, np.zeros, np.ones, np.empty, np.full, np.eye, np.tri}


class Listed(type):
    """Metaclass: `dir()` leaves out the names that only suggest a replacement."""

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if not isinstance(inspect.getattr_static(cls, name, None), Absent)]


class Array(Methods, metaclass=Listed):
    """Base class of Tensor; ops attach their methods here when they register."""

    __slots__ = ("_data", "node")

    _data: Any
    node: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis."""
        return self._data.shape  # type: ignore[no-any-return]  # data is Any: it may be traced

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._data.dtype  # type: ignore[no-any-return]  # likewise

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size  # type: ignore[no-any-return]  # likewise

    @property
    def device(self) -> Any:
        """Where the array is: "cpu", or what its library says."""
        return getattr(self._data, "device", "cpu")

    @property
    def T(self) -> Tensor:
        """The transpose: all axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Tensor:
        """Every matrix (the last two axes) transposed."""
        return self.swapaxes(-1, -2)

    def __len__(self) -> int:
        if not self._data.shape:
            refuse("no length")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.shape:
            refuse("iteration")
        return (self[i] for i in range(len(self._data)))

    def __repr__(self) -> str:
        if hasattr(self._data, "dask"):  # which is not computed to be shown
            return f"Tensor({self._data!r})"
        body = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=100)
        notes = [""] if self.dtype in (np.float64, np.int64, np.bool_) else ["", f"dtype={self.dtype}"]
        if self.node is not None:
            notes.append(f"op={self.node.op.name}" if self.node.op else "requires_grad=True")
        return f"Tensor({body}{', '.join(notes)})"

    def item(self) -> Any:
        """The only element, as a Python number.  Raises ValueError when there is not exactly one."""
        if self.size != 1:
            refuse("one element", self.shape, error=ValueError)
        return self._data.item()

    def tolist(self) -> Any:
        """The elements as (nested lists of) Python numbers."""
        return self._data.tolist()

    def _number(self) -> Any:
        return _conversion().refuse_number() if self.node is not None else self.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        """The only element as an index: whole numbers alone, which have no gradient."""
        return operator.index(self._data)

    def __round__(self, ndigits: int | None = None) -> Tensor:
        """Rounded to so many digits, by default 0; the dtype stays."""
        return self.round(ndigits or 0)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        """The quotient, rounded down, and the remainder."""
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        """The same for a Tensor on the right side."""
        return other // self, other % self

    def __bool__(self) -> bool:
        return bool(self._data)

    def __invert__(self) -> Tensor:
        """The opposite of booleans, and the bits of whole numbers inverted: neither has a gradient."""
        return np.invert(self)  # type: ignore[no-any-return]  # NumPy's stubs know no Tensor

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __copy__(self) -> Any:
        """Another leaf for a leaf; the result of an op is itself, as immutable objects are, so no history is lost."""
        if self.node is not None and self.node.op is not None:
            return self
        parts: Any = self.__reduce__()
        make, arguments, (_, state) = parts
        made = make(*arguments)
        for name, value in state.items():
            setattr(made, name, value)
        return made

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        if params:
            if params.get("out") is not None:
                refuse("out", ufunc.__name__)
            params.pop("order", None)  # affects only the memory layout of the result
            params = needed(params)
        return dispatch(ufunc if method == "__call__" else (ufunc, method))(*inputs, **params)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in MAKERS:
            return function(*args, **kwargs, like=self._data)
        return dispatch(function)(*args, **needed(kwargs)) if kwargs else dispatch(function)(*args)

    if not TYPE_CHECKING:  # a type checker would infer an array for `np.ones(2) * t`, and permit `t[0] = 1`

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            return (
                _conversion().refuse_array() if self.node is not None else np.array(self._data, dtype=dtype, copy=copy)
            )

        def __setitem__(self, index: Any, value: Any) -> None:
            """Refuse: `set_at` returns a new Tensor, and `assign` replaces the whole value of a leaf."""
            refuse("item")

    def __dir__(self) -> list[str]:
        return [*dir(type(self)), *getattr(self, "__dict__", ())]


def _conversion() -> Any:
    from . import conversion  # later, because it reads the caller's line with modules that nothing else needs

    return conversion


for _name, _instead in TENSOR.items():
    setattr(Array, _name, Absent(_name, f"use {_instead}"))  # until an op has this name
