"""Linear algebra for Tensors and arrays: `autograd.linalg.solve` is the op of `np.linalg.solve`."""

import numpy as np

from .ops import functions_of, publish
from .ops.spectral import expm, logm, spectral, sqrtm

__all__ = publish(
    __name__,
    functions_of(np.linalg) | {"expm": expm, "logm": logm, "spectral": spectral, "sqrtm": sqrtm},
)


def __dir__() -> list[str]:
    return __all__
