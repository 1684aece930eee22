"""Gradients of small and large numbers: no rule underflows, overflows or cancels where its value can be represented."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import special

import autograd
import autograd.special
import nn.functional as F
from autograd import OPS, Tensor, grad

Long = np.longdouble
DTYPES = [np.float16, np.float32, np.float64]
pytestmark = [
    pytest.mark.skipif(np.finfo(Long).maxexp <= 1024, reason="no wider numbers to compare with"),
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


def grid(dtype):
    """Numbers of every size that the dtype has, of both signs, and those near 1."""
    info = np.finfo(dtype)
    ends = [info.smallest_subnormal, 3 * float(info.smallest_subnormal), info.tiny, info.max]
    near = [
        1 - info.eps,
        1 - info.eps / 2,
        1.0,
        1 + info.eps,
        1.5,
        2.0,
        math.pi,
        5.0,
        8.5,
        12.0,
        20.0,
        36.0,
        60.0,
        300.0,
    ]
    powers = [float(m) * 10.0**k for k in range(-323, 309) for m in (1, 4) if info.tiny < m * 10.0**k < info.max]
    step = max(1, len(powers) // 120)
    x = np.unique(np.array([*ends, *near, *powers[::step], 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]).astype(dtype))
    return np.concatenate([-x[::-1], x])


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * PI)


def cdf(x):
    return special.ndtr(x.astype(float)).astype(Long)


def mish_slope(x):
    e = np.exp(-np.abs(x))
    soft = np.log1p(e) + np.maximum(x, 0)
    t = np.tanh(soft)
    return t + x * sigmoid(x) / np.cosh(soft) ** 2


PI = Long(np.pi) + Long(1.2246467991473532e-16)  # to 106 bits
LN2, LN10 = np.log(Long(2)), np.log(Long(10))
STEPS = dict.fromkeys(["sign", "floor", "ceil", "trunc", "rint"], lambda x: 0 * x)
TURNS = dict.fromkeys(["deg2rad", "radians"], lambda x: PI / 180 + 0 * x)
DEGREES = dict.fromkeys(["rad2deg", "degrees"], lambda x: 180 / PI + 0 * x)
# The slope of every elementwise function of one number, in a form that loses no digits.
SLOPES = {
    "conjugate": lambda x: 1 + 0 * x, "positive": lambda x: 1 + 0 * x, "negative": lambda x: 0 * x - 1,
    "reciprocal": lambda x: -1 / (x * x), "square": lambda x: 2 * x, "sqrt": lambda x: 0.5 / np.sqrt(x),
    "cbrt": lambda x: 1 / (3 * np.cbrt(x) ** 2), "exp": np.exp, "exp2": lambda x: np.exp2(x) * LN2, "expm1": np.exp,
    "log": lambda x: 1 / x, "log2": lambda x: 1 / (x * LN2), "log10": lambda x: 1 / (x * LN10),
    "log1p": lambda x: 1 / (1 + x), "abs": np.sign, "fabs": np.sign, **STEPS, **TURNS, **DEGREES,
    "sin": np.cos, "cos": lambda x: -np.sin(x), "tan": lambda x: 1 / np.cos(x) ** 2,
    "arcsin": lambda x: 1 / np.sqrt((1 - x) * (1 + x)), "arccos": lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
    "arctan": lambda x: 1 / (1 + x * x), "sinh": np.cosh, "cosh": np.sinh, "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "arcsinh": lambda x: 1 / np.sqrt(1 + x * x), "arccosh": lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
    "arctanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "erf": lambda x: 2 / np.sqrt(PI) * np.exp(-x * x), "erfc": lambda x: -2 / np.sqrt(PI) * np.exp(-x * x),
    "ndtr": density, "normal_cdf": density, "expit": lambda x: sigmoid(x) * sigmoid(-x),
    "logit": lambda x: 1 / (x * (1 - x)), "entr": lambda x: -np.log(x) - 1,
    "log_ndtr": lambda x: np.sqrt(2 / PI) / special.erfcx(-(x.astype(float)) / math.sqrt(2)),
    "erfinv": lambda x: np.sqrt(PI) / 2 * np.exp(special.erfinv(x.astype(float)).astype(Long) ** 2),
    "relu": lambda x: (x > 0) + 0 * x, "leaky_relu": lambda x: np.where(x > 0, 1, Long(0.01)),
    "elu": lambda x: np.exp(np.minimum(x, 0)), "celu": lambda x: np.exp(np.minimum(x, 0)),
    "selu": lambda x: Long(1.0507009873554805)
    * np.where(x > 0, 1, Long(1.6732632423543772) * np.exp(np.minimum(x, 0))),
    "logistic": lambda x: sigmoid(x) * sigmoid(-x),
    "sigmoid": lambda x: sigmoid(x) * sigmoid(-x), "softplus": sigmoid,
    "logsigmoid": lambda x: sigmoid(-x),
    "silu": lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), "mish": mish_slope,
    "gelu": lambda x: cdf(x) + x * density(x),
}  # fmt: skip
# sinc reads pi x, which is off by eps |pi x|; SciPy's functions lose a few digits of their own
ELSEWHERE = {
    "sinc", "gamma", "gammaln", "gammasgn", "rgamma", "digamma", "erfcinv", "erfcx",
    "j0", "j1", "y0", "y1", "i1", "i0e", "i1e", "bessel_i0",
}  # fmt: skip
UNARY = [name for name, op in OPS.items() if op.elementwise and len(op.rules) == 1]


def test_every_function_of_one_number_has_a_slope_here():
    assert set(UNARY) == SLOPES.keys() | ELSEWHERE


def agrees(x, got, want, dtype, ulps: Any = 6.0, slack=0.0):
    """The places where a slope that the dtype can represent is not right to some units in the last place.

    Those below the smallest normal number have fewer digits: there a unit is the smallest number.
    """
    info = np.finfo(dtype)
    can = np.isfinite(want) & (np.abs(want) <= info.max)
    size = np.where(can, np.abs(want), 1)
    bound = np.where(can, ulps, 0) * (info.eps * size + Long(info.smallest_subnormal)) + slack
    wrong = can & ~(np.abs(got.astype(Long) - want) <= bound)
    zero = (want == 0) & (got != 0)
    return [
        (float(a), float(b), float(c))
        for a, b, c in zip(x[wrong | zero], got[wrong | zero], want[wrong | zero], strict=True)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(SLOPES))
def test_the_slope_of_every_function_of_one_number(name, dtype):
    x = grid(dtype)
    with np.errstate(all="ignore"):
        value = OPS[name].function(x)
        x = x[np.isfinite(value)]
        want = np.asarray(SLOPES[name](x.astype(Long)), Long)
        leaf = Tensor(x, requires_grad=True)
        y = OPS[name].function(leaf)
        y.backward(np.ones(y.shape, y.dtype))
    slack = 0.0
    if name in ("silu", "mish", "gelu", "entr", "tan", "cos", "sin", "log_ndtr"):  # which have roots
        slack = 8 * np.finfo(dtype).eps
    ulps = 4.0
    if name in ("erf", "erfc", "erfinv", "ndtr", "normal_cdf", "gelu", "log_ndtr"):  # exp(t) is off by t eps if t is
        ulps = ulps * (1 + np.abs(np.log(np.where(want == 0, 1, np.abs(want)))))
    wrong = agrees(x, leaf.grad.data, want, dtype, ulps, slack)
    assert not wrong, f"{len(wrong)} of {x.size}: {wrong[:4]} ... {wrong[-4:]}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", [True, False])
def test_the_slope_of_tanh_and_its_slope(dtype, large):
    """With and without numbers whose cosh is too large for the dtype, which are treated apart."""
    x = grid(dtype) if large else grid(dtype)[np.abs(grid(dtype)) < 8]
    leaf, g = Tensor(x, requires_grad=True), Tensor(np.ones_like(x), requires_grad=True)
    y = OPS["tanh_slope"].function(g, leaf)
    y.backward(np.ones_like(x))
    wide = x.astype(Long)
    with np.errstate(all="ignore"):
        slope = 1 / np.cosh(wide) ** 2
        bend = -2 * np.tanh(wide) * slope
    for got, want in ((y.data, slope), (g.grad.data, slope), (leaf.grad.data, bend)):
        assert not agrees(x, got, want, dtype)


ACTIVATIONS = [name for name in UNARY if OPS[name].function.__module__.startswith("nn.")]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", [*ACTIVATIONS, "logistic"])
def test_the_values_of_activations_of_every_size(name, dtype):
    """As computed in float64: a value that the dtype can represent is not infinite."""
    x, f = grid(dtype), OPS[name].function
    with np.errstate(over="ignore"):
        want = f(x.astype(np.float64)).astype(dtype)
    eps = np.finfo(dtype)
    np.testing.assert_allclose(f(x), want, rtol=64 * eps.eps, atol=8 * eps.tiny)


def share(x, y):
    return sigmoid(np.clip(x - y, -11000, 11000))


BINARY = {
    "divide": (lambda x, y: 1 / y, lambda x, y: -x / (y * y)),
    "multiply": (lambda x, y: y + 0 * x, lambda x, y: x + 0 * y),
    "hypot": (lambda x, y: x / np.hypot(x, y), lambda x, y: y / np.hypot(x, y)),
    "arctan2": (lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y)),
    "logaddexp": (share, lambda x, y: share(y, x)),
    "logaddexp2": (lambda x, y: share(x * LN2, y * LN2), lambda x, y: share(y * LN2, x * LN2)),
    "power": (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * np.log(x)),
    "float_power": (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * np.log(x)),
    "xlogy": (lambda x, y: np.log(y), lambda x, y: x / y),
    "xlog1py": (lambda x, y: np.log1p(y), lambda x, y: x / (1 + y)),
    "rel_entr": (lambda x, y: np.log(x / y) + 1, lambda x, y: -x / y),
    "probability_cross_entropy": (lambda p, t: (1 - t) / (1 - p) - t / p, lambda p, t: np.log1p(-p) - np.log(p)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(BINARY))
def test_the_slopes_of_functions_of_two_numbers(name, dtype):
    every = grid(dtype)
    info = np.finfo(dtype)
    some = every[np.abs(every) >= info.tiny / info.eps][:: max(1, every.size // 60)]
    x, y = (part.reshape(-1) for part in np.meshgrid(np.concatenate([some, [0.25, 1.0, 3.0]]), some))
    x, y = x.astype(dtype), y.astype(dtype)
    with np.errstate(all="ignore"):
        if name == "probability_cross_entropy":
            keep = (x > 1e-11) & (x < 1) & (y >= 0) & (y <= 1)
        else:
            keep = np.isfinite(OPS[name].function(x, y))
            if "power" in name:
                keep &= np.abs(y) < 1 / info.eps  # y - 1 is y above, and whether it is even is lost
        x, y = x[keep], y[keep]
        leaves = [Tensor(a, requires_grad=True) for a in (x, y)]
        out = OPS[name].function(*leaves)
        out.backward(np.ones(out.shape, out.dtype))
        for k, (leaf, slope) in enumerate(zip(leaves, BINARY[name], strict=True)):
            want = np.asarray(slope(x.astype(Long), y.astype(Long)), Long)
            ulps, slack = 6.0, 0.0
            if "power" in name:  # whose exponent is off by eps
                ulps = 6.0 * (1 + np.abs(np.log(np.where(want == 0, 1, np.abs(want)))))
                slack = 16 * float(info.tiny)
            if name in ("logaddexp", "logaddexp2"):
                ulps = ulps + np.abs(np.log(np.where(want == 0, 1, np.abs(want))))
            if name in ("rel_entr", "probability_cross_entropy"):
                slack = 8 * float(info.eps)  # which have roots
            wrong = agrees(x, leaf.grad.data, want, dtype, ulps, slack)
            assert not wrong, f"input {k}, {len(wrong)} of {x.size}: {wrong[:4]} ... {wrong[-4:]}"


SIZES = {
    np.float16: [1e-4, 1e-3, 0.01, 1.0, 300.0, 1e4],
    np.float32: [1e-36, 1e-30, 1e-20, 1.0, 1e20, 1e37],
    np.float64: [1e-300, 1e-200, 1.0, 1e200, 1e306],
}
ALONG = np.array([[3.0, -1.0, 2.0, 0.5], [1.0, 4.0, -2.5, 1.5]])


NORMS = {
    "norm": (lambda x: np.linalg.norm(x), lambda x: x / np.sqrt((x * x).sum())),
    "norm by axis": (lambda x: np.linalg.norm(x, axis=1), lambda x: x / np.sqrt((x * x).sum(1, keepdims=True))),
    "vector_norm": (lambda x: np.linalg.vector_norm(x, axis=1), lambda x: x / np.sqrt((x * x).sum(1, keepdims=True))),
    "norm 3": (
        lambda x: np.linalg.norm(x, 3, axis=1),
        lambda x: np.sign(x) * (np.abs(x) / (np.abs(x) ** 3).sum(1, keepdims=True) ** (1 / Long(3))) ** 2,
    ),
    "norm 0.5": (
        lambda x: np.linalg.norm(x, 0.5, axis=1),
        lambda x: np.sign(x) * np.sqrt(np.abs(x)).sum(1, keepdims=True) / np.sqrt(np.abs(x)),
    ),
    "norm -2": (
        lambda x: np.linalg.norm(x, -2, axis=1),
        lambda x: np.sign(x) * ((np.abs(x) ** -2).sum(1, keepdims=True) ** -0.5 / np.abs(x)) ** 3,
    ),
    "std": (np.std, lambda x: (x - x.mean()) / (x.size * x.std())),
    "std by axis": (
        lambda x: np.std(x, axis=1, ddof=1),
        lambda x: (x - x.mean(1, keepdims=True)) / (3 * x.std(1, keepdims=True, ddof=1)),
    ),
    "std of some": (
        lambda x: np.std(x, axis=1, where=np.ones((2, 4), bool)),
        lambda x: (x - x.mean(1, keepdims=True)) / (4 * x.std(1, keepdims=True)),
    ),
    "nanstd": (
        lambda x: np.nanstd(x, axis=1),
        lambda x: (x - x.mean(1, keepdims=True)) / (4 * x.std(1, keepdims=True)),
    ),
    "abs of a complex number": (lambda x: np.abs(x + 1j * x[::-1]), lambda x: 2 * x / np.hypot(x, x[::-1])),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NORMS))
def test_norms_and_deviations_of_every_size(name, dtype):
    """Their values too, where NumPy's squares leave the range of the dtype."""
    function, slope = NORMS[name]
    for size in SIZES[dtype]:
        x = (ALONG * size).astype(dtype)
        leaf = Tensor(x, requires_grad=True)
        with np.errstate(all="ignore"):
            y = function(leaf)
            y.sum().backward()
            value = np.asarray(function(x.astype(Long))).astype(dtype)
        if not np.isfinite(value).all() or (name.startswith("abs") and dtype is np.float16):
            continue  # it is too large; or there are no complex numbers so small
        eps = 16 * np.finfo(dtype).eps
        want = slope(x.astype(Long)).astype(dtype)
        np.testing.assert_allclose(leaf.grad.data, want, rtol=eps, atol=eps, err_msg=f"size {size}")
        np.testing.assert_allclose(y.data, value, rtol=eps)


CONSTANTS = [0.1, 1.0, 1e-4, 300.1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 7, 1000])
def test_what_does_not_vary_has_no_slope(dtype, n):
    """The mean of three 0.1 is not 0.1, to rounding."""
    for constant in CONSTANTS:
        x = np.full((2, n), constant, dtype)
        x[1] = 5.0
        holes = x.copy()
        holes[:, 0] = np.nan
        for f in (np.std, np.nanstd, lambda a, **k: np.std(a, where=np.ones((2, n), bool), **k)):
            np.testing.assert_array_equal(grad(lambda a, f=f: np.sum(f(a, axis=1)))(x), 0)
        np.testing.assert_array_equal(grad(lambda a: np.sum(np.nanstd(a, axis=1)))(holes), 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 60_000, 70_000])
def test_counts_fit_into_every_dtype(dtype, n):
    """float16 ends at 65,504."""
    x, first = np.ones(n, dtype), np.arange(n) == 0
    holes = np.where(first, np.nan, x)
    chosen = ~first
    for f, at, total in [
        (np.max, x, 1.0), (np.min, x, 1.0), (np.nanmax, holes, 1.0), (np.nanmin, holes, 1.0), (np.mean, x, 1.0),
        (np.nanmean, holes, 1.0), (lambda a: np.mean(a, where=chosen), x, 1.0), (np.median, x, 1.0),
        (lambda a: np.percentile(a, 30.0), x, 1.0), (np.average, x, 1.0), (autograd.logsumexp, x, 1.0),
        (lambda a: np.max(a, where=chosen, initial=0.0), x, 1.0), (lambda a: np.linalg.norm(a, np.inf), x, 1.0),
    ]:  # fmt: skip
        at = at.astype(dtype)
        leaf = Tensor(at, requires_grad=True)
        with np.errstate(over="ignore"):  # NumPy's mean of many float16 counts in float32
            y = f(leaf)
        y.backward()
        assert y.dtype == dtype
        np.testing.assert_allclose(
            leaf.grad.data.astype(float).sum(), total, rtol=max(0.02, 1e-3 * (dtype is np.float16))
        )
        if f is not autograd.logsumexp:
            assert float(y.data) == 1.0
    step = first.astype(dtype)
    g = grad(np.ptp)(x + step)
    np.testing.assert_allclose([g[0], g[1:].astype(float).sum()], [1.0, -1.0], rtol=0.02)
    with np.errstate(over="ignore"):
        for f in (np.var, lambda a: np.var(a, where=chosen), np.nanvar, np.std, np.nanstd):
            spread = grad(f)(x + np.where(np.arange(n) % 2 == 0, 1, -1).astype(dtype))
            assert np.isfinite(spread).all()
            assert n == 2 or spread.any()


def test_roots_of_negative_zero():
    x = Tensor(np.array([-0.0, 0.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sqrt(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.inf)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_sides_of_losses_are_alike(dtype):
    """The slope of the loss of the right answer is small, and not 0."""
    for x, target in [(-20.0, 0.0), (20.0, 1.0)]:
        if dtype is np.float16:
            x = x / 2.5
        leaf = Tensor(np.array([x], dtype), requires_grad=True)
        loss = F.binary_cross_entropy_with_logits(leaf, np.array([target], dtype), reduction="sum")
        loss.backward()
        small = math.exp(-abs(x))
        rtol = max(2 * small, 8 * float(np.finfo(dtype).eps))
        np.testing.assert_allclose(abs(leaf.grad.data), small, rtol=rtol)
        np.testing.assert_allclose(loss.data, small, rtol=rtol)


SMOOTH_AT_0 = """
    square exp exp2 expm1 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh sinc erf erfc erfcx
    erfinv ndtr log_ndtr expit j0 j1 logistic sigmoid softplus silu mish normal_cdf gelu
""".split()


@pytest.mark.parametrize("name", SMOOTH_AT_0)
def test_derivatives_of_every_order_at_0(name):
    """A slope that is computed from abs(x) has no kink."""
    f = OPS[name].function
    orders = [f]
    for _ in range(4):
        orders.append(autograd.elementwise_grad(orders[-1]))
    for lower, upper in itertools.pairwise(orders):
        at = [float(lower(np.array(x))) for x in (-2e-3, -1e-3, 1e-3, 2e-3)]
        slope = (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * 1e-3)
        np.testing.assert_allclose(float(upper(np.array(0.0))), slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("f", [np.logaddexp, np.logaddexp2, np.hypot])
def test_second_derivatives_where_two_numbers_are_equal(f):
    assert autograd.gradcheck(f, [np.array([1.0, -2.0]), np.array([1.0, -2.0])], order=2)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "expit", "softplus"])
def test_second_derivatives_far_from_0_are_0(name):
    second = autograd.elementwise_grad(autograd.elementwise_grad(OPS[name].function))
    np.testing.assert_array_equal(second(np.array([-np.inf, -1e4, 1e4, np.inf])), 0)


def test_the_scaled_error_function_and_the_normal_tail_far_out():
    """Abramowitz & Stegun 7.1.23; the second derivative of log_ndtr goes to -1."""
    x = np.array([19.0, 21.0, 100.0, 1e4, 1e8])
    u = 1 / (2 * x * x)
    want = -(1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u * (1 - 11 * u))))) / (math.sqrt(math.pi) * x * x)
    slope = autograd.elementwise_grad(autograd.special.erfcx)
    np.testing.assert_allclose(slope(x), want, rtol=1e-11)
    np.testing.assert_allclose(autograd.elementwise_grad(slope)(x), 2 / (math.sqrt(math.pi) * x**3), rtol=0.02)
    second = autograd.elementwise_grad(autograd.elementwise_grad(autograd.special.log_ndtr))
    np.testing.assert_allclose(second(-x), -1 + 1 / x**2, rtol=1e-4)
