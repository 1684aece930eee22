"""Dense networks on the engine's public names alone: layers, losses, initial values and SGD."""

try:
    from autograd import Tensor as _Tensor  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`import autograd` did not find plaingrad's engine but another distribution that has the same import name "
        f"({error}): either `pip uninstall autograd` and `pip install --force-reinstall plaingrad`, or install each "
        "into a virtual environment of its own"
    ) from error

from . import functional as functional
from . import init as init
from .init import manual_seed as manual_seed
from .layers import Linear as Linear
from .layers import ReLU as ReLU
from .layers import Sigmoid as Sigmoid
from .layers import Softmax as Softmax
from .layers import Tanh as Tanh
from .losses import CrossEntropyLoss as CrossEntropyLoss
from .losses import MSELoss as MSELoss
from .module import Module as Module
from .module import Sequential as Sequential
from .optim import SGD as SGD
