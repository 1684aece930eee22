"""Turn an operator on functions of one argument into one on functions of several."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .util import subval, subvals

wraps = functools.wraps


def get_name(function: Any) -> str:
    """The name of a function."""
    return getattr(function, "__name__", "[unknown name]")


def get_doc(function: Any) -> str:
    """The docstring of a function."""
    return getattr(function, "__doc__", None) or ""


def unary_to_nary(operator: Callable[..., Any]) -> Callable[..., Any]:
    """`operator(f, x)` as `(f, argnum=0) -> (*args) -> operator(f of the chosen arguments, these)`.

    `argnum` is an index, or a tuple of them: then x is a tuple of these arguments.

    >>> twice = unary_to_nary(lambda f, x: 2 * f(x))
    >>> twice(lambda a, b: a - b, 1)(5.0, 3.0)
    4.0
    """

    @functools.wraps(operator)
    def nary(fun: Callable[..., Any], argnum: Any = 0, *options: Any, **named: Any) -> Callable[..., Any]:
        if type(argnum) not in (int, tuple, list):
            raise TypeError(f"argnum is the index of an argument, or a tuple of indices; got {argnum!r}")

        def derived(*args: Any, **kwargs: Any) -> Any:
            def of_one(x: Any) -> Any:
                chosen = subval(args, argnum, x) if type(argnum) is int else subvals(args, zip(argnum, x, strict=True))
                return fun(*chosen, **kwargs)

            of_one.__name__ = get_name(fun)
            x = args[argnum] if type(argnum) is int else tuple(args[i] for i in argnum)
            return operator(of_one, x, *options, **named)

        derived.__name__ = f"{get_name(operator)}_of_{get_name(fun)}_wrt_argnum_{argnum}"
        derived.__doc__ = f"{get_name(operator)} of {get_name(fun)} with respect to its argument {argnum}."
        return derived

    return nary
