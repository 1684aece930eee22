"""What the functions of node types share: plain arrays, dtypes, axes, and refusals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from autograd import Tensor

# ONNX's numbers of element types
DTYPES: dict[int, Any] = {
    number: np.dtype(name)
    for number, name in {
        1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8",
        14: "c8", 15: "c16",
    }.items()
}  # fmt: skip


class Unsupported(NotImplementedError):
    """A form of a node that is not supported; the message says what the node does."""


def refuse(what: str) -> NoReturn:
    raise Unsupported(what)


def array(x: Any) -> Any:
    """The plain array of a Tensor, or the array itself."""
    return x.data if isinstance(x, Tensor) else x


def astype(x: Any, dtype: Any) -> Any:
    """x in another dtype; a Tensor of floats keeps its gradient where floats remain floats."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Tensor) and np.dtype(dtype).kind == "f" and x.dtype.kind == "f":
        return x.astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity as whole numbers are undefined in ONNX too
        return np.asarray(array(x)).astype(dtype)


def ints(x: Any) -> tuple[int, ...]:
    """Whole numbers, given as an attribute or as an input."""
    if isinstance(x, Iterable) and not isinstance(x, Tensor | np.ndarray):
        return tuple(int(n) for n in x)
    return tuple(int(n) for n in np.ravel(array(x)))


def axes_of(axes: Any) -> tuple[int, ...]:
    """The axes, or () if they are not given."""
    return () if axes is None else ints(axes)
