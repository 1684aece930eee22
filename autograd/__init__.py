"""Plaingrad's engine: a Tensor speaks NumPy, and every derivative rule is plain NumPy."""

import builtins
import importlib.util
import os
from typing import Any

if os.path.exists(os.path.join(os.path.dirname(__file__), "tracer.py")):  # a file of HIPS autograd, not of this package
    raise ImportError(
        "the files of two distributions that both import as `autograd`, plaingrad and autograd, are mixed here; either "
        "`pip uninstall autograd plaingrad` and `pip install plaingrad` again, or install each into its own virtual "
        "environment"
    )

import numpy as np

from . import fft, files, hooks, linalg
from .buffer import buffer
from .convention import complex_gradients
from .custom import checkpoint, custom_gradient
from .diagnosis import AnomalyError, detect_anomaly, why
from .elsewhere import MODULE
from .errors import GraphError
from .functional import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .gradcheck import gradcheck
from .gradcheck_errors import GradcheckError, KinkError
from .mode import current_mode, enable_grad, is_grad_enabled, no_grad, outside
from .op import differentiable
from .ops import functions_of
from .ops.index import add_at, set_at
from .ops.placing import to
from .ops.reduce import logsumexp
from .ops.register import CASES, Case, domain, elementwise
from .ops.selection import keep_where
from .registry import OPS
from .tensor import Tensor, as_tensor
from .updating import assign_all, attributes_changed, clear_gradients, convert_all, use_gradients

__version__ = "0.1.0"

# Loaded on first access, to keep the import fast: {name: module}.
_LATER = {
    **dict.fromkeys(["Page", "draw", "trace", "watch"], "drawing"),
    **dict.fromkeys(["AuditError", "CompileError", "compile"], "compiling"),
    "profile": "profiling",
    "special": "special",
}
_functions = {name: f for name, f in functions_of(np).items() if name not in _LATER}  # autograd.exp is the op of np.exp
globals().update(_functions)

_OWN = """
    AnomalyError CASES Case GradcheckError GraphError KinkError OPS Tensor add_at as_tensor assign_all
    attributes_changed buffer checkpoint clear_gradients complex_gradients convert_all current_mode custom_gradient
    detect_anomaly differentiable domain elementwise elementwise_grad enable_grad fft files grad gradcheck hessian
    hooks hvp is_grad_enabled jacobian jvp keep_where linalg logsumexp no_grad outside set_at to use_gradients
    value_and_grad vjp why
""".split()
_PUBLIC = {*_OWN, *_LATER, *_functions}
if importlib.util.find_spec("scipy") is None:
    _PUBLIC.remove("special")  # it is still there to say what it needs
__all__ = sorted(_PUBLIC - set(dir(builtins)))  # a star import does not shadow Python's sum, max and so on


def __dir__() -> list[str]:
    return sorted(_PUBLIC | {"__version__", "__doc__", "__file__", "__name__", "__path__"})


# Programs written for HIPS's autograd find its modules (autograd.numpy, autograd.scipy, ...) in this folder.
__path__.append(os.path.join(os.path.dirname(__file__), "compat", "hips"))
_THERE = {
    **dict.fromkeys(["dict", "isinstance", "list", "tuple", "type"], "builtins"),
    **dict.fromkeys(
        """
        deriv grad_and_aux grad_named hessian_tensor_product hessian_vector_product holomorphic_grad make_ggnvp make_hvp
        make_jvp make_vjp multigrad_dict tensor_jacobian_product vector_jacobian_product
        """.split(),
        "differential_operators",
    ),
    "primitive": "core", "numpy": "numpy", "scipy": "scipy",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _THERE:
        found = importlib.import_module(f".{_THERE[name]}", __name__)
        return found if name == _THERE[name] else getattr(found, name)
    if name not in _LATER:
        hint = f"; use {MODULE[name]}" if name in MODULE else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}", name=name)
    module = importlib.import_module(f".{_LATER[name]}", __name__)
    return module if name == _LATER[name] else getattr(module, name)
