"""Functions of symmetric and Hermitian matrices by their eigenvalues, and their derivatives of every order.

The k-th derivative of f(A) in the directions E1, ..., Ek has, in the basis of A's eigenvectors, the divided differences
f[w0, ..., wk] times products of the elements of E (Y. Daleckii and S. Krein, 1965).  They are smooth also where
eigenvalues are equal, while the eigenvectors are not: so nothing here differentiates eigenvectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..mode import MODE, Mode
from ..op import differentiable
from ..registry import Operation
from ..tensor import Tensor, differentiate
from .index import array_of
from .products import transposed
from .register import CASES, Case, composite, domain

Function = Callable[[Any], Any]

# ---- divided differences


class Derivatives:
    """A function of numbers and its derivatives, element by element; the unknown ones come from its gradients."""

    def __init__(self, f: Function, df: Function | None = None) -> None:
        self.known = [f] if df is None else [f, df]

    def __repr__(self) -> str:
        return str(getattr(self.known[0], "__name__", self.known[0]))

    def at(self, order: int, x: Any) -> Any:
        """The derivative of this order at the numbers in x, with the shape of x."""
        while len(self.known) <= order:
            self.known.append(_slope(self.known[-1]))
        y = self.known[order](x)
        if isinstance(y, Tensor):
            raise TypeError("spectral: f computes with a Tensor of its own, to which no gradient would go")
        return np.broadcast_to(y, np.shape(x))


def _slope(f: Function) -> Function:
    """The derivative of an elementwise function, on arrays and on Tensors."""

    def df(x: Any) -> Any:
        if not isinstance(x, Tensor):
            before = MODE.get()
            MODE.set(Mode(True))  # records, unseen by observers: all this is part of one op
            try:
                return df(Tensor(x, requires_grad=True)).data
            finally:
                MODE.set(before)
        y = f(x)
        if not isinstance(y, Tensor) or y.node is None:
            return x * 0.0
        parts = [
            differentiate({y: Tensor(np.full_like(y.data, seed))}, wanted=frozenset([x.node]), create_graph=True)
            for seed in ((1.0, 1j) if y.dtype.kind == "c" else (1.0,))  # the slopes of the real and imaginary parts
        ]
        slopes = [part.get(x.node, x * 0.0) for part in parts]
        return slopes[0] + 1j * slopes[1] if len(slopes) > 1 else slopes[0]

    return df


def divided_difference(f: Derivatives, x: Any) -> tuple[Any, Any]:
    """`f[x0, ..., xk]` for points x (k + 1, ...) in ascending order, and a bound of its error.

    It is the quotient of two shorter ones by xk - x0, or where these are close the mean of f's k-th derivative over the
    points between (C. Hermite and A. Genocchi), whichever has the smaller error.
    """
    order = len(x) - 1
    if not order:
        y = f.at(0, x[0])
        return y, np.finfo(x.dtype).eps * np.abs(y)
    (high, high_error), (low, low_error) = divided_difference(f, x[1:]), divided_difference(f, x[:-1])
    gap = x[-1] - x[0]
    apart = gap > 0
    gap = np.where(apart, gap, 1.0)
    value = np.where(apart, (high - low) / gap, 0.0)
    error = np.where(apart, (high_error + low_error) / gap, np.inf)
    rough = ~(error <= 1e3 * np.finfo(x.dtype).eps * np.abs(value))
    if rough.any():
        fine, coarse = (_mean(f, x[:, rough], n) for n in (8, 6))
        doubt = np.abs(fine - coarse) + np.finfo(x.dtype).eps * np.abs(fine)
        better = ~(doubt > error[rough])
        value = value.astype(np.result_type(value, fine))
        value[rough] = np.where(better, fine, value[rough])
        error[rough] = np.where(better, doubt, error[rough])
    return value, error


def _mean(f: Derivatives, x: Any, n: int) -> Any:
    """The integral of f's k-th derivative over the simplex between the points x, by n Gauss points per dimension."""
    order = len(x) - 1
    points, weights = np.polynomial.legendre.leggauss(n)
    total: Any = 0.0
    for place in itertools.product(range(n), repeat=order):
        at, weight, scale = x[0], 1.0, 1.0
        for i, k in enumerate(place):  # 1 >= t1 >= t2 >= ... >= 0, where each is a share of the one before
            weight *= 0.5 * weights[k] * scale
            scale *= 0.5 * (points[k] + 1.0)
            at = at + scale * (x[i + 1] - x[i])
        total = total + weight * f.at(order, at)
    return total


# ---- the op


def _checked(a: Any) -> Any:
    """The matrix a, with whole numbers as float64.

    ValueError if it is not symmetric (Hermitian, if complex) to half of its digits.
    """
    x = array_of(a)
    if x.dtype.kind in "iub":
        a = (a if isinstance(a, Tensor) else x).astype(np.float64)
        x = array_of(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"a square matrix is needed; got shape {x.shape}")
    if x.size and np.max(np.abs(x - transposed(x).conj())) > np.finfo(x.dtype).eps ** 0.5 * np.max(np.abs(x)):
        raise ValueError("the matrix is not symmetric (Hermitian, if complex); pass (a + a.T) / 2 if it should be")
    return a


def _forward(a: Any, *directions: Any, f: Derivatives) -> Any:
    """The derivative of f(a) in these directions: f(a) itself, if there are none."""
    w, v = np.linalg.eigh(0.5 * (a + transposed(a).conj()))
    wide = w.astype(np.result_type(w, np.float64))
    order = len(directions)
    axes = [(..., *(slice(None) if i == j else None for j in range(order + 1))) for i in range(order + 1)]
    points = np.broadcast_arrays(*(wide[axis] for axis in axes))
    table = divided_difference(f, np.sort(np.stack(points), axis=0))[0]
    back = transposed(v).conj()
    if not order:
        return _narrowed((v * table[..., None, :]) @ back, a)
    inner = [back @ e @ v for e in directions]
    total: Any = 0.0
    letters = "abcdefghij"[: order + 1]
    terms = ",".join(f"...{i}{j}" for i, j in itertools.pairwise(letters))
    for permuted in itertools.permutations(inner):
        total = total + np.einsum(f"...{letters},{terms}->...{letters[0]}{letters[-1]}", table, *permuted)
    return _narrowed(v @ total @ back, *directions, a)


def _narrowed(y: Any, *likes: Any) -> Any:
    """y in the precision of the matrices."""
    kind = np.result_type(*likes)
    return y.astype(np.result_type(kind, np.complex64) if np.iscomplexobj(y) else kind, copy=False)


def _rules(g: Any, _y: Any, *inputs: Any, f: Derivatives) -> Callable[[int], Any]:
    """The trace of g.T times a derivative is symmetric in g.T and all directions, so it is one of them."""
    a, *directions = inputs

    def gradient(i: int) -> Any:
        if i:
            return transposed(_derivative(a, *directions[: i - 1], transposed(g), *directions[i:], f=f))
        back = _derivative(a, *directions, transposed(g), f=f)
        return transposed(0.5 * (back + transposed(back).conj()))

    return gradient


_derivative: Operation = differentiable(
    _forward, every=_rules, call=lambda *matrices, f: (matrices, {"f": f}), name="spectral_derivative"
)


def spectral(f: Callable[[Any], Any], df: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """The function of symmetric matrices that applies f to the eigenvalues: V f(w) V.T for a = V diag(w) V.T.

    `f` takes an array of real numbers and returns f of each; `df` is its derivative, by default computed from f, which
    is then written with functions that have gradients.  The result takes a (..., n, n), symmetric or complex Hermitian
    (ValueError otherwise), and returns the same shape.  Its derivatives of every order are exact to rounding, also
    where eigenvalues are equal or nearly so; the k-th takes time and memory in proportion to n**(k + 1).  Source of
    the formula: Y. Daleckii and S. Krein (1965); N. Higham, "Functions of Matrices" (2008), theorem 3.11.

    >>> cosm = spectral(np.cos)
    >>> a = Tensor(np.eye(2), requires_grad=True)
    >>> cosm(a)[0, 1].backward()
    >>> a.grad.data.round(4)
    array([[ 0.    , -0.4207],
           [-0.4207,  0.    ]])
    """
    if not callable(f) or not (df is None or callable(df)):
        raise TypeError(f"spectral takes functions of numbers, such as np.exp; got {f!r:.50} and {df!r:.50}")
    derivatives = Derivatives(f, df)

    def function(a: Any, /) -> Any:
        return _derivative(_checked(a), f=derivatives)

    function.__name__ = function.__qualname__ = f"spectral_{derivatives!r}"
    function.__doc__ = f"{derivatives!r} of a symmetric or Hermitian matrix (..., n, n), by its eigenvalues."
    return function


_EXP = Derivatives(np.exp, np.exp)
_LOG = Derivatives(np.log, lambda x: 1.0 / x)
_SQRT = Derivatives(np.sqrt, lambda x: 0.5 / np.sqrt(x))


def _expm(a, /):
    """The exponential of a symmetric or complex Hermitian matrix a (..., n, n), by its eigenvalues.

    Raises ValueError for another matrix.  See `spectral` for its derivatives.

    >>> expm(np.diag([0.0, 1.0])).round(3)
    array([[1.   , 0.   ],
           [0.   , 2.718]])
    """
    return _derivative(_checked(a), f=_EXP)


def _logm(a, /):
    """The logarithm of a positive definite matrix a (..., n, n), symmetric or complex Hermitian, by its eigenvalues.

    Raises ValueError for a matrix that is neither.  See `spectral` for its derivatives.

    >>> logm(np.eye(2))
    array([[0., 0.],
           [0., 0.]])
    """
    return _derivative(_checked(a), f=_LOG)


def _sqrtm(a, /):
    """The positive square root of a positive definite matrix a (..., n, n), symmetric or complex Hermitian.

    Raises ValueError for a matrix that is neither.  See `spectral` for its derivatives.

    >>> sqrtm(np.diag([4.0, 9.0]))
    array([[2., 0.],
           [0., 3.]])
    """
    return _derivative(_checked(a), f=_SQRT)


expm = composite(_expm, name="expm")
logm = composite(_logm, name="logm")
sqrtm = composite(_sqrtm, name="sqrtm")

# ---- test data


def symmetric(x: Any) -> Any:
    """A symmetric matrix (Hermitian, if complex)."""
    return 0.5 * (x + transposed(x).conj())


def _positive(x: Any) -> Any:
    """A symmetric positive definite matrix."""
    return x @ transposed(x).conj() + np.eye(x.shape[-1], dtype=x.dtype)


_MATRICES = [Case((3, 3)), Case((2, 3, 3)), Case((1, 1))]

CASES[_derivative] = domain(symmetric, Case((3, 3), f=_EXP), Case((2, 2, 2), (2, 2, 2), f=_EXP))
CASES[expm] = domain(symmetric, *_MATRICES)
CASES[logm] = domain(_positive, *_MATRICES)
CASES[sqrtm] = domain(_positive, *_MATRICES)
