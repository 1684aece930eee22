"""Compare derivatives with differences, under HIPS's names; `autograd.gradcheck` says more about what is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from .core import make_jvp, make_vjp
from .vspaces import vspace
from .wrap_util import get_name, unary_to_nary

TOL = RTOL = EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers agree to a millionth."""
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """A function of a tangent: the central difference of f along it."""
    at_x, at_y = vspace(x), vspace(f(x))

    def jvp(v: Any) -> Any:
        high, low = (f(at_x.add(x, at_x.scalar_mul(v, step))) for step in (EPS / 2, -EPS / 2))
        return at_y.scalar_mul(at_y.add(high, at_y.scalar_mul(low, -1.0)), 1.0 / EPS)

    return jvp


def check_vjp(f: Callable[[Any], Any], x: Any) -> None:
    """AssertionError if the vjp of f disagrees with differences along a random direction."""
    vjp, y = make_vjp(f, x)
    at_x, at_y = vspace(x), vspace(y)
    v, g = at_x.randn(), at_y.randn()
    pulled = at_x.covector(vjp(at_y.covector(g)))
    assert vspace(pulled) == at_x, f"the vjp of {get_name(f)} returns {vspace(pulled)} for {at_x}"
    exact, numeric = at_x.inner_prod(v, pulled), at_y.inner_prod(g, make_numerical_jvp(f, x)(v))
    assert scalar_close(numeric, exact), (
        f"Derivative (VJP) check of {get_name(f)} failed with arg {x}:\nanalytic: {exact}\nnumeric:  {numeric}"
    )


def check_jvp(f: Callable[[Any], Any], x: Any) -> None:
    """AssertionError if the jvp of f disagrees with differences along a random direction."""
    v = vspace(x).randn()
    check_equivalent(make_jvp(f, x)(v)[1], make_numerical_jvp(f, x)(v))


def check_equivalent(x: Any, y: Any) -> None:
    """AssertionError if two values lie in different spaces or differ along a random direction."""
    space = vspace(x)
    assert space == vspace(y), f"VSpace mismatch:\nx: {space}\ny: {vspace(y)}"
    v = space.randn()
    assert scalar_close(space.inner_prod(x, v), space.inner_prod(y, v)), f"Value mismatch:\nx: {x}\ny: {y}"


@unary_to_nary
def check_grads(f: Callable[[Any], Any], x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """AssertionError if derivatives of f up to this order disagree with differences.

    >>> import numpy as np
    >>> check_grads(lambda x: np.sin(x) * x)(np.array([1.0, 2.0]))
    """
    if not set(modes) <= {"fwd", "rev"}:
        raise ValueError(f"modes are 'fwd' and 'rev'; got {modes!r}")
    for mode, check in (("fwd", check_jvp), ("rev", check_vjp)):
        if mode not in modes:
            continue
        check(f, x)
        if order > 1:
            forward = mode == "fwd"
            derivative: Any = (lambda x, v: make_jvp(f, x)(v)[1]) if forward else (lambda x, v: make_vjp(f, x)[0](v))
            derivative.__name__ = f"{'jvp' if forward else 'vjp'}_{get_name(f)}"
            check_grads(derivative, (0, 1), modes, order=order - 1)(x, vspace(x if forward else f(x)).randn())


def combo_check(fun: Callable[..., Any], *options: Any, **named: Any) -> Callable[..., None]:
    """`check_grads` for every combination of the lists of arguments that are given."""

    def check(*args: Any, **kwargs: Any) -> None:
        for chosen in itertools.product(*args):
            for values in itertools.product(*kwargs.values()):
                check_grads(fun, *options, **named)(*chosen, **dict(zip(kwargs, values, strict=True)))

    return check
