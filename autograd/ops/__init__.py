"""Every derivative rule, and nothing else: one module per family."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ..numpy_calls import LOADERS, NUMPY
from . import complex as complex
from . import decompositions as decompositions
from . import elementwise as elementwise
from . import fft as fft
from . import index as index
from . import joining as joining
from . import linalg as linalg
from . import norms as norms
from . import placing as placing
from . import plain as plain
from . import products as products
from . import reduce as reduce
from . import selection as selection
from . import sequence as sequence
from . import shape as shape
from . import spectral as spectral
from . import statistics as statistics
from . import trigonometric as trigonometric
from . import ufunc_methods as ufunc_methods
from . import windows as windows
from .describe import describe


def functions_of(module: ModuleType) -> dict[str, Any]:
    """The functions of a NumPy module that have ops, under all the names that they have in it."""
    found = {name: NUMPY.get(f) for name, f in vars(module).items() if callable(f) and not isinstance(f, type)}
    return {name: f for name, f in found.items() if hasattr(f, "op") and not name.startswith("_")}


def publish(module: str, functions: dict[str, Any]) -> list[str]:
    """Put these functions into a public module and return their names; those without another home take its name."""
    for name, f in functions.items():
        setattr(sys.modules[module], name, f)
        if getattr(sys.modules[f.__module__], f.__qualname__, None) is not f:  # where pickle would look
            f.__module__, f.__name__, f.__qualname__ = module, name, name
    return sorted(functions)


def _scipy() -> None:
    """Register the rules of scipy.special, if the program has imported it."""
    if "scipy.special" in sys.modules:
        from . import bessel as bessel

        describe()


LOADERS.append(_scipy)
describe()
