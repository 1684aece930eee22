"""Check and convert what ops and Tensors take: numbers and arrays, NumPy's and those of other libraries."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from .errors import REFUSED, refuse
from .libraries import is_foreign

# Types that an op takes unchanged: Python's scalars (for NumPy's promotion rules), NumPy's scalars and arrays.
NUMBERS = {kind for kind in np.sctypeDict.values() if issubclass(kind, np.number | np.bool_)}
CONSTANTS: set[type] = {float, int, bool, complex, type(None), np.ndarray, *NUMBERS}

_SCALARS = (np.generic, float, int)  # as a tuple: a union would be made anew in every call


def has_units(data: Any) -> bool:
    """Whether an array has units of measure, as those of unyt, pint and Astropy do, which a Tensor would lose."""
    return data.__class__ is not np.ndarray and (hasattr(data, "units") or hasattr(data, "unit"))


def is_of_another_engine(data: Any) -> bool:
    """Whether an array is of a library that does not compute NumPy's functions, such as PyTorch and JAX."""
    return data.__class__ is not np.ndarray and hasattr(data, "__dlpack__") and not hasattr(data, "__array_function__")


def numbers_of(data: Any, dtype: Any) -> Any:
    """A copy of `data` as an array of numbers."""
    if isinstance(data, np.ma.MaskedArray):
        refuse("masked")
    if has_units(data):
        refuse("units", type(data).__name__)
    if is_foreign(data):
        array = data.astype(dtype or data.dtype)
    elif hasattr(data, "__array__") and not isinstance(data, np.ndarray):
        array = np.array(np.asarray(data), dtype=dtype)  # not every library's arrays support copying
    else:
        array = np.array(data, dtype=dtype)
    return array if array.dtype.kind in "fciub" else refuse("no numbers", type(data).__name__, array.dtype)


def shared_numbers(data: Any, dtype: Any) -> Any:
    """`data` itself if it is an array of numbers of this dtype, else a copy."""
    if is_of_another_engine(data):
        refuse("another engine", "as_tensor", type(data).__name__)
    shared = (type(data) is np.ndarray or is_foreign(data)) and dtype in (None, data.dtype)
    return data if shared and data.dtype.kind in "fciub" else numbers_of(data, dtype)


def constant(op: Any, x: Any) -> Any:
    """Convert any other input to an array, or say why it cannot be one."""
    kind = f"{type(x).__module__.partition('.')[0]}.{type(x).__name__}".removeprefix("builtins.")
    if isinstance(x, np.matrix | np.ma.MaskedArray):
        refuse("matrix" if isinstance(x, np.matrix) else "masked input", op.name)
    if has_units(x):
        refuse("units", kind)
    if is_of_another_engine(x):
        refuse("another engine", op.name, kind)
    if hasattr(x, "__array_function__"):
        return refuse("other gradients", op.name, kind) if hasattr(x, "backward") else x
    if isinstance(x, list | tuple) and any(hasattr(item, "requires_grad") for item in x):
        refuse("list", op.name)
    try:
        array = np.asarray(x)
    except Exception as error:  # whatever another library raises
        raise TypeError(REFUSED["unreadable"].format(op.name, kind, error)) from error
    return array if array.dtype.kind in "fciub" else refuse("no number", op.name, type(x).__name__, repr(x)[:50])


def one_array(op: Any, data: Any) -> Any:
    """Convert the result of an op's forward to an array: NumPy's functions return scalars for 0-d input."""
    if isinstance(data, _SCALARS):
        return np.asarray(data)
    if hasattr(data, "requires_grad"):
        refuse(
            "not one array", op.name, "Tensor (a Tensor among its keywords? these are not inputs and have no gradient)"
        )
    return data if hasattr(data, "dtype") else refuse("not one array", op.name, type(data).__name__)


cached = functools.cache


def placed(known: inspect.Signature, inputs: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, as `known.bind` finds them, in a tenth of its time where the call is simple."""
    given = dict(zip(known.parameters, inputs, strict=False)) | named
    if len(given) == len(inputs) + len(named) and _needed(known) <= given.keys():
        return given
    return known.bind(*inputs, **named).arguments


@cached
def _needed(known: inspect.Signature) -> frozenset[str]:
    """The arguments without defaults, if all can be given by place and by name; otherwise a name that no call has."""
    parameters = known.parameters.values()
    if any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters):
        return frozenset({""})
    return frozenset(p.name for p in parameters if p.default is p.empty)
