"""Quotients by the gaps between eigenvalues or singular values, which are NaN where rounding alone decides a gap.

The vectors of equal eigenvalues are arbitrary.  A function that does not depend on the choice may be smooth there, but
its slope is the limit of 0 / 0, of which a rule sees only the zeros: so no finite number would be right.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..op import differentiable
from ..registry import Operation
from .index import array_of
from .portable import identity, largest
from .products import transposed
from .register import CASES, Case, domain

CLOSE = 64.0  # a gap of fewer eps times the largest eigenvalue has fewer than two correct digits


def _warn(name: str) -> None:
    what = "singular values" if name == "svd" else "eigenvalues"
    warnings.warn(
        f"{name}: {what} are equal, or differ by rounding alone, and a gradient reaches their vectors, which are "
        f"arbitrary: it is NaN.  Gradients of {what} alone are exact, as are functions of a symmetric matrix by "
        "autograd.linalg.spectral(f)",
        RuntimeWarning,
        stacklevel=2,
    )


def _rough(dtype: Any) -> float:
    """Quotients by gaps of fewer than this many limits are off by more than 1e-6, or half of the digits if larger."""
    return 4.0 / (CLOSE * max(1e-6, math.sqrt(np.finfo(dtype).eps)))


def _warn_rough(name: str) -> None:
    warnings.warn(
        f"{name}: two values differ so little that the gradient of their vectors has lost most of its digits; "
        "functions of a symmetric matrix by autograd.linalg.spectral(f) keep them",
        RuntimeWarning,
        stacklevel=2,
    )


def _over_gap(x, gap, *, close, lost, name: str):
    if lost.any():
        _warn(name)
    return np.where(lost, np.nan, np.where(close, 0.0, x / np.where(close, 1.0, gap)))


# x / gap, but 0 where the gap is `close` to 0, and NaN with a warning where the result is `lost`.
over_gap: Operation = differentiable(
    _over_gap,
    lambda g, _z, _x, gap, *, close, lost, name: over_gap(g, gap, close=close, lost=lost, name=name),
    lambda g, z, _x, gap, *, close, lost, name: over_gap(-g * z, gap, close=close, lost=lost, name=name),
    name="over_gap",
)


def _which(g: Any) -> Any:
    """1 for each vector that was read, from their gradients (..., m, n): (..., 1, n).

    A vector that was not read has a gradient of exactly 0, and so has v[0, 2]**2 by chance where v[0, 2] is 0.
    Some vector was read, or the walk would not be here: so if all gradients of a matrix are 0, any may have been.
    """
    some = np.any(array_of(g) != 0, axis=-2, keepdims=True)
    return np.where(some | ~np.any(some, axis=-1, keepdims=True), np.ones_like(array_of(g)[..., :1, :]), 0.0)


# The last row of a decomposition's packed results is 0, and its gradient says which vectors the walk arrived at.
vectors_of: Operation = differentiable(
    lambda rows: rows[...],
    lambda g, *_: np.concatenate([g[..., :-1, :], _which(g).astype(g.dtype)], axis=-2),
    name="vectors_of",
    view=True,
)


def read(g: Any, row: int) -> Any:
    """Which vectors (..., n) the walk arrived at, from the gradients of all rows; those of eigenvalues are at `row`.

    If some vectors of a matrix were read, those whose eigenvalue has a gradient were too: the gradient of the vectors
    in `(v * log(w)) @ v.T` is 0 at w = 1, and yet they matter.
    """
    used = array_of(g) != 0
    seen = np.any(used[..., :row, :], axis=-2) | np.any(used[..., row + 1 :, :], axis=-2)
    return (seen | used[..., row, :]) & np.any(seen, axis=-1, keepdims=True)


def _limit(w: Any) -> Any:
    """The size of a gap that is due to rounding, for eigenvalues (..., n): (..., 1)."""
    return CLOSE * np.finfo(w.dtype).eps * largest(np.abs(w), -1, True)


def vanishing(w: Any) -> Any:
    """Which of the eigenvalues or singular values (..., n) are 0 to rounding."""
    w = array_of(w)
    return np.abs(w) <= _limit(w)


def between(x: Any, w: Any, seen: Any, *, name: str, condition: Any = None, plus: bool = False) -> Any:
    """`x[i, j] / (w[j] - w[i])` (or `w[j] + w[i]`), and 0 on the diagonal, for x (..., n, n) and w (..., n).

    In a close pair of which one vector was `seen` (..., n), the quotient is NaN; in another it is 0.
    `condition` (...,) is that of the eigenvectors, by which errors of rounding in w are multiplied.
    """
    row, column, limit = w[..., None, :], w[..., :, None], _limit(array_of(w))
    gap, same = row + column if plus else row - column, identity(w, bool)
    limit = limit if condition is None else limit * condition[..., None]
    close = np.abs(array_of(gap)) <= limit[..., None]
    pair = (seen[..., None, :] | seen[..., :, None]) & ~same
    lost = close & pair
    if (pair & ~close & (np.abs(array_of(gap)) <= (limit * _rough(w.dtype))[..., None])).any():
        _warn_rough(name)
    return over_gap(x, gap, close=close | same, lost=lost, name=name)


def over_singular(x: Any, s: Any, seen: Any) -> Any:
    """The columns of x (..., m, n) divided by the singular values s (..., n); NaN where one is 0 and was `seen`."""
    close, s = (np.broadcast_to(row[..., None, :], x.shape) for row in (vanishing(s), s))
    return over_gap(x, s, close=close, lost=close & seen[..., None, :], name="svd")


def _regular(x: Any, bad: Any, why: str) -> tuple[Any, Any]:
    """The matrices x (..., n, n) with 1 in place of the `bad` ones (...,), for which solve() and inv() would raise."""
    bad = array_of(bad)[..., None, None]
    if bad.any():
        warnings.warn(f"{why}, and a gradient reaches it there: it is NaN", RuntimeWarning, stacklevel=2)
    return np.where(bad, identity(x), x), bad


def _lost(bad: Any, x: Any, y: Any) -> Any:
    """y, and where `bad` NaN that comes from x, so that further derivatives are NaN too."""
    return np.where(bad, np.where(bad, np.nan, 1.0).astype(x.dtype) * x, y)


def over_triangle(x: Any, r: Any) -> Any:
    """x (..., m, n) times the inverse of transposed r (..., n, n), the factor of a QR decomposition.

    NaN where an element on the diagonal of r is 0 to rounding: then columns of q are arbitrary.
    """
    bad = np.any(vanishing(np.diagonal(array_of(r), 0, -2, -1)), axis=-1)
    regular, bad = _regular(r, bad, "qr: columns of a matrix are linearly dependent, so that q is arbitrary")
    return _lost(bad, x, transposed(np.linalg.solve(regular, transposed(x))))


def inverse(x: Any, bad: Any, name: str) -> Any:
    """The inverses of the matrices x (..., n, n), and NaN for the `bad` ones (...,), whose determinant is 0."""
    regular, bad = _regular(x, bad, f"{name}: the determinant of a matrix is 0, where its logarithm has no slope")
    return _lost(bad, x, np.linalg.inv(regular))


def conditions(v: Any) -> tuple[Any, Any]:
    """The condition numbers (...,) of eigenvectors (..., n, n), and where so large that eigenvalues have no slope.

    An entry of the matrix that is off by eps moves the slope of an eigenvalue by about eps times their square.
    """
    s = np.linalg.svd(array_of(v), compute_uv=False)
    with np.errstate(divide="ignore", over="ignore"):
        condition = np.max(s, axis=-1) / np.min(s, axis=-1) if s.size else np.sum(s, axis=-1)
        return condition, 8.0 * np.finfo(s.dtype).eps * condition**2 > 1


def unless(bad: Any, gw: Any, middle: Any, name: str) -> Any:
    """`gw - middle`, and NaN in the `bad` rows (...,), except where it is 0 to rounding."""
    rest = gw - middle
    zero = np.abs(array_of(rest)) <= 8.0 * np.finfo(gw.dtype).eps * np.abs(array_of(middle))
    lost = bad[..., None] & ~np.all(zero, axis=-1, keepdims=True)
    if lost.any():
        _warn(name)
    return np.where(lost, np.nan, np.where(bad[..., None], 0.0, rest))


# ---- test data

_NONE = np.zeros((2, 2), bool)

CASES[over_gap] = [Case((2, 2), (2, 2), close=_NONE, lost=_NONE, name="eigh")]
CASES[vectors_of] = domain(lambda x: np.concatenate([x, np.zeros_like(x[:1])]), Case((3, 2)))
