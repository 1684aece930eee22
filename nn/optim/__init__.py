"""Optimisers, gradient clipping, and learning-rate schedules (`lr_scheduler`)."""

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
