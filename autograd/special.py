"""Functions of scipy.special, for Tensors and arrays; needs the extra `scipy`."""

import sys

from .ops import functions_of
from .ops.describe import describe
from .ops.special import log_softmax as log_softmax
from .ops.special import logsumexp as logsumexp
from .ops.special import softmax as softmax

describe()
globals().update(functions_of(sys.modules["scipy.special"]))
__all__ = sorted({"log_softmax", "logsumexp", "softmax", *functions_of(sys.modules["scipy.special"])})


def __dir__() -> list[str]:
    return __all__
