"""Means and variances of arrays, and what norms do with them, in few passes over blocks that stay in the cache.

A norm is y = (x - mean) * scale * weight + bias.  `Channels` and `Rows` see x as a matrix and pass over blocks of its
rows.  Sums are products with ones, and small operands are repeated to the size of a block: each takes half the time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..placement import is_elsewhere
from .windows import last

BLOCK = 2**15  # numbers: six arrays of float32 fit in the L2 cache of one core
SPAN = 2**18  # numbers of whole samples that are passed over twice
FAR = 8.0  # deviations: a mean further from 0 is subtracted first, as x * factor + shift would lose its digits


def wide(x: Any) -> Any:
    """float16 as float32: float16 has no squares above 256."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


@np.errstate(over="ignore", invalid="ignore")  # what leaves the range of the dtype is computed again
def apart(x: Any, axis: Any, eps: float, center: bool, size: Any = 1.0) -> tuple[Any, Any, Any]:
    """x, or with `center` its distance from the mean; one over its scale; and the size that x was divided by."""
    part = x - np.mean(x, axis=axis, keepdims=True) if center else x
    square = np.mean(part * part, axis=axis, keepdims=True)
    if is_elsewhere(square) or np.isfinite(square).all() or np.ndim(size):
        return part, 1.0 / np.sqrt(square + eps / size / size), size
    exponent = np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=1.0))[1]
    size = np.ldexp(np.ones((), x.dtype), exponent - 1)
    return apart(x / size, axis, eps, center, size)


@functools.lru_cache(16)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def _chunks(start: int, stop: int, step: int) -> Iterator[slice]:
    for i in range(start, stop, step):
        yield slice(i, min(i + step, stop))


class Known(NamedTuple):
    """What the forward pass keeps for the way back.

    (source - mean) * scale is x with variance 1, or `source` * scale with `Rows`.  `inverse` is its derivative by x:
    `scale`, unless x was too large to be squared.  Then, and where x is far from 0, `source` is x, or a part of it,
    without its mean; otherwise it is x, here None, for which a factor and a shift are enough.
    """

    source: Any
    mean: Any
    scale: Any
    inverse: Any
    variance: Any


class Channels:
    """x (n, channels, *sizes) as rows of one channel of a sample or, with channels last in memory, of all channels.

    Its statistics are (n, channels), or (1, channels) of a batch with channels last.  With 0 `groups`, all samples
    share the statistics of a channel; otherwise each sample has those of its groups of channels.
    """

    def __init__(self, x: Any, groups: int) -> None:
        n, self.channels = x.shape[:2]
        self.groups, self.shape, self.dtype = groups, x.shape, x.dtype
        self.last = last(x).flags.c_contiguous and (not groups or x.ndim > 2)
        self.samples = 1 if self.last and not groups else n
        self.count = x.size // (n * groups if groups else self.channels)  # of numbers that share a mean
        self.length = x.size // (self.samples * self.channels)
        self.width = self.channels if self.last else self.length
        rows, block = (self.length, BLOCK) if self.last else (n * self.channels, 4 * BLOCK)
        self.step = max(1, min(rows, block // self.width))

    def matrix(self, a: Any) -> Any:
        return (last(a) if self.last else a).reshape(-1, self.width)

    def empty(self, x: Any) -> tuple[Any, Any]:
        """A new array like x, and its matrix."""
        array = np.empty_like(x) if self.last else np.empty(self.shape, self.dtype)
        return array, self.matrix(array)

    def pool(self, sums: Any) -> Any:
        """The means, given the sums over each channel of each sample."""
        if not self.groups:
            return np.broadcast_to(sums.sum(0) / self.count, sums.shape)
        of_groups = sums.reshape(len(sums), self.groups, -1).sum(-1) / self.count
        return np.repeat(of_groups, self.channels // self.groups, axis=1)

    def spans(self) -> Iterator[slice]:
        """Samples whose statistics do not depend on those of others, as many as fit a cache."""
        few = max(1, SPAN // (self.length * self.channels)) if self.groups else self.samples
        return _chunks(0, self.samples, few)

    def walk(self, samples: slice, *statistics: Any) -> Iterator[Any]:
        """Blocks of rows, the sample of each, and these statistics as operands for the block."""
        if not self.last:
            columns = [own.reshape(-1, 1) for own in statistics]
            for rows in _chunks(samples.start * self.channels, samples.stop * self.channels, self.step):
                yield rows, 0, *(column[rows] for column in columns)
            return
        for i in range(samples.start, samples.stop):
            wide = [np.repeat(own[i : i + 1], self.step, axis=0) for own in statistics]
            for rows in _chunks(i * self.length, (i + 1) * self.length, self.step):
                yield rows, i, *(own[: rows.stop - rows.start] for own in wide)

    def add(self, sums: Any, rows: slice, i: int, block: Any) -> None:
        """Add the sums over a block's channels to those of all."""
        if self.last:
            sums[i] += np.dot(_ones(len(block), self.dtype), block)
        else:
            np.dot(block, _ones(self.width, self.dtype), out=sums.reshape(-1)[rows])

    def zeros(self) -> Any:
        return np.zeros((self.samples, self.channels), self.dtype)

    def scratch(self) -> Any:
        return np.empty((self.step, self.width), self.dtype)

    @np.errstate(over="ignore", invalid="ignore")
    def known(self, x: Any, eps: float) -> Known:
        array, x, scratch = x, self.matrix(x), self.scratch()
        sums, squares, mean = self.zeros(), self.zeros(), self.zeros()
        for samples in self.spans():
            for rows, i in self.walk(samples):
                self.add(sums, rows, i, x[rows])
            mean[samples] = self.pool(sums[samples])
            for rows, i, own in self.walk(samples, mean):
                part = np.subtract(x[rows], own, out=scratch[: rows.stop - rows.start])
                self.add(squares, rows, i, np.multiply(part, part, out=part))
        variance = self.pool(squares)
        if not np.isfinite(variance).all():
            return self._apart(array, mean, variance, eps)
        if (mean * mean > FAR * FAR * variance).any():
            near = array - mean.reshape(*mean.shape, *(1,) * (array.ndim - 2))
            return self._apart(near, mean, variance, eps)
        scale = 1.0 / np.sqrt(variance + eps)
        return Known(None, mean, scale, scale, variance)

    def _apart(self, x: Any, mean: Any, variance: Any, eps: float) -> Known:
        """What is known of numbers too large to be squared, or of these without their mean, but for its rounding."""
        if self.groups:
            x = np.reshape(x, (self.samples, self.groups, -1))
        part, scale, size = apart(x, 2 if self.groups else (0, *range(2, x.ndim)), eps, True)
        factors = [np.reshape(own, (-1, self.groups or self.channels)) for own in (scale, scale / size)]
        factors = [np.repeat(own, self.channels // own.shape[1], axis=1) for own in factors]
        scale, inverse = (np.broadcast_to(own, mean.shape) for own in factors)
        return Known(part.reshape(self.shape), mean, scale, inverse, variance)

    def middle(self, known: Known) -> Any:
        """The means of what `forward` and `back` pass over."""
        return known.mean if known.source is None else np.zeros_like(known.mean)

    def forward(self, x: Any, known: Known, weight: Any, bias: Any) -> Any:
        array, y = self.empty(x)
        x = self.matrix(x if known.source is None else known.source)
        slope = known.scale if weight is None else known.scale * weight
        shift = -self.middle(known) * slope if bias is None else bias - self.middle(known) * slope
        for rows, _, slopes, shifts in self.walk(slice(0, self.samples), slope, shift):
            block = np.multiply(x[rows], slopes, out=y[rows])
            block += shifts
        return array

    def back(self, g: Any, x: Any, known: Known, weight: Any) -> list[Any]:
        """The gradients of x, weight and bias."""
        source, _, scale, inverse, _ = known
        mean = self.middle(known)
        array, gx = self.empty(x)
        x, g = self.matrix(x if source is None else source), self.matrix(g)
        weight = _ones(self.channels, self.dtype) if weight is None else weight
        scratch, sums, products = self.scratch(), self.zeros(), self.zeros()
        slope, factors = inverse * weight, np.zeros((2, *sums.shape), self.dtype)
        for samples in self.spans():
            for rows, i in self.walk(samples):
                block = g[rows]
                self.add(sums, rows, i, block)
                self.add(products, rows, i, np.multiply(block, x[rows], out=scratch[: len(block)]))
            of_g, of_x = sums[samples], products[samples]
            of_x -= mean[samples] * of_g
            of_x *= scale[samples]
            factor = -inverse[samples]
            along = self.pool(of_x * weight) * factor * scale[samples]
            factors[0, samples], factors[1, samples] = along, self.pool(of_g * weight) * factor - along * mean[samples]
            for rows, _, slopes, alongs, shifts in self.walk(samples, slope, *factors):
                block = np.multiply(x[rows], alongs, out=gx[rows])
                block += np.multiply(g[rows], slopes, out=scratch[: len(block)])
                block += shifts
        return [array, products.sum(0), sums.sum(0)]


class Rows:
    """x (..., *sizes) as rows of the last `axes`, each with a mean of its own, or with a mean of 0 unless `center`."""

    def __init__(self, x: Any, axes: int, center: bool) -> None:
        self.shape, self.dtype, self.inner, self.center = x.shape, x.dtype, x.shape[-axes:], center
        self.length = math.prod(self.inner)
        self.step = max(1, min(x.size // self.length, BLOCK // self.length))

    def matrix(self, a: Any) -> Any:
        return a.reshape(-1, self.length)

    def walk(self, *weights: Any) -> Iterator[Any]:
        """Blocks of rows, and the weights of a row as operands for a block."""
        wide = [w if w is None else np.repeat(w.reshape(1, -1), self.step, axis=0) for w in weights]
        for rows in _chunks(0, math.prod(self.shape) // self.length, self.step):
            yield rows, *(w if w is None else w[: rows.stop - rows.start] for w in wide)

    @np.errstate(over="ignore", invalid="ignore")
    def known(self, x: Any, eps: float) -> Known:
        x, ones = self.matrix(x), _ones(self.length, self.dtype)
        mean, variance = np.zeros((2, len(x), 1), self.dtype)
        source, scratch = np.empty_like(x) if self.center else x, np.empty((self.step, self.length), self.dtype)
        for (rows,) in self.walk():
            part = x[rows]
            if self.center:
                mean[rows, 0] = np.dot(part, ones) * (1 / self.length)
                part = np.subtract(part, mean[rows], out=source[rows])
            square = np.multiply(part, part, out=scratch[: len(part)])
            variance[rows, 0] = np.dot(square, ones) * (1 / self.length)
        finite = np.isfinite(variance).all()
        if not finite or (mean * mean > FAR * FAR * variance).any():
            source, scale, size = apart(source if finite else x, 1, eps, self.center)
            return Known(source, mean, scale, scale / size, variance)
        scale = 1.0 / np.sqrt(variance + eps)
        return Known(source if self.center else None, mean, scale, scale, variance)

    def forward(self, x: Any, known: Known, weight: Any, bias: Any) -> Any:
        source, scale = self.matrix(x) if known.source is None else known.source, known.scale
        y = np.empty_like(source)
        for rows, weights, biases in self.walk(weight, bias):
            block = np.multiply(source[rows], scale[rows], out=y[rows])
            if weights is not None:
                block *= weights
            if biases is not None:
                block += biases
        return y.reshape(self.shape)

    def back(self, g: Any, x: Any, known: Known, weight: Any) -> list[Any]:
        """The gradients of x, weight and bias."""
        _, _, scale, inverse, _ = known
        source, g = self.matrix(x) if known.source is None else known.source, self.matrix(g)
        gx, scratch = np.empty_like(source), np.empty((self.step, self.length), self.dtype)
        w = _ones(self.length, self.dtype) if weight is None else weight.reshape(-1)
        of_weight, of_bias = np.zeros((2, self.length), self.dtype)
        for rows, weights in self.walk(weight):
            slope, part, scales, factor = g[rows], source[rows], scale[rows], inverse[rows]
            product = np.multiply(slope, part, out=scratch[: len(part)])
            of_weight += np.dot(scales[:, 0], product)
            of_bias += np.dot(_ones(len(part), self.dtype), slope)
            along = np.dot(product, w)[:, None] * (scales * scales * (-1 / self.length))
            shift = np.dot(slope, w)[:, None] * (1 / self.length)
            block = np.multiply(part, along, out=gx[rows])
            block += slope if weights is None else np.multiply(slope, weights, out=product)
            if self.center:
                block -= shift
            block *= factor
        return [gx.reshape(self.shape), of_weight.reshape(self.inner), of_bias.reshape(self.inner)]
