"""Reading the arguments of an op as NumPy does, and saying what is wrong with them; nothing here is on the hot path."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from .tensor import Tensor
from .tree import flatten

# What an op takes as it is: Python's scalars (so that NumPy's promotion rules see them), NumPy's scalars and arrays.
NUMBERS = {kind for kind in np.sctypeDict.values() if issubclass(kind, np.number | np.bool_)}
SHOWN = {"axis", "axes", "shape", "axis1", "axis2", "dim", "n", "ord"}  # params that a message about shapes repeats
CONSTANTS: set[type] = {float, int, bool, complex, type(None), np.ndarray, *NUMBERS}


def constant(op: Any, x: Any) -> Any:
    """An input that is neither a Tensor nor a plain number or array, as something that NumPy computes with."""
    if isinstance(x, np.matrix):
        raise TypeError(f"{op.name}: with an np.matrix, * is another product; pass np.asarray(x)")
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{op.name}: a masked array has no gradient; use autograd.where with a plain array and its mask"
        )
    kind = f"{type(x).__module__.partition('.')[0]}.{type(x).__name__}".removeprefix("builtins.")
    if hasattr(x, "__array_function__"):
        if hasattr(x, "backward"):
            raise TypeError(f"{op.name}: a {kind} records gradients of its own, which would be lost; pass its array")
        return x
    if isinstance(x, list | tuple) and any(isinstance(item, Tensor) for item in x):
        raise TypeError(f"{op.name}: a list that holds Tensors is not an array; join them with autograd.stack")
    try:
        array = np.asarray(x)
    except Exception as error:  # whatever another library raises
        raise TypeError(
            f"{op.name}: NumPy cannot read this {kind} as an array ({error}); pass a NumPy array"
        ) from error
    if array.dtype.kind not in "fciub":
        raise TypeError(f"{op.name}: cannot compute with {type(x).__name__} {x!r:.50}")
    return array


def one_array(op: Any, data: Any) -> Any:
    """What an op's forward returned, as an array: NumPy's functions return scalars for 0-d input."""
    if isinstance(data, np.generic | float | int):
        return np.asarray(data)
    if hasattr(data, "dtype") and not isinstance(data, Tensor):
        return data
    more = (
        " (a Tensor among its keywords? these are no inputs, and have no gradient)" if isinstance(data, Tensor) else ""
    )
    raise TypeError(f"{op.name}: the forward of an op returns one array; this one returned {type(data).__name__}{more}")


def arrange(op: Any, call: Any, inputs: tuple[Any, ...], params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Sort the arguments of a call into the op's arrays and its params, as `call` or NumPy's own signature says."""
    if call is not None:
        try:
            sorted_out: tuple[tuple[Any, ...], dict[str, Any]] = call(*inputs, **params)
            return sorted_out
        except TypeError as error:
            raise TypeError(f"{op.name}: {str(error).replace('<lambda>() ', '')}") from error
    arguments = _signature(op)
    arity = len(op.rules)
    names = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
    if len(inputs) > len(names):
        raise TypeError(f"{op.name} takes at most {len(names)} arguments ({', '.join(names)}); got {len(inputs)}")
    given = dict(zip(names, inputs, strict=False))
    if twice := given.keys() & params.keys():
        raise TypeError(f"{op.name} got {', '.join(map(repr, twice))} twice")
    given |= params
    arrays = []
    for argument in arguments[:arity]:
        if argument.name not in given and argument.default is argument.empty:
            raise TypeError(
                f"{op.name} needs {arity} arrays ({', '.join(names[:arity])}); {argument.name!r} is missing"
            )
        arrays.append(given.pop(argument.name, None))
    defaults = {a.name: a.default for a in arguments[arity:]}
    for name in list(given):
        if name not in op.params:
            value = given.pop(name)
            if value is None or value is defaults.get(name, op):
                continue
            if op.beyond is not None and name != "out" and _takes(op.beyond, name):
                given[name] = value
            else:
                allowed = f"it takes {', '.join(sorted(op.params))}" if op.params else "it takes none"
                raise TypeError(f"{op.name} has no derivative rule for the argument {name}={value!r:.40}; {allowed}")
    return tuple(arrays), given


def _takes(function: Any, name: str) -> bool:
    arguments = inspect.signature(function).parameters
    return name in arguments or any(a.kind is a.VAR_KEYWORD for a in arguments.values())


def _signature(op: Any) -> list[inspect.Parameter]:
    """NumPy's signature of an op if it tells one, else the positional inputs and the params of its rules."""
    for function in (*op.numpy, op.forward):
        if not isinstance(function, np.ufunc):
            try:
                found = list(inspect.signature(function).parameters.values())
            except ValueError:  # a function written in C without a signature
                continue
            if len(found) >= len(op.rules) and not any(p.kind is p.VAR_KEYWORD for p in found):
                return found
    kinds = inspect.Parameter
    arrays = [kinds(f"x{i + 1}", kinds.POSITIONAL_OR_KEYWORD) for i in range(len(op.rules))]
    return arrays + [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in sorted(op.params)]


def explain(op: Any, error: Exception, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
    """Raise `error` again with the op's name and the shapes that it was given.

    An array that is being traced, and that the forward could not follow, has the op written down whole instead.
    """
    waiting = [*arrays, *params.values()]
    while waiting:
        x = waiting.pop()
        if hasattr(x, "opaque"):
            return x.opaque(op.forward, arrays, params)
        waiting += x if isinstance(x, tuple | list) else ()
    if any(a is None for a in arrays) and isinstance(error, TypeError):
        raise TypeError(f"{op.name}: an input is None; does a function (or forward()) lack its `return`?") from error
    shapes = " and ".join(str(getattr(a, "shape", a)) for a in arrays)
    shapes += "".join(f", {name}={value!r:.40}" for name, value in params.items() if name in SHOWN)
    for kind in (np.exceptions.AxisError, np.linalg.LinAlgError, IndexError, ValueError, TypeError):
        if isinstance(error, kind):
            raise kind(f"{op.name} of shapes {shapes}: {error}") from error
    raise error


def arguments_of(rule: Any) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The positional, the keyword-only and the starred (or "") argument names of a rule."""
    if not inspect.isfunction(rule):
        raise TypeError(
            f"a rule is a function written with def or lambda, whose arguments say what it reads; got {rule!r}"
        )
    code = rule.__code__
    n, names = code.co_argcount, code.co_varnames
    m = n + code.co_kwonlyargcount
    return names[:n], names[n:m], names[m] if code.co_flags & inspect.CO_VARARGS else ""


def check_rules(op: Any) -> None:
    """TypeError for a rule that does not take the gradient, the output and every input."""
    for i, rule in enumerate(op.rules):
        names, _, star = arguments_of(rule)
        count, needed = len(op.rules) + 2, len(names) - len(rule.__defaults__ or ())
        if needed > count or (len(names) < count and not star):
            raise TypeError(
                f"{op.name} has {len(op.rules)} inputs, one per rule, so its rule {i} takes {count} arguments (the "
                f"gradient, the output and the inputs); it takes {len(names)}: {', '.join(names)}"
            )


def by_numpy(function: Any, numpy: Sequence[Any], wrap: Any) -> Any:
    """`function`, but of Tensors of whole numbers what NumPy's own makes of them, for these have no gradient.

    Written with other ops, `function` would compute in another dtype than NumPy does.
    """
    if not numpy or isinstance(numpy[0], tuple):
        return function

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if isinstance(x, Tensor):
                if x.data.dtype.kind in "iub" and _all_whole((*args, *kwargs.values())):
                    arrays = [x.data if isinstance(x, Tensor) else x for x in args]
                    found = numpy[0](*arrays, **{k: x.data if isinstance(x, Tensor) else x for k, x in kwargs.items()})
                    parts, build = flatten(found)
                    return build(wrap(np.asarray(part)) for part in parts)
                break
        return function(*args, **kwargs)

    return called


def _all_whole(values: Sequence[Any]) -> bool:
    """Whether the Tensors among these are arrays of whole numbers, and no list hides others."""
    for x in values:
        if isinstance(x, Tensor):
            if x.data.dtype.kind not in "iub":
                return False
        elif isinstance(x, list | tuple) and any(isinstance(item, Tensor) for item in x):
            return False
    return True
