"""What a Tensor refuses, and what to write instead; nothing here is on the hot path, and it knows no Tensor class."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

# What people who know other libraries look for on a Tensor, and what it is here.
ELSEWHERE = {
    "numpy": "t.data is the array",
    "cpu": "t.data is the array, and it is in memory",
    "cuda": "arrays are NumPy's; a CuPy array in t.data stays on its device",
    "clone": "t.copy(), which is recorded, or Tensor(t.detach()), which is not",
    "view": "t.reshape(...)",
    "permute": "t.transpose(...)",
    "unsqueeze": "np.expand_dims(t, axis), or t[None]",
    "expand": "np.broadcast_to(t, shape)",
    "to": "t.astype(dtype)",
    "type": "t.astype(dtype)",
    "float": "t.astype(np.float32)",
    "double": "t.astype(np.float64)",
    "long": "t.astype(np.int64)",
    "requires_grad_": "t.requires_grad = True, for a leaf of floating-point numbers",
    "retain_grad": "t.register_hook(print), or autograd.watch: gradients are kept for leaves only",
    "zero_grad": "t.grad = None, or optimizer.zero_grad()",
    "zero_": "t.grad = None forgets a gradient, t.assign(np.zeros_like(t.data)) sets a leaf to 0",
    "fill": "t.assign(np.full_like(t.data, value)), for a leaf",
    "copy_": "t.assign(value), for a leaf",
    "add_": "t.assign(t.data + value) for a leaf, t = t + value for others",
    "sub_": "t.assign(t.data - value) for a leaf, t = t - value for others",
    "mul_": "t.assign(t.data * value) for a leaf, t = t * value for others",
    "values": "t.data is the array",
}


class Absent:
    """In the place of an attribute that is not there: an AttributeError that says what to write instead.

    With a `__getattr__` for all names, every attribute that is there would take ten times as long.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, owner: Any, kind: type) -> NoReturn:
        raise AttributeError(f"a {kind.__name__} has no attribute {self.name!r}; {self.instead}", name=self.name)


def is_foreign(data: Any) -> bool:
    """Whether `data` is an array of another library, which computes when NumPy's functions meet it."""
    return not issubclass(type(data), np.ndarray) and hasattr(data, "__array_function__")


def numbers_of(data: Any, requires_grad: Any, dtype: Any) -> Any:
    """A copy of `data` as an array of numbers, which may have a gradient if it is to."""
    if not isinstance(requires_grad, bool | np.bool_):
        raise TypeError(f"requires_grad is True or False; got {requires_grad!r:.50} (a dtype is given as dtype=)")
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask; use x.filled(0.0), and autograd.where with the mask")
    if is_foreign(data):
        array = data.astype(dtype or data.dtype)
    elif hasattr(data, "__array__") and not isinstance(data, np.ndarray):
        array = np.array(np.asarray(data), dtype=dtype)  # not every library's arrays know how to copy
    else:
        array = np.array(data, dtype=dtype)
    if array.dtype.kind not in "fciub":
        raise TypeError(f"a Tensor holds numbers; got {type(data).__name__} that NumPy reads as {array.dtype}")
    if requires_grad and array.dtype.kind not in "fc":
        raise TypeError(
            f"requires_grad=True needs a floating-point or complex array, and this one is {array.dtype}; "
            f"pass dtype=float, or write the numbers with a decimal point"
        )
    return array


REFUSED = {
    "copy": "Tensor(t) of a Tensor that requires a gradient would drop it; use t itself or t.copy(), or t.detach() for "
    "its value, or pass requires_grad=True for a leaf that begins with this value",
    "number": "turning a Tensor that requires a gradient into a plain number (float(t), math.sin(t), array[i] = t) "
    "would drop the gradient; write t.item() for the number, or use NumPy's functions on t",
    "array": "turning a Tensor that requires a gradient into a NumPy array would drop the gradient; use .data for the "
    "array itself, or an autograd function for the computation (autograd.stack for a list of Tensors)",
    "item": "a Tensor cannot be changed element by element; use autograd.set_at(x, index, value), which returns a new "
    "Tensor, or autograd.where(mask, value, x); x.assign(value) replaces the whole value of a leaf",
    "out": "np.{} cannot write into an existing array when a Tensor takes part (out=, or x += tensor for an array x), "
    "since a recorded value must not change: write x = x + tensor, or use autograd.where",
    "backward": "backward() on a Tensor that records nothing: none of its inputs has requires_grad=True, or it was "
    "computed under no_grad() or from .data",
    "no gradient": "backward() on a Tensor of shape {} and {} needs a gradient of that shape; for a loss, reduce to "
    "one real number first, as in loss.mean().backward()",
    "grad": "the gradient of a leaf is a {} of shape {}, which somebody has set, and must be a Tensor of shape {}: "
    "leaf.grad = Tensor(array), or None",
    "pickle": "a Tensor made by {} cannot be pickled or copied, for it holds a graph; use its .detach() or .data",
}


def refuse(what: str, *about: Any, error: type[Exception] = TypeError) -> NoReturn:
    """Raise an error in the words of `REFUSED`."""
    raise error(REFUSED[what].format(*about))


def no_rule(function: Any, known: Iterable[str]) -> NoReturn:
    """Raise TypeError for a NumPy function that has no rule, and name the nearest of those that have."""
    name = ".".join([function[0].__name__, function[1]]) if isinstance(function, tuple) else function.__name__
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f"; the nearest that has one is np.{near[0]}" if near else ""
    raise TypeError(
        f"np.{name} has no derivative rule, so it cannot take a Tensor{hint}. "
        f"Use t.data if no gradient is needed, or add the op with autograd.differentiable"
    )
