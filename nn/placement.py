"""Where numbers are: models, batches and states go to the library of the parameters, and files come from memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from autograd import Tensor, convert_all, to

from .elsewhere import no_device

__all__: list[str] = []

EVERY = 16  # batches: how often a run reads the losses from a device, for which it has to wait


def moved(model: Any, target: Any) -> None:
    """Give all parameters and buffers another dtype, or move them to another library; their gradients are cleared."""
    tensors = [*model.parameters(), *model.buffers()]
    if hasattr(target, "asarray") or (hasattr(target, "dtype") and not isinstance(target, type | np.dtype)):
        convert_all(tensors, [to(tensor.data, target) for tensor in tensors])
        return
    no_device(target)
    if np.dtype(target).kind != "f":
        raise TypeError(f"parameters are floating-point numbers; got {np.dtype(target)}")
    tensors = [tensor for tensor in tensors if tensor.dtype.kind == "f"]
    convert_all(tensors, [tensor.data.astype(target) for tensor in tensors])


def on_host(x: Any) -> Any:
    """The array of x in memory; a number or a list as NumPy reads it."""
    return x if x.__class__ is np.ndarray else np.asarray(to(x.data if isinstance(x, Tensor) else x, np))


def beside(model: Any) -> Callable[[Any], Any]:
    """A function that puts a batch (an array, or a dict, tuple or list of them) where the model's parameters are."""
    parameters = model.parameters()
    like = parameters[0].data if parameters else None

    def put(x: Any) -> Any:
        if x.__class__ is np.ndarray and (like is None or like.__class__ is np.ndarray):
            return x
        if isinstance(x, Mapping):
            return {name: put(part) for name, part in x.items()}
        if type(x) in (list, tuple):
            return type(x)(map(put, x))
        return to(x, like) if like is not None and hasattr(x, "__array_function__") else x

    return put


def is_elsewhere(x: Any) -> bool:
    """Whether the array of x is another library's, so that reading a number may wait for a device.

    >>> is_elsewhere(np.zeros(2)), is_elsewhere([1.0])
    (False, False)
    """
    if x.__class__ is ndarray:
        return False
    data = x.data if isinstance(x, Tensor) else x
    if isinstance(data, ndarray) or hasattr(data, "__autograd_forward__"):  # the latter while a program is traced
        return False
    return hasattr(data, "__array_function__")


def not_lazy(gradient: Any) -> None:
    """Raise TypeError for a gradient that Dask has not computed yet."""
    if hasattr(gradient, "dask"):
        raise TypeError(
            "a gradient is a Dask array that is not computed yet, and every step would make its graph longer: keep the "
            "parameters in memory, model.to(np), and give nn.fit(model, X, y) the Dask arrays, whose batches it reads"
        )


class Losses:
    """The mean loss of an epoch of so many batches; from a device, losses are read only every EVERY batches.

    `sums` says that each loss is the sum over its samples, not their mean.
    """

    def __init__(self, batches: int, sums: bool) -> None:
        self.left, self.sums = batches, sums
        self.total, self.count = 0.0, 0  # of the losses that were read
        self._total: Any = 0.0  # of the others
        self._count = 0

    @property
    def mean(self) -> float:
        """The mean of all losses that were read."""
        return self.total / max(self.count, 1)

    def add(self, loss: Any, n: int) -> float:
        """Add the loss of n samples; return the mean so far."""
        self.left, self._count, weight = self.left - 1, self._count + n, 1 if self.sums else n
        if not is_elsewhere(loss):
            self._total += loss.item() * weight
        else:
            self._total = self._total + loss.data * weight
            if self.left % EVERY:
                return self.mean
        self.total, self.count = self.total + float(self._total), self.count + self._count
        self._total, self._count = 0.0, 0
        return self.mean
