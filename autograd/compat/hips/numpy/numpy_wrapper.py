"""NumPy's names, as `autograd.numpy` has them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autograd
from autograd import Tensor

from ..tracer import getval
from ..tracer import notrace_primitive as notrace_primitive
from ..tracer import primitive as primitive
from ..trees import has_tensors

numpy_version = np.__version__

# These take lists of arrays, and look for Tensors in them by themselves.
_JOINING = {
    getattr(np, name, None)
    for name in """
    concatenate concat stack vstack row_stack hstack dstack column_stack block broadcast_arrays einsum
    meshgrid ix_ select choose atleast_1d atleast_2d atleast_3d lexsort result_type can_cast shape
    """.split()
}


def wrap_namespace(old: Mapping[str, Any], new: dict[str, Any]) -> None:
    """Copy the public names of a module of NumPy; its functions also take lists that contain Tensors."""
    made: dict[int, Any] = {}
    for name, x in old.items():
        if name.startswith("__"):
            continue
        if callable(x) and hasattr(x, "_implementation") and id(x) not in made:
            made[id(x)] = _of_joined(x) if x in _JOINING else _of_lists(x)
        new[name] = made.get(id(x), x)


def _of_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function, with a list that contains Tensors made one array."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if x.__class__ is list or x.__class__ is tuple:
                return function(*map(array_if_boxed, args), **kwargs)
        return function(*args, **kwargs)

    return wrapper


def _of_joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a function of lists of arrays: lists inside these are made arrays."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if args and hasattr(args[0], "__next__"):  # HIPS's stack also takes an iterator
            args = (list(args[0]), *args[1:])
        changed = [type(x)(map(array_if_boxed, x)) if x.__class__ is list or x.__class__ is tuple else x for x in args]
        return function(*changed, **kwargs)

    return wrapper


def array_if_boxed(x: Any) -> Any:
    """One array of a list or tuple that contains Tensors; anything else unchanged."""
    return array(x) if (x.__class__ is list or x.__class__ is tuple) and has_tensors(x) else x


def array(A: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **others: Any) -> Any:
    """np.array, which also takes a Tensor and (nested) lists of Tensors and numbers."""
    if isinstance(A, list | tuple) and has_tensors(A):
        parts = [array(x) if isinstance(x, list | tuple) else x for x in A]
        shape = np.broadcast_shapes(*(np.shape(x) for x in parts if isinstance(x, Tensor)))
        if any(np.shape(x) != shape for x in parts):
            raise ValueError(f"array: the parts have the shapes {[np.shape(x) for x in parts]}, which differ")
        made: Any = np.stack(parts)
    elif isinstance(A, Tensor):
        made = A.copy() if copy else A
    else:
        return np.array(A, dtype, copy=copy, ndmin=ndmin, **others)
    if dtype is not None:
        made = made.astype(dtype)
    return np.reshape(made, (1,) * (ndmin - made.ndim) + made.shape) if made.ndim < ndmin else made


def asarray(a: Any, dtype: Any = None, order: Any = None, **others: Any) -> Any:
    """np.asarray, which returns a Tensor unchanged and joins a list that contains some."""
    if isinstance(a, Tensor):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    joined = array_if_boxed(a)
    return np.asarray(a, dtype, order, **others) if joined is a else asarray(joined, dtype)


asanyarray = asfarray = ascontiguousarray = asfortranarray = asarray


def full(shape: Any, fill_value: Any, dtype: Any = None, **others: Any) -> Any:
    """np.full, whose value may be a Tensor."""
    fill_value = array_if_boxed(fill_value)
    if not isinstance(fill_value, Tensor):
        return np.full(shape, fill_value, dtype, **others)
    made: Any = autograd.broadcast_to(fill_value, shape)
    return made if dtype is None else made.astype(dtype)


full_like: Any = autograd.full_like


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """np.where; with a bool and two Python values, the chosen value itself.

    >>> where(True, 1.0, 2.0)
    1.0
    """
    if x is None and y is None:
        return np.where(condition)
    if condition.__class__ is bool and not hasattr(x, "dtype") and not hasattr(y, "dtype"):
        return x if condition else y
    return np.where(condition, array_if_boxed(x), array_if_boxed(y))


class _Joined:
    """np.r_ and np.c_, whose parts may be Tensors."""

    def __init__(self, numpys: Any, join: Callable[..., Any]) -> None:
        self.numpys, self.join = numpys, join

    def __getitem__(self, parts: Any) -> Any:
        given = parts if isinstance(parts, tuple) else (parts,)
        if not has_tensors(given):
            return self.numpys[parts]
        if any(isinstance(x, str) for x in given):
            raise TypeError("r_ and c_ take no text among Tensors; write concatenate or stack")
        return self.join([np.r_[x] if isinstance(x, slice) else np.atleast_1d(array_if_boxed(x)) for x in given])

    def __len__(self) -> int:
        return 0


r_, c_ = _Joined(np.r_, np.concatenate), _Joined(np.c_, np.column_stack)


def _whole(kind: type) -> Any:
    """A type of whole numbers that also converts a Tensor: the result has no gradient."""
    return type(kind.__name__, (kind,), {"__new__": lambda cls, x=0, *more: kind(getval(x), *more)})


int8, int16, int32, int64 = map(_whole, (np.int8, np.int16, np.int32, np.int64))


def metadata(A: Any) -> tuple[Any, ...]:
    """Shape, number of axes, dtype, and whether it is complex."""
    return np.shape(A), np.ndim(A), np.result_type(A), np.iscomplexobj(A)


def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The matrices with these diagonals in their last two axes.

    >>> make_diagonal(np.array([1.0, 2.0]), axis1=-1, axis2=-2)
    array([[1., 0.],
           [0., 2.]])
    """
    if (offset, axis1, axis2) != (0, -1, -2):
        raise NotImplementedError("make_diagonal takes offset=0, axis1=-1, axis2=-2")
    return D[..., None] * np.eye(np.shape(D)[-1])
