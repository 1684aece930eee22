"""Rules of inverses, determinants, matrix powers and least squares."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from ..op import differentiable
from . import unitary
from .decompositions import SQUARE, lower_mirrored, svdvals, well_conditioned
from .gaps import inverse
from .index import array_of
from .norms import norm
from .portable import identity
from .products import matmul, transposed
from .register import CASES, REAL, Case, composite, domain

# ---- inverses and determinants

inv = differentiable(np.linalg.inv, lambda g, y, _x: -(transposed(y) @ g @ transposed(y)), numpy=[np.linalg.inv])


def _solve_left(g, y, a, _b):
    gb = _solve_right(g, y, a, _b)
    return -(gb[..., :, None] * y[..., None, :]) if g.ndim < a.ndim else -(gb @ transposed(y))


def _solve_right(g, _y, a, _b):
    """A one-dimensional b is a vector, and the result is a vector for each matrix."""
    if g.ndim < a.ndim:
        return np.linalg.solve(transposed(a), g[..., None])[..., 0]
    return np.linalg.solve(transposed(a), g)


solve = differentiable(np.linalg.solve, _solve_left, _solve_right, numpy=[np.linalg.solve])


def _cofactors(x, y):
    """d det / dx: det * inverse transposed, or the minors if a determinant is 0."""
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


det = differentiable(np.linalg.det, lambda g, y, x: g[..., None, None] * _cofactors(x, y), numpy=[np.linalg.det])
_log_abs_det = differentiable(
    lambda x: np.linalg.slogdet(x)[1],
    lambda g, y, x: g[..., None, None] * transposed(inverse(x, y == -np.inf, "slogdet")),
    name="log_abs_det",
)
_SLOGDET = type(np.linalg.slogdet(np.eye(1)))


def _slogdet(a):
    """The sign, which has no gradient, and the logarithm of the absolute value of the determinant."""
    if np.iscomplexobj(a):
        return _SLOGDET(unitary.sign(a), _log_abs_det(a))
    return _SLOGDET(np.linalg.slogdet(array_of(a))[0], _log_abs_det(a))


slogdet = composite(_slogdet, np.linalg.slogdet)
matrix_transpose = composite(
    lambda x, /: transposed(x),
    *[f for f in (getattr(np, "matrix_transpose", None), np.linalg.matrix_transpose) if f],
    name="matrix_transpose",
)


def _matrix_power(a, n: int):
    """By repeated squaring; a negative n takes the inverse first."""
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    result: Any = None
    while n:
        if n % 2:
            result = a if result is None else matmul(result, a)
        n //= 2
        a = matmul(a, a) if n else a
    return np.broadcast_to(identity(a), a.shape) + 0.0 * a if result is None else result


matrix_power = composite(_matrix_power, np.linalg.matrix_power)
multi_dot = composite(lambda arrays, *, out=None: reduce(matmul, arrays), np.linalg.multi_dot)


def _tensorinv(a, ind: int = 2):
    n = math.prod(a.shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(a, (n, -1))), a.shape[ind:] + a.shape[:ind])


def _tensorsolve(a, b, axes=None):
    if axes is not None:
        a = np.transpose(a, [i for i in range(a.ndim) if i not in axes] + list(axes))
    shape = a.shape[np.ndim(b) :]
    return np.reshape(np.linalg.solve(np.reshape(a, (-1, math.prod(shape))), np.reshape(b, -1)), shape)


tensorinv = composite(_tensorinv, np.linalg.tensorinv)
tensorsolve = composite(_tensorsolve, np.linalg.tensorsolve)


def _pinv_rule(g, y, x, *, rcond=None, rtol=None):
    """For a matrix whose rank does not change nearby: G. Golub and V. Pereyra (1973)."""
    yh = transposed(y).conj()
    left, right = transposed(g) @ y @ yh, yh @ y @ transposed(g)
    return (left - x @ (y @ left) + right - (right @ y) @ x).conj() - transposed(y) @ g @ transposed(y)


def _pinv_call(a, rcond=None, hermitian: bool = False, *, rtol=None):
    limit, x = rtol if rcond is None else rcond, array_of(a)
    if hasattr(limit, "requires_grad"):
        raise TypeError("pinv: rcond and rtol are numbers or arrays, and have no gradient")
    if limit is not None and type(x) is np.ndarray and x.size:
        s, least = np.linalg.svd(x, compute_uv=False), np.finfo(x.dtype).eps * max(x.shape[-2:])
        share = s / np.maximum(s[..., :1], np.finfo(s.dtype).tiny)
        if np.any((share <= np.expand_dims(limit, -1)) & (share > least)):
            raise TypeError("pinv: no derivative rule if rcond or rtol drops singular values that are not 0")
    a = lower_mirrored(a) if hermitian else a
    return (a,), {name: value for name, value in {"rcond": rcond, "rtol": rtol}.items() if value is not None}


pinv = differentiable(np.linalg.pinv, _pinv_rule, numpy=[np.linalg.pinv], call=_pinv_call)


def _lstsq(a, b, rcond=None):
    """The solution, the residuals and the singular values have gradients; the rank does not."""
    m, n = a.shape
    rank = np.linalg.lstsq(array_of(a), array_of(b), rcond)[2]
    rtol = np.finfo(a.dtype).eps * max(m, n) if rcond is None else rcond
    x = matmul(np.linalg.pinv(a, rcond=rtol), b)
    residuals: Any = np.zeros(0, a.dtype, like=a)
    if rank == n and m > n:
        left = b - matmul(a, x)
        residuals = np.sum(np.reshape(left * left, (m, -1)), axis=0)
    return x, residuals, rank, svdvals(a)


lstsq = composite(_lstsq, np.linalg.lstsq)


def _cond(x, p=None):
    """The condition number: how much a matrix can magnify relative errors."""
    if 0 in np.shape(x)[-2:]:
        raise np.linalg.LinAlgError("cond: a matrix without elements has no condition number")
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(np.linalg.inv(x), p, (-2, -1))


cond = composite(_cond, np.linalg.cond)

# ---- test data

_CUBE = np.arange(16.0).reshape(4, 2, 2) % 7 + 8.0 * np.eye(4).reshape(4, 2, 2)

CASES[inv] = domain(well_conditioned, *SQUARE)
CASES[solve] = domain(
    [well_conditioned, REAL],
    Case((3, 3), (3,)),
    Case((3, 3), (3, 2)),
    Case((2, 3, 3), (3, 1)),
    Case((2, 3, 3), (3,)),
    Case((3, 3), (2, 3, 2)),
)
CASES[det] = [*SQUARE, Case(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 1.0, 1.0]]))]
CASES[_log_abs_det] = domain(well_conditioned, *SQUARE)
CASES[slogdet] = domain(well_conditioned, *SQUARE)
CASES[matrix_transpose] = [Case((2, 3)), Case((4, 2, 3))]
CASES[matrix_power] = domain(
    well_conditioned, Case((3, 3), 3), Case((2, 3, 3), -2), Case((3, 3), 0), Case((2, 1, 3, 3), 0), Case((3, 3), 1)
)
CASES[multi_dot] = [Case([(2, 3), (3, 4), (4, 2)]), Case([(3,), (3, 4), (4,)])]
CASES[tensorinv] = [Case(_CUBE, ind=1)]
CASES[tensorsolve] = [Case(_CUBE, (4,))]
CASES[pinv] = [Case((3, 2)), Case((2, 3)), Case((2, 3, 2)), Case((3, 2), rcond=1e-10)]
CASES[lstsq] = [Case((4, 2), (4,)), Case((4, 2), (4, 3)), Case((2, 3), (2,))]
CASES[cond] = domain(well_conditioned, Case((3, 3)), Case((3, 3), 1), Case((2, 3, 3), 1), Case((3, 3), -2))
