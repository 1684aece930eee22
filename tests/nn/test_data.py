"""Datasets, the loader, images in folders, and training on data that stays on disk."""

from __future__ import annotations

import functools
import operator
import threading

import numpy as np
import pytest

import nn
from nn import DataLoader, ImageFolder, MappedDataset, TensorDataset, random_split


def pairs(n=10):
    return TensorDataset(np.arange(2.0 * n).reshape(n, 2), np.arange(n))


def walked(loader):
    return [[part.tolist() for part in batch] for batch in loader]


def test_a_loader_walks_every_sample_once():
    loader = DataLoader(pairs(), batch_size=4, shuffle=True, generator=np.random.default_rng(0))
    for _ in range(2):
        labels = [y for _, y in walked(loader)]
        assert [len(y) for y in labels] == [4, 4, 2] and sorted(functools.reduce(operator.iadd, labels, [])) == list(
            range(10)
        )
    assert len(loader) == 3 and len(DataLoader(pairs(), 4, drop_last=True)) == 2
    assert [len(y) for _, y in DataLoader(pairs(), 4, drop_last=True)] == [4, 4]
    assert DataLoader(pairs(), 4).dataset[3][1] == 3


def test_x_and_y_stay_together():
    for x, y in DataLoader(pairs(), 3, shuffle=True, generator=np.random.default_rng(1)):
        np.testing.assert_array_equal(x[:, 0], 2.0 * y)


@pytest.mark.parametrize("prefetch", [1, 3])
def test_prefetching_changes_nothing_but_the_time(prefetch):
    plain, ahead = (
        walked(DataLoader(pairs(), 3, shuffle=True, generator=np.random.default_rng(2), prefetch=p))
        for p in (0, prefetch)
    )
    assert plain == ahead


def test_an_error_of_the_reading_thread_is_raised_where_batches_are_used():
    class Broken(nn.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i == 2:
                raise OSError("the disk is gone")
            return (i,)

    with pytest.raises(OSError, match="the disk is gone"):
        list(DataLoader(Broken(), 1, prefetch=2))


def test_leaving_the_loop_ends_the_thread():
    before = threading.active_count()
    for _ in DataLoader(pairs(1000), 1, prefetch=2):
        break
    assert threading.active_count() == before


def test_random_split_by_lengths_and_shares():
    for lengths in ([7, 3], [0.7, 0.3]):
        a, b = random_split(pairs(), lengths, np.random.default_rng(0))
        labels = [part[i][1] for part in (a, b) for i in range(len(part))]
        assert (len(a), len(b)) == (7, 3) and sorted(labels) == list(range(10))
    with pytest.raises(ValueError, match="do not add up to the 10 samples"):
        random_split(pairs(), [5, 3])


def test_wrong_arguments_say_so(tmp_path):
    with pytest.raises(ValueError, match="the same length"):
        TensorDataset(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="at least one array"):
        TensorDataset()
    with pytest.raises(ValueError, match="batch_size is 1 or more"):
        DataLoader(pairs(), 0)
    with pytest.raises(ValueError, match=r"maps \.npy files"):
        MappedDataset(tmp_path / "x.csv")
    with pytest.raises(TypeError, match="has no __len__"):
        len(nn.Dataset())
    with pytest.raises(TypeError, match="has no __getitem__"):
        nn.Dataset()[0]


# ---- on disk


def test_mapped_data_is_read_by_the_batch_and_trains(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", (X[:, 0] > 0).astype(np.int64))
    data = MappedDataset(tmp_path / "X.npy", tmp_path / "y.npy")
    assert isinstance(data.arrays[0], np.memmap)
    rows = [7, 3, 3, 499]
    x, _y = data.batch(rows)
    np.testing.assert_array_equal(x, X[rows])
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    history = nn.fit(
        model, data, epochs=8, validation=0.2, metrics=["accuracy"], progress=False,
        optimizer=nn.Adam(model.parameters(), lr=0.02),
    )  # fmt: skip
    assert history["val_accuracy"][-1] > 0.9
    assert nn.predict(model, data).shape == (500, 2)


def test_objects_in_a_file_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="objects"):
        MappedDataset(tmp_path / "o.npy")


def test_fit_takes_a_loader_and_a_dataset_and_gives_what_arrays_give():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)

    def weights(*data, **options):
        nn.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        nn.fit(model, *data, epochs=3, progress=False, generator=np.random.default_rng(1), **options)
        return [p.data.tolist() for p in model.parameters()]

    arrays = weights(X, y, batch_size=8)
    assert weights(TensorDataset(X, y), batch_size=8) == arrays
    assert weights(DataLoader(TensorDataset(X, y), 8, shuffle=True, generator=np.random.default_rng(1))) == arrays
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="contains its labels"):
        nn.fit(model, TensorDataset(X, y), y)
    with pytest.raises(ValueError, match="fit needs labels"):
        nn.fit(model, X)
    with pytest.raises(ValueError, match="random_split"):
        nn.fit(model, DataLoader(TensorDataset(X, y)), validation=0.5)


# ---- images


@pytest.fixture
def photos(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for name, colour in (("cats", (255, 0, 0)), ("dogs", (0, 0, 255))):
        (tmp_path / name).mkdir()
        for i in range(3):
            pillow.new("RGB", (20 + i, 10), colour).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_a_folder_of_images_is_a_dataset(photos):
    data = ImageFolder(photos, size=8)
    assert data.classes == ["cats", "dogs"] and len(data) == 6 and data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    x, y = data.batch([0, 5])
    assert x.shape == (2, 8, 8, 3) and x.dtype == np.float32 and y.tolist() == [0, 1]
    assert x[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    grey = ImageFolder(photos, size=(4, 6), mode="L")
    assert grey[0][0].shape == (4, 6)


def test_a_file_that_is_no_image_is_named_and_refused_or_skipped(photos):
    bad = photos / "cats" / "bad.png"
    bad.write_bytes((photos / "cats" / "0.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"bad\.png is not a readable image"):
        ImageFolder(photos)
    data = ImageFolder(photos, on_error="skip")
    assert data.skipped == [bad] and len(data) == 6
    with pytest.raises(ValueError, match="on_error 'raise' or 'skip'"):
        ImageFolder(photos, on_error="ignore")
    with pytest.raises(ValueError, match="a folder of images for each class"):
        ImageFolder(photos / "dogs")
