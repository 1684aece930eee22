"""Strict arrays of another library: what CuPy does with NumPy's functions, on any machine.

`import foreign as cupy`.  An array of this module computes with NumPy, but only through the functions, methods and
keywords that CuPy has; it refuses to become a NumPy array, to be mixed with one, and to be read without a count in
`WAITS`.  What CuPy has is in `foreign.json`; see `foreign_wheel`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_suffix(".json")
WHEEL: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
WAITS: list[str] = []  # why the program waited for the device, once each
_HOST = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}  # take NumPy's arrays
_SIZES = {"nonzero", "argwhere", "flatnonzero", "unique", "compress", "extract"}  # whose shape depends on numbers
_SIZES |= {f"unique_{what}" for what in ("all", "counts", "inverse", "values")}
_ON_DEVICE = {"count_nonzero", "allclose", "array_equal"}  # numbers in NumPy, 0-d arrays here


def _wait(why: str) -> None:
    WAITS.append(why)


@contextlib.contextmanager
def waits() -> Iterator[list[str]]:
    """A list that fills with the waits for the device within the block.

    >>> with waits() as seen:
    ...     bool(asarray(1.0) > 0)
    True
    >>> seen
    ['bool']
    """
    before, seen = WAITS[:], []  # type: ignore[var-annotated]
    WAITS.clear()
    try:
        yield seen
    finally:
        seen += WAITS
        WAITS[:] = before


class Device:
    """The place of an array."""

    def __init__(self, id: int = 0) -> None:
        self.id = id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


_DEVICE = Device()


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on the device."""

    __slots__ = ("__weakref__", "_a")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: Any) -> None:
        self._a = array

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    flags = property(lambda self: self._a.flags)
    base = property(lambda self: None if self._a.base is None else self)
    device = property(lambda self: _DEVICE)
    T = property(lambda self: _wrap(self._a.T))
    mT = property(lambda self: _wrap(self._a.mT))
    real = property(lambda self: _wrap(self._a.real))
    imag = property(lambda self: _wrap(self._a.imag))

    # ---- to the host, which waits

    def get(self) -> Any:
        _wait("get")
        return self._a.copy()

    def item(self) -> Any:
        _wait("item")
        return self._a.item()

    def tolist(self) -> Any:
        _wait("tolist")
        return self._a.tolist()

    def __bool__(self) -> bool:
        _wait("bool")
        return bool(self._a)

    def __float__(self) -> float:
        _wait("float")
        return float(self._a)

    def __int__(self) -> int:
        _wait("int")
        return int(self._a)

    def __repr__(self) -> str:
        _wait("repr")
        return repr(self._a)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    # ---- on the device

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self._a)))

    def __getitem__(self, index: Any) -> Any:
        return _wrap(self._a[_index(index, self.shape)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._a[_index(index, self.shape)] = _unwrap(value)

    def __deepcopy__(self, memo: Any) -> Any:
        return ndarray(self._a.copy())

    def __reduce__(self) -> Any:
        _wait("pickle")
        return ndarray, (self._a,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in WHEEL["methods"] or not callable(getattr(np.ndarray, name, None)):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")

        def method(*args: Any, **kwargs: Any) -> Any:
            known = _METHODS.get(name) or WHEEL["functions"].get(name)
            if known is not None:
                _bind(f"ndarray.{name}", known, (self, *args), kwargs)
            if name in _SIZES:
                _wait(name)
            return _wrap(getattr(self._a, name)(*map(_unwrap, args), **{k: _unwrap(v) for k, v in kwargs.items()}))

        return method

    # ---- NumPy's protocols, as CuPy follows them

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        name = ufunc.__name__
        strange = [x for x in inputs if not isinstance(x, ndarray | np.ndarray | np.generic)]
        if name not in WHEEL["ufuncs"] or any(hasattr(x, "__array_ufunc__") for x in strange):
            return NotImplemented
        if method in ("reduce", "accumulate") and name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{name}.{method}` is not supported yet")
        kinds = WHEEL["ufuncs"][name]
        arrays = [_unwrap(x) if method != "at" or i != 1 else _index(x, self.shape) for i, x in enumerate(inputs)]
        for x in arrays:
            if getattr(x, "dtype", np.dtype("d")).kind == "c" and "c" not in kinds:
                raise TypeError(f"Wrong type of arguments for cupy_{name}: {x.dtype}")
        if unknown := kwargs.keys() - {"dtype", "casting", "where", "axis", "keepdims"}:
            raise TypeError(f"Wrong arguments {sorted(unknown)}")
        kwargs = {key: _unwrap(x) for key, x in kwargs.items()}
        if out is not None:
            kwargs["out"] = tuple(x._a if isinstance(x, ndarray) else x and _mixed(x) for x in out)
        result = getattr(ufunc, method)(*arrays, **kwargs)
        return out[0] if out is not None and len(out) == 1 else _wrap(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        space = function.__module__.partition("numpy")[2].lstrip(".")
        name = f"{space}.{function.__name__}".lstrip(".")
        known = WHEEL["functions"].get(name)
        if known is None or any(t not in (ndarray, np.ndarray) for t in types):
            return NotImplemented
        _bind(name, known, args, kwargs)
        if name in _SIZES or (name == "where" and len(args) == 1):
            _wait(name)
        unwrap = _of_host if name in _HOST else _unwrap
        result = function(*map(unwrap, args), **{key: unwrap(x) for key, x in kwargs.items()})
        return ndarray(np.asarray(result)) if name in _ON_DEVICE else _wrap(result)


_METHODS = {
    "astype": ["self", "dtype", "order=", "casting=", "subok=", "copy="],
    "copy": ["self", "order="],
    "reshape": ["*args", "order="],
    "transpose": ["*args"],
    "view": ["self", "dtype=", "type="],
    "round": ["self", "decimals=", "out="],
    "repeat": ["self", "repeats", "axis="],
    "fill": ["self", "value"],
    "flatten": ["self", "order="],
    "conj": ["self"],
    "conjugate": ["self"],
}


def _bind(name: str, known: list[str], args: Any, kwargs: Any) -> None:
    """Raise TypeError for arguments that CuPy's function does not take."""
    P, kind, parameters = inspect.Parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD, []
    for word in known:
        bare = word.strip("*=")
        if word.startswith("*"):
            if bare:
                parameters.append(P(bare, P.VAR_KEYWORD if word[1] == "*" else P.VAR_POSITIONAL))
            kind = P.KEYWORD_ONLY
        else:
            parameters.append(P(bare, kind, default=0 if word.endswith("=") else P.empty))
    try:
        inspect.Signature(parameters).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"cupy.{name}: {error}") from None


def _mixed(x: Any) -> Any:
    raise TypeError(f"Unsupported type {type(x)}")


def _of_host(x: Any) -> Any:
    return x if isinstance(x, np.ndarray) else _unwrap(x)


def _unwrap(x: Any) -> Any:
    """NumPy's array of an array of the device; an array of the host is refused."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        _mixed(x)
    if isinstance(x, list | tuple) and type(x) in (list, tuple):
        return type(x)(map(_unwrap, x))
    return {key: _unwrap(value) for key, value in x.items()} if type(x) is dict else x


def _wrap(x: Any) -> Any:
    """The arrays of a result, of which 0-d ones stay arrays, on the device; named tuples are tuples."""
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    if isinstance(x, list | tuple):
        return (list if isinstance(x, list) else tuple)(map(_wrap, x))
    return x


def _index(index: Any, shape: tuple[int, ...]) -> Any:
    """An index for NumPy: arrays of both kinds are taken, and whole numbers outside the array wrap around."""
    parts = index if isinstance(index, tuple) else (index,)
    given = [p for p in parts if p is not None and p is not Ellipsis]
    used = sum(p.ndim if getattr(p, "dtype", None) == np.bool_ else 1 for p in given)
    axis, made = 0, []
    for p in parts:
        a = p._a if isinstance(p, ndarray) else np.array(p) if isinstance(p, list) and p else p
        if isinstance(a, np.ndarray) and a.dtype == bool:
            _wait("mask")
            axis += a.ndim
        elif isinstance(a, np.ndarray):
            a = a % shape[axis] if a.dtype.kind in "iu" and shape[axis] else a
            axis += 1
        elif p is Ellipsis:
            axis += len(shape) - used
        elif p is not None:
            axis += 1
        made.append(a)
    return tuple(made) if isinstance(index, tuple) else made[0]


class _Like(types.ModuleType):
    """What `cupyx.scipy` has: functions of SciPy, on this module's arrays."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in WHEEL["scipy"][space := self.__name__.rpartition(".")[2]]:
            raise AttributeError(name)
        function = getattr(importlib.import_module(f"scipy.{space}"), name)
        return lambda *args, **kwargs: _wrap(function(*map(_unwrap, args), **kwargs))


if __name__ == "foreign":  # not where this file is looked through for examples: that makes another class of arrays
    sys.modules |= {f"foreignx.{space}": _Like(f"foreignx.{space}") for space in ("special", "linalg")}


def asarray(a: Any, dtype: Any = None) -> Any:
    """An array on the device, as CuPy's function makes it."""
    return ndarray(np.array(_of_host(a), dtype=dtype))


array = asarray


def asnumpy(a: Any) -> Any:
    """An array in memory."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)
