"""Data in batches: datasets in memory or on disk, and the loader that reads them."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd import Tensor

from .arguments import accepting
from .elsewhere import LOADER
from .init import default_generator
from .missing import missing
from .rows import chunks_of, in_memory, joined, length, read, read_part, row, source_of

__all__ = ["DataLoader", "Dataset", "MappedDataset", "Subset", "TensorDataset", "random_split"]

TOGETHER = 4  # chunks that are in memory at once, with `chunks`


class Dataset:
    """Base of datasets: subclasses define `len(dataset)` and `dataset[i]`, a tuple such as (x, y).

    `for sample in dataset` gives the samples 0 .. len(dataset) - 1.  A StopIteration in `dataset[i]` becomes a
    RuntimeError, because it would end the data silently.
    """

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no __len__()")

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        raise TypeError(f"{type(self).__name__} has no __getitem__()")

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return (_item(self, i) for i in range(len(self)))

    def __reversed__(self) -> Iterator[tuple[Any, ...]]:
        return (_item(self, i) for i in reversed(range(len(self))))

    def batch(self, rows: Any) -> tuple[Any, ...]:
        """The samples numbered `rows`, stacked: one array per element of a sample, or a dict of arrays for a dict."""
        return _stacked([int(i) for i in rows], [_sample(self, int(i)) for i in rows])

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


def _item(dataset: Any, i: int) -> Any:
    """`dataset[i]`, whose StopIteration does not end the loop that reads it."""
    try:
        return dataset[i]
    except StopIteration as error:
        raise RuntimeError(
            f"{type(dataset).__name__}[{i}] raised StopIteration, which would end the data silently; raise another "
            f"error, or make len() smaller"
        ) from error


def _sample(dataset: Any, i: int) -> Any:
    sample = _item(dataset, i)
    if not isinstance(sample, tuple | list):
        raise TypeError(
            f"a sample is a tuple such as (x, y), or (x,); dataset[i] gave {type(sample).__name__} (for arrays "
            f"of rows, use nn.TensorDataset(X, y))"
        )
    return sample


def _stacked(rows: list[int], samples: list[Any]) -> tuple[Any, ...]:
    for i, sample in zip(rows, samples, strict=True):
        if len(sample) != len(samples[0]):
            raise ValueError(
                f"all samples need the same number of parts; sample {rows[0]} has {len(samples[0])}, and sample {i} "
                f"has {len(sample)}"
            )
    return tuple(_column(f"part {i}", list(parts)) for i, parts in enumerate(zip(*samples, strict=True)))


def _column(name: str, parts: list[Any]) -> Any:
    """The same part of all samples as one array."""
    if isinstance(parts[0], Mapping):
        keys = parts[0].keys()
        if other := [part for part in parts if not isinstance(part, Mapping) or part.keys() != keys]:
            raise ValueError(
                f"{name} of the samples of a batch is a dict with the keys {list(keys)}, and in another sample "
                f"{list(other[0]) if isinstance(other[0], Mapping) else type(other[0]).__name__}"
            )
        return {key: _column(f"{name}[{key!r}]", [part[key] for part in parts]) for key in keys}
    arrays = [np.asarray(part) for part in parts]
    if len(shapes := sorted({array.shape for array in arrays})) > 1:
        raise ValueError(f"{name} of the samples of a batch has several shapes: {', '.join(map(str, shapes))}")
    if arrays[0].dtype == object:
        raise TypeError(f"{name} of a sample is a number or an array of numbers; got {type(parts[0]).__name__}")
    return np.stack(arrays)


class TensorDataset(Dataset):
    """Rows of arrays, Tensors or dicts of arrays of the same length: sample i is (x[i], y[i]).

    An array may be anything with `shape` and row indexing: np.memmap, a dataset of h5py or zarr, a Dask array.  These
    are never read as a whole: a batch reads its own rows.

    >>> TensorDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 1]))[2]
    (array([4., 5.]), np.int64(1))
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ValueError("a TensorDataset needs at least one array")
        self.arrays = [source_of(array) for array in arrays]
        if len({length(a) for a in self.arrays}) != 1:
            raise ValueError(f"all arrays need the same length; got {', '.join(str(length(a)) for a in self.arrays)}")

    def __len__(self) -> int:
        return length(self.arrays[0])

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        return tuple(row(a, i) for a in self.arrays)

    def batch(self, rows: Any) -> tuple[Any, ...]:
        return tuple(read(a, rows) for a in self.arrays)

    @property
    def in_memory(self) -> bool:
        """Whether all arrays are NumPy's, in memory."""
        return all(map(in_memory, self.arrays))


class MappedDataset(TensorDataset):
    """Rows of `.npy` files, or of arrays as TensorDataset takes, that stay on disk: a batch reads only its own rows.

    The data may be larger than memory.  Raises ValueError for a file of another kind or one that holds objects.
    """

    def __init__(self, *sources: Any) -> None:
        super().__init__(*(_mapped(source) for source in sources))


def _mapped(source: Any) -> Any:
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source)
    if path.suffix != ".npy":
        raise ValueError(f"a MappedDataset maps .npy files; got {path.name!r}")
    return np.load(path, mmap_mode="r", allow_pickle=False)


class _Samples(Dataset):
    """The samples of any object with len() and [i], such as a list, or a dataset of PyTorch."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        sample: tuple[Any, ...] = _item(self.samples, i)
        return sample

    def batch(self, rows: Any) -> tuple[Any, ...]:
        return _stacked([int(i) for i in rows], [_sample(self.samples, int(i)) for i in rows])


def samples_of(data: Any) -> Dataset:
    """The Dataset of a DataLoader, or of an object with len() and [i]."""
    data = data.dataset if isinstance(data, DataLoader) else data
    return data if isinstance(data, Dataset) else _Samples(data)


def dataset_of(X: Any, y: Any = None, *, caller: str, labels: bool = True) -> Any:
    """What `caller` was given as a Dataset, or a DataLoader unchanged.

    X is an array, or a dict of arrays, with y; or it contains the labels: a Dataset, a DataLoader, a pair (X, y), or
    samples (x, y) in a list or another object with len() and [i].  Without `labels`, X may be rows alone.
    """
    if isinstance(X, Dataset | DataLoader):
        if y is not None:
            raise ValueError("a Dataset or DataLoader contains its labels; pass y only with an array X")
        return X
    if y is None and isinstance(X, tuple) and len(X) == 2 and (labels or any(map(_has_parts, X))):
        X, y = X
    if y is None and _are_samples(X, labels):
        return _Samples(X)
    if y is None and labels and not isinstance(X, Iterator):
        raise ValueError(
            f"{caller} needs labels: {caller}(model, X, y), or a Dataset, a DataLoader or a list of samples (x, y)"
        )
    X = source_of(X)
    if y is None:
        return TensorDataset(X)
    y = source_of(y)
    if length(X) != length(y):
        raise ValueError(f"{caller} needs one label per sample; got {length(X)} samples and {length(y)} labels")
    return TensorDataset(X, y)


def _are_samples(X: Any, labels: bool) -> bool:
    """Whether X is a sequence of samples; if not `labels`, a list of tuples of plain numbers is an array of rows."""
    sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__") and not isinstance(X, Mapping | str | bytes | tuple)
    if not sequence or hasattr(X, "shape") or hasattr(X, "__array__") or not len(X):
        return False
    first = _item(X, 0) if not isinstance(X, list) else X[0]
    if isinstance(first, tuple) and not labels:
        return any(map(_has_parts, first))
    return isinstance(first, tuple) or not isinstance(X, list)


def _has_parts(part: Any) -> bool:
    """Whether `part` is an array or a dict, which no row of numbers contains."""
    return isinstance(part, Mapping) or bool(getattr(part, "shape", ()))


def pair_of(batch: Any) -> tuple[Any, Any]:
    """The inputs and labels of a batch; ValueError unless its samples are pairs."""
    if len(batch) != 2:
        raise ValueError(
            f"training needs samples (x, y), and these have {len(batch)} part{'s'[: len(batch) != 1]}; put several "
            f"inputs, or several labels, into one dict: ({{'a': a, 'b': b}}, y)"
        )
    return batch[0], batch[1]


class Subset(Dataset):
    """The samples of another dataset numbered `rows`, or where the mask `rows` is True.

    Raises IndexError for a number out of range; negative numbers are out of range.
    """

    @functools.partial(accepting, name="Subset")
    def __init__(self, dataset: Any, rows: Any) -> None:
        dataset = samples_of(dataset)
        rows, n = np.asarray(rows), len(dataset)
        if rows.dtype == np.bool_ and rows.shape == (n,):
            rows = np.flatnonzero(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"a Subset takes sample numbers, or a mask of shape ({n},); got {rows.dtype}")
        if rows.size and not (rows.min() >= 0 and rows.max() < n):
            wrong = rows[(rows < 0) | (rows >= n)][0]
            raise IndexError(f"a Subset of sample {wrong}: the samples are 0 .. {n - 1}")
        self.dataset: Dataset = dataset
        self.rows = rows.astype(np.intp)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        return self.dataset[int(self.rows[i])]

    def batch(self, rows: Any) -> tuple[Any, ...]:
        return self.dataset.batch(self.rows[rows])


def random_split(
    dataset: Dataset, lengths: Sequence[float], generator: np.random.Generator | None = None
) -> list[Subset]:
    """Split `dataset` at random, without overlap, into parts of these lengths or shares (which sum to 1).

    >>> [len(part) for part in random_split(TensorDataset(np.zeros(10)), [0.75, 0.25])]
    [8, 2]
    """
    n = len(dataset)
    if abs(sum(lengths) - 1) < 1e-9 and max(lengths) <= 1:
        counts = [int(n * share) for share in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != n or min(counts) < 0:
        raise ValueError(f"the lengths {list(lengths)} do not add up to the {n} samples")
    order = default_generator(generator).permutation(n)
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]


class DataLoader:
    """Iterate over a dataset in batches: `for x, y in loader`.  Each loop is one epoch.

    With `shuffle` every epoch has a new order, drawn from `generator` or that of `nn.manual_seed`.  `drop_last` leaves
    out an incomplete last batch.  With `prefetch` n, a thread reads up to n batches ahead, in the same order.  With
    `chunks`, arrays of Dask, zarr or h5py are shuffled by reading four whole chunks at a time, in random order, and
    drawing the rows of each batch from these; each chunk is read once an epoch.
    PyTorch's `num_workers`, `pin_memory` and `persistent_workers` are accepted and change nothing.

    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2)
    >>> [x.tolist() for x, in loader], len(loader)
    ([[0, 1], [2, 3], [4]], 3)
    """

    @functools.partial(accepting, name="DataLoader", hints=LOADER)
    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        generator: np.random.Generator | None = None,
        prefetch: int = 0,
        chunks: bool = False,
    ) -> None:
        arrays = dataset if isinstance(dataset, tuple) else (dataset,)
        has_both = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
        if not has_both or any(isinstance(array, np.ndarray | Tensor) for array in arrays):
            raise TypeError(
                f"a DataLoader takes a Dataset, with len() and [i]; got {type(dataset).__name__} (for arrays, "
                f"use nn.TensorDataset(X, y))"
            )
        if not isinstance(batch_size, int | np.integer):
            raise TypeError(f"batch_size is a whole number; got {batch_size!r:.40}")
        if batch_size < 1 or prefetch < 0:
            raise ValueError(f"batch_size is 1 or more, prefetch 0 or more; got {batch_size} and {prefetch}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.generator, self.prefetch, self.chunks = generator, prefetch, chunks
        if chunks and not (shuffle and isinstance(dataset, TensorDataset)):
            raise ValueError("chunks=True shuffles the rows of a TensorDataset: pass shuffle=True too")

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        n = len(self.dataset)
        if self.chunks:
            batches = self._by_chunks(default_generator(self.generator))
            return _ahead(batches, self.prefetch) if self.prefetch else batches
        order = default_generator(self.generator).permutation(n) if self.shuffle else np.arange(n)
        batches = self._batches(order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self)))
        return _ahead(batches, self.prefetch) if self.prefetch else batches

    def _by_chunks(self, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
        """Batches of rows that lie in a few chunks; what is left of these is joined to the next ones."""
        data, size = samples_of(self), self.batch_size
        left: Any = None
        chunks = chunks_of(data.arrays[0])  # type: ignore[attr-defined]  # a TensorDataset, says __init__
        order = rng.permutation(len(chunks))
        for first in range(0, len(order), TOGETHER):
            rows = np.sort(np.concatenate([chunks[i] for i in order[first : first + TOGETHER]]))
            loaded = data.batch(rows)
            mixed = rng.permutation(len(rows))
            parts = tuple(read(part, mixed) for part in loaded)
            parts = parts if left is None else tuple(map(joined, map(list, zip(left, parts, strict=True))))
            full = length(parts[0]) // size * size
            for i in range(0, full, size):
                yield tuple(read_part(part, i, i + size) for part in parts)
            left = tuple(read_part(part, full, length(part)) for part in parts)
        if left is not None and length(left[0]) and not self.drop_last:
            yield left

    def _batches(self, parts: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
        dataset = samples_of(self)
        for rows in parts:
            try:
                batch = dataset.batch(rows)
            except StopIteration as error:
                raise RuntimeError(
                    f"{type(dataset).__name__}.batch raised StopIteration, which would end the data silently"
                ) from error
            yield batch


def _ahead(batches: Iterator[Any], count: int) -> Iterator[Any]:
    """The same items, read up to `count` ahead by a thread; its errors are raised here; leaving the loop ends it."""
    end = object()
    reader = ThreadPoolExecutor(1)
    try:
        waiting = deque(reader.submit(next, batches, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(reader.submit(next, batches, end))
            yield item
    finally:
        reader.shutdown(cancel_futures=True)
