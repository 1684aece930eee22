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


NUMBERS = [*"?bBhHiIlLqQefdgFDG", ">f2", ">f4", ">f8", ">i2", ">u8", ">c16"]
OTHERS = ["O", "U3", "S2", "M8[s]", "m8[s]", "V4", [("a", "f4"), ("b", "i2")]]
ODD = [
    "", "__metadata__", "__metadata__.npy", "file", "a.npy", ".npy", "../a", "/a", "a\\b", "a\0b", "\0", "\ud800",
    "\ufb01", "fi", "weight", "0.weight", '"', "\n", "\u00fc" * 32_000, "x" * 65_531, "x" * 65_532,
]  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(ODD)


@st.composite
def arrays(draw, dtypes):
    """Arrays of every dtype, 0-d, empty, in every layout, read-only too."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.sampled_from([(), (1,), (3,), (0,), (2, 0), (2, 3), (2, 1, 3)]))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(-3, 9, shape)
    array = np.asarray(values.astype(dtype) if dtype.kind != "V" else np.zeros(shape, dtype))
    if dtype.kind in "fc" and array.size:
        array.flat[0] = draw(st.sampled_from([np.nan, np.inf, -0.0]))
    layout = draw(st.sampled_from(["C", "F", "reversed", "strided", "repeated"]))
    if layout == "F":
        array = np.asfortranarray(array).reshape(shape)
    elif layout != "C" and array.ndim:
        array = {"reversed": array[::-1], "strided": array[::2], "repeated": np.broadcast_to(array, (2, *shape))}[
            layout
        ]
    if draw(st.booleans()):
        array.flags.writeable = False
    return array[()] if array.ndim == 0 and dtype.kind != "O" and draw(st.booleans()) else array


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=st.dictionaries(NAMES, arrays([*NUMBERS, *OTHERS]) | arrays(NUMBERS) | arrays("fd"), max_size=3))
def test_what_save_takes_load_gives_back(tmp_path, suffix, state):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"old")
    try:
        nn.save(state, path)
    except ValueError:
        assert path.read_bytes() == b"old" and any(map(refusable, state, state.values(), [suffix] * 3))
    else:
        assert not any(map(refusable, state, state.values(), [suffix] * 3))
        found = nn.load(path)
        assert found.keys() == state.keys()
        for name, value in state.items():
            expected = np.asarray(value)
            if suffix == ".safetensors":  # one byte order
                expected = expected.astype(expected.dtype.newbyteorder("="))
            np.testing.assert_array_equal(found[name], expected, strict=True)
            assert np.array_equal(np.signbit(found[name].real), np.signbit(expected.real)) or expected.dtype.kind in "b"
            assert found[name].flags.writeable
    path.unlink()


def refusable(name, value, suffix):
    """Whether a file cannot hold this."""
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name) or value.dtype.kind not in "fciub":
        return True
    if suffix == ".npz":
        return "\0" in name or len(name.encode()) > 65_531
    return name == "__metadata__" or value.dtype.newbyteorder("=").char in "gDG"


class OtherArray:
    def __array__(self, *args, **options):
        raise TypeError("it is elsewhere")


VALUES = [None, {"a": 1}, [[1], [1, 2]], "text", np.ma.array([1.0, 2.0], mask=[0, 1]), object(), OtherArray()]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_what_is_no_array_of_numbers_is_refused_by_name(tmp_path, suffix, value):
    with pytest.raises(ValueError, match=r"^weight (holds|is not an array of NumPy|is a masked array)"):
        nn.save({"weight": value}, tmp_path / f"model{suffix}")
    with pytest.raises(ValueError, match="the name 1: it is not a string"):
        nn.save({1: np.ones(2)}, tmp_path / f"model{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", "DgG")
def test_a_dtype_that_a_format_does_not_hold_is_named_with_the_way_out(tmp_path, code):
    with pytest.raises(
        ValueError, match=f"z holds {np.dtype(code)}, which .safetensors does not hold: save it as .npz"
    ):
        nn.save({"z": np.ones(2, code)}, tmp_path / "model.safetensors")


def test_names_that_fill_a_header_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.setattr("nn.saving.HEADER", 1000)  # the package reads 100,000,000 bytes
    nn.save({"x" * 500: np.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="at most 1,000 bytes of names"):
        nn.save({"x" * 1000: np.ones(2)}, tmp_path / "other.safetensors")
    assert len(list(tmp_path.iterdir())) == 1


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
    with pytest.raises(ValueError, match="more than 10 bytes of arrays: pass a larger limit"):
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
    path = tmp_path / "model.safetensors"
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"plaingrad\[safetensors\]"):
        nn.save(network(), path)
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r"plaingrad\[safetensors\]"):
        nn.load(path)


def test_names_that_are_arguments_of_numpys_own_writer(tmp_path):
    state = {"file": np.arange(3.0), "allow_pickle": np.zeros(2), "deep/er.name": np.ones((1, 2))}
    nn.save(state, tmp_path / "odd.npz")
    found = nn.load(tmp_path / "odd.npz")
    assert found.keys() == state.keys() and all(np.array_equal(found[k], v) for k, v in state.items())
    with np.load(tmp_path / "odd.npz") as numpys:
        assert np.array_equal(numpys["file"], state["file"])
