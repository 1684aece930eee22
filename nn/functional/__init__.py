"""The functions that layers and losses call; the fused ops are made with the public `differentiable`."""

from .activations import *
from .dense import *
from .entropy import *
from .losses import *

__all__ = sorted([*activations.__all__, *dense.__all__, *entropy.__all__, *losses.__all__])


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]
