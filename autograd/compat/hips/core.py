"""Derivative rules of primitives, vector spaces, and derivatives of functions of one argument."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import autograd

from .tracer import primitive as _primitive
from .tracer import primitive_vjps
from .util import func as func
from .util import subval
from .vspaces import VSpace as VSpace
from .vspaces import vspace as vspace

# ---- reverse mode


def make_vjp(fun: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """`(vjp, fun(x))`: `vjp(g)` is g times the Jacobian.

    >>> pull, value = make_vjp(np.sin, 0.0)
    >>> pull(2.0)
    np.float64(2.0)
    """
    value, pull = autograd.vjp(fun, x)
    return lambda g: pull(g)[0], value


def defvjp_argnums(fun: Any, maker: Callable[..., Any]) -> None:
    """Set the rule of a primitive: `maker(argnums, ans, args, kwargs)` -> (g -> gradients of these arguments)."""
    primitive_vjps[fun] = maker


def defvjp_argnum(fun: Any, maker: Callable[..., Any]) -> None:
    """The same with a maker for one argument at a time: `maker(argnum, ans, args, kwargs)` -> (g -> gradient)."""

    def of_several(argnums: Any, ans: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
        return lambda g: [maker(i, ans, args, kwargs)(g) for i in argnums]

    primitive_vjps[fun] = of_several


def defvjp(fun: Any, *makers: Callable[..., Any] | None, argnums: Iterable[int] | None = None) -> None:
    """Set the rule of a primitive, one maker per argument: `(ans, *args, **kwargs)` -> (g -> gradient), or None for 0.

    >>> cube = primitive(lambda x: x ** 3)
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x ** 2)
    >>> autograd.grad(cube)(2.0)
    np.float64(12.0)
    """
    known = dict(zip(itertools.count() if argnums is None else argnums, makers, strict=False))
    for maker in known.values():
        if maker is not None and not callable(maker):
            raise TypeError(f"a rule of {fun.__name__} is a function or None; got {maker!r}")

    def of_several(argnums: Any, ans: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
        if not known.keys() >= {*argnums}:
            raise NotImplementedError(f"VJP of {fun.__name__} wrt argnum {min({*argnums} - known.keys())} not defined")
        if len(argnums) == 1 and (maker := known[argnums[0]]):
            pull = maker(ans, *args, **kwargs)
            return lambda g: (pull(g),)
        pulls = [known[i] and known[i](ans, *args, **kwargs) for i in argnums]  # type: ignore[misc]  # None gives None
        return lambda g: [pull and pull(g) for pull in pulls]

    primitive_vjps[fun] = of_several


# ---- forward mode: derivatives along tangents follow from the vjp, so these matter where none was set


def make_jvp(fun: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """A function of a tangent, which returns `(fun(x), the derivative along it)`.

    >>> make_jvp(np.sin, 0.0)(2.0)
    (np.float64(0.0), np.float64(2.0))
    """
    return lambda v: autograd.jvp(fun, [x], [v])


def defjvp_argnums(fun: Any, maker: Callable[..., Any]) -> None:
    """Set the forward rule: `maker(argnums, tangents, ans, args, kwargs)` -> the derivative of the result.

    A primitive without a vjp gets one from it: a derivative is linear in its tangent, so it can be transposed.
    """

    def transposed(argnums: Any, ans: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
        zeros = [np.zeros_like(args[i]) for i in argnums]
        pull = autograd.vjp(lambda *tangents: maker(argnums, tangents, ans, args, kwargs), *zeros)[1]
        return lambda g: pull(g)

    primitive_vjps.setdefault(fun, transposed)


def defjvp_argnum(fun: Any, maker: Callable[..., Any]) -> None:
    """The same with a maker for one argument at a time: `maker(argnum, tangent, ans, args, kwargs)`."""

    def of_several(argnums: Any, tangents: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        found = [maker(i, t, ans, args, kwargs) for i, t in zip(argnums, tangents, strict=True)]
        return sum(found[1:], found[0])

    defjvp_argnums(fun, of_several)


def defjvp(fun: Any, *rules: Any, argnums: Iterable[int] | None = None) -> None:
    """The same with one rule per argument: `(tangent, ans, *args, **kwargs)`, None for 0, "same" for a linear one.

    >>> double = primitive(lambda x: 2 * x)
    >>> defjvp(double, lambda v, ans, x: 2 * v)
    >>> autograd.grad(double)(5.0)
    np.float64(2.0)
    """
    known = dict(zip(itertools.count() if argnums is None else argnums, rules, strict=False))
    if all(rule == "same" for rule in known.values()):
        def_linear(fun)
        return

    def of_one(i: int, tangent: Any, ans: Any, args: Any, kwargs: Any) -> Any:
        rule = known[i]
        if rule is None:
            return np.zeros_like(ans)
        return fun(*subval(args, i, tangent), **kwargs) if rule == "same" else rule(tangent, ans, *args, **kwargs)

    defjvp_argnum(fun, of_one)


def def_linear(fun: Any) -> None:
    """Declare a primitive linear in each of its arguments."""
    primitive_vjps.setdefault(fun, lambda argnums, ans, args, kwargs: _by_columns(fun, argnums, args, kwargs))


def _by_columns(fun: Any, argnums: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
    """The vjp of a function that is linear in each argument, from its values at the units: one call for each."""

    def column_sums(g: Any, i: int) -> Any:
        space = vspace(args[i])
        found = [np.sum(g * fun(*subval(args, i, unit), **kwargs)) for unit in space.standard_basis()]
        return np.reshape(np.stack(found), space.shape)

    return lambda g: [column_sums(g, i) for i in argnums]


class SparseObject:
    """A gradient that is added to a vector by `mut_add`; as a rule's result it becomes that vector."""

    def __new__(cls, vs: Any, mut_add: Callable[[Any], Any]) -> Any:
        return mut_add(vs.zeros())


# ---- before version 1.2, rules were set by methods of the primitive


def primitive(function: Any) -> Any:
    """`autograd.extend.primitive`, with the methods `defvjp`, `defgrad` and `defvjp_is_zero` of old programs."""
    made = _primitive(function)
    rules: dict[int, Any] = {}

    def set_rule(argnum: int, maker: Any) -> None:
        warnings.warn("methods of a primitive that set rules are deprecated; call defvjp(f, ...)", stacklevel=3)
        rules[argnum] = maker
        defvjp(made, *rules.values(), argnums=rules)

    def set_vjp(rule: Any, argnum: int = 0) -> None:
        def maker(ans: Any, *args: Any, **kwargs: Any) -> Any:
            return lambda g: rule(g, ans, vspace(args[argnum]), vspace(g), *args, **kwargs)

        set_rule(argnum, maker)

    made.defvjp = set_vjp
    made.defgrad = lambda maker, argnum=0: set_rule(argnum, maker)
    made.defvjp_is_zero = lambda argnums=(0,): any(map(set_rule, argnums, itertools.repeat(None)))
    return made
