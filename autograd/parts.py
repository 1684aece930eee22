"""Gradients of parts of an array, which are added up without filling the rest of it with zeros each time."""

from __future__ import annotations

from typing import Any

import numpy as np


class Part(np.lib.mixins.NDArrayOperatorsMixin):
    """The gradient of an array of which only the part at a basic `index` was used; elsewhere it is 0.

    It is added to an array in place, so that T parts of one array cost as much as one gradient of the whole, not
    as T.  Everything else is done with the whole array.
    """

    __slots__ = ("dtype", "gradient", "index", "shape")

    def __init__(self, gradient: Any, shape: tuple[int, ...], index: Any) -> None:
        self.gradient, self.shape, self.index, self.dtype = gradient, shape, index, gradient.dtype

    def whole(self) -> Any:
        """The gradient as an array."""
        whole = np.zeros_like(self.gradient, shape=self.shape)
        whole[self.index] = self.gradient
        return whole

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if ufunc is np.add and out is not None and out[0] is inputs[0] and out[0].__class__ is np.ndarray:
            out[0][self.index] += self.gradient
            return out[0]
        if ufunc is np.add and inputs[0] is self and isinstance(inputs[1], np.ndarray | Part):
            whole = self.whole()
            if (whole.shape, whole.dtype) == (inputs[1].shape, inputs[1].dtype):
                whole += inputs[1]  # in place as the walk adds arrays, so that the layout in memory is the same
                return whole
        if out is not None and out[0].__class__ is Part:
            out = None  # `part += x` binds the sum
        arrays = [x.whole() if x.__class__ is Part else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **({} if out is None else {"out": out}), **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*(x.whole() if x.__class__ is Part else x for x in args), **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.whole(), dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)
