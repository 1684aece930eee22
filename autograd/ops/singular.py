"""The gradients chosen where a function has no derivative, or where more than one value is possible.

docs/singular_points.md and the `help()` of a function are written from this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Choice(NamedTuple):
    """The gradient of these functions (ops, by name) at a point, and the reason."""

    functions: str
    where: str
    gradient: str
    why: str


CHOICES = [
    Choice("abs fabs", "at 0", "0", "the middle of all slopes between -1 and 1"),
    Choice("sign", "at 0, of a complex number", "0", "the middle of all slopes"),
    Choice("maximum minimum fmax fmin", "where x1 = x2", "half to each", "neither is preferred; the sum is right"),
    Choice("max min ptp", "at several equal extremes", "shared equally", "as for two, for any number"),
    Choice("clip", "on a bound", "1", "a value on the bound is not clipped"),
    Choice(
        "sign floor ceil trunc rint fix round floor_divide heaviside",
        "everywhere",
        "0",
        "flat between the steps; the steps have no slope",
    ),
    Choice("power float_power", "at 0 to the power 0", "0", "it is the constant 1"),
    Choice("power float_power", "at 0, with respect to the exponent", "0", "the limit of x**y log(x) for y > 0"),
    Choice("hypot arctan2", "where both are 0", "0", "the middle of all slopes"),
    Choice("copysign", "at x1 = 0, and everywhere with respect to x2", "0", "as for abs; only the sign of x2 matters"),
    Choice("norm vector_norm matrix_norm", "at 0", "0", "the middle of all slopes; also for abs of a complex number"),
    Choice("std nanstd", "where nothing varies", "0", "as for the norm, of the deviations"),
    Choice("prod cumprod", "at zeros", "exact", "the product of the others; nothing is divided by x"),
    Choice("det", "at a singular matrix", "exact", "the minors, where the inverse does not exist"),
    Choice("sinc", "at 0", "0, and -pi²/3 for the second", "the limits; derivatives of every order are exact there"),
    Choice(
        "sort partition median quantile percentile",
        "at equal elements",
        "to the one that the sort puts there",
        "their sum is right",
    ),
    Choice("unique", "at equal elements", "to the first", "their sum is right"),
    Choice("interp", "at a point of the table", "the slope to its right", "one of the two"),
    Choice(
        "eigh eig svd",
        "at equal eigenvalues or singular values (to 64 roundings), if their vectors are used, also with a slope of 0",
        "NaN, with a warning",
        "their vectors are arbitrary; `autograd.linalg.spectral` is exact",
    ),
    Choice(
        "eigh eigvalsh eig eigvals svd svdvals",
        "at equal ones, if they alone are used",
        "exact",
        "for functions that treat them alike; one of them has a kink, and gets the slope along its vector",
    ),
    Choice(
        "eig eigvals",
        "at a matrix without a basis of eigenvectors",
        "NaN, with a warning; of their sum exact",
        "the slopes of its eigenvalues are infinite",
    ),
    Choice("qr", "at linearly dependent columns", "NaN, with a warning", "their directions in q are arbitrary"),
    Choice("slogdet", "at a determinant of 0", "NaN, with a warning", "the slope of the logarithm is infinite"),
    Choice("svd svdvals", "at 0, if singular values alone are used", "0", "the middle of their slopes, as for abs"),
    Choice(
        "nansum nanprod nanmax nanmin nanmean nanvar nancumsum nancumprod",
        "at NaN",
        "0",
        "the element is skipped",
    ),
    Choice("xlogy xlog1py", "at x1 = 0, with respect to x2", "0", "the limit"),
    Choice("relu", "at 0", "0", "an inactive unit sends nothing back"),
    Choice("window_max", "at several equal extremes of a window", "to the first", "as in PyTorch's max_pool"),
    Choice(
        "sqrt",
        "at 0",
        "inf",
        "the slope grows without bound; `where` cannot hide it, so select a safe input first",
    ),
]
