"""Gradients of functions: `grad` and `value_and_grad`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from .mode import enable_grad
from .ops.elementwise import positive
from .tensor import Tensor, differentiate, tensor_of

# True while a function runs whose gradient is wanted: gradients taken inside it must be differentiable themselves.
_inside: ContextVar[bool] = ContextVar("autograd_inside", default=False)


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns `(function(*args), gradient)`, where `function` returns one number.

    `argnums` says for which positional arguments: an int gives one gradient, a sequence a tuple of them; each has the
    shape of its argument.  Arrays and numbers in give arrays and numbers out; Tensors in give Tensors, which are
    recorded, so that gradients nest.  Raises TypeError for an integer array and ValueError when the result of
    `function` is not one number.

    >>> value_and_grad(lambda x: (x ** 2).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    if not callable(function):
        raise TypeError(
            f"grad and value_and_grad take a function; got {type(function).__name__}. "
            f"For the gradients of a Tensor that you computed, call its backward()"
        )
    positions = [argnums] if isinstance(argnums, int) else list(argnums)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        recorded = _inside.get() or any(isinstance(arg, Tensor) for arg in args)
        token = _inside.set(True)
        try:
            with enable_grad():
                variables = {i: variable(args[i], i) for i in positions}
                inputs = [variables.get(i, arg) for i, arg in enumerate(args)]
                value = function(*inputs, **kwargs)
                gradients = _gradients(value, list(variables.values()), recorded)
        finally:
            _inside.reset(token)
        if not recorded:
            value = value.data[()] if isinstance(value, Tensor) else value
            gradients = [g.data[()] for g in gradients]
        return value, gradients[0] if isinstance(argnums, int) else tuple(gradients)

    return wrapper


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of `function`; see `value_and_grad`.

    >>> cube = lambda x: x ** 3
    >>> grad(cube)(2.0), grad(grad(cube))(2.0), grad(grad(grad(cube)))(2.0)
    (np.float64(12.0), np.float64(12.0), np.float64(6.0))
    """
    both = value_and_grad(function, argnums)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return wrapper


def variable(arg: Any, i: int) -> Tensor:
    """The argument under a node of its own, so that nested gradients of one value are kept apart."""
    if isinstance(arg, Tensor) and arg.requires_grad:
        return positive(arg)  # type: ignore[no-any-return]
    data = arg.data if isinstance(arg, Tensor) else np.asarray(float(arg) if type(arg) is int else arg)
    if data.dtype.kind not in "fc":
        raise TypeError(f"argument {i} is {data.dtype}, which has no gradient; pass a floating-point array")
    return positive(Tensor(data, requires_grad=True))  # type: ignore[no-any-return]


def _gradients(value: Any, variables: list[Tensor], recorded: bool) -> list[Tensor]:
    if np.size(value) != 1:
        raise ValueError(f"grad needs a function that returns one number; got shape {np.shape(value)}")
    found: dict[Any, Tensor] = {}
    if isinstance(value, Tensor) and value.requires_grad:
        nodes = frozenset(variable.node for variable in variables if variable.node)
        seeds = {value: Tensor(np.ones_like(value.data))}
        found = differentiate(seeds, wanted=nodes, retain_graph=recorded, create_graph=recorded)
    return [found.get(v.node, tensor_of(np.zeros_like(v.data))) for v in variables]
