"""Derivatives of functions under HIPS's names; `argnum` selects the argument."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd
from autograd import checkpoint as checkpoint
from autograd import elementwise_grad as elementwise_grad
from autograd import grad, jacobian
from autograd import hessian as hessian
from autograd import value_and_grad as value_and_grad

from .core import make_jvp as _make_jvp
from .core import make_vjp as _make_vjp
from .vspaces import vspace
from .wrap_util import unary_to_nary

Function = Callable[..., Any]
make_vjp = unary_to_nary(_make_vjp)
make_jvp = make_jvp_reversemode = unary_to_nary(_make_jvp)


@unary_to_nary
def deriv(fun: Function, x: Any) -> Any:
    """The derivative of the output along a tangent of ones: for a function of one number, its derivative.

    >>> deriv(np.sin)(0.0)
    np.float64(1.0)
    """
    return _make_jvp(fun, x)(vspace(x).ones())[1]


@unary_to_nary
def holomorphic_grad(fun: Function, x: Any) -> Any:
    """The complex derivative of a holomorphic function: the gradient of its real part, as HIPS defines it."""
    if not vspace(x).iscomplex:
        warnings.warn("Input to holomorphic_grad is not complex", stacklevel=3)
    return grad(lambda x: np.real(fun(x)))(x)


def grad_named(fun: Function, argname: str) -> Any:
    """The gradient with respect to the argument of this name."""
    return grad(fun, list(inspect.signature(fun).parameters).index(argname))


@unary_to_nary
def make_hvp(fun: Function, x: Any) -> Any:
    """`(hvp, gradient)` at a point: `hvp(v)` is the Hessian times v; the forward pass is made once."""
    return _make_vjp(grad(fun), x)


def hessian_tensor_product(fun: Function, argnum: int = 0) -> Function:
    """A function of `(*args, v)`: the Hessian times v.

    >>> hessian_tensor_product(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]), np.ones(2))
    array([ 6., 12.])
    """
    return autograd.hvp(fun, argnum)


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(fun: Function, argnum: int = 0) -> Function:
    """A function of `(*args, v)`: v times the Jacobian, summed over the axes of v.

    >>> tensor_jacobian_product(lambda x: x ** 2)(np.array([1.0, 2.0]), np.ones(2))
    array([2., 4.])
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        *args_, v = args
        return np.tensordot(v, fun(*args_, **kwargs), np.ndim(v))

    derivative: Function = jacobian(product, argnum)
    return derivative


vector_jacobian_product = tensor_jacobian_product


def _half_square(x: Any) -> Any:
    return 0.5 * np.sum(x**2, axis=-1)


def make_ggnvp(f: Function, g: Function = _half_square, f_argnum: int = 0) -> Function:
    """Generalised Gauss-Newton products at a point: `v -> J^T H J v`, J the Jacobian of f and H the Hessian of g."""

    @unary_to_nary
    def ggnvp_at(f: Function, x: Any) -> Function:
        f_vjp, f_x = _make_vjp(f, x)
        g_hvp, _ = _make_vjp(grad(g), f_x)
        f_jvp = _make_jvp(f, x)
        return lambda v: f_vjp(g_hvp(f_jvp(v)[1]))

    at: Function = ggnvp_at(f, f_argnum)
    return at


@unary_to_nary
def grad_and_aux(fun: Function, x: Any) -> Any:
    """`(gradient, aux)`, for a function that returns `(value, aux)`."""
    return grad(fun, has_aux=True)(x)


def multigrad_dict(fun: Function) -> Function:
    """The gradients with respect to all arguments, as {name: gradient}.

    >>> multigrad_dict(lambda a, b: a * b)(2.0, b=3.0)
    {'a': np.float64(3.0), 'b': np.float64(2.0)}
    """
    signature = inspect.signature(fun)

    def derived(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_dict(given: dict[str, Any]) -> Any:
            bound.arguments = given
            return fun(*bound.args, **bound.kwargs)

        return dict(grad(of_dict)(dict(bound.arguments)))

    return derived
