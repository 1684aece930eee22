"""What a program must know of NumPy's functions: which write, and of which the result's shape depends on numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

# Functions that look at shapes and dtypes alone: their results are constants of the program.
OUTLINES = {
    np.ones_like, np.zeros_like, np.full_like, np.empty_like, np.shape, np.ndim, np.size, np.result_type, np.can_cast,
    np.iscomplexobj, np.isrealobj, np.common_type, np.may_share_memory, np.shares_memory, np.min_scalar_type,
}  # fmt: skip

# Functions that write into an argument.
WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}

# Functions and methods of which the shape of the result depends on the numbers in their arguments.
_SELECTING = {
    np.nonzero, np.flatnonzero, np.argwhere, np.compress, np.extract, np.unique, np.unique_all, np.unique_counts,
    np.unique_inverse, np.unique_values, np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.trim_zeros,
    np.bincount, np.delete, np.roots, np.histogram, np.histogram_bin_edges, np.linalg.lstsq, "nonzero", "compress",
}  # fmt: skip


def writes(function: Any, kwargs: Any) -> bool:
    """Whether a call of NumPy's writes into an argument."""
    return function in WRITERS or kwargs.get("out") is not None


def shape_depends(kind: str, function: Any, args: Any, traced: Any) -> bool:
    """Whether the shape of a call's result depends on numbers; `traced(x)` are the traced arrays in arguments."""
    if kind == "item":
        return any(x.value.dtype == np.bool_ for x in traced(args[1:]))
    if function in (np.repeat, "repeat"):
        return bool(traced(args[1:]))
    if function is np.where:
        return len(args) == 1
    return kind in ("call", "method") and function in _SELECTING
