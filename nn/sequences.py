"""Sequences of different lengths: padded to one array, or packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .arguments import accepting

__all__ = ["PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence"]


class PackedSequence(NamedTuple):
    """Sequences without padding: `data` has step 0 of all sequences, then step 1 of those that have one, and so on.

    The longest sequence is the first: `batch_sizes` are how many have each step, `sorted_indices` where the sequences
    were before they were sorted, and `unsorted_indices` the reverse.
    """

    data: Any
    batch_sizes: tuple[int, ...]
    sorted_indices: Any
    unsorted_indices: Any


@accepting
def pad_sequence(sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0) -> Any:
    """Join sequences (length_i, ...) to one array (T, n, ...), or (n, T, ...) with `batch_first`.

    Shorter ones end with `padding_value`.  Raises ValueError for shapes that do not fit.

    >>> pad_sequence([np.array([1.0, 2.0]), np.array([3.0])], batch_first=True)
    array([[1., 2.],
           [3., 0.]])
    """
    shapes = {np.shape(x)[1:] for x in sequences}
    if len(shapes) != 1:
        raise ValueError(
            f"pad_sequence needs at least one sequence, and equal shapes behind the first axis; got "
            f"{', '.join(map(str, sorted(shapes))) or 'none'}"
        )
    longest = max(len(x) for x in sequences)
    padded = [
        np.pad(x, [(0, longest - len(x)), *((0, 0),) * (np.ndim(x) - 1)], constant_values=padding_value)
        for x in sequences
    ]
    joined: Any = np.stack(padded, axis=0 if batch_first else 1)
    return joined


def pack_padded_sequence(
    input: Any, lengths: Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack an array (T, n, ...), or (n, T, ...) with `batch_first`, of which sequence i has `lengths[i]` steps.

    Raises ValueError for lengths that do not fit, and, with `enforce_sorted`, unless the longest come first.

    >>> packed = pack_padded_sequence(np.array([[1.0, 2.0], [3.0, 0.0]]), [2, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (array([1., 3., 2.]), (2, 1))
    """
    if np.ndim(input) < 2:
        raise ValueError(f"pack_padded_sequence needs an array (T, n, ...); got {np.shape(input)}")
    x = np.swapaxes(input, 0, 1) if batch_first else input
    counts = np.asarray(lengths)
    if counts.shape != np.shape(x)[1:2] or counts.dtype.kind not in "iu":
        raise ValueError(
            f"pack_padded_sequence needs a length for each of {np.shape(x)[1]} sequences; got {lengths!r:.60}"
        )
    if counts.size and not 1 <= counts.min() <= counts.max() <= len(x):
        raise ValueError(f"pack_padded_sequence: lengths are from 1 to {len(x)}; got {lengths!r:.60}")
    order = np.argsort(-counts, kind="stable")
    if enforce_sorted and (np.diff(counts) > 0).any():
        raise ValueError("pack_padded_sequence: the longest sequence comes first, or pass enforce_sorted=False")
    sizes = tuple(int((counts > t).sum()) for t in range(int(counts.max(initial=0))))
    steps = np.repeat(np.arange(len(sizes)), sizes)
    rows = order[np.concatenate([np.arange(n) for n in sizes])] if sizes else order
    return PackedSequence(x[steps, rows], sizes, order, np.argsort(order, kind="stable"))


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length_i, ...); see `pack_padded_sequence`.

    >>> pack_sequence([np.array([1.0, 2.0]), np.array([3.0])]).data
    array([1., 3., 2.])
    """
    return pack_padded_sequence(pad_sequence(sequences), [len(x) for x in sequences], enforce_sorted=enforce_sorted)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The reverse of `pack_padded_sequence`: the padded array and the lengths.

    >>> pad_packed_sequence(pack_sequence([np.array([1.0, 2.0]), np.array([3.0])]), batch_first=True)
    (array([[1., 2.],
           [3., 0.]]), array([2, 1]))
    """
    sizes = sequence.batch_sizes
    longest = len(sizes) if total_length is None else total_length
    if longest < len(sizes):
        raise ValueError(f"pad_packed_sequence: total_length {longest} is less than the longest sequence, {len(sizes)}")
    padded = unpacked(sequence, padding_value)
    if longest > len(sizes):
        width = [(0, longest - len(sizes)), *((0, 0),) * (np.ndim(padded) - 1)]
        padded = np.pad(padded, width, constant_values=padding_value)
    lengths = (np.array(sizes)[:, None] > np.arange(sizes[0])).sum(0)
    padded, lengths = padded[:, sequence.unsorted_indices], lengths[sequence.unsorted_indices]
    return (np.swapaxes(padded, 0, 1) if batch_first else padded), lengths


def unpacked(sequence: PackedSequence, value: float = 0.0) -> Any:
    """The data as (T, n, ...), the longest sequence first."""
    sizes = sequence.batch_sizes
    begins = np.cumsum([0, *sizes[:-1]])
    places = begins[:, None] + np.arange(sizes[0])
    there = np.arange(sizes[0]) < np.array(sizes)[:, None]
    found = sequence.data[np.where(there, places, 0)]
    return np.where(there.reshape(*there.shape, *(1,) * (np.ndim(found) - 2)), found, np.asarray(value, found.dtype))


def packed_like(x: Any, sequence: PackedSequence) -> PackedSequence:
    """An array (T, n, ...) packed as `sequence` is."""
    sizes = sequence.batch_sizes
    steps = np.repeat(np.arange(len(sizes)), sizes)
    return sequence._replace(data=x[steps, np.concatenate([np.arange(n) for n in sizes])])
