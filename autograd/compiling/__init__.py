"""A function, with its gradients and its optimiser's step, as a straight-line NumPy program."""

from .calls import CompileError as CompileError
from .step import Compiled as Compiled
from .step import Stats as Stats
from .step import compile as compile

__all__ = ["CompileError", "Compiled", "Stats", "compile"]
