"""Node types that compute element by element, and along axes: NumPy's functions under ONNX's names."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import OPS, logsumexp

from ... import functional as F
from .values import DTYPES, array, astype, axes_of, refuse

# ---- numbers


def divide(a: Any, b: Any) -> Any:
    """a / b; of whole numbers, rounded towards 0."""
    if a.dtype.kind == "f":
        return a / b
    a, b = array(a), array(b)
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) == (b < 0), quotient, -quotient).astype(a.dtype)


def power(a: Any, b: Any) -> Any:
    return astype(np.power(a, b), a.dtype)


def modulo(a: Any, b: Any, fmod: int = 0) -> Any:
    return np.fmod(a, b) if fmod else np.mod(a, b)


def mean(*inputs: Any) -> Any:
    return functools.reduce(np.add, inputs) / len(inputs)


def each(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A function of two inputs as one of any number."""
    return functools.partial(_reduced, function)


def _reduced(function: Callable[[Any, Any], Any], *inputs: Any) -> Any:
    return functools.reduce(function, inputs)


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """The limits are attributes up to opset 10, and inputs since."""
    low, high = (None if limit is None else np.asarray(array(limit)).astype(x.dtype) for limit in (min, max))
    return x if low is None and high is None else np.clip(x, low, high)


def erf(x: Any) -> Any:
    return 2.0 * F.normal_cdf(x * math.sqrt(2.0)) - 1.0


def is_infinite(x: Any, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    x = array(x)
    return (np.isposinf(x) & bool(detect_positive)) | (np.isneginf(x) & bool(detect_negative))


def cast(x: Any, to: int, saturate: int = 1, round_mode: str = "up") -> Any:
    if to not in DTYPES:
        refuse(f"converts to ONNX's element type {to}, which NumPy does not have")
    dtype = DTYPES[to]
    if dtype == np.bool_:
        return array(x) != 0
    return astype(x, dtype)


def cast_like(x: Any, like: Any, saturate: int = 1, round_mode: str = "up") -> Any:
    return array(x) != 0 if like.dtype == np.bool_ else astype(x, like.dtype)


# ---- activations


def elu(x: Any, alpha: float = 1.0) -> Any:
    return F.elu(x, alpha=alpha)


def celu(x: Any, alpha: float = 1.0) -> Any:
    return F.celu(x, alpha=alpha)


def selu(x: Any, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Any:
    return F.elu(x, alpha=alpha) * gamma


def leaky_relu(x: Any, alpha: float = 0.01) -> Any:
    return F.leaky_relu(x, negative_slope=alpha)


def gelu(x: Any, approximate: str = "none") -> Any:
    return F.gelu(x, approximate=approximate)


def hard_sigmoid(x: Any, alpha: float = 0.2, beta: float = 0.5) -> Any:
    return np.clip(x * alpha + beta, 0.0, 1.0)


def hard_swish(x: Any) -> Any:
    """Without a comparison, so that `save` can write it again."""
    return x * hard_sigmoid(x, 1 / 6)


prelu = OPS["prelu"].function  # of any slope that broadcasts; that of nn.functional has one for each channel


def thresholded_relu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > alpha, x, 0.0)


def shrink(x: Any, bias: float = 0.0, lambd: float = 0.5) -> Any:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


def swish(x: Any, alpha: float = 1.0) -> Any:
    return x * F.sigmoid(x * alpha)


def softmax(x: Any, axis: int = -1) -> Any:
    return F.softmax(x, dim=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    return F.log_softmax(x, dim=axis)


def hardmax(x: Any, axis: int = -1) -> Any:
    x = np.moveaxis(array(x), axis, -1)
    best = np.arange(x.shape[-1]) == np.argmax(x, axis=-1, keepdims=True)
    return np.moveaxis(best.astype(x.dtype), -1, axis)


def flattened(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function along an axis as it was before opset 13: on all axes from `axis` on as one."""
    return functools.partial(_flattened, function)


def _flattened(function: Callable[..., Any], x: Any, axis: int = 1) -> Any:
    shape = np.shape(x)
    axis = axis + len(shape) if axis < 0 else axis
    rows = np.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return np.reshape(function(rows, axis=1), shape)


# ---- along axes


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A Reduce node: `axes` is an attribute or, in newer opsets, an input."""
    return functools.partial(_reduce, function)


def _reduce(
    function: Callable[..., Any], x: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Any:
    axis = axes_of(axes) or (() if noop_with_empty_axes else tuple(range(np.ndim(x))))
    return function(x, axis=axis, keepdims=bool(keepdims))


def _sum(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    return astype(np.mean(x, axis=axis, keepdims=keepdims), x.dtype)


def _product(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _extreme(function: Callable[..., Any], least: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    if 0 in np.shape(x):
        whole = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        empty = (whole.min if least < 0 else whole.max) if whole else least if x.dtype.kind == "f" else least > 0
        return function(array(x), axis=axis, keepdims=keepdims, initial=x.dtype.type(empty))
    return function(x, axis=axis, keepdims=keepdims)


def _l1(x: Any, axis: Any, keepdims: bool) -> Any:
    return _sum(np.abs(x), axis, keepdims)


def _l2(x: Any, axis: Any, keepdims: bool) -> Any:
    return astype(np.sqrt(_sum(x * x, axis, keepdims)), x.dtype)


def _sum_square(x: Any, axis: Any, keepdims: bool) -> Any:
    return _sum(x * x, axis, keepdims)


def _log_sum(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(_sum(x, axis, keepdims))


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    if 0 in np.shape(x):
        return np.log(np.sum(np.exp(array(x)), axis=axis, keepdims=keepdims))
    return logsumexp(x, axis=axis, keepdims=keepdims)


def _place(function: Callable[..., Any], x: Any, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
    """ArgMax or ArgMin."""
    x = array(x)
    found = function(np.flip(x, axis) if select_last_index else x, axis=axis)
    found = x.shape[axis] - 1 - found if select_last_index else found
    return np.expand_dims(found, axis) if keepdims else found


def _cumulative(
    function: Callable[..., Any], start: float, x: Any, axis: Any, exclusive: int = 0, reverse: int = 0
) -> Any:
    along = int(array(axis))
    x = np.flip(x, along) if reverse else x
    if exclusive:
        first = np.full_like(np.take(array(x), [0], along), start)
        x = np.concatenate([first, np.take(x, np.arange(np.shape(x)[along] - 1), axis=along)], axis=along)
    made = astype(function(x, axis=along), x.dtype)
    return np.flip(made, along) if reverse else made


# ---- products


def gemm(a: Any, b: Any, c: Any = None, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0) -> Any:
    """alpha a b + beta c, of matrices."""
    y = (np.transpose(a) if transA else a) @ (np.transpose(b) if transB else b)
    y = y if alpha == 1 else y * alpha
    return y if c is None else y + (c if beta == 1 else c * beta)


def einsum(*inputs: Any, equation: str) -> Any:
    return np.einsum(equation.replace(" ", ""), *inputs)


def compare(function: Any) -> Callable[..., Any]:
    return functools.partial(_compare, function)


def _compare(function: Any, *inputs: Any) -> Any:
    return function(*map(array, inputs))


def where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(array(condition), x, y)


def trilu(x: Any, k: Any = 0, upper: int = 1) -> Any:
    return (np.triu if upper else np.tril)(x, int(array(k)))


def bit_shift(x: Any, y: Any, direction: str) -> Any:
    return np.left_shift(x, y) if direction == "LEFT" else np.right_shift(x, y)


def determinant(x: Any) -> Any:
    return np.linalg.det(x)


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": divide, "Pow": power, "Mod": modulo,
    "Neg": np.negative, "Abs": np.abs, "Sign": np.sign, "Reciprocal": np.reciprocal, "Sqrt": np.sqrt, "Exp": np.exp,
    "Log": np.log, "Floor": np.floor, "Ceil": np.ceil, "Round": np.round, "Erf": erf, "Clip": clip,
    "Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan,
    "Sinh": np.sinh, "Cosh": np.cosh, "Tanh": np.tanh, "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh,
    "Sum": each(np.add), "Mean": mean, "Max": each(np.maximum), "Min": each(np.minimum),
    "Equal": compare(np.equal), "Less": compare(np.less), "LessOrEqual": compare(np.less_equal),
    "Greater": compare(np.greater), "GreaterOrEqual": compare(np.greater_equal), "Not": compare(np.logical_not),
    "And": compare(np.logical_and), "Or": compare(np.logical_or), "Xor": compare(np.logical_xor),
    "IsNaN": compare(np.isnan), "IsInf": is_infinite, "Where": where, "Cast": cast, "CastLike": cast_like,
    "BitwiseAnd": compare(np.bitwise_and), "BitwiseOr": compare(np.bitwise_or), "BitwiseXor": compare(np.bitwise_xor),
    "BitwiseNot": compare(np.invert), "BitShift": bit_shift,
    "Relu": F.relu, "LeakyRelu": leaky_relu, "PRelu": prelu, "PRelu/6": F.prelu, "Elu": elu, "Celu": celu, "Selu": selu,
    "Gelu": gelu,
    "Sigmoid": F.sigmoid, "HardSigmoid": hard_sigmoid, "HardSwish": hard_swish, "Softplus": F.softplus,
    "Softsign": F.softsign, "Mish": F.mish, "Swish": swish, "ThresholdedRelu": thresholded_relu, "Shrink": shrink,
    "Softmax": softmax, "LogSoftmax": log_softmax, "Hardmax": hardmax,
    "Softmax/12": flattened(softmax), "LogSoftmax/12": flattened(log_softmax), "Hardmax/12": flattened(hardmax),
    "ReduceSum": reduction(_sum), "ReduceMean": reduction(_mean), "ReduceProd": reduction(_product),
    "ReduceMax": reduction(functools.partial(_extreme, np.max, -np.inf)),
    "ReduceMin": reduction(functools.partial(_extreme, np.min, np.inf)),
    "ReduceL1": reduction(_l1), "ReduceL2": reduction(_l2), "ReduceSumSquare": reduction(_sum_square),
    "ReduceLogSum": reduction(_log_sum), "ReduceLogSumExp": reduction(_logsumexp),
    "ArgMax": functools.partial(_place, np.argmax), "ArgMin": functools.partial(_place, np.argmin),
    "CumSum": functools.partial(_cumulative, np.cumsum, 0.0),
    "CumProd": functools.partial(_cumulative, np.cumprod, 1.0),
    "MatMul": np.matmul, "Gemm": gemm, "Einsum": einsum, "Det": determinant, "Trilu": trilu,
}  # fmt: skip
