"""Statements for the tables of rules: ops, functions written with ops, functions without a gradient, and test data."""

from __future__ import annotations

import functools
import operator as operators
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..array import Array
from ..errors import refuse_keywords_of_others
from ..mode import MODE
from ..numpy_calls import NUMPY
from ..op import differentiable
from ..registry import OPS, Op, Operation, by_numpy, register
from ..signatures import of_ufunc
from ..tensor import Tensor

# ---- test data: sample calls, from which the tests of an op are made

REAL, POSITIVE, UNIT = (-2.0, 2.0), (0.3, 2.5), (-0.9, 0.9)  # intervals that numbers are drawn from
COMPLEX = (-2.0 - 2.0j, 2.0 + 2.0j)  # opposite corners of a square


class Case:
    """One sample call of an op, from which its tests are made.

    A tuple of integers is an array of that shape, drawn from the op's domain; anything else (an array, a list of
    shapes, None) is passed unchanged; `params` are keywords.
    """

    __slots__ = ("inputs", "params")

    def __init__(self, *inputs: Any, **params: Any) -> None:
        self.inputs, self.params = inputs, params


class Cases(list[Case]):
    """The sample calls of an op, and the domain that their numbers are drawn from."""

    domain: Any = REAL


# {op: its Cases}; an elementwise op without an entry has the usual shapes.
CASES: dict[Any, Any] = {}


def domain(numbers: Any, *cases: Case) -> Cases:
    """Cases (the usual ones, if none are given) whose numbers are drawn from an interval, or from one per input.

    Instead of an interval, there may be a function that turns arbitrary numbers into valid ones.

    >>> cases = domain((0.1, 0.9), Case((2, 3)), Case(()))
    >>> len(cases), cases.domain
    (2, (0.1, 0.9))
    """
    made = Cases(cases)
    made.domain = numbers
    return made


def cases_of(op: Op) -> Cases:
    """The sample calls of an op."""
    given = CASES.get(op.function, [])
    made = Cases(given or [Case(*shapes) for shapes in _USUAL.get(len(op.rules), []) if op.elementwise])
    made.domain = getattr(given, "domain", REAL)
    return made


_USUAL: dict[int, list[tuple[Any, ...]]] = {
    1: [((2, 3),), ((),), ((0, 2),)],
    2: [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 1)), ((), (2,)), ((2,), ()), ((1, 0), (2, 1)), ((), ())],
    3: [((2, 3), (2, 3), (2, 3))],
}

# ---- statements


def elementwise(ufunc: Any, *rules: Callable[..., Any] | None, **about: Any) -> Operation:
    """`differentiable` for an elementwise function that broadcasts; it has the usual test cases.

    >>> softplus = elementwise(lambda x: np.log1p(np.exp(x)), lambda g, _y, x: g / (1 + np.exp(-x)), name="softplus1")
    >>> softplus(Tensor(0.0))
    Tensor(0.69314718)
    """
    if isinstance(ufunc, np.ufunc):
        about.setdefault("beyond", lambda *inputs, **params: _selected(made, *inputs, **params))
    made: Operation = differentiable(ufunc, *rules, elementwise=True, **about)
    return made


def _selected(function: Operation, *inputs: Any, where: Any = True, dtype: Any = None, **others: Any) -> Any:
    """Handle the keywords of every ufunc: compute in `dtype`, and only `where`; elsewhere the result is 0.

    (NumPy leaves those elements uninitialised.)
    """
    if others:
        raise TypeError(f"{function.op.name} has no derivative rule for the argument {', '.join(others)}")
    if dtype is not None:
        if isinstance(function.op.forward, np.ufunc):  # NumPy's own error, if it does not compute in this dtype
            function.op.forward(*(np.empty(0, x.dtype) if hasattr(x, "dtype") else x for x in inputs), dtype=dtype)
        inputs = tuple(x.astype(dtype) if isinstance(x, Tensor) else np.asarray(x, dtype) for x in inputs)
    if where is True:
        return function(*inputs)
    shape = np.broadcast_shapes(np.shape(where), *map(np.shape, inputs))
    where = np.broadcast_to(where, shape)
    chosen = function(*(np.broadcast_to(x, shape)[where] if np.ndim(x) else x for x in inputs))
    scatter = OPS["scatter"].function  # of index.py, which imports this file
    return scatter(np.broadcast_to(chosen, (int(np.count_nonzero(where)),)), shape=shape, index=where)


def composite(
    function: Any,
    *numpy: Any,
    name: str | None = None,
    methods: Mapping[str, Any] | None = None,
    spelled: Mapping[Any, Callable[..., Any]] | None = None,
) -> Operation:
    """Register a function that is written with ops, so it needs no rules of its own.

    `spelled` maps other NumPy functions that it can compute to functions with their signatures; these become separate
    ops, named `linalg_trace` and the like.
    """
    for other, spelling in (spelled or {}).items():
        composite(spelling, other, name=f"{other.__module__.rpartition('.')[2]}_{other.__name__}")
    op = Op(name or numpy[0].__name__, function, numpy=numpy)
    return register(op, by_numpy(function, numpy), methods or {})


def methods(**functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Functions under the names that they have as methods of Tensor, which `help()` shows."""
    for name, function in functions.items():
        function.__name__, function.__qualname__ = name, f"Tensor.{name}"
    return functions


def plain(*functions: Any, operator: str | None = None) -> None:
    """Register NumPy functions whose result does not depend smoothly on the input: Tensors in, plain arrays out."""
    for function in functions:
        NUMPY[function] = _on_arrays(function)
        if operator:  # which compares with strings too
            compared = _on_arrays(getattr(operators, operator), function)
            compared.__doc__ = f"The operator of numpy.{function.__name__}, elementwise; the result has no gradient."
            setattr(Array, f"__{operator}__", methods(**{f"__{operator}__": compared})[f"__{operator}__"])
        elif callable(getattr(np.ndarray, function.__name__, None)):
            setattr(Array, function.__name__, NUMPY[function])


def described(*functions: Any) -> None:
    """Register NumPy functions that read an array's description (its shape, its dtype) and none of its numbers."""
    for function in functions:
        NUMPY[function] = _of_array(function)


def _of_array(function: Any) -> Callable[..., Any]:
    """NumPy's `function`, called on the array of its first argument: NumPy asks a Tensor for nothing else here."""

    @functools.wraps(function, ("__name__", "__qualname__"), ())
    def called(*args: Any, **kwargs: Any) -> Any:
        if args:
            return function(args[0].data, *args[1:], **kwargs)
        return function(**_unwrap(kwargs))

    return called


def _on_arrays(function: Any, numpys: Any = None) -> Callable[..., Any]:
    """NumPy's `function`, or the operator of its function, called on the arrays of Tensors."""
    numpys = numpys or function

    @functools.wraps(numpys, ("__name__", "__qualname__"), ())
    def called(*args: Any, **kwargs: Any) -> Any:
        refuse_keywords_of_others(function.__name__, kwargs)
        if (observer := MODE.get().observer) is not None:
            edges = [x.node for x in args if isinstance(x, Tensor) and x.node is not None]
            observer.cut(edges, f"{numpys.__name__}(), which has no gradient")
        return function(*_unwrap(args), **_unwrap(kwargs))

    if isinstance(numpys, np.ufunc):
        called.__signature__ = of_ufunc(numpys.nin)  # type: ignore[attr-defined]  # read by inspect
    return called


def _unwrap(x: Any) -> Any:
    """Replace every Tensor in nested lists, tuples and dicts by its array."""
    if isinstance(x, Tensor):
        return x.data
    if isinstance(x, list | tuple):
        return type(x)(map(_unwrap, x))
    return {key: _unwrap(value) for key, value in x.items()} if isinstance(x, dict) else x
