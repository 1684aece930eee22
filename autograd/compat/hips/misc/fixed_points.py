"""Fixed points, with the implicit derivative."""

from __future__ import annotations

from typing import Any

from ..core import defvjp, make_vjp, vspace
from ..tracer import primitive


@primitive
def fixed_point(f: Any, a: Any, x0: Any, distance: Any, tol: float) -> Any:
    """The x with `f(a)(x) = x`, by iteration from x0 until `distance(x, previous x) <= tol`."""
    step = f(a)
    x, previous = step(x0), x0
    while distance(x, previous) > tol:
        x, previous = step(x), x
    return x


def _pull(ans: Any, f: Any, a: Any, x0: Any, distance: Any, tol: float) -> Any:
    """The implicit function theorem: g (1 - df/dx)^-1 df/da, whose first factors are a fixed point as well."""
    pull_a, _ = make_vjp(lambda a: f(a)(ans), a)

    def adjoint(given: Any) -> Any:
        a, x, g = given
        pull_x, _ = make_vjp(f(a), x)
        space = vspace(x)
        return lambda u: space.add(pull_x(u), g)

    return lambda g: pull_a(fixed_point(adjoint, (a, ans, g), vspace(x0).zeros(), distance, tol))


defvjp(fixed_point, None, _pull, None)
