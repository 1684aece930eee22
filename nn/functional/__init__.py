"""The functions that layers and losses call; the fused ops are made with the public `differentiable`."""

from typing import Any as _Any

import numpy as np  # noqa: F401 (the examples in the docstrings of these functions read it)

from ..arguments import accepting as _accepting
from ..elsewhere import FUNCTIONAL as _NAMES
from ..elsewhere import absent as _absent
from .activations import *
from .adaptive import *
from .alignment import *
from .attention import *
from .convolution import *
from .dense import *
from .dropping import *
from .entropy import *
from .formula import *
from .grids import *
from .logistic import *
from .losses import *
from .margins import *
from .normalization import *
from .padding import *
from .piecewise import *
from .pooling import *
from .resampling import *
from .unfolding import *

__all__ = sorted(
    [
        *activations.__all__,
        *adaptive.__all__,
        *alignment.__all__,
        *attention.__all__,
        *convolution.__all__,
        *dense.__all__,
        *dropping.__all__,
        *entropy.__all__,
        *formula.__all__,
        *grids.__all__,
        *logistic.__all__,
        *losses.__all__,
        *margins.__all__,
        *normalization.__all__,
        *padding.__all__,
        *piecewise.__all__,
        *pooling.__all__,
        *resampling.__all__,
        *unfolding.__all__,
    ]
)

for _name in __all__:
    globals()[_name] = _accepting(globals()[_name])
    globals()[_name].__module__ = __name__  # where pickle finds it


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]


def __getattr__(name: str) -> _Any:
    raise _absent(__name__, name, _NAMES)
