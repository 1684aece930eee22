"""Rules of scipy.linalg's solvers for matrices of a special form; loaded only when needed (`autograd.linalg`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..libraries import of_library
from ..op import differentiable
from ..registry import Operation
from .products import transposed
from .register import CASES, Case, domain

try:
    from scipy import linalg
except ImportError as error:
    raise ImportError(
        "autograd.linalg.solve_triangular and its relatives need SciPy: pip install plaingrad[scipy]"
    ) from error

_TRANS: dict[Any, int] = {0: 0, 1: 1, "N": 0, "T": 1}


def _outer(x, y):
    """x y^T for matrices, and for vectors."""
    return x[..., :, None] * y[..., None, :] if np.ndim(x) == 1 else x @ transposed(y)


def _triangle(x, lower: bool, unit_diagonal: bool):
    """The part of x that the solver reads."""
    return np.tril(x, -int(unit_diagonal)) if lower else np.triu(x, int(unit_diagonal))


def _triangular_left(g, y, a, _b, *, trans, lower, unit_diagonal):
    gb = solve_triangular(a, g, trans=1 - trans, lower=lower, unit_diagonal=unit_diagonal)
    return -_triangle(_outer(y, gb) if trans else _outer(gb, y), lower, unit_diagonal)


def _triangular_call(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True):
    if trans not in _TRANS:
        raise ValueError(
            f"solve_triangular: trans is 0 or 1 (or 'N', 'T'); got {trans!r}. For 2, pass np.conj(a) and 1"
        )
    return (a, b), {"trans": _TRANS[trans], "lower": bool(lower), "unit_diagonal": bool(unit_diagonal)}


def _solve_triangular(a, b, trans, lower, unit_diagonal):
    """The solution x of a x = b for a triangular a, as scipy.linalg.solve_triangular; a is (n, n), b (n,) or (n, k).

    Only one triangle is read: the lower one if `lower`.  With trans=1 the matrix is transposed.

    >>> import numpy as np, autograd
    >>> autograd.linalg.solve_triangular(np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0]), lower=True)
    array([1., 2.])
    """
    return of_library(linalg.solve_triangular, a, b)(a, b, trans, lower, unit_diagonal)


solve_triangular: Operation = differentiable(
    _solve_triangular,
    _triangular_left,
    lambda g, _y, a, _b, *, trans, lower, unit_diagonal: solve_triangular(
        a, g, trans=1 - trans, lower=lower, unit_diagonal=unit_diagonal
    ),
    call=_triangular_call,
    name="solve_triangular",
)


def _sylvester_back(g, a, b):
    return solve_sylvester(transposed(a), transposed(b), g)


def _solve_sylvester(a, b, q):
    """The solution x of a x + x b = q, as scipy.linalg.solve_sylvester; a is (m, m), b (n, n), q (m, n).

    >>> import numpy as np, autograd
    >>> autograd.linalg.solve_sylvester(2.0 * np.eye(2), np.eye(1), np.array([[3.0], [6.0]]))
    array([[1.],
           [2.]])
    """
    kind = np.result_type(a, b, q)  # SciPy drops the imaginary part of q if a and b are real
    if a.shape != q.shape[:1] * 2 or b.shape != q.shape[1:] * 2:  # SciPy reads what is not there
        raise ValueError(f"a is (m, m), b (n, n) and q (m, n); got {a.shape}, {b.shape} and {q.shape}")
    return linalg.solve_sylvester(*(np.asarray(x, kind) for x in (a, b, q)))


solve_sylvester: Operation = differentiable(
    _solve_sylvester,
    lambda g, y, a, b, _q: -(_sylvester_back(g, a, b) @ transposed(y)),
    lambda g, y, a, b, _q: -(transposed(y) @ _sylvester_back(g, a, b)),
    lambda g, _y, a, b, _q: _sylvester_back(g, a, b),
    name="solve_sylvester",
    numpy=[],
)


def _shifted(row, by: int):
    """row[j + by] at place j, and 0 beyond its ends."""
    if by == 0:
        return row
    zeros = np.zeros_like(row)
    return np.concatenate([row[by:], zeros[:by]]) if by > 0 else np.concatenate([zeros[by:], row[:by]])


def _transposed_bands(ab, lower: int, upper: int):
    """The bands of the transposed matrix: row l + k of it is diagonal -k, which was row u - k, moved by k."""
    return np.stack([_shifted(ab[upper - k], k) for k in range(-lower, upper + 1)])


def _banded_right(g, _y, ab, _b, *, lower: int, upper: int):
    return solve_banded((upper, lower), _transposed_bands(ab, lower, upper), g)


def _banded_left(g, y, ab, b, *, lower: int, upper: int):
    """Row u - k of the bands holds the elements (j - k, j), whose gradient is -gb[j - k] y[j]."""
    gb = _banded_right(g, y, ab, b, lower=lower, upper=upper)
    rows = [_shifted(gb, -k) * y for k in range(upper, -lower - 1, -1)]
    return -np.stack([row if row.ndim == 1 else np.sum(row, axis=1) for row in rows])


def _solve_banded(ab, b, lower, upper):
    """The solution of a x = b for a banded matrix, as scipy.linalg.solve_banded((lower, upper), ab, b).

    Row `upper + i - j` and column j of `ab` hold element (i, j) of the matrix; b is (n,) or (n, k).

    >>> import numpy as np, autograd
    >>> autograd.linalg.solve_banded((0, 1), np.array([[0.0, 1.0], [2.0, 4.0]]), np.array([4.0, 8.0]))
    array([1., 2.])
    """
    return linalg.solve_banded((lower, upper), ab, b)


solve_banded: Operation = differentiable(
    _solve_banded,
    _banded_left,
    _banded_right,
    call=lambda l_and_u, ab, b, overwrite_ab=False, overwrite_b=False, check_finite=True: (
        (ab, b),
        {"lower": int(l_and_u[0]), "upper": int(l_and_u[1])},
    ),
    name="solve_banded",
)
OWN = {"solve_triangular": solve_triangular, "solve_sylvester": solve_sylvester, "solve_banded": solve_banded}

# ---- test data


def _strong_diagonal(x):
    """A matrix far from singular."""
    return x + 4.0 * np.eye(x.shape[-1], dtype=x.dtype) if x.ndim == 2 and x.shape[0] == x.shape[1] else x


CASES[solve_triangular] = domain(
    _strong_diagonal,
    Case((3, 3), (3, 2)),
    Case((3, 3), (3,), lower=True),
    Case((3, 3), (3, 2), trans=1, lower=True, unit_diagonal=True),
    Case((3, 3), (3,), trans="T"),
)
CASES[solve_sylvester] = domain(_strong_diagonal, Case((3, 3), (2, 2), (3, 2)))
CASES[solve_banded] = domain(
    lambda x: x + 5.0 * np.eye(3, 1, -1, dtype=x.dtype) if x.shape == (3, 4) else x,
    Case([1, 1], (3, 4), (4,)),
    Case([1, 1], (3, 4), (4, 2)),
)
