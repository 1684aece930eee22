"""What NumPy's functions do when they meet a Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .refusing import no_rule

# {np.exp: exp, ...}.  The ops fill it as they register.
# A method of a ufunc is a pair, (np.add, "reduce").
NUMPY: dict[Any, Callable[..., Any]] = {}
LOADERS: list[Callable[[], None]] = []  # register the ops of other libraries, should these have been imported

# Keywords that NumPy's functions have in common, and the values that change nothing.
_HARMLESS = {"out": None, "casting": "same_kind", "subok": True, "dtype": None, "like": None}


def needed(params: dict[str, Any]) -> dict[str, Any]:
    """The keywords that say something."""
    return {key: x for key, x in params.items() if not (key in _HARMLESS and (x is None or x == _HARMLESS[key]))}


def dispatch(function: Any) -> Callable[..., Any]:
    """What to call when NumPy's `function` meets a Tensor.  Raises TypeError, naming the nearest that there is."""
    for load in (None, *LOADERS):
        if load is not None:
            load()
        if function in NUMPY:
            return NUMPY[function]
    return no_rule(function, {f.__name__ for f, op in NUMPY.items() if hasattr(op, "op")})
