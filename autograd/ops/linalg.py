"""Rules of np.linalg: inverses, determinants, least squares; here too under NumPy's names, decompositions and norms."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from ..op import REAL, Case, composite, differentiable
from .decompositions import SQUARE, only_real, plain, well_conditioned
from .decompositions import cholesky as cholesky
from .decompositions import eig as eig
from .decompositions import eigh as eigh
from .decompositions import eigvals as eigvals
from .decompositions import eigvalsh as eigvalsh
from .decompositions import qr as qr
from .decompositions import svd as svd
from .decompositions import svdvals as svdvals
from .index import diagonal as _diagonal
from .norms import matrix_norm as matrix_norm
from .norms import norm as norm
from .norms import vector_norm as vector_norm
from .products import _cross, _trace, transposed
from .products import matmul as matmul
from .products import tensordot as tensordot
from .products import vecdot as vecdot

# ---- inverses and determinants

inv = differentiable(
    np.linalg.inv,
    lambda g, y, _x: -(transposed(y) @ g @ transposed(y)),
    numpy=[np.linalg.inv],
    domain=well_conditioned,
    cases=SQUARE,
)


def _solve_left(g: Any, y: Any, a: Any, _b: Any) -> Any:
    gb = _solve_right(g, y, a, _b)
    return -(gb[..., :, None] * y[..., None, :]) if g.ndim < a.ndim else -(gb @ transposed(y))


def _solve_right(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    """A b of one dimension is a vector, and the result a vector for each matrix."""
    if g.ndim < a.ndim:
        return np.linalg.solve(transposed(a), g[..., None])[..., 0]
    return np.linalg.solve(transposed(a), g)


solve = differentiable(
    np.linalg.solve,
    _solve_left,
    _solve_right,
    numpy=[np.linalg.solve],
    domain=[well_conditioned, REAL],
    cases=[
        Case((3, 3), (3,)),
        Case((3, 3), (3, 2)),
        Case((2, 3, 3), (3, 1)),
        Case((2, 3, 3), (3,)),
        Case((3, 3), (2, 3, 2)),
    ],
)


def _cofactors(x: Any, y: Any) -> Any:
    """d det / dx: det * inverse transposed, or, where the determinant is 0, the determinants of the minors."""
    if np.all(y != 0):
        return y[..., None, None] * transposed(np.linalg.inv(x))
    n = x.shape[-1]
    if n == 1:
        return np.ones_like(x)
    others = [[j for j in range(n) if j != i] for i in range(n)]
    rows = [
        np.stack([(-1.0) ** (i + j) * np.linalg.det(x[..., others[i], :][..., others[j]]) for j in range(n)], axis=-1)
        for i in range(n)
    ]
    return np.stack(rows, axis=-2)


det = differentiable(
    np.linalg.det,
    lambda g, y, x: g[..., None, None] * _cofactors(x, y),
    numpy=[np.linalg.det],
    cases=[*SQUARE, Case(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 1.0, 1.0]]))],
)
_log_abs_det = differentiable(
    lambda x: np.linalg.slogdet(x)[1],
    lambda g, _y, x: g[..., None, None] * transposed(np.linalg.inv(x)),
    name="log_abs_det",
    domain=well_conditioned,
    cases=SQUARE,
)
_SLOGDET = type(np.linalg.slogdet(np.eye(1)))


def _slogdet(a: Any) -> Any:
    """The sign, which has no gradient, and the logarithm of the absolute value of the determinant."""
    only_real("slogdet", a)
    return _SLOGDET(np.linalg.slogdet(plain(a))[0], _log_abs_det(a))


slogdet = composite(_slogdet, np.linalg.slogdet, domain=well_conditioned, cases=SQUARE)
matrix_transpose = composite(
    lambda x, /: transposed(x),
    *[f for f in (getattr(np, "matrix_transpose", None), np.linalg.matrix_transpose) if f],
    name="matrix_transpose",
    cases=[Case((2, 3)), Case((4, 2, 3))],
)


def _matrix_power(a: Any, n: int) -> Any:
    """By repeated squaring; a negative n takes the inverse first."""
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    result: Any = None
    while n:
        if n % 2:
            result = a if result is None else matmul(result, a)
        n //= 2
        a = matmul(a, a) if n else a
    return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) + 0.0 * a if result is None else result


matrix_power = composite(
    _matrix_power,
    np.linalg.matrix_power,
    domain=well_conditioned,
    cases=[Case((3, 3), 3), Case((2, 3, 3), -2), Case((3, 3), 0), Case((2, 1, 3, 3), 0), Case((3, 3), 1)],
)
multi_dot = composite(
    lambda arrays, *, out=None: reduce(matmul, arrays),
    np.linalg.multi_dot,
    cases=[Case([(2, 3), (3, 4), (4, 2)]), Case([(3,), (3, 4), (4,)])],
)


def _tensorinv(a: Any, ind: int = 2) -> Any:
    n = math.prod(a.shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(a, (n, -1))), a.shape[ind:] + a.shape[:ind])


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        a = np.transpose(a, [i for i in range(a.ndim) if i not in axes] + list(axes))
    shape = a.shape[np.ndim(b) :]
    return np.reshape(np.linalg.solve(np.reshape(a, (-1, math.prod(shape))), np.reshape(b, -1)), shape)


_CUBE = np.arange(16.0).reshape(4, 2, 2) % 7 + 8.0 * np.eye(4).reshape(4, 2, 2)
tensorinv = composite(_tensorinv, np.linalg.tensorinv, cases=[Case(_CUBE, ind=1)])
tensorsolve = composite(_tensorsolve, np.linalg.tensorsolve, cases=[Case(_CUBE, (4,))])


def _pinv_rule(g: Any, y: Any, x: Any, *, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Any:
    """For a matrix whose rank does not change nearby: G. Golub and V. Pereyra (1973)."""
    left, right = transposed(g) @ y @ transposed(y), transposed(y) @ y @ transposed(g)
    return left - x @ (y @ left) + right - (right @ y) @ x - transposed(y) @ g @ transposed(y)


pinv = differentiable(
    np.linalg.pinv,
    _pinv_rule,
    numpy=[np.linalg.pinv],
    cases=[Case((3, 2)), Case((2, 3)), Case((2, 3, 2)), Case((3, 2), rcond=1e-10)],
)


def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The solution, the residuals and the singular values have gradients; the rank is plain."""
    m, n = a.shape
    rank = np.linalg.lstsq(plain(a), plain(b), rcond)[2]
    rtol = np.finfo(a.dtype).eps * max(m, n) if rcond is None else rcond
    x = matmul(np.linalg.pinv(a, rtol=rtol), b)
    residuals: Any = np.zeros(0, a.dtype)
    if rank == n and m > n:
        left = b - matmul(a, x)
        residuals = np.sum(np.reshape(left * left, (m, -1)), axis=0)
    return x, residuals, rank, svdvals(a)


lstsq = composite(_lstsq, np.linalg.lstsq, cases=[Case((4, 2), (4,)), Case((4, 2), (4, 3)), Case((2, 3), (2,))])


def _cond(x: Any, p: Any = None) -> Any:
    """How much a matrix can magnify relative errors."""
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(np.linalg.inv(x), p, (-2, -1))


cond = composite(
    _cond,
    np.linalg.cond,
    domain=well_conditioned,
    cases=[Case((3, 3)), Case((3, 3), 1), Case((2, 3, 3), 1), Case((3, 3), -2)],
)

# ---- as in NumPy itself, but for the last axes

cross = composite(
    lambda x1, x2, /, axis=-1: _cross(x1, x2, axis=axis),
    np.linalg.cross,
    name="linalg_cross",
    cases=[Case((2, 3), (2, 3))],
)
trace = composite(
    lambda x, /, *, offset=0, dtype=None: _trace(x, offset, -2, -1, dtype),
    np.linalg.trace,
    name="linalg_trace",
    cases=[Case((3, 3)), Case((2, 3, 4), offset=1)],
)
outer = composite(
    lambda x1, x2, /: np.multiply(np.reshape(x1, (-1, 1)), np.reshape(x2, (1, -1))),
    np.linalg.outer,
    name="linalg_outer",
    cases=[Case((2,), (3,))],
)
diagonal = composite(
    lambda x, /, *, offset=0: _diagonal(x, offset, -2, -1),
    np.linalg.diagonal,
    name="linalg_diagonal",
    cases=[Case((3, 3)), Case((2, 3, 4), offset=1)],
)
