"""Rules of the norms of vectors and matrices; the gradient of a norm is 0 at 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import Case, composite, differentiable
from .decompositions import plain, svd


def _unit(g: Any, y: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """g and y with the reduced axes back, and a y that can be divided by."""
    if axis is not None and not keepdims:
        g, y = np.expand_dims(g, axis), np.expand_dims(y, axis)
    return g, np.where(y == 0, 1.0, y)


def _norm2_rule(g: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    g, y = _unit(g, y, axis, keepdims)
    return g * (x.conj() / y)


def _p_norm_rule(g: Any, y: Any, x: Any, *, p: float, axis: Any = None, keepdims: bool = False) -> Any:
    g, y = _unit(g, y, axis, keepdims)
    size = np.abs(x)
    safe = np.where(size == 0, 1.0, size)
    return np.where(size == 0, 0.0, g * (x.conj() / safe) * (safe / y) ** (p - 1.0))


_norm2 = differentiable(
    lambda x, axis=None, keepdims=False: np.sqrt(np.sum(np.abs(x) ** 2, axis=axis, keepdims=keepdims)),
    _norm2_rule,
    name="norm2",
    cases=[Case((3,)), Case((2, 3), axis=0), Case((2, 3, 2), axis=(0, 2), keepdims=True)],
)
_p_norm = differentiable(
    lambda x, p, axis=None, keepdims=False: np.power(np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims), 1.0 / p),
    _p_norm_rule,
    call=lambda x, p, axis=None, keepdims=False: ((x,), {"p": p, "axis": axis, "keepdims": keepdims}),
    name="p_norm",
    cases=[Case((3,), 3.0), Case((2, 3), 2.5, axis=-1), Case((2, 3), -1.5, axis=0, keepdims=True)],
)


def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    if axis is None and keepdims:
        axis = tuple(range(np.ndim(x)))
    if ord == 2:
        return _norm2(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(np.abs(plain(x)).dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        extreme = np.max if ord > 0 else np.min
        return extreme(np.abs(x), axis=axis, keepdims=keepdims)
    return _p_norm(x, ord, axis=axis, keepdims=keepdims)


def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Of the last two axes."""
    if ord == "fro":
        return _norm2(x, axis=(-2, -1), keepdims=keepdims)
    extreme = np.max if ord in ("nuc", 2, 1, np.inf) else np.min
    if ord in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
        norm = extreme(sums, axis=-1)
    elif ord in ("nuc", 2, -2):
        norm = (np.sum if ord == "nuc" else extreme)(svd(x, compute_uv=False), axis=-1)
    else:
        raise ValueError(f"norm: {ord!r} is not an order of matrices")
    return norm[..., None, None] if keepdims else norm


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """NumPy's norm: of vectors along an axis, of matrices along two, of all elements if no order is given."""
    if axis is None and (ord is None or np.ndim(x) == 1):
        return _vector_norm(x, axis=None, keepdims=keepdims, ord=2 if ord is None else ord)
    axes = tuple(range(np.ndim(x))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return _vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"norm: an order needs one axis (vectors) or two (matrices); got shape {np.shape(x)}")
    norm = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord="fro" if ord is None else ord)
    return np.expand_dims(norm, axes) if keepdims else norm


_ORDERS = [None, 0, 1, 2, np.inf, -np.inf, 3, 0.5]
_MATRIX = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]
norm = composite(
    _norm,
    np.linalg.norm,
    cases=[Case((5,), o) for o in _ORDERS if o != 0]
    + [Case((2, 3), o) for o in _MATRIX]
    + [Case((2, 3, 2), 2, axis=(2, 0)), Case((2, 3), 2, 1, True), Case((2, 3, 2))]
    + [Case((2, 3, 2), "nuc", axis=(0, 1), keepdims=True)],
)
vector_norm = composite(
    _vector_norm, np.linalg.vector_norm, cases=[Case((2, 3)), Case((2, 3), axis=1, ord=3), Case((2, 3), keepdims=True)]
)
matrix_norm = composite(
    _matrix_norm,
    np.linalg.matrix_norm,
    cases=[Case((2, 3)), Case((2, 2, 3), ord="nuc"), Case((2, 3), keepdims=True, ord=1)],
)
