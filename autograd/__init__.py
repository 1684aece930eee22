"""Plaingrad's engine: a Tensor speaks NumPy, and every derivative rule is plain NumPy."""

import os
from typing import TYPE_CHECKING, Any

if os.path.exists(os.path.join(os.path.dirname(__file__), "tracer.py")):  # a file of HIPS's package, never of ours
    raise ImportError(
        "the files of two distributions that both import as `autograd` are mixed here, plaingrad's and those of the "
        "one named autograd: either `pip uninstall autograd plaingrad` and `pip install plaingrad` again, or install "
        "each into a virtual environment of its own"
    )

from . import hooks as hooks
from .anomaly import AnomalyError as AnomalyError
from .anomaly import detect_anomaly as detect_anomaly
from .custom import checkpoint as checkpoint
from .custom import custom_gradient as custom_gradient
from .functional import elementwise_grad as elementwise_grad
from .functional import grad as grad
from .functional import hessian as hessian
from .functional import hvp as hvp
from .functional import jacobian as jacobian
from .functional import jvp as jvp
from .functional import value_and_grad as value_and_grad
from .functional import vjp as vjp
from .gradcheck import GradcheckError as GradcheckError
from .gradcheck import KinkError as KinkError
from .gradcheck import gradcheck as gradcheck
from .graph import GraphError as GraphError
from .mode import enable_grad as enable_grad
from .mode import is_grad_enabled as is_grad_enabled
from .mode import no_grad as no_grad
from .mode import outside as outside
from .op import OPS as OPS
from .op import Case as Case
from .op import differentiable as differentiable
from .op import elementwise as elementwise
from .ops import fft as fft
from .ops import linalg as linalg
from .ops.complex import *
from .ops.elementwise import *
from .ops.index import *
from .ops.joining import *
from .ops.products import *
from .ops.reduce import *
from .ops.selection import *
from .ops.sequence import *
from .ops.shape import *
from .ops.statistics import *
from .ops.trigonometric import *
from .tensor import Tensor as Tensor
from .tensor import as_tensor as as_tensor
from .tensor import assign_all as assign_all
from .tensor import use_gradients as use_gradients
from .why import why as why

if TYPE_CHECKING:
    from .compiling import CompileError as CompileError
    from .compiling import compile as compile
    from .drawing import Page as Page
    from .drawing import draw as draw
    from .drawing import trace as trace
    from .drawing import watch as watch
    from .ops import special as special
    from .profiling import profile as profile
else:

    def __getattr__(name: str) -> Any:
        """Pictures, profiles and SciPy's functions load when they are first asked for: the import stays short."""
        if name in ("Page", "draw", "trace", "watch"):
            from . import drawing

            return getattr(drawing, name)
        if name in ("CompileError", "compile"):
            from . import compiling

            return getattr(compiling, name)
        if name == "profile":
            from . import profiling

            return profiling.profile
        if name == "special":
            from .ops import special

            return special
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
