"""Functions of symmetric matrices, where eigenvalues are apart, close and equal; in every order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import autograd
from autograd import OPS, Tensor, grad, gradcheck, jvp, linalg
from autograd.errors import PUBLIC
from autograd.linalg import expm, logm, spectral, sqrtm
from autograd.ops.spectral import Derivatives, divided_difference, symmetric

GAPS = [0.0, 1e-16, 1e-14, 1e-11, 1e-8, 1e-5, 1e-3, 1e-2, 0.1, 1.0]


def matrix(values, rng, dtype=float):
    """A symmetric matrix with these eigenvalues, Hermitian if the dtype is complex."""
    x = rng.normal(size=(len(values),) * 2)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=x.shape)
    q = np.linalg.qr(x)[0]
    return symmetric((q * values) @ q.T.conj()).astype(dtype)


def directions(n, rng, count=3):
    return [symmetric(rng.normal(size=(n, n))) for _ in range(count)]


def products(matrices):
    """The sum of the products in every order."""
    total = 0.0
    for order in itertools.permutations(matrices):
        total = total + np.linalg.multi_dot(order)
    return total


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_first_two_derivatives_are_exact_however_close_eigenvalues_are(gap, dtype):
    rng = np.random.default_rng(0)
    a = matrix([1.0, 1.0 + gap, 1.0 + 2.5 * gap, 2.0], rng, dtype)
    g, e, _ = (x.astype(dtype) for x in directions(4, rng))
    inverse = np.linalg.inv(a)

    def slopes(f):
        def weighted(x):
            return np.sum(np.real(f(x) * g))

        return jvp(grad(weighted), [a], [e])

    rtol = 200 * np.finfo(dtype).eps
    for f, first, second in [
        (spectral(lambda x: x**3), products([a, a, g]) / 2, products([a, e, g])),
        (spectral(np.reciprocal, lambda x: -(x**-2.0)), -inverse @ g @ inverse, None),
        (spectral(lambda x: 1.0 / x), -inverse @ g @ inverse, products([inverse @ e, inverse @ g]) @ inverse),
    ]:
        got, moved = slopes(f)
        np.testing.assert_allclose(got, symmetric(first), atol=rtol * np.abs(first).max())
        if second is not None:
            np.testing.assert_allclose(moved, symmetric(second), atol=rtol * np.abs(second).max())
        assert got.dtype == moved.dtype == dtype


@pytest.mark.parametrize("f", [np.exp, np.sin, np.sqrt, np.log, lambda x: np.exp(1j * x)])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_gradients_agree_with_differences(f, equal, dtype):
    rng = np.random.default_rng(1)
    a = np.stack([matrix([1.0, 1.0 if equal else 1.7, 3.0], rng, dtype) for _ in range(2)])
    function = spectral(f)
    assert gradcheck(lambda x: function(symmetric(x)), a, order=2, rtol=1e-6)


@pytest.mark.parametrize("kind", ["equal", "near", "apart"])
def test_divided_differences_of_a_power_are_sums_of_products(kind):
    """Of x**n they are the sums of all products of n - k of the points."""
    points = {"equal": [1.5] * 4, "near": [1.5, 1.5 + 1e-9, 1.5 + 1e-4, 1.51], "apart": [-2.0, 0.1, 1.0, 3.0]}[kind]
    for order in range(4):
        x = np.array(points[: order + 1])
        got, error = divided_difference(Derivatives(lambda x: x**5), x)
        expected = sum(np.prod(c) for c in itertools.combinations_with_replacement(x, 5 - order))
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert error < 1e-11 * abs(expected)


def test_third_derivatives():
    rng = np.random.default_rng(2)
    a, g, d, e = (matrix([2.0, 2.0], rng), *directions(2, rng))

    def first(x):
        return np.sum(spectral(lambda w: w**3)(x) * g)

    def second(x):
        return jvp(grad(first), [x], [d])[1]

    np.testing.assert_allclose(jvp(second, [a], [e])[1], symmetric(products([d, e, g])), rtol=1e-11, atol=1e-11)


def test_roots_logarithms_and_exponentials_undo_each_other():
    rng = np.random.default_rng(3)
    a = matrix([0.5, 0.5, 2.0], rng)
    np.testing.assert_allclose(sqrtm(a) @ sqrtm(a), a, atol=1e-14)
    np.testing.assert_allclose(expm(logm(a)), a, atol=1e-14)
    for there, back in [(logm, expm), (expm, logm), (sqrtm, lambda x: x @ x)]:
        g = directions(3, rng)[0]
        slope = grad(lambda x, f=there, h=back, g=g: np.sum(h(f(x)) * g))(a)
        np.testing.assert_allclose(slope, g, atol=1e-13)


def test_a_compiled_gradient_is_the_same():
    rng = np.random.default_rng(4)
    g = directions(3, rng)[0]
    slope = grad(lambda x: np.sum(expm(x) * g))
    compiled = autograd.compile(slope)
    for _ in range(5):
        a = directions(3, rng)[0]
        np.testing.assert_array_equal(compiled(a), slope(a))


def test_shapes_and_kinds():
    assert expm(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert expm(np.zeros((2, 0, 0))).shape == (2, 0, 0)
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        a = Tensor(np.eye(2, dtype=dtype), requires_grad=True)
        y = sqrtm(a)
        np.real(y).sum().backward()
        assert y.dtype == a.grad.dtype == dtype
    assert spectral(np.exp).__name__ == "spectral_exp"


def test_what_spectral_cannot_take():
    for f in (expm, logm, sqrtm, spectral(np.cos)):
        with pytest.raises(ValueError, match="not symmetric"):
            f(Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))
        with pytest.raises(ValueError, match="square"):
            f(Tensor([1.0, 2.0]))
        with pytest.raises(ValueError, match="Hermitian"):
            f(np.array([[1.0, 1j], [1j, 1.0]]))
    with pytest.raises(TypeError, match="functions of numbers"):
        spectral(2.0)
    rate = Tensor(2.0, requires_grad=True)
    with pytest.raises(TypeError, match="a Tensor of its own"):
        spectral(lambda x: np.exp(rate * x))(np.eye(2))


@pytest.mark.parametrize("function", [linalg.expm, linalg.logm, linalg.sqrtm, linalg.spectral(np.exp)])
@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_whole_numbers_are_float64(function, dtype):
    """As for np.linalg.inv; also in a Tensor."""
    a = np.eye(2, dtype=dtype)
    for got in (function(a), function(Tensor(a)).data):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, function(np.eye(2)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.complex128])
@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "eig", "eigvals", "svd", "svdvals", "qr", "slogdet", "expm"])
def test_errors_name_functions_that_people_call(name, dtype):
    function = getattr(np.linalg, name, None) or getattr(linalg, name)
    a = np.full((2, 2), 1.0 if dtype is np.float16 else np.nan, dtype)
    for x in (a, a[0]):
        said = ""
        try:
            with np.errstate(invalid="ignore"):
                function(Tensor(x, requires_grad=True))
        except (np.linalg.LinAlgError, TypeError, ValueError) as error:
            said = str(error)
        assert not [op for op in OPS if op in PUBLIC and op in said], said


def test_an_error_of_the_function_of_the_eigenvalues_names_it():
    with pytest.raises(TypeError, match=r"^spectral\(exp\) of shapes \(2, 2\): only"):
        linalg.spectral(math.exp)(np.eye(2))
