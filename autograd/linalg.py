"""Linear algebra for Tensors and arrays: `autograd.linalg.solve` is what `np.linalg.solve` does with a Tensor."""

import numpy as np

from .ops import functions_of

globals().update(functions_of(np.linalg))
__all__ = sorted(functions_of(np.linalg))


def __dir__() -> list[str]:
    return __all__
