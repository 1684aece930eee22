"""Errors for calls that would turn a Tensor into an array or a number and so drop its gradient: what to write instead.

The message names the function that was called and its replacement, which it finds by the caller's line.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import linecache
import sys
import textwrap
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from .callsite import frames_of_call
from .elsewhere import NUMPY as INSTEAD
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
# Draws: the same numbers, as functions of their parameters.
_DRAWS = {
    **{name: f"loc + scale * rng.{name}(size=shape)" for name in ("normal", "laplace", "gumbel", "logistic")},
    **{name: f"scale * rng.{name}(size=shape)" for name in ("exponential", "rayleigh")},
    "uniform": "low + (high - low) * rng.random(shape)",
    "lognormal": "np.exp(mean + sigma * rng.normal(size=shape))",
    "permutation": "t[rng.permutation(len(t))]",
    "choice": "t[rng.integers(len(t), size=shape)]",
    "multivariate_normal": "mean + np.linalg.cholesky(cov) @ rng.normal(size=n)",
}
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
    frame, inner = frames_of_call()
    call = _expression(frame)
    if isinstance(call, ast.Subscript):
        name = ast.unparse(call.value).rpartition(".")[2]
        return (f"np.{name}[...]", _NUMPY[name]) if name in _NUMPY else (f"{ast.unparse(call)} = t", _ITEMS)
    if not isinstance(call, ast.Call):
        return _called_in(inner, "this expression" if call is None else ast.unparse(call)[:60], what)
    function, written = _value(call.func, frame), ast.unparse(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    owner = getattr(function, "__self__", None)
    if method in _DRAWS and (function is None or isinstance(owner, np.random.Generator | np.random.RandomState)):
        return written, f"{_DRAWS[method]} keeps the gradient"
    if function is None or isinstance(owner, np.ndarray):
        if method in _NUMPY or method in INSTEAD:
            return written, _NUMPY.get(method) or f"{INSTEAD[method]} keeps the gradient"
        if isinstance(call.func, ast.Attribute) and _is_method_with_rule(method):
            array = ast.unparse(call.func.value)
            given = "t" if method == "dot" else "..."
            short = f"{array} @ t, or " if method == "dot" else ""
            return written, f"{short}np.{method}({array}, {given}) takes Tensors"
    if function is not None:
        name = getattr(function, "__name__", written)
        module = getattr(function, "__module__", None) or ("numpy" if hasattr(np, name) else "")
        return _of(module, name, function, what, owner, written)
    return _called_in(inner, ast.unparse(call)[:60], what, written)


def _is_method_with_rule(name: str) -> bool:
    return hasattr(np.ndarray, name) and getattr(np, name, None) in NUMPY


def _called_in(inner: FrameType | None, said: str, what: str, written: str = "") -> tuple[str, str]:
    """The same for the function whose frame is known."""
    if inner is not None and not inner.f_code.co_name.startswith("_"):
        owner = inner.f_locals.get("self")
        return _of(inner.f_globals.get("__name__", ""), inner.f_code.co_name, None, what, owner, written)
    return said, _LIST if what == "an array" else _NUMBER


def _of(module: str, name: str, function: Any, what: str, owner: Any = None, written: str = "") -> tuple[str, str]:
    """The same for a function of this module."""
    package, _, rest = module.partition(".")
    space = rest.partition(".")[0]
    if package == "numpy":
        if name in _NUMPY or name in INSTEAD:
            return f"np.{name}", _NUMPY.get(name) or f"{INSTEAD[name]} keeps the gradient"
        said = f"np.{name}" if not space or space.startswith("_") or space == "lib" else f"np.{space}.{name}"
        known = function in NUMPY or getattr(np, name, None) in NUMPY
        return said, f"{said} takes Tensors, and np.stack([...]) makes one of a list" if known else _without_rule(said)
    if package == "scipy":
        path = _path_in(f"scipy.{space}", name, owner)
        return path or written or f"{name}()", _beside_scipy(space, path.partition(f"{space}.")[2] or name)
    if package == "math":
        return f"math.{name}", f"np.{_MATH.get(name, name)} takes the Tensor" if hasattr(np, name) else _NUMBER
    return f"{name}()", _LIST if what == "an array" else _NUMBER


_MATH = {"pow": "power", "fabs": "abs"}


def _path_in(module: str, name: str, owner: Any) -> str:
    """The dotted name of a function of a module, or of a method of an object in it; "" if it has none."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    if owner is None:
        return f"{module}.{name}" if name in names else ""
    known = next((key for key, value in names.items() if value is owner), None)
    return f"{module}.{known}.{name}" if known else ""


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
    if space == "stats" and "." in name and _in_compat(f"stats.{name}"):
        return f"autograd.scipy.stats.{name} takes Tensors"
    return _without_rule(
        f"scipy.{space}.{name}" if hasattr(sys.modules[f"scipy.{space}"], name.split(".")[0]) else "it"
    )


def _in_compat(path: str) -> bool:
    """Whether `autograd.scipy` has this function."""
    module, *rest = path.split(".")
    found: Any = importlib.import_module(f"autograd.scipy.{module}")
    for name in rest:
        found = getattr(found, name, None)
    return getattr(found, "__module__", "").startswith("autograd.")  # not those of SciPy, for constants


def _without_rule(said: str) -> str:
    return (
        f"{said} has no derivative rule: write it with functions that have one, or add it with autograd.differentiable"
    )


# ---- the caller's line


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
