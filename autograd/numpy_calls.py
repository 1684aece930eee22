"""Which op NumPy's functions call on a Tensor, and how their arguments are read.  Does not depend on Tensor."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import refuse
from .inputs import cached, placed

# {np.exp: exp, ...}, filled as the ops register.  A method of a ufunc is a pair, (np.add, "reduce").
NUMPY: dict[Any, Callable[..., Any]] = {}
LOADERS: list[Callable[[], None]] = []  # register the ops of other libraries, if these are imported

WITHOUT: list[Callable[[Any], Callable[..., Any]]] = []  # makes what a function without a rule calls; one, of registry

# Keywords that NumPy's functions share, and their values that have no effect.
_HARMLESS = {"out": None, "casting": "same_kind", "subok": True, "dtype": None, "like": None}


def dispatch(function: Any) -> Callable[..., Any]:
    """The function to call when NumPy's `function` gets a Tensor."""
    if function not in NUMPY:
        for load in LOADERS:
            load()
    return NUMPY.get(function) or WITHOUT[0](function)


def needed(params: dict[str, Any]) -> dict[str, Any]:
    """The keywords that have an effect."""
    return {key: x for key, x in params.items() if not (key in _HARMLESS and (x is None or x is _HARMLESS[key]))}


def arrange(op: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split the arguments of a call into the op's arrays and its params, by `op.call` or NumPy's own signature."""
    try:
        if op.call is not None:
            return op.call(*inputs, **params)  # type: ignore[no-any-return]  # its type is in Op
        known = signature(op)
        more = {name: params[name] for name in params.keys() - known.parameters.keys()}
        given = placed(known, inputs, {name: x for name, x in params.items() if name not in more}) | more
    except TypeError as error:
        said = "" if op.call else f"; it is called as {op.name}{known}"
        raise TypeError(f"{op.name}: {str(error).replace('<lambda>() ', '')}{said}") from error
    arrays = tuple(given.pop(name, None) for name in list(known.parameters)[: len(op.rules)])
    for name in given.keys() - op.params:
        if given[name] is None or (name not in more and given[name] is known.parameters[name].default):
            del given[name]
        elif op.beyond is None or name == "out" or not _takes(op.beyond, name):
            allowed = f"it takes {', '.join(sorted(op.params))}" if op.params else "it takes none"
            refuse("argument", op.name, name, repr(given[name]), allowed)
    return arrays, given


@cached
def signature(op: Any) -> inspect.Signature:
    """NumPy's signature of an op if there is one, else its arrays and the keywords of its rules."""
    for function in (*op.numpy, op.forward):
        if not isinstance(function, np.ufunc):
            try:
                found = inspect.signature(function)
            except ValueError:  # a function written in C without a signature
                continue
            named = found.parameters.values()
            if len(named) >= len(op.rules) and not any(p.kind is p.VAR_KEYWORD for p in named):
                return found
    kinds = inspect.Parameter
    arrays = [kinds(f"x{i + 1}", kinds.POSITIONAL_OR_KEYWORD) for i in range(len(op.rules))]
    return inspect.Signature(arrays + [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in sorted(op.params)])


def _takes(function: Any, name: str) -> bool:
    arguments = inspect.signature(function).parameters
    return name in arguments or any(a.kind is a.VAR_KEYWORD for a in arguments.values())
