"""Rules of the functions that move elements without computing: shapes, axes, joining, dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import Case, Operation, differentiable


def _one_or_many(axes: tuple[Any, ...]) -> Any:
    """Methods take t.reshape(2, 3) as well as t.reshape((2, 3))."""
    return axes[0] if len(axes) == 1 else axes


reshape: Operation = differentiable(
    lambda x, shape, order="C": np.reshape(x, shape, order=order),
    lambda g, _y, _x, *, shape, order="C": np.reshape(g, _x.shape, order=order),
    call=lambda a, shape, order="C": ((a,), {"shape": shape, "order": order}),
    methods={"reshape": lambda x, *shape, order="C": reshape(x, _one_or_many(shape), order)},
    name="reshape",
    numpy=[np.reshape],
    cases=[
        Case((2, 3), shape=(3, 2)),
        Case((2, 3), shape=-1),
        Case((2, 3), shape=(1, -1), order="F"),
        Case((), shape=(1, 1)),
        Case((0, 3), shape=(3, 0)),
    ],
)
transpose: Operation = differentiable(
    np.transpose,
    lambda g, _y, _x, *, axes=None: np.transpose(g, None if axes is None else np.argsort([a % g.ndim for a in axes])),
    methods={"transpose": lambda x, *axes: transpose(x, axes=_one_or_many(axes) if axes else None)},
    cases=[Case((2, 3)), Case((2, 3, 4), axes=(1, -1, 0)), Case((2, 3, 4), axes=(-2, 0, -1)), Case(())],
)
swapaxes = differentiable(
    np.swapaxes,
    lambda g, *_, axis1, axis2: np.swapaxes(g, axis1, axis2),
    cases=[Case((2, 3, 4), axis1=0, axis2=-1), Case((2, 3), axis1=1, axis2=1)],
)
expand_dims = differentiable(
    np.expand_dims,
    lambda g, _y, _x, *, axis: np.reshape(g, _x.shape),
    cases=[Case((2, 3), axis=1), Case((2, 3), axis=(0, -1)), Case((), axis=0)],
)
squeeze = differentiable(
    np.squeeze,
    lambda g, _y, _x, *, axis=None: np.reshape(g, _x.shape),
    cases=[Case((2, 1, 3, 1)), Case((2, 1, 3, 1), axis=-1), Case((1, 2, 1), axis=(0, 2)), Case(())],
)
broadcast_to = differentiable(
    np.broadcast_to,
    lambda g, *_, shape: g,
    cases=[Case((3,), shape=(2, 3)), Case((2, 1), shape=(4, 2, 3)), Case((), shape=(2,)), Case((2,), shape=(2,))],
)


def _cast(x: Any, dtype: Any, *, copy: bool = True) -> tuple[tuple[Any], dict[str, Any]]:
    """A cast to integers or booleans has no gradient: its input counts as a constant."""
    smooth = np.dtype(dtype).kind in "fc"
    return (x if smooth or not hasattr(x, "detach") else x.detach(),), {"dtype": np.dtype(dtype)}


astype = differentiable(
    lambda x, dtype: x.astype(dtype),
    lambda g, *_, dtype: g,  # the walk gives every gradient its input's dtype
    call=_cast,
    name="astype",
    numpy=[np.astype] if hasattr(np, "astype") else [],
    cases=[Case((2, 3), dtype=np.dtype(np.float64)), Case((), dtype=np.dtype(np.float64))],
)

# ---- joining


def _part(i: int, g: Any, _y: Any, *_arrays: Any, axis: int | None) -> Any:
    """The part of g that array i filled."""
    if axis is None:
        sizes = [int(np.prod(a.shape)) for a in _arrays]
        return np.reshape(g[sum(sizes[:i]) : sum(sizes[: i + 1])], _arrays[i].shape)
    axis %= g.ndim
    sizes = [a.shape[axis] for a in _arrays]
    return g[(slice(None),) * axis + (slice(sum(sizes[:i]), sum(sizes[: i + 1])),)]


concatenate = differentiable(
    lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    every=_part,
    call=lambda arrays, axis=0: (tuple(arrays), {"axis": axis}),
    name="concatenate",
    numpy=[np.concatenate],
    cases=[
        Case([(2, 3), (1, 3)]),
        Case([(2, 3), (2, 1), (2, 2)], axis=-1),
        Case([(2, 3), (2,)], axis=None),
        Case([(0, 3), (2, 3)], axis=0),
        Case([(2,)]),
    ],
)
stack = differentiable(
    lambda *arrays, axis: np.stack(arrays, axis=axis),
    every=lambda i, g, _y, *_arrays, axis: g[(slice(None),) * (axis % g.ndim) + (i,)],
    call=lambda arrays, axis=0: (tuple(arrays), {"axis": axis}),
    name="stack",
    numpy=[np.stack],
    cases=[Case([(2, 3), (2, 3)]), Case([(2, 3), (2, 3)], axis=-1), Case([(), ()]), Case([(2,)], axis=1)],
)
