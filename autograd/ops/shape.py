"""Rules of the functions that move elements without computing: shapes, axes, order, repetition, dtype."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..libraries import on_host
from ..numpy_calls import NUMPY
from ..op import differentiable
from ..registry import Operation
from ..tensor import Tensor, constant_of
from .portable import inverse_of
from .register import CASES, Case, composite, methods


def _one_or_many(axes: tuple[Any, ...]):
    """Methods take t.reshape(2, 3) as well as t.reshape((2, 3))."""
    return axes[0] if len(axes) == 1 else axes


def _reshaped(x, *shape, order: str = "C"):
    """The elements in a shape given as numbers or as one tuple, of which one may be -1; see `reshape`."""
    return reshape(x, _one_or_many(shape), order)


def _transposed(x, *axes):
    """The axes in an order given as numbers or as one tuple, by default reversed; see `transpose`."""
    if len(axes) == 2 and all(isinstance(a, int) for a in axes):
        _not_exchanged(x, *axes)
    return transpose(x, axes=_one_or_many(axes) if axes else None)


def _not_exchanged(x, a: int, b: int) -> None:
    """Warn of two numbers that other libraries take as the axes to exchange, and NumPy as an order of all axes."""
    if x.ndim == 2 and (a % 2, b % 2) == (0, 1):
        warnings.warn(
            f"x.transpose({a}, {b}) of a matrix keeps its axes in order, as NumPy's: write x.T, or "
            f"x.swapaxes({a}, {b}), which exchanges two",
            stacklevel=3,
        )
    elif x.ndim > 2:
        raise ValueError(
            f"transpose of shape {x.shape}: it takes all {x.ndim} axes in their new order; x.swapaxes({a}, {b}) "
            f"exchanges two"
        )


def _reshape(x, shape, order: Any = "C"):
    """np.reshape, as Dask's function takes it too."""
    if order != "C":
        return np.reshape(x, shape, order=order)
    return np.reshape(x, (shape,) if shape.__class__ is int else shape)


reshape: Operation = differentiable(
    _reshape,
    lambda g, _y, _x, *, shape, order="C": _reshape(g, _x.shape, order),
    call=lambda a, shape, order="C": ((a,), {"shape": shape, "order": order}),
    methods=methods(reshape=_reshaped),
    name="reshape",
    numpy=[np.reshape],
    view=True,
)
transpose: Operation = differentiable(
    np.transpose,
    lambda g, _y, _x, *, axes=None: np.transpose(g, None if axes is None else inverse_of([a % g.ndim for a in axes])),
    call=lambda a, axes=None: ((a,), {"axes": None if axes is None else tuple(axes)}),
    methods=methods(transpose=_transposed),
    view=True,
)
permute_dims = transpose
swapaxes = differentiable(np.swapaxes, lambda g, *_, axis1, axis2: np.swapaxes(g, axis1, axis2), view=True)
expand_dims = differentiable(np.expand_dims, lambda g, _y, _x, *, axis: np.reshape(g, _x.shape), view=True)
squeeze = differentiable(np.squeeze, lambda g, _y, _x, *, axis=None: np.reshape(g, _x.shape), view=True)
broadcast_to = differentiable(np.broadcast_to, lambda g, *_, shape: g, view=True)


def _cast(x, dtype, *, copy: bool = True) -> tuple[tuple[Any], dict[str, Any]]:
    """A cast to integers or booleans has no gradient: its input is treated as a constant."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fciub":
        raise TypeError(f"astype: a Tensor holds numbers; got {dtype}")
    if isinstance(x, Tensor) and dtype.kind not in "fc":
        x = constant_of(x, f"astype({dtype})")
    return (x,), {"dtype": dtype}


astype = differentiable(
    lambda x, dtype: x.astype(dtype),
    lambda g, *_, dtype: g,  # the walk casts every gradient to its input's dtype
    call=_cast,
    name="astype",
    numpy=[np.astype] if hasattr(np, "astype") else [],
)
copy = differentiable(
    lambda a, order="K": a.copy() if hasattr(a, "dask") else np.copy(a, order),
    lambda g, *_, order="K": g,
    call=lambda a, order="K", subok=False: ((a,), {"order": order}),
    name="copy",
    numpy=[np.copy],
)

# ---- shapes and axes, written with the ops above


def _order(order: str):
    if order not in ("C", "F"):
        raise ValueError(f"order {order!r} depends on how the elements lie in memory; a Tensor takes 'C' or 'F'")
    return order


def _moveaxis(a, source, destination):
    """The axes in `source` go to `destination`; the others keep their order."""
    sources = normalize_axis_tuple(source, np.ndim(a), "source")
    places = normalize_axis_tuple(destination, np.ndim(a), "destination")
    if len(sources) != len(places):
        raise ValueError(f"moveaxis: source and destination need equally many axes; got {source} and {destination}")
    order = [i for i in range(np.ndim(a)) if i not in sources]
    for place, i in sorted(zip(places, sources, strict=True)):
        order.insert(place, i)
    return np.transpose(a, order)


def _rollaxis(a, axis: int, start: int = 0):
    n = np.ndim(a)
    axis, start = normalize_axis_index(axis, n), normalize_axis_index(start, n + 1) if start >= 0 else start + n
    return _moveaxis(a, axis, start - (axis < start))


def _at_least(ndim: int):
    """NumPy puts a vector along axis 1 of three, and a matrix along axes 0 and 1."""

    def one(a):
        shape = np.shape(a)
        if len(shape) >= ndim:
            return a
        if ndim == 3 and shape:
            return np.reshape(a, (1, *shape, 1) if len(shape) == 1 else (*shape, 1))
        return np.reshape(a, (1,) * (ndim - len(shape)) + shape)

    def several(*arrays):
        return one(arrays[0]) if len(arrays) == 1 else tuple(map(one, arrays))

    return several


def _broadcast_arrays(*arrays, subok: bool = False):
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


def _ravel(a, order: str = "C"):
    return np.reshape(a, -1, order=_order(order))


def _flatten(a, order: str = "C"):
    """All elements on one axis; like `ravel`, it may share the memory of this Tensor."""
    return _ravel(a, order)


ravel = composite(_ravel, np.ravel, methods=methods(flatten=_flatten))
moveaxis = composite(_moveaxis, np.moveaxis)
rollaxis = composite(_rollaxis, np.rollaxis)
atleast_1d = composite(_at_least(1), np.atleast_1d)
atleast_2d = composite(_at_least(2), np.atleast_2d)
atleast_3d = composite(_at_least(3), np.atleast_3d)
broadcast_arrays = composite(_broadcast_arrays, np.broadcast_arrays)

# ---- order


def _flip(m, axis=None):
    axes = range(np.ndim(m)) if axis is None else normalize_axis_tuple(axis, np.ndim(m))
    return m[tuple(slice(None, None, -1 if i in axes else 1) for i in range(np.ndim(m)))]


def _rot90(m, k: int = 1, axes: tuple[int, int] = (0, 1)):
    """k quarter turns from the first axis towards the second."""
    if len(normalize_axis_tuple(axes, np.ndim(m), "axes")) != 2:
        raise ValueError(f"rot90: axes are a pair of axes; got {axes}")
    if k % 4 == 0:
        return m[:]
    if k % 4 == 2:
        return _flip(m, axes)
    return np.swapaxes(_flip(m, axes[1]), *axes) if k % 4 == 1 else _flip(np.swapaxes(m, *axes), axes[1])


flip = composite(_flip, np.flip)
fliplr = composite(lambda m: _flip(m, 1), np.fliplr)
flipud = composite(lambda m: _flip(m, 0), np.flipud)
rot90 = composite(_rot90, np.rot90)
roll = differentiable(
    lambda a, shift, axis=None: np.roll(a, shift, axis),
    lambda g, *_, shift, axis=None: np.roll(g, tuple(-s for s in shift) if isinstance(shift, tuple) else -shift, axis),
    call=lambda a, shift, axis=None: (
        (a,),
        {"shift": tuple(shift) if np.ndim(shift) else int(shift), "axis": tuple(axis) if np.ndim(axis) else axis},
    ),
    name="roll",
    numpy=[np.roll],
)

# ---- repetition


def _tile(A, reps):
    """Repeat the whole array side by side, reps[i] times along axis i."""
    reps = (reps,) if np.ndim(reps) == 0 else tuple(reps)
    ndim = max(np.ndim(A), len(reps))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - np.ndim(A)) + np.shape(A)
    pairs = np.reshape(A, [n for size in shape for n in (1, size)])
    pairs = np.broadcast_to(pairs, [n for pair in zip(reps, shape, strict=True) for n in pair])
    return np.reshape(pairs, [r * n for r, n in zip(reps, shape, strict=True)])


def _repeated_back(g, _y, _x, *, repeats: int, axis: int):
    shape = _x.shape
    return np.sum(np.reshape(g, (*shape[: axis + 1], repeats, *shape[axis + 1 :])), axis=axis + 1)


_repeat_each: Operation = differentiable(
    lambda a, repeats, axis: np.repeat(a, repeats, axis), _repeated_back, name="repeat_each"
)


def _repeat(a, repeats, axis: int | None = None):
    """Each element `repeats` times in a row."""
    if axis is None or not np.ndim(a):
        a, axis = np.reshape(a, -1), 0 if axis is None else axis
    axis = normalize_axis_index(axis, a.ndim)
    if np.ndim(repeats):
        places = np.repeat(np.arange(a.shape[axis]), on_host(repeats))  # how many there are depends on numbers
        return a[(slice(None),) * axis + (places,)]
    return _repeat_each(a, repeats=int(repeats), axis=axis)


def _resize(a, new_shape):
    """Fill `new_shape` with the elements, starting again when they run out."""
    shape = (new_shape,) if np.ndim(new_shape) == 0 else tuple(new_shape)
    flat, n = np.reshape(a, -1), math.prod(shape)
    if not math.prod(np.shape(a)):  # nothing to repeat: zeros
        flat = np.concatenate([flat, np.zeros_like(flat, shape=(1,))])
    return np.reshape(flat[np.arange(n, like=flat) % flat.shape[0]], shape)


tile = composite(_tile, np.tile)
repeat = composite(_repeat, np.repeat)
resize = composite(_resize, np.resize, methods={"resize": None})  # that of arrays works in place, and fills with zeros


def _full_like(a, fill_value, dtype=None, shape=None):
    """An array of the shape and dtype of `a` (or those given), filled with a number or Tensor, which gets a gradient.

    >>> full_like(np.zeros(2), 5.0)
    array([5., 5.])
    """
    like = np.zeros_like(a, dtype=dtype, shape=shape)
    if isinstance(fill_value, Tensor):
        return np.broadcast_to(fill_value, like.shape).astype(like.dtype)
    return np.full_like(like, fill_value)


full_like = composite(_full_like, name="full_like")
NUMPY[np.full_like] = full_like  # np.full_like dispatches only on its first argument

# ---- test data

CASES[reshape] = [
    Case((2, 3), shape=(3, 2)),
    Case((2, 3), shape=-1),
    Case((2, 3), shape=(1, -1), order="F"),
    Case((), shape=(1, 1)),
    Case((0, 3), shape=(3, 0)),
]
CASES[transpose] = [Case((2, 3)), Case((2, 3, 4), axes=(1, -1, 0)), Case((2, 3, 4), axes=(-2, 0, -1)), Case(())]
CASES[swapaxes] = [Case((2, 3, 4), axis1=0, axis2=-1), Case((2, 3), axis1=1, axis2=1)]
CASES[expand_dims] = [Case((2, 3), axis=1), Case((2, 3), axis=(0, -1)), Case((), axis=0)]
CASES[squeeze] = [Case((2, 1, 3, 1)), Case((2, 1, 3, 1), axis=-1), Case((1, 2, 1), axis=(0, 2)), Case(())]
CASES[broadcast_to] = [
    Case((3,), shape=(2, 3)),
    Case((2, 1), shape=(4, 2, 3)),
    Case((), shape=(2,)),
    Case((2,), shape=(2,)),
]
CASES[astype] = [Case((2, 3), dtype=np.dtype(np.float64)), Case((), dtype=np.dtype(np.float64))]
CASES[copy] = [Case((2, 3)), Case(())]
CASES[ravel] = [Case((2, 3)), Case((2, 3), order="F"), Case(())]
CASES[moveaxis] = [Case((2, 3, 4), 0, -1), Case((2, 3, 4), [0, 2], [1, 0])]
CASES[rollaxis] = [Case((2, 3, 4), 2), Case((2, 3, 4), 0, 3), Case((2, 3, 4), -1, 1)]
CASES[atleast_1d] = CASES[atleast_3d] = [Case(()), Case((2,)), Case((2, 3)), Case((2, 3, 4))]
CASES[atleast_2d] = [*CASES[atleast_1d], Case((2,), ())]
CASES[broadcast_arrays] = [Case((2, 1), (3,)), Case((2,), ())]
CASES[flip] = [Case((2, 3)), Case((2, 3), axis=-1), Case((2, 3, 4), axis=(0, 2)), Case((0, 2))]
CASES[fliplr] = [Case((2, 3))]
CASES[flipud] = [Case((2, 3)), Case((3,))]
CASES[rot90] = [Case((2, 3), k=k) for k in (0, 1, 2, 3, 4, 6, -1)] + [Case((2, 3, 4), axes=(2, 0))]
CASES[roll] = [Case((2, 3), 1), Case((2, 3), -1, axis=1), Case((2, 3), shift=(1, 2), axis=(0, 1)), Case((5,), 7)]
CASES[tile] = [Case((2, 3), reps=2), Case((2, 3), reps=(2, 1, 3)), Case((3,), reps=(2, 2)), Case((), reps=3)]
CASES[_repeat_each] = [Case((2, 3), repeats=2, axis=1), Case((2, 0), repeats=3, axis=0)]
CASES[repeat] = [Case((2, 3), 2), Case((2, 3), 2, axis=-1), Case((2, 3), np.array([1, 0, 2]), axis=1), Case((), 3)]
CASES[resize] = [Case((2, 3), new_shape=(2, 2)), Case((2,), new_shape=5)]
CASES[full_like] = [Case(np.zeros((2, 3), int), shape, dtype=float) for shape in ((), (3,))]
