"""Files that hold models but are not read here: what they are, and how to convert them."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["kind_by_content", "kind_by_name"]

_TORCH = (
    "a PyTorch file, and reading its pickle can run any program: convert it with PyTorch, by "
    "safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')"
)
_PICKLE = "a pickle, and reading it can run any program: if you trust its source, unpickle it and nn.save its arrays"
_HDF5 = "an HDF5 file, as Keras writes: read it with h5py (keras.saving.load_model for .keras) and nn.save its arrays"
_ARRAY = "one array without a name: read it with np.load(path), and set a parameter with weight.assign(array)"
_INDEX = "JSON, perhaps an index of several files: nn.load each .safetensors file that it names, and join the dicts"
_GGUF = "a GGUF file, as llama.cpp reads: look for the .safetensors file that it was made from"
_ONNX = "an ONNX model: nn.onnx.load(path) reads it"

_BY_NAME = {
    ".pt": _TORCH, ".pth": _TORCH, ".bin": f"probably {_TORCH}", ".ckpt": f"probably {_TORCH}",
    ".pkl": _PICKLE, ".pickle": _PICKLE, ".joblib": _PICKLE, ".h5": _HDF5, ".hdf5": _HDF5, ".keras": _HDF5,
    ".npy": _ARRAY, ".json": _INDEX, ".gguf": _GGUF, ".onnx": _ONNX,
}  # fmt: skip
_BY_CONTENT = [
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"\x93NUMPY", _ARRAY),
    (b"GGUF", _GGUF),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", _TORCH),  # the magic number of PyTorch before 1.6
    (b"\x80", _PICKLE),
    (b"\x1f\x8b", "compressed by gzip: unpack it with gunzip first"),
    (b"version https://git-lfs", "a Git LFS pointer, which names the file: fetch the file itself with `git lfs pull`"),
    (b"<", "a web page or XML, perhaps an error message: download the file itself"),
]


def kind_by_name(name: str) -> str:
    """What a file of this name holds and how to convert it, for an error message; "" if the name tells nothing.

    >>> kind_by_name("model.npy")
    'one array without a name: read it with np.load(path), and set a parameter with weight.assign(array)'
    """
    if PurePosixPath(name).name == "data.pkl":  # the member of a PyTorch archive that has the structure
        return f"part of {_TORCH}"
    return _BY_NAME.get(PurePosixPath(name).suffix.lower(), "")


def kind_by_content(head: bytes, suffix: str) -> str:
    """The same from the first bytes of a file with a misleading suffix; "" if they are as expected, or unknown."""
    if suffix != ".npz" and head.startswith(b"PK"):
        return "a zip archive, as .npz files are (rename it) and those of PyTorch (convert it with PyTorch)"
    if suffix != ".safetensors" and head[8:9] == b"{":
        return "a .safetensors file: rename it"
    return next((kind for magic, kind in _BY_CONTENT if head.startswith(magic)), "")
