"""The methods of ufuncs: np.add.reduce is np.sum with another default axis, np.multiply.outer a broadcast product."""

from __future__ import annotations

import numpy as np

from ..numpy_calls import NUMPY
from ..registry import OPS, Operation
from .reduce import max, min, prod, sum
from .sequence import cumprod, cumsum


def _reduce(function: Operation):
    def reduce(array, axis=0, dtype=None, out: None = None, keepdims: bool = False, **more):
        more = more if dtype is None else {"dtype": dtype, **more}
        return function(array, axis=axis, keepdims=keepdims, **more)

    return reduce


def _outer(function: Operation):
    """f(a[i], b[j]) for all pairs of elements."""
    return lambda a, b, **params: function(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **params)


for _ufunc, _reduction in {np.add: sum, np.multiply: prod, np.maximum: max, np.minimum: min}.items():
    NUMPY[_ufunc, "reduce"] = _reduce(_reduction)
for _ufunc, _scan in {np.add: cumsum, np.multiply: cumprod}.items():
    NUMPY[_ufunc, "accumulate"] = lambda array, axis=0, dtype=None, _scan=_scan: (
        _scan(array, axis=axis) if dtype is None else _scan(array, axis=axis, dtype=dtype)
    )
for _op in list(OPS.values()):
    if _op.elementwise and len(_op.rules) == 2:
        for _ufunc in _op.numpy:
            NUMPY[_ufunc, "outer"] = _outer(_op.function)
