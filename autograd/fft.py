"""Fourier transforms of Tensors and arrays: `autograd.fft.rfft` is the op that `np.fft.rfft` calls on a Tensor."""

import numpy as np

from .ops import functions_of, publish

__all__ = publish(__name__, functions_of(np.fft))


def __dir__() -> list[str]:
    return __all__
