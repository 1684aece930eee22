"""Optimisers, gradient clipping, and learning-rate schedules (`lr_scheduler`)."""

from . import lr_scheduler
from .clipping import clip_grad_norm_, clip_grad_value_
from .first_order import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop
from .lbfgs import LBFGS
from .optimizer import Optimizer

__all__ = [
    "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_",
    "clip_grad_value_", "lr_scheduler",
]  # fmt: skip
