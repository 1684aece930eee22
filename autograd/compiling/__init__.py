"""A function, with its gradients and its optimiser's step, as a straight-line NumPy program."""

from .step import Compiled as Compiled
from .step import Stats as Stats
from .step import compile as compile
from .tape import CompileError as CompileError

__all__ = ["CompileError", "Compiled", "Stats", "compile"]
