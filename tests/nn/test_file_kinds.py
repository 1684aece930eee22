"""Files of other tools: they load, or the error says what they hold and what to do; and they cannot be bombs."""

from __future__ import annotations

import errno
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import nn

ARRAYS = {
    char: np.asfortranarray(np.arange(6).reshape(2, 3).astype(char)) for char in [*"?bBhHiIlLqQefdgFDG", ">f4", ">i8"]
} | {"empty": np.zeros((0, 3)), "0-d": np.float32(2)}


def refused(path, words, error=ValueError):
    model = nn.Linear(2, 2)
    before = model.state_dict()
    with pytest.raises(error, match=words):
        nn.load(path, model)
    assert all(array is before[name] for name, array in model.state_dict().items())


def headed(entries, content):
    """The bytes of a safetensors file."""
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + content


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


# ---- what loads


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_numpys_archives_load(tmp_path, write):
    write(tmp_path / "a.npz", **ARRAYS)
    found = nn.load(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_archives_of_every_version_of_the_array_format_load(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for version in ((1, 0), (2, 0), (3, 0)):
            archive.writestr(f"v{version[0]}.npy", npy(np.arange(3.0), version=version))
    assert all(np.array_equal(array, np.arange(3.0)) for array in nn.load(path).values())


def test_every_bfloat16_becomes_the_float32_of_the_same_value(tmp_path):
    pytest.importorskip("safetensors")
    path, bits = tmp_path / "a.safetensors", np.arange(2**16, dtype=np.uint16)
    shape = {"dtype": "BF16", "shape": [2, 2**15], "data_offsets": [0, 2**17]}
    path.write_bytes(headed({"weight": shape}, bits.astype("<u2").tobytes()))
    found = nn.load(path)["weight"]
    assert found.dtype == np.float32 and found.shape == (2, 2**15) and found.flags.writeable
    assert np.array_equal(found.view(np.uint32).ravel(), bits.astype(np.uint32) << 16)
    sign, exponent, fraction = bits >> 15, (bits >> 7).astype(int) & 255, bits & 127
    scale = np.where(exponent == 0, fraction / 128, 1 + fraction / 128)
    expected = np.where(sign == 1, -scale, scale) * 2.0 ** (np.maximum(exponent, 1) - 127)
    finite = exponent < 255
    assert np.array_equal(found.ravel()[finite], expected[finite].astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "uint8", "bool", "complex64"])
def test_files_of_pytorch_load(tmp_path, dtype):
    torch, safe = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    theirs = torch.tensor([[1.0, 0.0], [2.5, 1e-3]]).to(getattr(torch, dtype))
    safe.save_file({"weight": theirs, "scalar": theirs[0, 0].clone()}, tmp_path / "a.safetensors", {"format": "pt"})
    found = nn.load(tmp_path / "a.safetensors")
    expected = (theirs.float() if dtype == "bfloat16" else theirs).numpy()
    np.testing.assert_array_equal(found["weight"], expected, strict=True)
    assert found["scalar"].shape == ()


def test_bfloat16_loads_into_a_model_of_any_precision(tmp_path):
    pytest.importorskip("safetensors")
    halves = np.array([[0x3F80, 0x4000]], "<u2")  # 1 and 2
    entry = {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}
    (tmp_path / "a.safetensors").write_bytes(headed({"weight": entry}, halves.tobytes()))
    for dtype in (np.float16, np.float32, np.float64):
        model = nn.Linear(2, 1, bias=False).to(dtype)
        nn.load(tmp_path / "a.safetensors", model)
        assert model.weight.data.tolist() == [[1.0, 2.0]] and model.weight.dtype == dtype


# ---- what does not, and what to do


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_what_numpy_cannot_hold_is_named(tmp_path, dtype):
    pytest.importorskip("safetensors")
    path = tmp_path / "a.safetensors"
    path.write_bytes(headed({"layer.weight": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2]}}, b"ab"))
    refused(path, f"a.safetensors holds {dtype} in 'layer.weight'.*convert it with PyTorch")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([{"a": 1}], dtype=object), "Python objects in 'w'.*any program.*allow_pickle=True"),
        (np.array(["text"]), "<U4 in 'w'.*np.load"),
        (np.array([b"text"]), r"\|S4 in 'w'.*np.load"),
        (np.array(["2020-01-01"], "M8[D]"), r"datetime64\[D\] in 'w'.*np.load"),
        (np.zeros(2, [("a", "f4")]), "'a'.* in 'w'.*np.load"),
        (np.zeros(2, "V2"), r"bytes without a type \(\|V2\) in 'w'.*np.load.*view"),
    ],
)
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_that_are_not_numbers_are_named(tmp_path, write, array, words):
    write(tmp_path / "a.npz", v=np.ones(2), w=array)
    refused(tmp_path / "a.npz", f"a.npz holds .*{words}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.pt", "PyTorch.*safetensors.torch.save_file"),
        ("model.PTH", "PyTorch.*safetensors.torch.save_file"),
        ("pytorch_model.bin", "PyTorch.*safetensors.torch.save_file"),
        ("epoch=3.ckpt", "PyTorch.*safetensors.torch.save_file"),
        ("model.pkl", "pickle.*any program.*nn.save"),
        ("model.joblib", "pickle.*any program.*nn.save"),
        ("weights.h5", "HDF5.*h5py.*nn.save"),
        ("model.keras", "HDF5.*nn.save"),
        ("weight.npy", r"one array.*np.load\(path\)"),
        ("model.safetensors.index.json", "index of several files.*nn.load each"),
        ("model.gguf", "GGUF"),
        ("model.onnx", r"nn\.onnx\.load"),
        ("model.xyz", "neither"),
        ("model", "neither"),
    ],
)
def test_other_formats_are_named_with_the_way_to_convert_them(tmp_path, name, words):
    refused(tmp_path / name, rf"(?s)reads .npz and .safetensors files; '{name}' is .*{words}")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": 1}), "pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"),
        (npy(np.ones(3)), "one array without a name"),
        (b"GGUF" + bytes(90), "GGUF"),
        (b"\x1f\x8b" + bytes(90), "gunzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"<!doctype html><title>404 Not Found</title>", "download the file itself"),
    ],
)
def test_content_that_belies_its_suffix_is_named(tmp_path, suffix, content, words):
    pytest.importorskip("safetensors")
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refused(path, rf"model{suffix} is not a {suffix} file but .*{words}")


def test_one_format_under_the_suffix_of_another(tmp_path):
    pytest.importorskip("safetensors")
    good, other = tmp_path / "a.npz", tmp_path / "a.safetensors"
    nn.save(nn.Linear(2, 2), good)
    good.rename(other)
    refused(other, "a zip archive.*rename it")
    nn.save(nn.Linear(2, 2), other)
    other.rename(good)
    refused(good, "a .safetensors file: rename it")


def test_an_archive_of_pytorch_is_known_by_what_is_in_it(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2)}, tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "a.npz holds '.*data.pkl', which is part of a PyTorch file.*save_file")
    torch.save({"w": torch.ones(2)}, tmp_path / "b.npz", _use_new_zipfile_serialization=False)
    refused(tmp_path / "b.npz", "is not a .npz file but a PyTorch file.*save_file")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_that_numpy_does_not_write_are_named(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("w.npy", npy(np.ones(3)))
    refused(tmp_path / "a.npz", f"compressed by method {method}.*pack it again")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "text")
    refused(tmp_path / "a.npz", "holds 'readme.txt', which is not an array")
    nn.save({"w": np.ones(3)}, tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", "holds encrypted arrays: unpack it")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_errors_of_the_system_keep_their_type(tmp_path, suffix, monkeypatch):
    pytest.importorskip("safetensors")
    path = tmp_path / f"a{suffix}"
    refused(path, "No such file", FileNotFoundError)
    path.mkdir()
    refused(path, "Is a directory", IsADirectoryError)
    path.rmdir()
    nn.save(nn.Linear(2, 2), path)

    def fails(number):
        def call(*args, **options):
            raise OSError(number, "the system says no")

        return call

    with monkeypatch.context() as patch:
        patch.setattr("os.fstat", fails(errno.EIO))  # asked between reads
        with pytest.raises(OSError, match="the system says no") as raised:
            nn.load(path)
        assert raised.value.errno == errno.EIO
    monkeypatch.setattr(Path, "open", fails(errno.EACCES))
    refused(path, "the system says no", PermissionError)


# ---- what would not fit into memory


def peak(function):
    tracemalloc.start()
    try:
        function()
    finally:
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return size


def packed(path, content, declared=None):
    """An archive of one compressed member, whose directory declares another size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", content)
        if declared is not None:
            archive.filelist[0].file_size = declared


def header_for(size):
    return npy(np.zeros(0))[:128].replace(b"(0,), }" + b" " * 10, f"({size},), }}".encode().ljust(17))


def test_a_compressed_file_grows_within_limits(tmp_path, monkeypatch):
    path, zeros = tmp_path / "a.npz", np.zeros(1_000_000)
    np.savez_compressed(path, w=zeros)
    assert np.array_equal(nn.load(path)["w"], zeros)
    monkeypatch.setattr("nn.saving.INFLATED", 1000)  # or 100 times its size
    refused(path, "holds more than .* bytes of arrays: pass a larger limit")
    assert np.array_equal(nn.load(path, limit=9_000_000)["w"], zeros)
    with pytest.raises(ValueError, match="more than 7,000,000 bytes"):
        nn.load(path, limit=7_000_000)
    noise = np.random.default_rng(0).normal(size=10_000)
    np.savez_compressed(path, w=noise)  # does not grow
    assert np.array_equal(nn.load(path)["w"], noise)


def test_sizes_that_are_not_true_inflate_nothing(tmp_path):
    path, header = tmp_path / "a.npz", header_for(2**34)
    assert len(header) == 128
    bombs = {
        "larger than its bytes": (header, 2**37 + 128),  # 2^37 bytes of nothing
        r"shape \(3,\) of float64 does not fit 100000024 bytes": (npy(np.zeros(3)) + bytes(10**8), None),
        r"shape \(17179869184,\) of float64 does not fit 100000000 bytes": (header + bytes(10**8), None),
        "CRC|zlib|Error|fit|large": (npy(np.zeros(3)) + bytes(10**8), 128 + 24),  # more than is declared
    }
    for words, (content, declared) in bombs.items():
        packed(path, content, declared)
        assert peak(lambda words=words: refused(path, words)) < 5_000_000, words


def test_parts_that_overlap_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    packed(path, npy(np.arange(10_000)))
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.filelist[0]
        for i in range(9):
            other = zipfile.ZipInfo(f"{i}.npy")
            for name in ("header_offset", "compress_type", "CRC", "compress_size", "file_size", "flag_bits"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
        archive._didModify = True
    refused(path, "overlap")
