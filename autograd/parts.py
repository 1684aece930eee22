"""Gradients of parts of an array, which are added up without filling the rest of it with zeros each time."""

from __future__ import annotations

from typing import Any

import numpy as np


class Part(np.lib.mixins.NDArrayOperatorsMixin):
    """The gradient of an array of which only the part at a basic `index` was used; elsewhere it is 0.

    It can be added to an array in place, so that T parts of one array cost as much as one gradient of the whole, not
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
        if out is not None and out[0].__class__ is Part:
            out = None  # `part += x` binds the sum
        if ufunc is np.add and method == "__call__" and not options:
            total, part = inputs if inputs[1].__class__ is Part else inputs[::-1]
            total = total.whole() if total.__class__ is Part else total if out else np.array(total)
            if (total.shape, total.dtype) == (part.shape, part.dtype) and (out is None or out[0] is total):
                total[part.index] += part.gradient
                return total
        arrays = [x.whole() if x.__class__ is Part else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **({} if out is None else {"out": out}), **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*(x.whole() if x.__class__ is Part else x for x in args), **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.whole(), dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole(), name)
