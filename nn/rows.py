"""Rows of arrays, read by number: arrays in memory, np.memmap, h5py, zarr or Dask, of which only the rows asked for."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd import Tensor

from .placement import is_elsewhere

__all__: list[str] = []


def source_of(x: Any) -> Any:
    """`x` as rows that `read` can read: an object with `shape` and row indexing stays itself, a dict becomes a dict.

    Anything else becomes an array.  Raises TypeError for an iterable without `[i]`, such as a generator, and ValueError
    for what has no rows.
    """
    if isinstance(x, Mapping):
        if not x:
            raise ValueError("a dict of arrays needs at least one array; this one is empty")
        return {name: source_of(part) for name, part in x.items()}
    if hasattr(x, "__iter__") and not any(hasattr(x, name) for name in ("__getitem__", "shape", "__array__")):
        raise TypeError(
            f"the rows of a {type(x).__name__} cannot be read by number; pass an array, a list of samples, or a "
            f"Dataset with len() and [i] (of another library's loader, its .dataset)"
        )
    found = x.data if isinstance(x, Tensor) else x if _is_array(x) else _as_read(x)
    if not len(found.shape):
        raise ValueError(f"arrays of samples have one row per sample; got a single {type(x).__name__}")
    return found


def _is_array(x: Any) -> bool:
    """Whether `x` has a shape and rows; the rows of a pandas table are not `x[rows]`."""
    return (
        hasattr(x, "shape") and hasattr(x, "__getitem__") and not hasattr(x, "iloc") and not isinstance(x, np.generic)
    )


def _as_read(x: Any) -> Any:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(f"NumPy cannot read this {type(x).__name__} as an array of rows: {error}") from error


def in_memory(source: Any) -> bool:
    """Whether all rows of a source are in NumPy arrays in memory, neither in a file nor computed when they are read.

    >>> in_memory(np.zeros(3))
    True
    """
    if isinstance(source, Mapping):
        return all(map(in_memory, source.values()))
    owner = source
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    return isinstance(source, np.ndarray) and not isinstance(owner, np.memmap | mmap.mmap)


def _on_device(source: Any) -> bool:
    """Whether an array is another library's that computes at once, as CuPy's does and Dask's does not."""
    return is_elsewhere(source) and not hasattr(source, "compute")


def length(source: Any) -> int:
    """The number of rows; ValueError if the arrays of a dict differ, or if Dask does not know it yet."""
    if isinstance(source, Mapping):
        counts = {name: length(part) for name, part in source.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(
                f"all arrays need the same length; got {', '.join(f'{k}: {n}' for k, n in counts.items())}"
            )
        return next(iter(counts.values()))
    n = source.shape[0]
    if n != n:  # NaN
        raise ValueError("the number of rows is not known yet; call compute_chunk_sizes() on the Dask array first")
    return int(n)


def chunks_of(source: Any) -> list[range]:
    """The rows of each chunk of an array of Dask, zarr or h5py; ValueError for an array without chunks."""
    if isinstance(source, Mapping):
        return chunks_of(next(iter(source.values())))
    sizes = (getattr(source, "chunks", None) or (None,))[0]
    if sizes is None:
        raise ValueError(
            f"chunks=True reads Dask arrays, or chunked datasets of zarr and h5py; got {type(source).__name__}"
        )
    ends = np.cumsum(sizes) if isinstance(sizes, tuple) else np.arange(sizes, length(source) + sizes, sizes)
    starts = [0, *ends[:-1].tolist()]
    return [range(a, min(b, length(source))) for a, b in zip(starts, ends.tolist(), strict=True)]


def read(source: Any, rows: Any) -> Any:
    """The rows numbered `rows` as an array (or a dict of them), which shares no memory with the source.

    Rows on disk are read once each, from front to back, because h5py takes only increasing numbers and a disk is
    fastest so; then they are put in the order of `rows`.  Raises IndexError for a row that does not exist.

    >>> read(np.array([10, 20, 30]), [2, 0, 2])
    array([30, 10, 30])
    """
    if isinstance(source, Mapping):
        return {name: read(part, rows) for name, part in source.items()}
    rows = np.asarray(rows, np.intp)
    if in_memory(source) or _on_device(source):
        return source[rows]
    n = length(source)
    if len(outside := rows[(rows < -n) | (rows >= n)]):
        raise IndexError(f"row {outside[0]} of {n} rows")
    distinct, places = np.unique(rows % max(n, 1), return_inverse=True)
    first, last = (int(distinct[0]), int(distinct[-1])) if len(distinct) else (0, -1)
    together = last - first + 1 == len(distinct)
    return array_of_rows(source[first : last + 1] if together else source[distinct])[places]


def read_part(source: Any, start: int, stop: int) -> Any:
    """The rows start .. stop - 1, which share memory with a source in memory."""
    if isinstance(source, Mapping):
        return {name: read_part(part, start, stop) for name, part in source.items()}
    return array_of_rows(source[start:stop])


def array_of_rows(part: Any) -> Any:
    """What indexing a source gave, as an array."""
    if isinstance(part, Mapping):
        return {name: array_of_rows(item) for name, item in part.items()}
    if _on_device(part):
        return part
    return part.toarray() if hasattr(part, "toarray") else np.asarray(part)  # a sparse matrix of SciPy


def row(source: Any, i: Any) -> Any:
    """Row `i`, or the slice `i`, as the source gives it when it is in memory, and else as an array."""
    if isinstance(source, Mapping):
        return {name: row(part, i) for name, part in source.items()}
    return source[i] if in_memory(source) else array_of_rows(source[i])


def joined(parts: list[Any]) -> Any:
    """Batches one after the other; tuples, lists and dicts are joined part by part.

    >>> joined([{"a": np.zeros(2)}, {"a": np.ones(1)}])
    {'a': array([0., 0., 1.])}
    """
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(joined(list(column)) for column in zip(*parts, strict=True))
    return np.concatenate(parts)
