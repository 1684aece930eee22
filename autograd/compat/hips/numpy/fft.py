"""numpy.fft, whose functions take Tensors."""

import numpy.fft as _fft

from .numpy_wrapper import wrap_namespace

wrap_namespace(vars(_fft), globals())
