"""The tensors of a module's state: what counts as one, their names, and which values fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from autograd import Tensor

from .parameter import Buffer, Parameter


def must_stay(module: Any, name: str, held: Tensor, value: Any) -> None:
    """Raise TypeError if a parameter or buffer would silently become something else."""
    where, what = f"{type(module).__name__}.{name}", type(value).__name__
    if isinstance(value, Tensor) and not value.is_leaf:
        what = f"the result of {value.node.op.name}"
    if is_parameter(held) and not (isinstance(value, Tensor) and is_parameter(value)):
        raise TypeError(
            f"{where} is a parameter, but {what} is not, so it would not be learned: set its value with "
            f"{name}.assign(value), or replace it with nn.Parameter(value) and make the optimiser afterwards"
        )
    if isinstance(held, Buffer) and not isinstance(value, Buffer):
        raise TypeError(
            f"{where} is a buffer, but {what} is not, so it would not be saved: set its value with {name}.assign(value)"
        )


def ambiguous(module: Any, path: str) -> ValueError:
    return ValueError(
        f"two parameters, buffers or modules of {type(module).__name__} have the name {path!r}, so a state could hold "
        f"only one of them; keys are part of names as str(key), and a dot separates names: rename one"
    )


def joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else str(name)


def is_state(tensor: Tensor) -> bool:
    return is_parameter(tensor) or isinstance(tensor, Buffer)


def is_parameter(tensor: Tensor) -> bool:
    return tensor.is_leaf and (tensor.requires_grad or isinstance(tensor, Parameter))


def mismatches(name: str, array: Any, tensor: Tensor, given: Mapping[int, str], arrays: Any) -> Iterator[str]:
    """The reasons why `array` cannot be the value of `tensor`."""
    if array.shape != tensor.shape:
        yield f"{name}: shape {array.shape} for a tensor of shape {tensor.shape}"
    elif array.dtype.kind not in "fciub" or not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        yield f"{name}: dtype {array.dtype} for a tensor of {tensor.dtype}"
    elif not np.array_equal(array, other := arrays[given[id(tensor)]], equal_nan=array.dtype.kind in "fc") and (
        other.shape == array.shape
    ):
        yield f"{name}: it is the same tensor as {given[id(tensor)]}, and the values differ"
