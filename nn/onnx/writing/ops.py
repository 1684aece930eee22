"""How each op is written: OPS_WRITTEN maps its name to a node type, or to a function that writes its nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .indexing import getitem
from .recurrence import recurrent
from .windows import WINDOWS_WRITTEN
from .writer import Step, Writer

# ---- element by element


def _elementwise(kind: str) -> Callable[[Writer, Step], str]:
    return lambda w, s: w.node(kind, *(_same_dtype(w, s, i) for i in range(len(s))))


def _same_dtype(w: Writer, s: Step, i: int) -> str:
    """Input i in the dtype of the result, as NumPy converts it."""
    if isinstance(s.own.inputs[i], np.ndarray | float | int | np.generic):
        return s.x(i, s.dtype)
    return s.x(i) if s.own.arrays[i].dtype == s.dtype else w.cast(s.x(i), s.dtype)


def _number(w: Writer, s: Step, value: float) -> str:
    return w.constant(np.asarray(value, s.dtype))


def _by_number(kind: str, value: float) -> Callable[[Writer, Step], str]:
    return lambda w, s: w.node(kind, s.x(), _number(w, s, value))


def _identity(w: Writer, s: Step) -> str:
    return s.x()


def _square(w: Writer, s: Step) -> str:
    return w.node("Mul", s.x(), s.x())


def _exp_of(base: float) -> Callable[[Writer, Step], str]:
    return lambda w, s: w.node("Exp", w.node("Mul", s.x(), _number(w, s, math.log(base))))


def _log_of(base: float) -> Callable[[Writer, Step], str]:
    return lambda w, s: w.node("Div", w.node("Log", s.x()), _number(w, s, math.log(base)))


def _round(w: Writer, s: Step) -> str:
    if s.params.get("decimals"):
        raise s.refuse("rounds to decimals")
    return w.node("Round", s.x())


def _where(w: Writer, s: Step) -> str:
    return w.node("Where", s.x(0, bool), _same_dtype(w, s, 1), _same_dtype(w, s, 2))


def _keep_where(w: Writer, s: Step) -> str:
    return w.node("Where", w.value(s, s.param("mask"), bool), s.x(), _number(w, s, 0))


def _clip(w: Writer, s: Step) -> str:
    made = s.x()
    for i, kind in ((1, "Max"), (2, "Min")):
        if s.own.inputs[i] is not None:
            made = w.node(kind, made, _same_dtype(w, s, i))
    return made


def _astype(w: Writer, s: Step) -> str:
    return w.cast(s.x(), s.dtype)


# ---- activations


def _with(kind: str, **names: str) -> Callable[[Writer, Step], str]:
    """A node type whose attributes are the op's parameters, under ONNX's names."""
    usual = {"alpha": 1.0, "negative_slope": 0.01, "dim": -1}
    return lambda w, s: w.node(
        kind, s.x(), **{onnx: s.params.get(own, usual[own]) for onnx, own in names.items()}
    )  # fmt: skip


def _softplus(w: Writer, s: Step) -> str:
    beta = s.params.get("beta", 1.0)
    if beta == 1:
        return w.node("Softplus", s.x())
    return w.node("Div", w.node("Softplus", w.node("Mul", s.x(), _number(w, s, beta))), _number(w, s, beta))


def _silu(w: Writer, s: Step) -> str:
    return w.node("Mul", s.x(), w.node("Sigmoid", s.x()))


def _mish(w: Writer, s: Step) -> str:
    return w.node("Mul", s.x(), w.node("Tanh", w.node("Softplus", s.x())))


def _logsigmoid(w: Writer, s: Step) -> str:
    return w.node("Neg", w.node("Softplus", w.node("Neg", s.x())))


def _cdf(w: Writer, s: Step) -> str:
    erf = w.node("Erf", w.node("Mul", s.x(), _number(w, s, math.sqrt(0.5))))
    return w.node("Mul", w.node("Add", erf, _number(w, s, 1)), _number(w, s, 0.5))


def _gelu(w: Writer, s: Step) -> str:
    if s.params.get("approximate", "none") == "none":
        return w.node("Mul", s.x(), _cdf(w, s))
    cube = w.node("Mul", w.node("Mul", s.x(), s.x()), s.x())
    bend = w.node("Add", s.x(), w.node("Mul", cube, _number(w, s, 0.044715)))
    gate = w.node("Sigmoid", w.node("Mul", bend, _number(w, s, math.sqrt(8 / math.pi))))
    return w.node("Mul", s.x(), gate)


# ---- along axes


def _axes(s: Step, name: str = "axis") -> list[int]:
    axis, ndim = s.params.get(name), len(s.shape_of(0))
    if axis is None:
        return [*range(ndim)]
    return [a % ndim for a in (axis if isinstance(axis, tuple | list) else [axis])]


def _reduction(kind: str) -> Callable[[Writer, Step], str]:
    return lambda w, s: _reduced(w, s, kind, s.x())


def _reduced(w: Writer, s: Step, kind: str, x: str, keep: bool | None = None) -> str:
    """`axes` is an input of ReduceSum, and an attribute of the others up to opset 17."""
    keep, axes = bool(s.params.get("keepdims", False)) if keep is None else keep, _axes(s)
    if not axes:
        return w.node("Identity", x)
    if kind == "ReduceSum":
        return w.node(kind, x, w.constant(np.array(axes, np.int64)), keepdims=int(keep))
    return w.node(kind, x, axes=axes, keepdims=int(keep))


def _variance(w: Writer, s: Step) -> str:
    from_mean = w.node("Sub", s.x(), _reduced(w, s, "ReduceMean", s.x(), keep=True))
    square = w.node("Mul", from_mean, from_mean)
    ddof = s.params.get("ddof", 0)
    if not ddof:
        return _reduced(w, s, "ReduceMean", square)
    counts = [math.prod(made.arrays[0].shape[axis] for axis in _axes(s)) for made in s.versions]
    if len(set(counts)) > 1:
        raise s.refuse("divides by a number of values that follows the batch")
    return w.node("Div", _reduced(w, s, "ReduceSum", square), _number(w, s, counts[0] - ddof))


def _deviation(w: Writer, s: Step) -> str:
    return w.node("Sqrt", _variance(w, s))


def _spread(w: Writer, s: Step, x: str, axes: Sequence[int], center: bool) -> tuple[str, str]:
    """x, or its distance from the mean, and the root of its mean square + eps."""
    mean: dict[str, Any] = {"axes": list(axes), "keepdims": 1}
    part = w.node("Sub", x, w.node("ReduceMean", x, **mean)) if center else x
    square = w.node("ReduceMean", w.node("Mul", part, part), **mean)
    return part, w.node("Sqrt", w.node("Add", square, _number(w, s, s.params.get("eps", 1e-5))))


def _spread_of(w: Writer, s: Step) -> tuple[str, str]:
    s.params.setdefault("axis", -1)
    return _spread(w, s, s.x(), _axes(s), s.params.get("center", True))


def _standardize(w: Writer, s: Step) -> str:
    return w.node("Div", *_spread_of(w, s))


def _inverse_deviation(w: Writer, s: Step) -> str:
    return w.node("Reciprocal", _spread_of(w, s)[1])


def _scaled(w: Writer, s: Step, x: str, shape: Sequence[int]) -> str:
    """x times the weight plus the bias, inputs 1 and 2, where they are given."""
    for i, kind in ((1, "Mul"), (2, "Add")):
        if s.own.inputs[i] is not None:
            x = w.node(kind, x, w.new_shape(s.x(i), [shape]))
    return x


def _row_norm(w: Writer, s: Step) -> str:
    axes = s.params.get("axes", 1)
    made = w.node("Div", *_spread(w, s, s.x(), range(-axes, 0), s.params.get("center", True)))
    return _scaled(w, s, made, s.shape[-axes:])


def _channel_norm(w: Writer, s: Step) -> str:
    groups, x, ndim = s.params.get("groups", 0), s.x(), len(s.shape)
    axes = [axis for axis in range(ndim) if axis != 1]
    if groups:
        x, axes = w.node("Reshape", x, w.constant(np.array([0, groups, -1], np.int64))), [2]  # 0: as it was
    made = w.node("Div", *_spread(w, s, x, axes, True))
    if groups:
        made = w.new_shape(made, [version.value.shape for version in s.versions])
    return _scaled(w, s, made, (s.shape[1], *(1 for _ in range(ndim - 2))))


def _cumsum(w: Writer, s: Step) -> str:
    if s.params.get("axis") is None:
        flat = w.node("Reshape", s.x(), w.constant(np.array([-1], np.int64)))
        return w.node("CumSum", flat, w.constant(np.array(0, np.int64)))
    return w.node("CumSum", s.x(), w.constant(np.array(s.params["axis"], np.int64)))


# ---- shapes


def _reshape(w: Writer, s: Step) -> str:
    if s.params.get("order", "C") not in ("C", None):
        raise s.refuse("reads its elements in another order than C")
    return w.new_shape(s.x(), [made.value.shape for made in s.versions])


def _transpose(w: Writer, s: Step) -> str:
    ndim = len(s.shape)
    axes = s.params.get("axes")
    order = [*range(ndim)][::-1] if axes is None else [a % ndim for a in axes]
    return w.node("Transpose", s.x(), perm=order) if ndim > 1 else s.x()


def _swapaxes(w: Writer, s: Step) -> str:
    order = [*range(len(s.shape))]
    a, b = s.params["axis1"], s.params["axis2"]
    order[a], order[b] = order[b], order[a]
    return w.node("Transpose", s.x(), perm=order)


def _expand_dims(w: Writer, s: Step) -> str:
    axis = s.params["axis"]
    return w.node("Unsqueeze", s.x(), w.constant(np.array(axis, np.int64).reshape(-1)))


def _squeeze(w: Writer, s: Step) -> str:
    return w.new_shape(s.x(), [made.value.shape for made in s.versions])


def _broadcast_to(w: Writer, s: Step) -> str:
    return w.node("Expand", s.x(), w.ints([made.value.shape for made in s.versions]))


def _concatenate(w: Writer, s: Step) -> str:
    axis = s.params.get("axis", 0)
    if axis is None:
        raise s.refuse("has axis=None")
    parts = [i for i in range(len(s)) if s.shape_of(i)[axis] or not isinstance(s.own.inputs[i], np.ndarray)]
    return w.node("Concat", *(_same_dtype(w, s, i) for i in parts), axis=axis)


def _stack(w: Writer, s: Step) -> str:
    axis = s.params.get("axis", 0) % len(s.shape)
    at = w.constant(np.array([axis], np.int64))
    return w.node("Concat", *(w.node("Unsqueeze", _same_dtype(w, s, i), at) for i in range(len(s))), axis=axis)


def _roll(w: Writer, s: Step) -> str:
    axis, shift = s.params.get("axis"), s.params["shift"]
    if not isinstance(axis, int) or not isinstance(shift, int | np.integer):
        raise s.refuse("rolls along other than one axis")
    sizes = {made.value.shape[axis] for made in s.versions}
    if len(sizes) > 1 or not s.shape[axis]:
        raise s.refuse("rolls along the batch")
    order = np.roll(np.arange(s.shape[axis]), shift)
    return w.node("Gather", s.x(), w.constant(order.astype(np.int64)), axis=axis)


def _repeat_each(w: Writer, s: Step) -> str:
    axis, n = s.params["axis"], s.params["repeats"]
    if len({made.value.shape[axis] for made in s.versions}) > 1:
        raise s.refuse("repeats along the batch")
    order = np.repeat(np.arange(s.shape_of(0)[axis]), n)
    return w.node("Gather", s.x(), w.constant(order.astype(np.int64)), axis=axis)


# ---- products


def _linear(w: Writer, s: Step) -> str:
    bias = None if len(s) < 3 or s.own.inputs[2] is None else s.x(2)
    if len(s.shape_of(0)) == 2:
        return w.node("Gemm", s.x(0), s.x(1), *([bias] if bias else []), transB=1)
    made = w.node("MatMul", s.x(0), w.node("Transpose", s.x(1), perm=[1, 0]))
    return w.node("Add", made, bias) if bias else made


def _einsum(w: Writer, s: Step) -> str:
    operands = s.params["subscripts"].replace(" ", "").split("->")[0].split(",")
    covered = {len(s.shape_of(i)) + 3 - len(own) for i, own in enumerate(operands) if "..." in own}
    if len(covered) > 1:
        raise s.refuse("has `...` for several numbers of axes")
    return w.node("Einsum", *(_same_dtype(w, s, i) for i in range(len(s))), equation=s.params["subscripts"])


OPS_WRITTEN: dict[str, Callable[[Writer, Step], str]] = {
    **{name: _elementwise(kind) for name, kind in {
        "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "float_power": "Pow",
        "negative": "Neg", "reciprocal": "Reciprocal", "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "abs": "Abs",
        "fabs": "Abs", "sign": "Sign", "floor": "Floor", "ceil": "Ceil", "rint": "Round", "maximum": "Max",
        "minimum": "Min", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos",
        "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "arcsinh": "Asinh", "arccosh": "Acosh",
        "arctanh": "Atanh", "relu": "Relu", "sigmoid": "Sigmoid", "logistic": "Sigmoid", "selu": "Selu",
        "prelu": "PRelu", "matmul": "MatMul",
    }.items()},
    "positive": _identity, "real": _identity, "copy": _identity, "square": _square, "log1p": lambda w, s: w.node(
        "Log", w.node("Add", s.x(), _number(w, s, 1))), "expm1": lambda w, s: w.node(
        "Sub", w.node("Exp", s.x()), _number(w, s, 1)), "exp2": _exp_of(2), "log2": _log_of(2), "log10": _log_of(10),
    "deg2rad": _by_number("Mul", math.pi / 180), "radians": _by_number("Mul", math.pi / 180),
    "rad2deg": _by_number("Mul", 180 / math.pi), "degrees": _by_number("Mul", 180 / math.pi),
    "round": _round, "where": _where, "keep_where": _keep_where, "clip": _clip, "astype": _astype,
    "leaky_relu": _with("LeakyRelu", alpha="negative_slope"), "elu": _with("Elu", alpha="alpha"),
    "celu": _with("Celu", alpha="alpha"), "softmax": _with("Softmax", axis="dim"),
    "log_softmax": _with("LogSoftmax", axis="dim"), "softplus": _softplus, "silu": _silu, "mish": _mish,
    "logsigmoid": _logsigmoid, "normal_cdf": _cdf, "gelu": _gelu,
    "sum": _reduction("ReduceSum"), "mean": _reduction("ReduceMean"), "prod": _reduction("ReduceProd"),
    "max": _reduction("ReduceMax"), "min": _reduction("ReduceMin"), "logsumexp": _reduction("ReduceLogSumExp"),
    "norm2": _reduction("ReduceL2"), "var": _variance, "std": _deviation, "standardize": _standardize,
    "row_norm": _row_norm, "channel_norm": _channel_norm, "inverse_deviation": _inverse_deviation, "cumsum": _cumsum,
    "reshape": _reshape, "transpose": _transpose, "swapaxes": _swapaxes, "expand_dims": _expand_dims,
    "squeeze": _squeeze, "broadcast_to": _broadcast_to, "concatenate": _concatenate, "stack": _stack,
    "roll": _roll, "repeat_each": _repeat_each, "getitem": getitem,
    "linear": _linear, "einsum": _einsum, "recurrent": recurrent, **WINDOWS_WRITTEN,
}  # fmt: skip
