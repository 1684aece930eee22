"""Saving and loading models: `.npz` and `.safetensors` files, written whole or not at all, and checked when read."""

from __future__ import annotations

import importlib
import io
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .module import Module

__all__ = ["load", "save"]

Arrays = dict[str, np.ndarray[Any, Any]]
# Errors of Python's zip reader and NumPy's header reader for damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile, EOFError, KeyError, OSError, OverflowError, RuntimeError, SyntaxError, ValueError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip
LIMIT = 64 * 2**30  # bytes of one file's arrays, unless the caller allows more


def save(model: Module | Mapping[str, Any], path: str | Path) -> None:
    """Write the state of a model (or a state_dict) to a `.npz` or `.safetensors` file (extra `safetensors`).

    The file is written beside `path`, flushed to disk and renamed, so that `path` is always the whole old file or the
    whole new one.  Raises ValueError for another suffix or an array of objects.

    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> save({"weight": np.ones((2, 3))}, path)
    >>> load(path)["weight"].shape
    (2, 3)
    """
    state = model.state_dict() if isinstance(model, Module) else model
    if not isinstance(state, Mapping):
        raise TypeError(f"save(model, path) takes a module or a dict of arrays first; got {type(model).__name__}")
    arrays = {
        name: np.ascontiguousarray(getattr(value, "data", value)).reshape(np.shape(value))
        for name, value in state.items()
    }
    for name, array in arrays.items():
        if array.dtype.kind not in "fciub":
            raise ValueError(f"{name} holds {array.dtype}, but a file holds numbers (for optimisers, nn.Checkpoint)")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    if path.suffix == ".npz":
        content = _npz(arrays)
    elif path.suffix == ".safetensors":
        content = _safetensors().save(arrays)
    else:
        raise ValueError(f"a model is saved as .npz or .safetensors; got {path.name!r}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: str | Path, model: Module | None = None, *, limit: int = LIMIT) -> Arrays:
    """The arrays of a file from `save` (or PyTorch, as safetensors); also loads them into `model`, if given.

    Nothing in a file is ever executed.  A file that is damaged, holds objects or more than `limit` bytes, or does not
    fit the model raises ValueError, before any parameter changes.

    >>> import nn
    >>> path, model = Path(tempfile.mkdtemp()) / "model.safetensors", nn.Linear(3, 2)
    >>> save(model, path)
    >>> sorted(load(path, nn.Linear(3, 2)))
    ['bias', 'weight']
    """
    path = Path(path)
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"a model is saved as .npz or .safetensors; got {path.name!r}")
    try:
        arrays = _read_npz(path, limit) if path.suffix == ".npz" else _read_safetensors(path, limit)
    except _DAMAGED as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path.name} is not a complete file of arrays: {error}") from error
    if model is not None:
        model.load_state_dict(arrays)
    return arrays


def _npz(arrays: Arrays) -> bytes:
    """The bytes that np.savez writes, for any names; np.savez itself cannot take some, such as "file"."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def _read_npz(path: Path, limit: int) -> Arrays:
    """`np.load`, after a check of every size in the file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > limit:
            raise ValueError(f"it holds more than {limit:,} bytes")
        for member in members:
            if not member.filename.endswith(".npy") or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename!r} is not a plain array")  # without compression nothing can inflate
        if size > path.stat().st_size:
            raise ValueError("its parts overlap")  # and would be read many times over
        if len({member.filename for member in members}) < len(members):
            raise ValueError("two of its arrays have the same name")
        for member in members:
            with archive.open(member) as file:
                _check_header(file, member.file_size)
    with np.load(path, allow_pickle=False) as arrays:
        return {name.removesuffix(".npy"): arrays[name] for name in arrays.zip.namelist()}


def _check_header(file: Any, size: int) -> None:
    """Raise ValueError unless the header announces numbers that fill the file of `size` bytes."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "fciub":
        raise ValueError(f"an array of {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"shape {shape} of {dtype} does not fit {size - file.tell()} bytes")


def _read_safetensors(path: Path, limit: int) -> Arrays:
    if path.stat().st_size > limit:
        raise ValueError(f"it holds more than {limit:,} bytes")
    content = path.read_bytes()
    numpy = _safetensors()
    try:
        return dict(numpy.load(content))
    except Exception as error:  # the package's own exception is not a ValueError
        raise ValueError(str(error)) from error


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError(".safetensors files need a package: pip install plaingrad[safetensors]") from error
