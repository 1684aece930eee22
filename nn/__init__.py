"""Networks, built on the engine's public names: layers, losses, initial values, optimisers, training, saving."""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import Any as _Any

try:
    from autograd import Tensor as _Tensor  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`import autograd` found another distribution with the same import name instead of plaingrad's engine "
        f"({error}): either `pip uninstall autograd` and `pip install --force-reinstall plaingrad`, or install each "
        "into its own virtual environment"
    ) from error

from . import functional as functional
from . import init as init
from . import optim as optim
from . import parallel as parallel
from . import utils as utils
from .activations import *
from .attention import *
from .callbacks import *
from .checkpoint import *
from .containers import *
from .convolution import *
from .data import *
from .drawing import Film as Film
from .drawing import draw as draw
from .dropping import *
from .elsewhere import NAMES as _NAMES
from .elsewhere import absent as _absent
from .function_module import *
from .functional_call import *
from .history import *
from .image_folder import *
from .inference import *
from .init import manual_seed as manual_seed
from .layers import *
from .linear_cross_entropy import *
from .losses import *
from .module import *
from .normalization import *
from .optim import *
from .optim.lr_scheduler import *
from .padding import *
from .per_sample import *
from .pooling import *
from .recurrent import *
from .resampling import *
from .saving import *
from .sequences import *
from .summary import *
from .tensorboard import *
from .training import *
from .transformer import *

_MODULES = {"functional", "init", "onnx", "optim", "parallel", "utils"}
__all__ = sorted(
    {name for name, value in globals().items() if not name.startswith("_") and not isinstance(value, _ModuleType)}
    | _MODULES
)


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]


def __getattr__(name: str) -> _Any:
    if name == "onnx":  # loaded on first access, to keep the import fast
        return _import_module(".onnx", __name__)
    raise _absent(__name__, name, _NAMES)
