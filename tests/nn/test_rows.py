"""Rows are read by number from any array, each once and in order, and never all of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
from autograd import Tensor
from nn.rows import in_memory, length, read

N, FEATURES = 2500, 3  # more than predict and evaluate read at a time


class OnDisk:
    """Rows as h5py gives them, by slices and increasing numbers; it notes what is read, and refuses to give all."""

    def __init__(self, array, largest=1024):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.largest, self.reads = largest, []

    def __getitem__(self, rows):
        found = np.arange(len(self.array))[rows]
        assert np.ndim(found) == 0 or (np.diff(found) > 0).all(), "h5py takes increasing row numbers"
        assert np.size(found) <= self.largest, f"{np.size(found)} rows at once"
        self.reads.append(np.atleast_1d(found))
        return self.array[rows]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole of the data was read")


def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, FEATURES)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64)


def memmaps(folder, *given):
    for i, array in enumerate(given):
        np.save(folder / f"{i}.npy", array)
    return [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(len(given))]


def h5py_sets(folder, *given):
    file = pytest.importorskip("h5py").File(folder / "data.h5", "w")
    return [file.create_dataset(str(i), data=array, chunks=(32, *array.shape[1:])) for i, array in enumerate(given)]


def zarr_arrays(folder, *given):
    zarr = pytest.importorskip("zarr")
    found = [zarr.open(str(folder / f"{i}.zarr"), mode="w", shape=a.shape, dtype=a.dtype) for i, a in enumerate(given)]
    for array, values in zip(found, given, strict=True):
        array[:] = values
    return found


def dask_arrays(folder, *given):
    dask = pytest.importorskip("dask.array")
    return [dask.from_array(array, chunks=50) for array in given]


def on_disk(folder, *given):
    return [OnDisk(array) for array in given]


def views_of_memmaps(folder, *given):
    return [np.asarray(array)[:] for array in memmaps(folder, *given)]


KINDS = [on_disk, memmaps, views_of_memmaps, h5py_sets, zarr_arrays, dask_arrays]


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, 2))


def run(X, y, **options):
    """The history, and what evaluate and predict say of the trained network."""
    model = network()
    history = nn.fit(
        model, X, y, epochs=2, progress=False, metrics="accuracy", generator=np.random.default_rng(1), **options
    )
    loss = nn.CrossEntropyLoss()
    measured = nn.evaluate(model, X, y, loss=loss, metrics="accuracy")
    return dict(history), measured, nn.predict(model, X), nn.predict_proba(model, X)


# ---- the property: the same results as in memory, and nobody reads the whole


@pytest.mark.parametrize("validation", [None, 0.25, "pair"])
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_training_on_disk_is_training_in_memory(tmp_path, make, validation):
    X, y = arrays()
    there = make(tmp_path, X, y)
    pairs = [(X, y), there] if validation == "pair" else None
    expected, found = (
        run(*data, validation=tuple(pairs[i]) if pairs else validation) for i, data in enumerate([(X, y), there])
    )
    assert expected[:2] == found[:2]
    for one, other in zip(expected[2:], found[2:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_reads_every_row_once_in_batches(tmp_path):
    X, y = (OnDisk(array, largest=32) for array in arrays())
    nn.fit(network(), X, y, epochs=1, progress=False, generator=np.random.default_rng(1), loss=nn.CrossEntropyLoss())
    for data in (X, y):
        assert sorted(np.concatenate(data.reads)) == [*range(N)] and max(map(len, data.reads)) == 32


def test_the_first_batch_comes_after_few_rows():
    class Stop(Exception):
        pass

    def stopping(*_):
        raise Stop

    X, y = (OnDisk(array, largest=32) for array in arrays())
    for loss in (stopping, None):
        model = network()
        if loss is None:
            model.register_forward_hook(stopping)
        X.reads.clear()
        with pytest.raises(Stop):
            nn.fit(model, X, y, loss=loss, validation=0.25, progress=False)
        assert sum(map(len, X.reads)) <= 33


def test_memory_does_not_grow_with_the_data(tmp_path):
    shape = (20_000, 64)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, shape)
    y = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.int64, shape[:1])
    model = nn.Linear(64, 2)
    for data in [(X, y), (nn.MappedDataset(tmp_path / "X.npy", tmp_path / "y.npy"),)]:
        tracemalloc.start()
        try:
            nn.fit(model, *data, epochs=1, batch_size=500, validation=0.1, metrics="accuracy", progress=False)
            assert tracemalloc.get_traced_memory()[1] < X.nbytes / 3
        finally:
            tracemalloc.stop()


@given(st.lists(st.integers(-5, 4)), st.booleans())
def test_read_is_indexing(rows, single):
    array = np.arange(5.0 if single else 15.0).reshape((5,) if single else (5, 3))
    expected = array[np.array(rows, np.intp)]
    for source in (array, OnDisk(array)):
        found = read(source, rows)
        np.testing.assert_array_equal(found, expected)
        assert found.shape == expected.shape and not np.shares_memory(found, array)
    both = read({"a": array, "b": OnDisk(array)}, rows)
    np.testing.assert_array_equal(both["b"], both["a"])


@pytest.mark.parametrize("rows", [[5], [0, -6]])
def test_a_row_that_does_not_exist_is_named(rows):
    for source in (np.zeros(5), OnDisk(np.zeros(5))):
        with pytest.raises(IndexError, match=str(rows[-1])):
            read(source, rows)


def test_what_is_in_memory(tmp_path):
    (mapped,) = memmaps(tmp_path, np.zeros((4, 2)))
    assert in_memory(np.zeros(3)[1:]) and in_memory({"a": np.zeros(3)})
    for source in (mapped, mapped[1:], np.asarray(mapped), OnDisk(np.zeros(3)), {"a": np.zeros(4), "b": mapped}):
        assert not in_memory(source)


def test_tables_and_sparse_matrices_are_read_by_rows():
    X, y = arrays()
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    for kind in (sparse, Tensor(X)):
        for one, other in zip(run(kind, y)[2:], run(X, y)[2:], strict=True):
            np.testing.assert_array_equal(one, other)
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(
        run(pandas.DataFrame(X, columns=list("abc")), pandas.Series(y, index=range(7, 7 + N)))[2], run(X, y)[2]
    )


def test_lengths_that_differ_or_are_not_known():
    class Unknown(OnDisk):
        def __init__(self):
            self.shape = (np.nan, 3)

    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        nn.TensorDataset(Unknown())
    with pytest.raises(ValueError, match="same length; got a: 3, b: 4"):
        length({"a": np.zeros(3), "b": np.zeros(4)})
    with pytest.raises(ValueError, match="at least one array"):
        nn.TensorDataset({})
    with pytest.raises(ValueError, match="cannot read this list as an array of rows"):
        nn.TensorDataset([[1.0], [1.0, 2.0]])
