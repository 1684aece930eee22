"""Rules of the norms of vectors and matrices; the gradient of a norm is 0 at 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..op import differentiable
from .decompositions import svd
from .index import array_of
from .portable import largest
from .register import CASES, Case, composite
from .scaling import rescued


def _unit(g, y, axis, keepdims: bool) -> tuple[Any, Any]:
    """g and y with the reduced axes restored, and y safe to divide by."""
    if axis is not None and not keepdims:
        g, y = np.expand_dims(g, axis), np.expand_dims(y, axis)
    return g, np.where(y == 0, 1.0, y)


def _norm2_forward(x, axis=None, keepdims: bool = False):
    return rescued(
        lambda x: np.sqrt(np.sum(np.abs(x) ** 2, axis=axis, keepdims=keepdims)), x, 2.0, axis=axis, keepdims=keepdims
    )


def _p_norm_forward(x, p: float, axis=None, keepdims: bool = False):
    def root(x):
        return np.power(np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims), 1.0 / p)

    return rescued(root, x, p, axis=axis, keepdims=keepdims)


def _norm2_rule(g, y, x, *, axis=None, keepdims: bool = False):
    g, y = _unit(g, y, axis, keepdims)
    return g * (x.conj() / y)


def _p_norm_rule(g, y, x, *, p: float, axis=None, keepdims: bool = False):
    g, y = _unit(g, y, axis, keepdims)
    size = np.abs(x)
    safe = np.where(size == 0, 1.0, size)
    return np.where(size == 0, 0.0, g * (x.conj() / safe) * (safe / y) ** (p - 1.0))


_norm2 = differentiable(
    _norm2_forward,
    _norm2_rule,
    name="norm2",
)
_p_norm = differentiable(
    _p_norm_forward,
    _p_norm_rule,
    call=lambda x, p, axis=None, keepdims=False: ((x,), {"p": p, "axis": axis, "keepdims": keepdims}),
    name="p_norm",
)


def _largest(x, axis=None, keepdims: bool = False):
    """np.max, which is 0 for nothing."""
    if 0 in x.shape:
        return largest(x, axis, keepdims)
    return np.max(x, axis=axis, keepdims=keepdims)


def _vector_norm(x, /, *, axis=None, keepdims: bool = False, ord=2):
    if axis is not None or keepdims:
        axis = tuple(range(np.ndim(x))) if axis is None else normalize_axis_tuple(axis, np.ndim(x))
    if ord == 2:
        return _norm2(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(np.abs(array_of(x)).dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        extreme = _largest if ord > 0 else np.min
        return extreme(np.abs(x), axis=axis, keepdims=keepdims)
    return _p_norm(x, ord, axis=axis, keepdims=keepdims)


def _matrix_norm(x, /, *, keepdims: bool = False, ord="fro"):
    """The norm over the last two axes."""
    if ord == "fro":
        return _norm2(x, axis=(-2, -1), keepdims=keepdims)
    extreme = _largest if ord in ("nuc", 2, 1, np.inf) else np.min
    if ord in (1, -1, np.inf, -np.inf):
        sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
        norm = extreme(sums, axis=-1)
    elif ord in ("nuc", 2, -2):
        norm = (np.sum if ord == "nuc" else extreme)(svd(x, compute_uv=False), axis=-1)
    else:
        raise ValueError(f"norm: {ord!r} is not an order of matrices")
    return norm[..., None, None] if keepdims else norm


def _norm(x, ord=None, axis=None, keepdims: bool = False):
    """NumPy's norm: of vectors along an axis, of matrices along two, of all elements if no order is given."""
    if axis is None and (ord is None or np.ndim(x) == 1):
        return _vector_norm(x, axis=None, keepdims=keepdims, ord=2 if ord is None else ord)
    axes = tuple(range(np.ndim(x))) if axis is None else normalize_axis_tuple(axis, np.ndim(x))
    if len(axes) == 1:
        return _vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"norm: an order needs one axis (vectors) or two (matrices); got shape {np.shape(x)}")
    norm = _matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord="fro" if ord is None else ord)
    return np.expand_dims(norm, axes) if keepdims else norm


norm = composite(_norm, np.linalg.norm)
vector_norm = composite(_vector_norm, np.linalg.vector_norm)
matrix_norm = composite(_matrix_norm, np.linalg.matrix_norm)

# ---- test data

CASES[_norm2] = [Case((3,)), Case((2, 3), axis=0), Case((2, 3, 2), axis=(0, 2), keepdims=True)]
CASES[_p_norm] = [Case((3,), 3.0), Case((2, 3), 2.5, axis=-1), Case((2, 3), -1.5, axis=0, keepdims=True)]
CASES[norm] = [
    *(Case((5,), order) for order in [None, 1, 2, np.inf, -np.inf, 3, 0.5]),
    *(Case((2, 3), order) for order in [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]),
    *(Case((2, 3, 2), 2, axis=(2, 0)), Case((2, 3), 2, 1, True), Case((2, 3, 2))),
    Case((2, 3, 2), "nuc", axis=(0, 1), keepdims=True),
]
CASES[vector_norm] = [Case((2, 3)), Case((2, 3), axis=1, ord=3), Case((2, 3), keepdims=True)]
CASES[matrix_norm] = [Case((2, 3)), Case((2, 2, 3), ord="nuc"), Case((2, 3), keepdims=True, ord=1)]
