"""scipy.linalg: the functions of autograd.linalg where they have rules, and SciPy's own for the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as _linalg

from autograd import linalg as _ours

from ..core import defvjp, primitive

globals().update({name: x for name, x in vars(_linalg).items() if not name.startswith("_")})
solve_triangular, solve_banded, solve_sylvester = _ours.solve_triangular, _ours.solve_banded, _ours.solve_sylvester
inv, det, norm, pinv, eigh, eigvalsh = (getattr(_ours, name) for name in "inv det norm pinv eigh eigvalsh".split())


def cholesky(a: Any, lower: bool = False, **others: Any) -> Any:
    """The Cholesky factor; the upper one by default, as SciPy's."""
    factor = _ours.cholesky(a)
    return factor if lower else np.conj(np.swapaxes(factor, -1, -2))


def solve(a: Any, b: Any, **others: Any) -> Any:
    """The solution of a x = b; what SciPy's keywords assume of `a` is not needed."""
    return _ours.solve(a, b)


@primitive
def sqrtm(a: Any) -> Any:
    """The matrix square root."""
    return _linalg.sqrtm(a)


def _pull_sqrtm(ans: Any, a: Any) -> Any:
    return lambda g: _fit(_ours.solve_sylvester(np.transpose(ans), np.transpose(ans), g), a)


def _fit(x: Any, like: Any) -> Any:
    return x if np.iscomplexobj(like) else np.real(x)


defvjp(sqrtm, _pull_sqrtm)
