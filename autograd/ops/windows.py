"""Windows that slide along an array, and the sum that leads back."""

from __future__ import annotations

import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.lib.stride_tricks import sliding_window_view as _view

from ..op import differentiable
from ..registry import Operation
from .register import CASES, Case


def _call(x, window_shape, axis=None, *, subok: bool = False, writeable: bool = False):
    """Every window of `window_shape` along the axes: (*places, *window_shape), as a view.

    >>> sliding_window_view(np.arange(4.0), 2)
    array([[0., 1.],
           [1., 2.],
           [2., 3.]])
    """
    if writeable:
        raise TypeError("sliding_window_view: a recorded value must not change, so writeable=True is not possible")
    window = tuple(map(operator.index, window_shape if np.iterable(window_shape) else (window_shape,)))
    n = np.ndim(x)
    axes = range(n) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    return (x,), {"window_shape": window, "axis": tuple(normalize_axis_index(a, n) for a in axes)}


def _add_windows(g, *, window_shape: tuple[int, ...], axis: tuple[int, ...]):
    """Add up the windows g (*places, *window_shape), each at its place; one axis after the other."""
    for size, a in zip(reversed(window_shape), reversed(axis), strict=True):
        places = g.shape[a]
        if places < 1:
            raise ValueError(f"add_windows: no windows along axis {a}; got shape {g.shape}")
        whole = np.zeros_like(g, shape=(*g.shape[:a], places + size - 1, *g.shape[a + 1 : -1]))
        part = (slice(None),) * a
        if size <= places:
            for i in range(size):
                whole[(*part, slice(i, i + places))] += g[..., i]
        else:
            windows = np.moveaxis(g, -1, a + 1)
            for i in range(places):
                whole[(*part, slice(i, i + size))] += windows[(*part, i)]
        g = whole
    return g


sliding_window_view: Operation = differentiable(
    lambda x, window_shape, axis: _view(x, window_shape, axis),
    lambda g, _y, _x, *, window_shape, axis: add_windows(g, window_shape=window_shape, axis=axis),
    call=_call,
    name="sliding_window_view",
    numpy=[_view],
    view=True,
)
add_windows: Operation = differentiable(
    _add_windows,
    lambda g, _y, _g, *, window_shape, axis: sliding_window_view(g, window_shape, axis),
    name="add_windows",
)

# ---- test data

CASES[sliding_window_view] = [
    Case((5,), window_shape=2),
    Case((3, 4), window_shape=(2, 3)),
    Case((3, 4), window_shape=3, axis=1),
    Case((6, 2), window_shape=(2, 3), axis=(0, 0)),
    Case((4, 3), window_shape=(2, 3), axis=(1, 0)),
    Case((3,), window_shape=(), axis=()),
]
CASES[add_windows] = [Case((4, 2), window_shape=(2,), axis=(0,))]
