"""numpy.linalg, whose functions take Tensors."""

import numpy.linalg as _linalg

from .numpy_wrapper import wrap_namespace

wrap_namespace(vars(_linalg), globals())
