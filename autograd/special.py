"""Functions of scipy.special, for Tensors and arrays; needs the extra `scipy`."""

import sys

from .ops import bessel, functions_of, publish, special
from .ops.describe import describe

describe()
_own = {"log_softmax": special.log_softmax, "logsumexp": special.logsumexp, "softmax": special.softmax}
__all__ = publish(__name__, functions_of(sys.modules["scipy.special"]) | _own | bessel.OWN)


def __dir__() -> list[str]:
    return __all__
