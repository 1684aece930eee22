"""Node types that move, join, split and select numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd import Tensor, add_at, set_at

from ... import functional as F
from .values import DTYPES, array, axes_of, ints, refuse


def reshape(x: Any, shape: Any, allowzero: int = 0) -> Any:
    old = np.shape(x)
    new = [old[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))]
    return np.reshape(x, tuple(new))


def flatten(x: Any, axis: int = 1) -> Any:
    shape = np.shape(x)
    axis = axis + len(shape) if axis < 0 else axis
    return np.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def transpose(x: Any, perm: Sequence[int] | None = None) -> Any:
    return np.transpose(x, perm)


def squeeze(x: Any, axes: Any = None) -> Any:
    return np.squeeze(x, axis=axes_of(axes) if axes is not None else None)


def unsqueeze(x: Any, axes: Any) -> Any:
    return np.expand_dims(x, axes_of(axes))


def concat(*inputs: Any, axis: int) -> Any:
    return inputs[0] if len(inputs) == 1 else np.concatenate(inputs, axis=axis)


def split(x: Any, split: Any = None, axis: int = 0, num_outputs: int | None = None, outputs: int = 1) -> Any:
    size = np.shape(x)[axis]
    each = -(-size // (num_outputs or outputs))
    sizes = ints(split) if split is not None else [max(0, min(each, size - i * each)) for i in range(outputs)]
    ends = np.cumsum([0, *sizes])
    before = (slice(None),) * (axis % np.ndim(x))
    return tuple(x[(*before, slice(int(a), int(b)))] for a, b in itertools.pairwise(ends))


def slice_(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    first, last = ints(starts), ints(ends)
    along = ints(axes) if axes is not None else tuple(range(len(first)))
    by = ints(steps) if steps is not None else (1,) * len(first)
    index = [slice(None)] * np.ndim(x)
    for axis, a, b, step in zip(along, first, last, by, strict=True):
        n = np.shape(x)[axis]
        before = step < 0 and b < -n  # an end before the first element, which slice calls None
        index[axis] = slice(a, None if before else b, step)
    return x[tuple(index)]


def gather(x: Any, indices: Any, axis: int = 0) -> Any:
    indices = array(indices)
    before = (slice(None),) * (axis % np.ndim(x))
    return x[(*before, indices.astype(np.intp))]


def gather_elements(x: Any, indices: Any, axis: int = 0) -> Any:
    return x[_places(array(indices), np.shape(x), axis)]


def _places(indices: Any, shape: Sequence[int], axis: int) -> tuple[Any, ...]:
    """An index for each element of `indices`, which counts along `axis`."""
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = np.where(indices < 0, indices + shape[axis], indices)
    return tuple(np.broadcast_arrays(*grid))


def gather_nd(x: Any, indices: Any, batch_dims: int = 0) -> Any:
    indices = array(indices)
    index = tuple(np.moveaxis(indices, -1, 0))
    batch = [np.arange(n).reshape((-1, *(1,) * (indices.ndim - 2 - i))) for i, n in enumerate(np.shape(x)[:batch_dims])]
    return x[(*batch, *index)]


def scatter_nd(x: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
    indices = array(indices)
    return _scattered(x, tuple(np.moveaxis(indices, -1, 0)), updates, reduction)


def scatter_elements(x: Any, indices: Any, updates: Any, axis: int = 0, reduction: str = "none") -> Any:
    return _scattered(x, _places(array(indices), np.shape(x), axis), updates, reduction)


def _scattered(x: Any, index: Any, updates: Any, reduction: str) -> Any:
    if reduction in ("none", "add"):
        if isinstance(x, Tensor) or isinstance(updates, Tensor):
            return (set_at if reduction == "none" else add_at)(x, index, updates)
        made = x.copy()
        if reduction == "none":
            made[index] = updates
        else:
            np.add.at(made, index, updates)
        return made
    functions = {"mul": np.multiply, "max": np.maximum, "min": np.minimum}
    if reduction not in functions:
        refuse(f"has reduction={reduction!r}")
    if any(isinstance(value, Tensor) and value.requires_grad for value in (x, updates)):
        refuse(f"has reduction={reduction!r}, which has no gradient here")
    made = array(x).copy()
    functions[reduction].at(made, index, array(updates))
    return made


def shape(x: Any, start: int = 0, end: int | None = None) -> Any:
    return np.array(np.shape(x)[start:end], np.int64)


def size(x: Any) -> Any:
    return np.array(math.prod(np.shape(x)), np.int64)


def expand(x: Any, shape: Any) -> Any:
    return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), ints(shape)))


def tile(x: Any, repeats: Any) -> Any:
    return np.tile(x, ints(repeats))


def pad(x: Any, pads: Any, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
    """`value` is an attribute up to opset 10, and the input `constant_value` since."""
    widths = ints(pads)
    along = ints(axes) if axes is not None else tuple(range(np.ndim(x)))
    if min(widths, default=0) < 0:
        x, widths = _cropped(x, along, widths)
    width = [(0, 0)] * np.ndim(x)
    for i, axis in enumerate(along):
        width[axis] = widths[i], widths[i + len(along)]
    if mode == "constant":
        fill = 0 if value is None else np.ravel(array(value))[0].item()
        return np.pad(x, width, constant_values=fill)
    modes: Any = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    return np.pad(x, width, mode=modes[mode])


def _cropped(x: Any, along: Sequence[int], widths: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Negative pads take away."""
    index = [slice(None)] * np.ndim(x)
    for i, axis in enumerate(along):
        before, after = widths[i], widths[i + len(along)]
        index[axis] = slice(max(0, -before), np.shape(x)[axis] - max(0, -after))
    return x[tuple(index)], tuple(max(0, n) for n in widths)


def identity(x: Any) -> Any:
    return x


def constant(
    value: Any = None, value_float: Any = None, value_int: Any = None, value_floats: Any = None, value_ints: Any = None
) -> Any:
    if value is not None:
        return value
    if value_float is not None or value_floats is not None:
        return np.array(value_float if value_floats is None else value_floats, np.float32)
    return np.array(value_int if value_ints is None else value_ints, np.int64)


def constant_of_shape(shape: Any, value: Any = None) -> Any:
    value = np.zeros(1, np.float32) if value is None else value
    return np.full(ints(shape), value.ravel()[0], value.dtype)


def range_(start: Any, limit: Any, delta: Any) -> Any:
    start, limit, delta = map(array, (start, limit, delta))
    n = max(0, math.ceil((limit.item() - start.item()) / delta.item()))
    return (start + np.arange(n) * delta).astype(start.dtype)


def nonzero(x: Any) -> Any:
    return np.array(np.nonzero(np.atleast_1d(array(x))), np.int64)


def top_k(x: Any, k: Any, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    data = array(x)
    order = np.argsort(-data if largest and data.dtype.kind in "fi" else data, axis=axis, kind="stable")
    if largest and data.dtype.kind == "u":
        order = np.flip(order, axis)
    chosen = np.take(order, np.arange(ints(k)[0]), axis=axis)
    return gather_elements(x, chosen, axis), chosen.astype(np.int64)


def depth_to_space(x: Any, blocksize: int, mode: str = "DCR") -> Any:
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    n, c, h, w = np.shape(x)
    b = blocksize
    parts = np.transpose(np.reshape(x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    return np.reshape(parts, (n, c // (b * b), h * b, w * b))


def space_to_depth(x: Any, blocksize: int, mode: str = "DCR") -> Any:
    n, c, h, w = np.shape(x)
    b = blocksize
    parts = np.reshape(x, (n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return np.reshape(np.transpose(parts, order), (n, c * b * b, h // b, w // b))


def one_hot(indices: Any, depth: Any, values: Any, axis: int = -1) -> Any:
    indices, (n,), (off, on) = array(indices), ints(depth), array(values)
    places = np.arange(n).reshape(-1, *(1,) * (-1 - axis if axis < 0 else indices.ndim - axis))
    return np.where(np.expand_dims(np.where(indices < 0, indices + n, indices), axis) == places, on, off)


def eye_like(x: Any, dtype: int | None = None, k: int = 0) -> Any:
    rows, columns = np.shape(x)
    own: Any = array(x).dtype if dtype is None else DTYPES[dtype]
    return np.eye(rows, columns, k, own)


def compress(x: Any, condition: Any, axis: int | None = None) -> Any:
    kept = np.flatnonzero(array(condition))
    return np.reshape(x, -1)[kept] if axis is None else gather(x, kept, axis)


def reverse_sequence(x: Any, lengths: Any, batch_axis: int = 1, time_axis: int = 0) -> Any:
    steps = np.arange(np.shape(x)[time_axis])
    lengths = array(lengths)[:, None]
    turned = np.where(steps < lengths, lengths - 1 - steps, steps)  # (n, T)
    turned = turned if batch_axis < time_axis else turned.T
    wanted = np.reshape(turned, (*turned.shape, *(1,) * (np.ndim(x) - 2)))
    return gather_elements(x, np.broadcast_to(wanted, np.shape(x)), time_axis)


def dropout(x: Any, ratio: Any = 0.5, training_mode: Any = None, seed: int | None = None) -> Any:
    """x: a loaded model predicts, also while it is trained, unless the file itself says that this node drops."""
    share, drops = float(array(ratio)), training_mode is not None and bool(array(training_mode))
    if drops and share:
        keep = np.random.default_rng(seed).random(np.shape(x)) >= share
        return np.where(keep, x / (1 - share), 0.0), keep
    return x, np.ones(np.shape(x), bool)


SHAPES: dict[str, Callable[..., Any]] = {
    "Reshape": reshape, "Flatten": flatten, "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Concat": concat, "Split": split, "Slice": slice_, "Gather": gather, "GatherElements": gather_elements,
    "GatherND": gather_nd, "ScatterND": scatter_nd, "ScatterElements": scatter_elements, "Scatter": scatter_elements,
    "Shape": shape, "Size": size, "Expand": expand, "Tile": tile, "Pad": pad, "Identity": identity,
    "Constant": constant, "ConstantOfShape": constant_of_shape, "Range": range_, "NonZero": nonzero, "TopK": top_k,
    "DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth, "OneHot": one_hot, "EyeLike": eye_like,
    "Compress": compress, "ReverseSequence": reverse_sequence, "Dropout": dropout,
}  # fmt: skip
