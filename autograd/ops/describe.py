"""What `help()` shows of NumPy's functions: NumPy's summary, the arguments with gradients, and the gradients chosen."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..numpy_calls import NUMPY
from ..registry import OPS, Op, arguments_of, full_name
from .register import cases_of
from .singular import CHOICES

# Real numbers that choose what is computed, and have no gradient.
_SETTINGS = """
    norm.ord pinv.rcond unwrap.period nan_to_num.nan nan_to_num.posinf nan_to_num.neginf quantile.q percentile.q
""".split()
_said: set[Op] = set()  # the ops already described


def describe() -> None:
    """Describe every function of NumPy or SciPy that was registered since the last call."""
    for op in OPS.values():
        if op.numpy and op not in _said:
            _said.add(op)
            op.function.__doc__ = _text(op)
    for numpys, function in NUMPY.items():
        if not function.__doc__ and not isinstance(numpys, tuple):
            function.__doc__ = f"{_summary(numpys)}\n\nThe result has no gradient; see `{full_name(numpys)}`."


def _text(op: Op) -> str:
    parts = [_summary(op.numpy[0]), f"For Tensors and arrays; see `{full_name(op.numpy[0])}`."]
    if named := [f"`{name}`" for name in differentiated(op)]:
        parts.append(f"Gradients: with respect to {', '.join(named)}.")
    for choice in CHOICES:
        if op.name in choice.functions.split():
            parts.append(f"Gradient {choice.where}: {choice.gradient} ({choice.why}).")
    return "\n\n".join(filter(None, parts))


def _summary(function: Any) -> str:
    """The first paragraph of NumPy's docstring, after the line with the signature."""
    for text in (function.__doc__ or "").split("\n\n", 3)[:3]:
        if text.strip() and not text.strip().startswith(f"{function.__name__}("):
            return " ".join(text.split())
    return ""


def differentiated(op: Op) -> list[str]:
    """The names of the arguments that have gradients: those with rules, and those for which cases give real numbers."""
    numpys = op.numpy[0] if op.numpy and op.rules else op.forward
    if op.call is None and isinstance(numpys, np.ufunc):
        return ["x"] if len(op.rules) == 1 else [f"x{i + 1}" for i in range(len(op.rules))]
    names, _, star = arguments_of(inspect.unwrap(op.call or numpys))
    found = dict.fromkeys(names[: len(op.rules)] if op.call is None else ())
    for case in cases_of(op):
        places = [*names, *[f"*{star}"] * len(case.inputs)] if star else names
        keywords = [(name, x) for name, x in case.params.items() if not isinstance(x, tuple)]
        given = [*zip(places, case.inputs, strict=False), *keywords]
        found |= {name: None for name, x in given if _is_real(x) and f"{op.name}.{name}" not in _SETTINGS}
    return list(found)


def _is_real(x: Any) -> bool:
    """Whether an argument of a case is a shape, or floating-point numbers."""
    if isinstance(x, list):
        return bool(x) and all(map(_is_real, x))
    return isinstance(x, tuple | float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
