"""Optimisers, gradient clipping, and learning-rate schedules (`lr_scheduler`)."""

from typing import Any as _Any

from ..elsewhere import OPTIM as _NAMES
from ..elsewhere import absent as _absent
from . import lr_scheduler, swa_utils
from .clipping import clip_grad_norm_, clip_grad_value_
from .first_order import ASGD, SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop, Rprop
from .lbfgs import LBFGS
from .matrices import Adafactor, Muon
from .moments import Adamax, NAdam, RAdam
from .optimizer import Optimizer

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam", "Optimizer",
    "RAdam", "RMSprop", "Rprop", "clip_grad_norm_", "clip_grad_value_", "lr_scheduler", "swa_utils",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    raise _absent(__name__, name, _NAMES)
