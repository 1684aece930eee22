"""Saving and loading models: `.npz` and `.safetensors` files, written whole or not at all, and checked when read."""

from __future__ import annotations

import errno
import importlib
import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from autograd.files import write_whole

from .file_kinds import kind_by_content, kind_by_name
from .module import Module
from .placement import on_host

__all__ = ["load", "save"]

Arrays = dict[str, np.ndarray[Any, Any]]
# Errors of Python's zip reader and NumPy's header reader for damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile, EOFError, KeyError, OSError, OverflowError, RuntimeError, SyntaxError, ValueError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip
LIMIT = 64 * 2**30  # bytes of one file's arrays, unless the caller allows more
INFLATED = 2**30  # bytes that a compressed file may always grow to; above, to 100 times its size
DEFLATE = 1032  # most bytes that a byte of DEFLATE can stand for: 258 bytes in 2 bits
SAFETENSORS = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
HEADER = 100_000_000  # most bytes of names and shapes in a safetensors file


class _Unsupported(ValueError):
    """What an undamaged file holds that is not loaded, and what to do about it."""


def save(model: Module | Mapping[str, Any], path: str | Path) -> None:
    """Write the state of a model (or a dict of arrays) to a `.npz` or `.safetensors` file (extra `safetensors`).

    `load` gives back the same names, shapes, dtypes and values (a `.safetensors` file has one byte order, so there
    big-endian arrays come back in the machine's own).  The file appears whole or not at all, see
    `autograd.files.write_whole`.  Raises ValueError, before anything is written, for another suffix and for a name or
    an array that the format cannot hold.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> save({"weight": np.ones((2, 3))}, path)
    >>> load(path)["weight"].shape
    (2, 3)
    """
    anything: Any = model
    state = anything.state_dict() if hasattr(model, "named_parameters") else model  # of a module, also a compiled one
    if not isinstance(state, Mapping):
        raise TypeError(f"save(model, path) takes a module or a dict of arrays first; got {type(model).__name__}")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(f"a model is saved as .npz or .safetensors; got {path.name!r}")
    for name in state:
        if fault := _fault_of_name(name, suffix):
            raise ValueError(f"a {suffix} file cannot hold the name {name!r:.60}: {fault}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    write_whole(path, _npz(arrays) if suffix == ".npz" else _safetensors(arrays))


def _fault_of_name(name: Any, suffix: str) -> str:
    """The reason why a file cannot hold this name, or ""."""
    if not isinstance(name, str):
        return "it is not a string"
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not Unicode text"
    if suffix == ".safetensors":
        return "the format uses it itself" if name == "__metadata__" else ""
    if zipfile.ZipInfo(f"{name}.npy").filename != f"{name}.npy":  # cut at "\0"; on Windows, with other slashes
        return "zip archives change it"
    return "it is longer than 65,531 bytes" if size > 65_531 else ""


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """An array in C order.  Raises ValueError unless it holds numbers, and all that `value` holds."""
    if hasattr(value, "mask"):
        raise ValueError(f"{name} is a masked array, and a file does not hold the mask: save value.filled() instead")
    try:
        array = on_host(value)
    except (ValueError, TypeError, RuntimeError) as error:  # the last two from arrays of other libraries
        raise ValueError(f"{name} is not an array of NumPy: {error}") from error
    if array.dtype.kind not in "fciub":
        raise ValueError(
            f"{name} holds {array.dtype}, but a file holds NumPy's numbers: convert it (nn.Checkpoint saves optimisers)"
        )
    return np.ascontiguousarray(array).reshape(array.shape)


def _npz(arrays: Arrays) -> bytes:
    """The bytes that np.savez writes, for any names; np.savez itself cannot take some, such as "file"."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def _safetensors(arrays: Arrays) -> bytes:
    known = [np.dtype(code) for code in SAFETENSORS.values()]
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in known:
            raise ValueError(
                f"{name} holds {array.dtype}, which .safetensors does not hold: save it as .npz, or convert it"
            )
    numpy = _package("safetensors.numpy")
    try:
        content: bytes = numpy.save(arrays)
    except _package("safetensors").SafetensorError as error:  # older packages know fewer dtypes
        raise ValueError(f".safetensors cannot hold this state: {error}") from error
    if struct.unpack("<Q", content[:8])[0] > HEADER:
        raise ValueError(f".safetensors holds at most {HEADER:,} bytes of names; save this state as .npz")
    return content


def load(path: str | Path, model: Module | None = None, *, limit: int | None = None) -> Arrays:
    """The arrays of a file from `save`, NumPy's savez and savez_compressed, or PyTorch (as safetensors).

    They are also loaded into `model`, if given.  bfloat16 becomes float32, which has all of its values.  Nothing in a
    file is ever executed.  Raises OSError for a file that cannot be opened, and ValueError, before any parameter
    changes, for one that is damaged, does not fit the model, or holds other things than numbers: the message says
    which, and how to convert them.  A file may hold `limit` bytes of arrays: by default 64 GiB; if it is compressed,
    1 GiB or 100 times its size, whichever is more.

    >>> import tempfile
    >>> import nn
    >>> path, model = Path(tempfile.mkdtemp()) / "model.safetensors", nn.Linear(3, 2)
    >>> save(model, path)
    >>> sorted(load(path, nn.Linear(3, 2)))
    ['bias', 'weight']
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        kind = kind_by_name(path.name) or "neither"
        raise ValueError(f"nn.load reads .npz and .safetensors files; {path.name!r} is {kind}")
    with path.open("rb") as file:
        try:
            arrays = _read_npz(file, limit) if suffix == ".npz" else _read_safetensors(file, limit)
        except _Unsupported as error:
            raise ValueError(f"{path.name} holds {error}") from None
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of the disk, not of the bytes
                raise
            file.seek(0)
            if kind := kind_by_content(file.read(64), suffix):
                raise ValueError(f"{path.name} is not a {suffix} file but {kind}") from error
            raise ValueError(f"{path.name} is not a complete file of arrays: {error}") from error
    if model is not None:
        model.load_state_dict(arrays)
    return arrays


def _read_npz(file: IO[bytes], limit: int | None) -> Arrays:
    """`np.load`, after a check of every size in the file."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_members(members, os.fstat(file.fileno()).st_size, limit)
        for member in members:
            with archive.open(member) as part:
                _check_header(part, member)
        arrays = {}
        for member in members:
            with archive.open(member) as part:
                arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(part, allow_pickle=False)
    return arrays


def _check_members(members: list[zipfile.ZipInfo], whole: int, limit: int | None) -> None:
    """Raise ValueError unless the members of an archive of `whole` bytes are arrays that need no more than `limit`."""
    for member in members:
        if not member.filename.endswith(".npy"):
            kind = kind_by_name(member.filename) or "not an array"
            raise _Unsupported(f"{member.filename!r:.60}, which is {kind}")
        if member.flag_bits & 1:
            raise _Unsupported("encrypted arrays: unpack it, and pack it again without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Unsupported(
                f"arrays compressed by method {member.compress_type}; NumPy uses none or DEFLATE: unpack it, and pack "
                f"it again"
            )
        packed = member.compress_type == zipfile.ZIP_DEFLATED
        if member.file_size > member.compress_size * (DEFLATE if packed else 1):
            raise ValueError(f"{member.filename!r:.60} is said to be larger than its bytes can be")
    if sum(member.compress_size for member in members) > whole:
        raise ValueError("its parts overlap")  # and would be read many times over
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two of its arrays have the same name")
    if limit is None:
        packed = any(member.compress_type == zipfile.ZIP_DEFLATED for member in members)
        limit = max(INFLATED, 100 * whole) if packed else LIMIT
    if sum(member.file_size for member in members) > limit:
        raise _Unsupported(_too_large(limit))


def _too_large(limit: int) -> str:
    return f"more than {limit:,} bytes of arrays: pass a larger limit to load() if you trust its source"


def _check_header(file: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Raise ValueError unless the header announces numbers that fill the rest of this member."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    name, left = member.filename.removesuffix(".npy"), member.file_size - file.tell()
    if dtype.hasobject:
        raise _Unsupported(
            f"Python objects in {name!r:.60}, and reading them can run any program: if you trust its source, read it "
            f"with np.load(path, allow_pickle=True), and save its numbers"
        )
    if dtype.kind == "V" and not dtype.names:  # np.save writes bfloat16 of ml_dtypes as two bytes without a type
        raise _Unsupported(
            f"bytes without a type ({dtype}) in {name!r:.60}: read it with np.load(path), view it as the dtype that it "
            f"had, and save its float32"
        )
    if dtype.kind not in "fciub":
        raise _Unsupported(f"{dtype} in {name!r:.60}, and a model is numbers: read it with np.load(path)")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"shape {shape} of {dtype} does not fit {left} bytes")


def _read_safetensors(file: IO[bytes], limit: int | None) -> Arrays:
    limit = LIMIT if limit is None else limit
    if os.fstat(file.fileno()).st_size > limit:
        raise _Unsupported(_too_large(limit))
    package = _package("safetensors")
    try:
        parts = package.deserialize(file.read())
    except Exception as error:  # the package's own exception is not a ValueError
        if unknown := re.search("unknown variant `(.*?)`", str(error)):
            raise _Unsupported(
                f"the dtype {unknown[1]!r:.50}, which this version of safetensors does not know: update it, or convert "
                f"the arrays where the file was written"
            ) from error
        raise ValueError(str(error)) from error
    return {name: _from_safetensors(name, part["dtype"], part["shape"], part["data"]) for name, part in parts}


def _from_safetensors(name: str, dtype: str, shape: list[int], data: bytearray) -> np.ndarray[Any, Any]:
    if dtype == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).reshape(shape)
    if dtype not in SAFETENSORS:
        raise _Unsupported(
            f"{dtype} in {name!r:.60}, which NumPy does not have: convert it with PyTorch, by safetensors.torch."
            f"load_file, value.float() and save_file"
        )
    array = np.frombuffer(data, SAFETENSORS[dtype])
    return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(".safetensors files need a package: pip install plaingrad[safetensors]") from error
