"""Files of weights: written whole, and checked when read."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nn


def network(seed=0):
    nn.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], strict=True)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_is_saved_is_loaded(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path, model, other = tmp_path / f"model{suffix}", network(), network(1)
    nn.save(model, path)
    state = nn.load(path, other)
    same(model.state_dict(), state)
    same(model.state_dict(), other.state_dict())
    odd = {
        "scalar": np.float64(2),
        "columns": np.arange(6.0).reshape(2, 3).T[::-1],
        "empty": np.zeros((0, 2)),
        "i": np.arange(3),
    }
    nn.save(odd, path)
    same({k: np.asarray(v) for k, v in odd.items()}, nn.load(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_pytorch_reads_and_writes_the_same_files(tmp_path):
    torch, safe = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    path, mine = tmp_path / "model.safetensors", network()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).eval()
    nn.save(mine, path)
    theirs.load_state_dict(safe.load_file(path), strict=False)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(mine.eval()(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    nn.save(network(), path)
    before = path.read_bytes()

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        nn.save(network(1), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def refused(path, words):
    model = network()
    before = model.state_dict()
    with pytest.raises(ValueError, match=words):
        nn.load(path, model)
    same(before, model.state_dict())


def test_files_that_are_refused_before_anything_changes(tmp_path):
    path = tmp_path / "model.npz"
    nn.save(network(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "not a complete file")
    np.savez(path, allow_pickle=True, weight=np.array([{"a": 1}], dtype=object))
    refused(path, "object")
    np.savez_compressed(path, weight=np.zeros(10_000_000))
    refused(path, "not a plain array")
    nn.save(nn.Linear(3, 9), path)
    refused(path, "does not fit")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "weight.npy",
            b"\x93NUMPY\x01\x00"
            + b"v\x00"
            + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(118),
        )
    refused(path, "does not fit 0 bytes")
    with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
        nn.save(network(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="more than 10 bytes"):
        nn.save(network(), path)
        nn.load(path, limit=10)
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "none.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_altered_file_loads_or_is_refused(tmp_path, suffix, data):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"model{suffix}"
    nn.save({"w": np.arange(4.0), "b": np.zeros((2, 2), np.float32)}, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        arrays = nn.load(path, limit=10**6)
    except ValueError:
        return
    assert sum(a.nbytes for a in arrays.values()) < 10**6 and all(a.dtype.kind in "fciub" for a in arrays.values())


def test_the_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"plaingrad\[safetensors\]"):
        nn.save(network(), tmp_path / "model.safetensors")


def test_names_that_are_arguments_of_numpys_own_writer(tmp_path):
    state = {"file": np.arange(3.0), "allow_pickle": np.zeros(2), "deep/er.name": np.ones((1, 2))}
    nn.save(state, tmp_path / "odd.npz")
    found = nn.load(tmp_path / "odd.npz")
    assert found.keys() == state.keys() and all(np.array_equal(found[k], v) for k, v in state.items())
    with np.load(tmp_path / "odd.npz") as numpys:
        assert np.array_equal(numpys["file"], state["file"])
