"""Linear algebra for Tensors and arrays: `autograd.linalg.solve` is the op of `np.linalg.solve`."""

import importlib.util
from typing import Any

import numpy as np

from .ops import functions_of, publish
from .ops.spectral import expm, logm, spectral, sqrtm

__all__ = publish(
    __name__,
    functions_of(np.linalg) | {"expm": expm, "logm": logm, "spectral": spectral, "sqrtm": sqrtm},
)
_SCIPYS = ["solve_banded", "solve_sylvester", "solve_triangular"]  # these need SciPy, and load it
if importlib.util.find_spec("scipy") is not None:
    __all__ = sorted([*__all__, *_SCIPYS])


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _SCIPYS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .ops import triangular

    publish(__name__, triangular.OWN)
    return globals()[name]
