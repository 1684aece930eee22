"""Names of HIPS autograd that this package spells differently, so that code written for it runs here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..custom import custom_gradient
from ..functional import Function, grad, hvp, jvp, vjp
from ..gradcheck import gradcheck
from ..tensor import Tensor


def hessian_vector_product(fun: Function, argnum: int = 0) -> Function:
    """`(*args, vector)` -> Hessian times vector; see `hvp`.

    >>> hessian_vector_product(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]), np.ones(2))
    array([ 6., 12.])
    """
    return hvp(fun, argnum)


def make_vjp(fun: Function, argnum: int = 0) -> Function:
    """`(*args)` -> `(vjp, value)`, the vjp for one argument.

    >>> pull, value = make_vjp(np.sin)(0.0)
    >>> pull(2.0)
    np.float64(2.0)
    """

    def wrapper(*args: Any, **kwargs: Any) -> tuple[Function, Any]:
        value, pull = vjp(_of_one(fun, argnum, args, kwargs), args[argnum])
        return lambda g: pull(g)[0], value

    return wrapper


def make_jvp(fun: Function, argnum: int = 0) -> Function:
    """`(*args)` -> a function of a tangent, which returns `(value, jvp)`.

    >>> make_jvp(np.sin)(0.0)(2.0)
    (np.float64(0.0), np.float64(2.0))
    """

    def wrapper(*args: Any, **kwargs: Any) -> Function:
        return lambda v: jvp(_of_one(fun, argnum, args, kwargs), [args[argnum]], [v])

    return wrapper


def _of_one(fun: Function, argnum: int, args: tuple[Any, ...], kwargs: Any) -> Function:
    """`fun` as a function of argument `argnum` alone."""
    return lambda x: fun(*args[:argnum], x, *args[argnum + 1 :], **kwargs)


def grad_and_aux(fun: Function, argnum: int = 0) -> Function:
    """`(*args)` -> `(gradient, aux)`, for a function that returns `(value, aux)`."""
    both: Function = grad(fun, argnum, has_aux=True)
    return both


def multigrad_dict(fun: Function) -> Function:
    """`(**arguments)` or positional ones -> {name: gradient} for all of them.

    >>> multigrad_dict(lambda a, b: a * b)(2.0, b=3.0)
    {'a': np.float64(3.0), 'b': np.float64(2.0)}
    """
    signature = inspect.signature(fun)

    def wrapper(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(grad(lambda given: fun(**given))(dict(bound.arguments)))

    return wrapper


_makers: dict[Function, dict[int, Function | None]] = {}


def primitive(function: Function) -> Function:
    """A function whose gradient `defvjp` sets; inside it, arrays are plain.

    >>> cube = primitive(lambda x: x ** 3)
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x ** 2)
    >>> grad(cube)(2.0)
    np.float64(12.0)
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        def with_rule(*inputs: Any) -> tuple[Any, Function]:
            if any(isinstance(x, Tensor) for x in inputs):  # a higher derivative: the rule must record itself
                value = wrapper(*inputs, **kwargs)
            else:
                value = function(*inputs, **kwargs)

            def back(g: Any) -> tuple[Any, ...]:
                known = _makers.get(wrapper)
                if known is None:
                    raise TypeError(f"{wrapper.__name__} has no gradient: call defvjp({wrapper.__name__}, ...) first")
                makers = [known.get(i) for i in range(len(inputs))]
                return tuple(maker(value, *inputs, **kwargs)(g) if maker else None for maker in makers)

            return value, back

        return custom_gradient(with_rule)(*args)

    return wrapper


def defvjp(fun: Function, *vjpmakers: Function | None, argnums: Sequence[int] | None = None) -> None:
    """Set the gradient of a `primitive`: for each argument (ans, *args) -> (g -> gradient), or None for 0."""
    _makers[fun] = dict(zip(argnums or range(len(vjpmakers)), vjpmakers, strict=False))


def check_grads(f: Function, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> Function:
    """`(*args)` -> compare the gradients of f with finite differences; see `gradcheck`."""
    return lambda *args, **kwargs: gradcheck(
        lambda *inputs: f(*inputs, **kwargs), [*map(np.asarray, args)], order=order
    )
