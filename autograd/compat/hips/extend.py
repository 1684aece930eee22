"""What extends HIPS's autograd: primitives and their rules, boxes and vector spaces."""

from .core import (
    SparseObject,
    VSpace,
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    vspace,
)
from .tracer import Box, notrace_primitive, primitive, register_notrace

__all__ = """
    Box SparseObject VSpace def_linear defjvp defjvp_argnum defjvp_argnums defvjp defvjp_argnum defvjp_argnums
    notrace_primitive primitive register_notrace vspace
""".split()
