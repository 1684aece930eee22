"""Fourier transforms of Tensors and arrays: `autograd.fft.rfft` is what `np.fft.rfft` does with a Tensor."""

import numpy as np

from .ops import functions_of

globals().update(functions_of(np.fft))
__all__ = sorted(functions_of(np.fft))


def __dir__() -> list[str]:
    return __all__
