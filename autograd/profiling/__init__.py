"""Profile time per op and per module, forward and backward, as a table or a trace file."""

from .averages import Row as Row
from .profile import profile as profile
from .recorder import Span as Span

__all__ = ["Row", "Span", "profile"]
