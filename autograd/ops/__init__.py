"""Every derivative rule, and nothing else: one module per family."""

import sys

from ..protocols import LOADERS
from . import complex as complex
from . import elementwise as elementwise
from . import fft as fft
from . import index as index
from . import joining as joining
from . import linalg as linalg
from . import plain as plain
from . import products as products
from . import reduce as reduce
from . import selection as selection
from . import sequence as sequence
from . import shape as shape
from . import statistics as statistics
from . import trigonometric as trigonometric
from . import ufunc_methods as ufunc_methods


def _scipy() -> None:
    """Register the rules of scipy.special, once it has been imported by whoever gave a Tensor to one of its ufuncs."""
    if "scipy.special" in sys.modules:
        from . import special as special


LOADERS.append(_scipy)
