"""Errors for calls that would turn a Tensor into an array or a number and so drop its gradient: what to write instead.

The message names the function that was called and its replacement, which it finds by the caller's line.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import sys
import textwrap
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from .callsite import in_library
from .numpy_calls import NUMPY

_LAYER = "; or import autograd.numpy as np, whose {} takes Tensors"
_LIST = "a Tensor needs no conversion, np.stack([...]) makes one of a list of Tensors, and np.block of nested lists"
# What to write for functions of NumPy that make arrays, and never see that they get a Tensor.
_NUMPY = {
    **dict.fromkeys(["fromiter", "vectorize"], _LIST),
    **{name: _LIST + _LAYER.format(name) for name in ("array", "asarray", "asanyarray", "ascontiguousarray")},
    **dict.fromkeys(["float16", "float32", "float64", "complex64", "complex128"], "t.astype(dtype) keeps the gradient"),
    "full": "np.ones(shape) * t fills a shape with a Tensor" + _LAYER.format("full"),
    "fill": "np.ones(shape) * t fills a shape with a Tensor",
    "arange": "np.arange(n) * t has steps of a Tensor",
    "r_": "np.stack([...]) joins numbers, np.concatenate([...]) arrays" + _LAYER.format("r_"),
    "c_": "np.stack([...], axis=1) joins the columns" + _LAYER.format("c_"),
}
_ITEMS = "autograd.buffer(shape) is filled like this array, out[i] = t, and keeps the gradients"
_NUMBER = "NumPy's functions and operators take the Tensor itself"


def refuse_array() -> NoReturn:
    """Raise TypeError for a Tensor that needs a gradient and would become a NumPy array."""
    _refuse("an array")


def refuse_number() -> NoReturn:
    """Raise TypeError for a Tensor that needs a gradient and would become a plain number."""
    _refuse("a plain number")


def _refuse(what: str) -> NoReturn:
    called, instead = _remedy(what)
    raise TypeError(
        f"{called} would turn a Tensor that requires a gradient into {what}, which drops the gradient; {instead}. "
        f"(Only where no gradient is wanted: t.detach() in place of t.)"
    )


def _remedy(what: str) -> tuple[str, str]:
    """How the function that the program called is written, and what to write instead of the call."""
    frame, inner = _frames()
    call = _expression(frame)
    if isinstance(call, ast.Subscript):
        name = ast.unparse(call.value).rpartition(".")[2]
        return (f"np.{name}[...]", _NUMPY[name]) if name in _NUMPY else (f"{ast.unparse(call)} = t", _ITEMS)
    if not isinstance(call, ast.Call):
        return _called_in(inner, "this expression" if call is None else ast.unparse(call)[:60], what)
    function = _value(call.func, frame)
    if function is not None:
        name = getattr(function, "__name__", ast.unparse(call.func))
        return _of(
            getattr(function, "__module__", None) or ("numpy" if hasattr(np, name) else ""), name, function, what
        )
    if getattr(call.func, "attr", "") in _NUMPY:  # a method
        return ast.unparse(call.func), _NUMPY[call.func.attr]  # type: ignore[attr-defined]  # see the line before
    return _called_in(inner, ast.unparse(call)[:60], what)


def _called_in(inner: FrameType | None, said: str, what: str) -> tuple[str, str]:
    """The same for the function whose frame is known."""
    if inner is not None and not inner.f_code.co_name.startswith("_"):
        return _of(inner.f_globals.get("__name__", ""), inner.f_code.co_name, None, what)
    return said, _LIST if what == "an array" else _NUMBER


def _of(module: str, name: str, function: Any, what: str) -> tuple[str, str]:
    """The same for a function of this module."""
    package, _, rest = module.partition(".")
    space = rest.partition(".")[0]
    if package == "numpy":
        if name in _NUMPY:
            return f"np.{name}", _NUMPY[name]
        said = f"np.{name}" if not space or space.startswith("_") or space == "lib" else f"np.{space}.{name}"
        known = function in NUMPY or getattr(np, name, None) in NUMPY
        return said, f"{said} takes Tensors, and np.stack([...]) makes one of a list" if known else _without_rule(said)
    if package == "scipy":
        return f"scipy.{space}.{name}", _beside_scipy(space, name)
    if package == "math":
        return f"math.{name}", f"np.{_MATH.get(name, name)} takes the Tensor" if hasattr(np, name) else _NUMBER
    return f"{name}()", _LIST if what == "an array" else _NUMBER


_MATH = {"pow": "power", "fabs": "abs"}


def _beside_scipy(space: str, name: str) -> str:
    """Where there is an op for a function of SciPy."""
    if space == "linalg" and getattr(np.linalg, name, None) in NUMPY:
        return f"np.linalg.{name} takes Tensors"
    if space == "linalg" and name in dir(sys.modules.get("autograd.linalg", ())):
        return f"autograd.linalg.{name} takes Tensors"
    if space == "fft" and getattr(np.fft, name, None) in NUMPY:
        return f"np.fft.{name} takes Tensors"
    if space == "special" and name in ("logsumexp", "softmax", "log_softmax"):
        return f"{'autograd' if name == 'logsumexp' else 'nn.functional'}.{name} takes Tensors"
    if space == "special" and name in dir(sys.modules.get("autograd.special", ())):
        return f"autograd.special.{name} takes Tensors"
    return _without_rule(f"scipy.{space}.{name}")


def _without_rule(said: str) -> str:
    return (
        f"{said} has no derivative rule: write it with functions that have one, or add it with autograd.differentiable"
    )


# ---- the caller's line


def _frames() -> tuple[FrameType, FrameType | None]:
    """The frame of the program, and that of the function of NumPy or SciPy that it called, if this is in Python."""
    frame, inner = sys._getframe(1), None
    while frame.f_back is not None and (in_library(frame) or frame.f_globals.get("__name__", "").startswith("scipy.")):
        name = frame.f_globals.get("__name__", "")
        inner = frame if name.startswith(("numpy.", "scipy.")) else None
        frame = frame.f_back
    return frame, inner


def _expression(frame: FrameType) -> ast.expr | None:
    """The expression that a frame is computing, or None without its source."""
    spans = frame.f_code.co_positions()
    first, last, start, end = next(itertools.islice(spans, frame.f_lasti // 2, None), (None,) * 4)
    if first is None or last is None:
        return None
    lines = [linecache.getline(frame.f_code.co_filename, n).encode() for n in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        text = textwrap.dedent(b"".join(lines).decode())
        return ast.parse(f"({text})", mode="eval").body if text.strip() else None
    except (SyntaxError, UnicodeDecodeError):
        return None


def _value(expression: ast.expr, frame: FrameType) -> Any:
    """The function that a dotted name stands for in a frame, or None."""
    first, *rest = ast.unparse(expression).split(".")
    scopes = (frame.f_locals, frame.f_globals, __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__))
    value = next((scope[first] for scope in scopes if first in scope), None)
    for name in rest:
        value = getattr(value, name, None)
    return value if callable(value) else None
