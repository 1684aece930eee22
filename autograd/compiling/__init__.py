"""A function, with its gradients and its optimiser's step, as a straight-line NumPy program."""

from __future__ import annotations

from .compiled import Compiled as Compiled
from .compiled import Stats as Stats
from .compiled import compile as compile
from .program import AuditError as AuditError
from .program import CompileError as CompileError

__all__ = ["AuditError", "CompileError", "Compiled", "Stats", "compile"]
