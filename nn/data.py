"""Data in batches: datasets in memory, mapped from disk or in folders of images, and the loader that reads them."""

from __future__ import annotations

import importlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd import Tensor

from .init import default_generator
from .missing import missing

__all__ = ["DataLoader", "Dataset", "ImageFolder", "MappedDataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """Base of datasets: subclasses define `len(dataset)` and `dataset[i]`, a tuple such as (x, y)."""

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no __len__()")

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        raise TypeError(f"{type(self).__name__} has no __getitem__()")

    def batch(self, rows: Any) -> tuple[Any, ...]:
        """The samples numbered `rows`, stacked: one array per element of a sample."""
        samples = [self[int(i)] for i in rows]
        for sample in samples:
            if not isinstance(sample, tuple | list):
                raise TypeError(
                    f"a sample is a tuple such as (x, y), or (x,); dataset[i] gave {type(sample).__name__} (for arrays "
                    f"of rows, use nn.TensorDataset(X, y))"
                )
        columns = [[np.asarray(part) for part in parts] for parts in zip(*samples, strict=True)]
        for i, column in enumerate(columns):
            if len(shapes := sorted({part.shape for part in column})) > 1:
                raise ValueError(
                    f"part {i} of the samples of a batch has several shapes: {', '.join(map(str, shapes))}"
                )
        return tuple(map(np.stack, columns))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)


class TensorDataset(Dataset):
    """Rows of arrays or Tensors of the same length: sample i is (x[i], y[i]).

    >>> TensorDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 1]))[2]
    (array([4., 5.]), np.int64(1))
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ValueError("a TensorDataset needs at least one array")
        self.arrays = [a.data if isinstance(a, Tensor) else a if hasattr(a, "shape") else np.asarray(a) for a in arrays]
        if not all(np.ndim(a) for a in self.arrays):
            raise ValueError("a TensorDataset takes arrays of samples, with one row per sample; got a single number")
        if len({len(a) for a in self.arrays}) != 1:
            raise ValueError(f"all arrays need the same length; got {', '.join(str(len(a)) for a in self.arrays)}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        return tuple(a[i] for a in self.arrays)

    def batch(self, rows: Any) -> tuple[Any, ...]:
        return tuple(np.asarray(a[rows]) for a in self.arrays)


class MappedDataset(TensorDataset):
    """Rows of `.npy` files or `np.memmap` arrays that stay on disk: a batch reads only its own rows.

    The data may be larger than memory.  Raises ValueError for a file of another kind or one that holds objects.
    """

    def __init__(self, *sources: Any) -> None:
        super().__init__(*(_mapped(source) for source in sources))

    def batch(self, rows: Any) -> tuple[Any, ...]:
        rows = np.asarray(rows)
        order = np.argsort(rows, kind="stable")  # read the disk from front to back
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return tuple(np.asarray(a[rows[order]])[back] for a in self.arrays)


def _mapped(source: Any) -> Any:
    if isinstance(source, np.ndarray):
        return source
    path = Path(source)
    if path.suffix != ".npy":
        raise ValueError(f"a MappedDataset maps .npy files; got {path.name!r}")
    return np.load(path, mmap_mode="r", allow_pickle=False)


class Subset(Dataset):
    """The samples of another dataset numbered `rows`, or where the mask `rows` is True.

    Raises IndexError for a number out of range; negative numbers are out of range.
    """

    def __init__(self, dataset: Dataset, rows: Any) -> None:
        rows, n = np.asarray(rows), len(dataset)
        if rows.dtype == np.bool_ and rows.shape == (n,):
            rows = np.flatnonzero(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"a Subset takes sample numbers, or a mask of shape ({n},); got {rows.dtype}")
        if rows.size and not (rows.min() >= 0 and rows.max() < n):
            wrong = rows[(rows < 0) | (rows >= n)][0]
            raise IndexError(f"a Subset of sample {wrong}: the samples are 0 .. {n - 1}")
        self.dataset, self.rows = dataset, rows.astype(np.intp)

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


class ImageFolder(Dataset):
    """Images in a folder with one subfolder per class: sample i is (pixels, label), with float32 pixels from 0 to 1.

    Every image is scaled to `size`: (rows, columns), or one number for a square.  `mode` "RGB" gives
    (rows, columns, 3), and "L" (grey) gives (rows, columns).  `classes` are the subfolders' names in order, and
    `skipped` the files that could not be read: `on_error="skip"` leaves them out, and "raise" raises ValueError for
    the first.  Needs Pillow (extra `images`).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        size: int | tuple[int, int] = 32,
        mode: str = "RGB",
        on_error: str = "raise",
    ) -> None:
        if mode not in ("RGB", "L") or on_error not in ("raise", "skip"):
            raise ValueError(f"mode is 'RGB' or 'L', on_error 'raise' or 'skip'; got {mode!r} and {on_error!r}")
        self.folder, self.mode = Path(folder), mode
        self.size = (size, size) if isinstance(size, int) else size
        self.classes = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        if not self.classes:
            raise ValueError(f"{self.folder} needs a folder of images for each class, and has none")
        self.samples: list[tuple[Path, int]] = []
        self.skipped: list[Path] = []
        for label, name in enumerate(self.classes):
            for path in sorted(p for p in (self.folder / name).iterdir() if p.is_file()):
                try:
                    self._read(path)
                except ValueError:
                    if on_error == "raise":
                        raise
                    self.skipped.append(path)
                else:
                    self.samples.append((path, label))

    def _read(self, path: Path) -> Any:
        try:
            pillow = importlib.import_module("PIL.Image")
        except ImportError as error:
            raise ImportError("reading images needs Pillow: pip install plaingrad[images]") from error
        try:
            with pillow.open(path) as image:
                scaled = image.convert(self.mode).resize(self.size[::-1])
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
            raise ValueError(f"{path} is not a readable image: {error}") from error
        return np.asarray(scaled, np.float32) / 255

    @property
    def labels(self) -> Any:
        """The labels (n,) of all samples."""
        return np.array([label for _, label in self.samples])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        path, label = self.samples[i]
        return self._read(path), label


class DataLoader:
    """Iterate over a dataset in batches: `for x, y in loader`.  Each loop is one epoch.

    With `shuffle` every epoch has a new order, drawn from `generator` or that of `nn.manual_seed`.  `drop_last` leaves
    out an incomplete last batch.  With `prefetch` n, a thread reads up to n batches ahead, in the same order.

    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2)
    >>> [x.tolist() for x, in loader], len(loader)
    ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        generator: np.random.Generator | None = None,
        prefetch: int = 0,
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
        self.generator, self.prefetch = generator, prefetch

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        n = len(self.dataset)
        order = default_generator(self.generator).permutation(n) if self.shuffle else np.arange(n)
        parts = (order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self)))
        read = self.dataset.batch if isinstance(self.dataset, Dataset) else _batch_of(self.dataset)
        batches = map(read, parts)
        return _ahead(batches, self.prefetch) if self.prefetch else batches


def _batch_of(dataset: Any) -> Any:
    """`batch` for an object that has only `len` and `[i]`, as PyTorch's datasets do."""
    return lambda rows: Dataset.batch(dataset, rows)


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
