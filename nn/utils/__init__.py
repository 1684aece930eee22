"""PyTorch's `nn.utils`: parametrizations, sequences and clipping; the last two are also in `nn`."""

from typing import Any as _Any

from ..elsewhere import UTILS as _NAMES
from ..elsewhere import absent as _absent
from ..optim.clipping import clip_grad_norm_ as clip_grad_norm_
from ..optim.clipping import clip_grad_value_ as clip_grad_value_
from . import parametrizations as parametrizations
from . import parametrize as parametrize
from . import rnn as rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parametrizations", "parametrize", "rnn"]


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]


def __getattr__(name: str) -> _Any:
    raise _absent(__name__, name, _NAMES)
