"""Arrays of one library as those of another, on its device: one op, whose gradient goes the other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import refuse
from ..libraries import carried, library_of
from ..op import differentiable
from ..registry import Operation
from .index import array_of
from .register import CASES, Case, methods


def _call(x, library) -> tuple[tuple[Any], dict[str, Any]]:
    if not hasattr(library, "asarray"):
        if not hasattr(library, "dtype") or isinstance(library, type | np.dtype | np.generic):
            refuse("no library", f"{library!r:.40}")
        library = library_of(array_of(library))
    return (x,), {"library": library, "back": library_of(array_of(x))}


def _to(x, *, library, back):
    """x as an array of `library` (NumPy, or another that computes NumPy's functions), on its device.

    `library` is its module, as in to(x, cupy), or one of its arrays or Tensors.  Where x is one already, it is returned
    itself.  The gradient goes back to where x was.  Raises TypeError for the name of a device.

    >>> to(np.zeros(2), np)
    array([0., 0.])
    """
    return carried(x, library)


def _method(self, library):
    """This Tensor as one of another library, as in t.to(cupy) and t.to(np); see `autograd.to`."""
    return to(self, library)


to: Operation = differentiable(
    _to,
    lambda g, *_, library, back: to(g, back),
    call=_call,
    methods=methods(to=_method),
    name="to",
    view=True,
)

# ---- test data

CASES[to] = [Case((2, 3), library=np), Case((), library=np)]
