"""Quotients by the gaps between eigenvalues or singular values, which are NaN where rounding alone decides a gap.

The vectors of equal eigenvalues are arbitrary.  A function that does not depend on the choice may be smooth there, but
its slope is the limit of 0 / 0, of which a rule sees only the zeros: so no finite number would be right.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..op import differentiable
from ..registry import Operation
from .index import array_of
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


def _over_gap(x, gap, *, close, name: str):
    lost = close & (x != 0)
    if lost.any():
        _warn(name)
    return np.where(lost, np.nan, np.where(close, 0.0, x / np.where(close, 1.0, gap)))


# x / gap; where the gap is `close` to 0, it is 0 for x = 0 and NaN for any other, with a warning.
over_gap: Operation = differentiable(
    _over_gap,
    lambda g, _z, _x, gap, *, close, name: over_gap(g, gap, close=close, name=name),
    lambda g, z, _x, gap, *, close, name: over_gap(-g * z, gap, close=close, name=name),
    name="over_gap",
)

# The last row of a decomposition's packed results is 0, and its gradient is 1 if the walk arrives at the vectors, even
# with gradients of 0: those of log(w) at w = 1 are 0, and yet the vectors matter.
vectors_of: Operation = differentiable(
    lambda rows: rows[...],
    lambda g, *_: np.concatenate([g[..., :-1, :], np.ones_like(g[..., :1, :])], axis=-2),
    name="vectors_of",
    view=True,
)


def arrives(g: Any, row: int) -> bool:
    """Whether the walk arrives at the vectors: at any row of packed results but this one, which are the eigenvalues."""
    g = array_of(g)
    return bool(np.any(g[..., :row, :])) or bool(np.any(g[..., row + 1 :, :]))


def _limit(w: Any) -> Any:
    """The size of a gap that is due to rounding, for eigenvalues (..., n): (..., 1)."""
    return CLOSE * np.finfo(w.dtype).eps * np.max(np.abs(w), axis=-1, keepdims=True, initial=0.0)


def vanishing(w: Any) -> Any:
    """Which of the eigenvalues or singular values (..., n) are 0 to rounding."""
    w = array_of(w)
    return np.abs(w) <= _limit(w)


def between(x: Any, w: Any, gw: Any, *, name: str, condition: Any = 1.0, plus: bool = False) -> Any:
    """`x[i, j] / (w[j] - w[i])` (or `w[j] + w[i]`), and 0 on the diagonal, for x (..., n, n) and w (..., n).

    `gw` are the gradients of w.  In a close pair for which they are not 0, the quotient is NaN.
    `condition` (...,) is that of the eigenvectors, by which errors of rounding in w are multiplied.
    """
    row, column = w[..., None, :], w[..., :, None]
    gap, used, same = row + column if plus else row - column, array_of(gw) != 0, np.eye(w.shape[-1], dtype=bool)
    close = np.abs(array_of(gap)) <= (_limit(array_of(w)) * np.asarray(condition)[..., None])[..., None]
    unseen = close & (used[..., None, :] | used[..., :, None]) & ~same
    x = np.where(same, 0.0, np.where(unseen, 1.0, x))
    return np.where(same, 0.0, over_gap(x, gap, close=close | same, name=name))


def over_singular(x: Any, s: Any, gs: Any) -> Any:
    """The columns of x (..., m, n) divided by the singular values s (..., n), whose gradients are gs."""
    close = vanishing(s)[..., None, :]
    x = np.where(close & (array_of(gs) != 0)[..., None, :], 1.0, x)
    return over_gap(x, np.broadcast_to(s[..., None, :], x.shape), close=np.broadcast_to(close, x.shape), name="svd")


def conditions(v: Any) -> tuple[Any, Any]:
    """The condition numbers (...,) of eigenvectors (..., n, n), and where so large that eigenvalues have no slope.

    An entry of the matrix that is off by eps moves the slope of an eigenvalue by about eps times their square.
    """
    s = np.linalg.svd(array_of(v), compute_uv=False)
    with np.errstate(divide="ignore", over="ignore"):
        condition = np.max(s, axis=-1, initial=0.0) / np.min(s, axis=-1, initial=np.inf)
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

CASES[over_gap] = [Case((2, 2), (2, 2), close=np.zeros((2, 2), bool), name="eigh")]
CASES[vectors_of] = domain(lambda x: np.concatenate([x, np.zeros_like(x[:1])]), Case((3, 2)))
