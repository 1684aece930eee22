"""The windows of a kernel that slides over an array: which inputs each output reads, in blocks that fit a cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..placement import is_elsewhere

BLOCK = 2**17  # numbers: 512 KB of float32, which fit in the L2 cache of one core
FEW = 8  # with fewer channels than this, windows are gathered along the last axis instead of along the channels

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
Block = tuple[slice, slice]  # samples, and rows of the output


@dataclass(frozen=True)
class Windows:
    """Windows over arrays (n, *sizes, channels), with the channels last.

    The window of output i on one axis begins at input `i * stride - padding[0]`, and has `kernel` inputs that are
    `dilation` apart.
    """

    sizes: Ints
    kernel: Ints
    stride: Ints
    padding: Pads
    dilation: Ints

    @property
    def outputs(self) -> Ints:
        """How many windows there are on each axis."""
        return self._count([size + sum(pad) for size, pad in zip(self.sizes, self.padding, strict=True)])

    def _count(self, sizes: Sequence[int]) -> Ints:
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        return tuple((size - r) // s + 1 for size, r, s in zip(sizes, reach, self.stride, strict=True))

    def blocks(self, n: int, width: int) -> Iterator[Block]:
        """Blocks of the output whose windows, of `width` numbers each, are about `BLOCK` numbers."""
        outputs = self.outputs
        rows, row = outputs[0], math.prod(outputs[1:]) * width
        if not n * rows * row:
            return
        samples = max(1, BLOCK // (rows * row))
        step = max(1, min(rows, BLOCK // row))
        for i in range(0, n, samples):
            for j in range(0, rows, step):
                yield slice(i, min(i + samples, n)), slice(j, min(j + step, rows))

    def _reach(self, rows: slice) -> list[tuple[int, int]]:
        """From where to where on each axis the inputs of these rows reach; into the padding too."""
        ends = [(rows.start, rows.stop - 1), *((0, n - 1) for n in self.outputs[1:])]
        return [
            (first * s - pad, last * s - pad + d * (k - 1) + 1)
            for (first, last), k, s, (pad, _), d in zip(
                ends, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        ]

    def _inside(self, rows: slice) -> tuple[list[slice], list[slice]]:
        """The part of a tile that is not padding, and where it lies in the input."""
        tile, array = [], []
        for (start, stop), size in zip(self._reach(rows), self.sizes, strict=True):
            a = min(max(start, 0), size)
            b = max(min(stop, size), a)
            tile.append(slice(a - start, b - start) if b > a else slice(0))
            array.append(slice(a, b))
        return tile, array

    def empty_tile(self, block: Block, channels: int, like: Any) -> Any:
        """A new tile (samples, *sizes, channels) for the inputs that a block reads."""
        samples, rows = block
        shape = (samples.stop - samples.start, *(stop - start for start, stop in self._reach(rows)))
        if channels < FEW:
            return np.moveaxis(np.zeros((channels, *shape), like.dtype, like=like), 0, -1)
        return np.zeros((*shape, channels), like.dtype, like=like)

    def tile(self, x: Any, block: Block) -> Any:
        """The inputs that a block reads, and zeros around them."""
        tile = self.empty_tile(block, x.shape[-1], x)
        inside, array = self._inside(block[1])
        tile[:, *inside] = x[block[0], *array]
        return tile

    def add(self, x: Any, block: Block, tile: Any) -> None:
        """Add a tile to the inputs that its block reads."""
        inside, array = self._inside(block[1])
        x[block[0], *array] += tile[:, *inside]

    def view(self, tile: Any) -> Any:
        """The windows (samples, *outputs, *kernel, channels) of a tile, in the tile's memory."""
        if is_elsewhere(tile):
            return self._view_elsewhere(tile)
        n, *along, channel = tile.strides
        strides = [a * s for a, s in zip(along, self.stride, strict=True)]
        strides += [a * d for a, d in zip(along, self.dilation, strict=True)]
        shape = (len(tile), *self._count(tile.shape[1:-1]), *self.kernel, tile.shape[-1])
        return np.lib.stride_tricks.as_strided(tile, shape, (n, *strides, channel), writeable=False)

    def _view_elsewhere(self, tile: Any) -> Any:
        """The same by a function that other libraries have."""
        axes, reach = (
            range(1, 1 + len(self.kernel)),
            [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)],
        )
        view = np.lib.stride_tricks.sliding_window_view(tile, tuple(reach), tuple(axes))
        steps = [slice(None, None, step) for step in (*self.stride, 1, *self.dilation)]
        return np.moveaxis(view[:, *steps], 1 + len(self.kernel), -1)

    def columns(self, tile: Any) -> Any:
        """The windows of a tile as a matrix (windows, kernel * channels)."""
        view = self.view(tile)
        axes = 1 + len(self.kernel)
        n, width = math.prod(view.shape[:axes]), math.prod(view.shape[axes:])
        if tile.shape[-1] >= FEW:
            return view.reshape(n, width)
        return view.transpose(*range(axes, view.ndim), *range(axes)).reshape(width, n).T

    def taps(self, tile: Any) -> Iterator[tuple[Ints, Any]]:
        """For each place in the kernel, the part (samples, *outputs, channels) of a tile that lies under it."""
        counts = self._count(tile.shape[1:-1])
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            part = (slice(a, a + s * (c - 1) + 1, s) for a, s, c in zip(starts, self.stride, counts, strict=True))
            yield tap, tile[:, *part]


def last(x: Any) -> Any:
    """A view of x (n, channels, *sizes) with its channels last."""
    return np.moveaxis(x, 1, -1)


def first(x: Any) -> Any:
    """The reverse of `last`."""
    return np.moveaxis(x, -1, 1)


# ---- arguments


def same_shape(what: str, given: Sequence[int], needed: Sequence[int]) -> None:
    """Raise ValueError for a shape, or part of one, that NumPy would stretch to another."""
    if tuple(given) != tuple(needed):
        raise ValueError(f"{what} has shape {tuple(needed)}; got {tuple(given)}")


def per_axis(name: str, value: int | Sequence[int], axes: int, what: str, least: int) -> Ints:
    """One whole number per axis."""
    given = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value,) * axes
    if len(given) != axes or not all(isinstance(n, int | np.integer) and n >= least for n in given):
        raise ValueError(f"{name}: {what} is a whole number from {least}, or {axes} of them; got {value!r:.60}")
    return tuple(map(int, given))


def pads_of(name: str, padding: Any, kernel: Ints, stride: Ints, dilation: Ints) -> Pads:
    """How many zeros stand before and after the numbers of each axis."""
    if padding == "same":
        if set(stride) != {1}:
            raise ValueError(f"{name}: padding='same' needs stride 1; got {stride}")
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((n // 2, n - n // 2) for n in totals)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{name}: padding is 'same', 'valid' or whole numbers; got {padding!r}")
    return tuple((n, n) for n in per_axis(name, 0 if padding == "valid" else padding, len(kernel), "padding", 0))
