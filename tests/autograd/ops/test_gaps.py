"""Gradients through eigenvectors and singular vectors are right, or NaN with a warning: never a wrong number."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from autograd import Tensor, grad, hessian, jvp
from autograd.linalg import eigh, spectral, svd

GAPS = [0.0, 1e-17, 1e-16, 1e-15, 1e-14, 1e-12, 1e-9, 1e-6, 1e-3, 0.3]


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def by_eigh(f):
    def function(a):
        w, v = np.linalg.eigh(a)
        return (v * f(w)) @ np.swapaxes(v, -1, -2)

    return function


def by_eig(f):
    def function(a):
        w, v = np.linalg.eig(a)
        w, v = np.real(w), np.real(v)
        return (v * f(w)) @ np.linalg.inv(v)

    return function


def by_svd(f):
    def function(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * f(s)) @ vh

    return function


def right_or_nan(function, a, expected, rtol):
    """The gradient is right, or NaN with a warning; return whether it is right."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = grad(function)(a)
    if np.isnan(got).any():
        assert [w.category for w in said] == [RuntimeWarning] * len(said) and "are equal, or differ" in str(
            said[0].message
        )
        return False
    np.testing.assert_allclose(got, expected, atol=rtol * np.abs(expected).max())
    return True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("ones", [True, False])
def test_a_function_of_a_matrix_by_its_decomposition(gap, dtype, ones):
    """The square, the logarithm (whose value at 1 is 0) and the matrix itself; eigenvalues 1, 1 + gap, 2."""
    rng = np.random.default_rng(0)
    values = np.array([1.0, 1.0 + gap, 2.0])
    right = []
    for q in (np.eye(3), orthogonal(rng, 3)):
        a = (q * values) @ q.T
        g = np.ones((3, 3)) if ones else rng.normal(size=(3, 3))
        s = (g + g.T) / 2
        p = np.eye(3) + 0.2 * rng.normal(size=(3, 3)) if q[0, 1] else q
        skew = (p * values) @ np.linalg.inv(p)
        u = orthogonal(rng, 3) if q[0, 1] else q
        wide = (orthogonal(rng, 3) * values) @ u.T if q[0, 1] else np.diag(values)
        log = q @ (divided(np.log, values, 1 / values) * (q.T @ s @ q)) @ q.T
        for f, at, expected in [
            (by_eigh(lambda w: w * w), a, s @ a + a @ s),
            (by_eigh(np.log), a, log),
            (by_eigh(lambda w: w), a, s),
            (by_eig(lambda w: w * w), skew, g @ skew.T + skew.T @ g),
            (by_svd(lambda s: s), wide, g),
            (by_svd(lambda s: s), np.concatenate([wide, 0 * wide[:1]]), np.concatenate([g, g[:1]])),
            (by_svd(lambda s: s), np.concatenate([wide, 0 * wide[:1]]).T, np.concatenate([g, g[:1]]).T),
        ]:
            weights = expected * 0 + 1.0 if ones else None
            weights = (g if expected.shape == g.shape else expected) if weights is None else weights
            at, weights = at.astype(dtype), weights.astype(dtype)
            try:
                right.append(right_or_nan(lambda x, f=f, w=weights: np.sum(f(x) * w), at, expected, 0.05))
            except TypeError:  # rounding made a pair of complex eigenvalues
                right.append(np.iscomplex(np.linalg.eigvals(at)).any())
    assert all(right) or gap <= 1e3 * np.finfo(dtype).eps


def divided(f, w, slope):
    gap = w[:, None] - w
    return np.where(gap == 0, slope, (f(w)[:, None] - f(w)) / np.where(gap == 0, 1.0, gap))


@pytest.mark.parametrize("values", [[1.0, 1.0, 2.0], [0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [3.0] * 3, [0.0] * 3])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5)])
def test_a_product_of_the_parts_of_svd(values, shape):
    rng = np.random.default_rng(0)
    a = np.zeros(shape)
    a[range(3), range(3)] = values
    for turned in (False, True):
        if turned:
            a = orthogonal(rng, shape[0]) @ a @ orthogonal(rng, shape[1])
        g = rng.normal(size=shape)
        right = right_or_nan(lambda x, g=g: np.sum(by_svd(lambda s: s)(x) * g), a, g, 1e-6)
        if values == [0.0, 1.0, 2.0] and shape == (3, 3) and not turned:
            assert right  # one singular value of a square matrix may be 0


EQUAL = [np.eye(3), np.diag([2.0, 2.0, 5.0]), 3.0 * np.eye(1)]


@pytest.mark.parametrize("a", EQUAL, ids=["eye", "two", "one"])
@pytest.mark.parametrize("turned", [False, True])
def test_gradients_of_eigenvalues_alone_are_exact(a, turned):
    n = len(a)
    if turned:
        q = orthogonal(np.random.default_rng(1), n)
        a = q @ a @ q.T
        a = (a + a.T) / 2
    inverse = np.linalg.inv(a)
    for values in (
        np.linalg.eigvalsh,
        np.linalg.svdvals,
        lambda x: np.linalg.eigh(x)[0],
        lambda x: np.linalg.svd(x)[1],
    ):
        np.testing.assert_allclose(grad(lambda x, v=values: np.log(v(x)).sum())(a), inverse, atol=1e-14)
        np.testing.assert_allclose(grad(lambda x, v=values: (v(x) ** 2).sum())(a), 2 * a, atol=1e-13)
    if not turned:
        for values in (np.linalg.eigvals, lambda x: np.linalg.eig(x)[0]):
            np.testing.assert_allclose(grad(lambda x, v=values: np.real(np.log(v(x)).sum()))(a), inverse.T, atol=1e-13)


def test_vectors_of_other_eigenvalues_have_gradients():
    """Those of the largest, while the smaller ones are equal."""
    rng = np.random.default_rng(2)
    a, g = np.diag([1.0, 1.0, 4.0]), rng.normal(size=(3, 3))
    for vectors in (lambda x: eigh(x)[1][:, -1:], lambda x: svd(x, full_matrices=False)[0][:, :1]):

        def function(x, vectors=vectors):
            v = vectors(x)
            return np.sum(v @ v.T * g)

        d = rng.normal(size=(3, 3))
        d = d + d.T
        step = 1e-6
        slope = (function(a + step * d) - function(a - step * d)) / (2 * step)
        np.testing.assert_allclose(np.sum(grad(function)(a) * d), slope, rtol=1e-6)
    # the first principal direction of fewer points than dimensions, which were centred
    x = rng.normal(size=(4, 6))
    x = x - x.mean(axis=0)
    assert np.isfinite(grad(lambda t: np.sum(np.linalg.svd(t, full_matrices=False)[2][0] ** 3))(x)).all()


def test_at_0_singular_values_alone_have_the_middle_of_their_slopes():
    zero, low = np.zeros((2, 2)), np.diag([2.0, 0.0])
    for norm in (np.linalg.svdvals, lambda x: np.linalg.norm(x, "nuc"), lambda x: np.linalg.norm(x, 2)):
        np.testing.assert_array_equal(grad(lambda x, f=norm: np.sum(f(x)))(zero), zero)
    for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        np.testing.assert_array_equal(grad(lambda x, order=order: np.linalg.norm(x, order))(zero), zero)
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.linalg.svdvals(x)))(low), [[1, 0], [0, 0]])


@pytest.mark.parametrize("a", [[[1.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
def test_a_matrix_without_a_basis_of_eigenvectors(a):
    """Its eigenvalues have no slope; their sum, the trace, has."""
    np.testing.assert_allclose(grad(lambda x: np.real(np.linalg.eigvals(x).sum()))(np.array(a)), np.eye(2), atol=1e-12)
    for f in (lambda x: np.linalg.eigvals(x)[0], lambda x: np.linalg.eig(x)[1][0, 1]):
        with pytest.warns(RuntimeWarning, match="eigenvalues are equal"):
            assert np.isnan(grad(lambda x, f=f: np.real(f(x)))(np.array(a))).any()


def test_higher_orders_at_equal_eigenvalues_are_nan_too():
    a, d = np.eye(2), np.array([[1.0, 2.0], [2.0, 3.0]])
    with pytest.warns(RuntimeWarning, match="eigh"):
        assert np.isnan(hessian(lambda x: np.sum(np.linalg.eigvalsh(x) ** 2))(a)).any()
    with pytest.warns(RuntimeWarning, match="eigh"):
        assert np.isnan(jvp(lambda x: np.linalg.eigh(x)[1], [a], [d])[1]).any()


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, np.linalg.svdvals, np.linalg.eigvals])
def test_eigenvalues_alone_move_exactly(values):
    """By jvp, at equal eigenvalues."""
    d = np.array([[1.0, 2.0], [2.0, 3.0]])
    moved = jvp(lambda x: np.sum(values(x) ** 2), [2.0 * np.eye(2)], [d])[1]
    np.testing.assert_allclose(np.real(moved), 4 * np.trace(d))


def test_one_matrix_of_a_batch_does_not_spoil_the_others():
    batch = Tensor(np.stack([np.eye(2), np.diag([1.0, 3.0])]), requires_grad=True)
    with pytest.warns(RuntimeWarning, match="spectral"):
        by_eigh(np.exp)(batch).sum().backward()
    assert np.isnan(batch.grad.data[0]).any() and np.isfinite(batch.grad.data[1]).all()


VECTORS = {
    "eigh": lambda x: np.linalg.eigh(x)[1],
    "eig": lambda x: np.real(np.linalg.eig(x)[1]),
    "u": lambda x: np.linalg.svd(x)[0],
    "vh": lambda x: np.linalg.svd(x)[2].T,
    "hermitian": lambda x: np.linalg.svd(x, hermitian=True)[0],
}


@pytest.mark.parametrize("kind", sorted(VECTORS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "loss",
    [
        lambda v: v[0, 2] ** 2,
        lambda v: np.sum((v - v.detach()) ** 2),
        lambda v: 0.0 * np.sum(v),
        lambda v: v[0, 0] * 2.0,  # along the vector, which cannot move so
    ],
)
def test_vectors_of_equal_values_that_were_read_with_a_slope_of_0(kind, dtype, loss):
    """What is lost depends on which vectors were read, not on whether a number is 0 by chance."""
    a = Tensor(np.eye(3, dtype=dtype), requires_grad=True)
    with pytest.warns(RuntimeWarning, match="are equal, or differ"):
        loss(VECTORS[kind](a)).backward()
    assert np.isnan(a.grad.data).any() and a.grad.dtype == dtype


def test_a_batch_of_which_one_matrix_has_a_slope_of_0():
    batch = Tensor(np.stack([np.eye(2), np.diag([1.0, 3.0])]), requires_grad=True)
    v = np.linalg.eigh(batch)[1]
    loss = np.sum((v - np.array([v[0].data, v[1].data + 0.5])) ** 2)
    with pytest.warns(RuntimeWarning, match="eigh"):
        loss.backward()
    assert np.isnan(batch.grad.data[0]).any() and np.isfinite(batch.grad.data[1]).all()


PHASELESS = {
    "eigh": lambda x: np.linalg.eigh(x)[1],
    "eig": lambda x: np.linalg.eig(x)[1],
    "u": lambda x: np.linalg.svd(x)[0],
    "vh": lambda x: np.conj(np.linalg.svd(x)[2].T),
}


@pytest.mark.parametrize("kind", sorted(PHASELESS))
@pytest.mark.parametrize("loss", [lambda v: np.abs(v[0, 2] + 0.0) ** 2, lambda v: 0.0 * np.sum(np.abs(v))])
def test_complex_vectors_that_were_read_with_a_slope_of_0(kind, loss):
    a = Tensor(np.eye(3, dtype=complex), requires_grad=True)
    with pytest.warns(RuntimeWarning, match="are equal, or differ"):
        loss(PHASELESS[kind](a)).backward()
    assert np.isnan(a.grad.data).any()
    values = Tensor(np.eye(3, dtype=complex), requires_grad=True)  # alone they are exact
    np.sum(np.real(np.linalg.eigh(values)[0])).backward()
    np.testing.assert_allclose(values.grad.data, np.eye(3), atol=1e-14)


DEPENDENT = [np.ones((3, 2)), np.zeros((2, 2)), np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), np.ones((2, 3))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
@pytest.mark.parametrize("a", DEPENDENT, ids=["ones", "zeros", "outer", "wide"])
def test_qr_of_dependent_columns(a, dtype):
    """Also in a batch, of which it does not spoil the others."""
    good = np.arange(a.size).reshape(a.shape) ** 2 + 3.0 * np.eye(*a.shape)
    batch = Tensor(np.stack([a, good]).astype(dtype), requires_grad=True)
    q, r = np.linalg.qr(batch)
    loss = np.sum(np.abs(q[:, -1, -1] + 2.0 * q[:, 0, -1]) + np.abs(r[:, 0, 0]))
    with pytest.warns(RuntimeWarning, match="qr: columns of a matrix are linearly dependent"):
        loss.backward()
    assert np.isnan(batch.grad.data[0]).any() and np.isfinite(batch.grad.data[1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
def test_the_logarithm_of_a_determinant_of_0(dtype):
    batch = Tensor(np.stack([np.ones((2, 2)), np.diag([1.0, 3.0])]).astype(dtype), requires_grad=True)
    loss = np.sum(np.linalg.slogdet(batch)[1])
    with pytest.warns(RuntimeWarning, match="slogdet: the determinant of a matrix is 0"):
        loss.backward()
    assert np.isnan(batch.grad.data[0]).all()
    np.testing.assert_allclose(batch.grad.data[1], np.diag([1.0, 1 / 3]), rtol=1e-6)
    with pytest.warns(RuntimeWarning, match="slogdet"):
        assert np.isnan(hessian(lambda x: np.linalg.slogdet(x)[1])(np.ones((2, 2)))).any()


@pytest.mark.parametrize("gap", [1e-13, 1e-12, 1e-11, 1e-10, 1e-8, 1e-6])
def test_a_gradient_that_lost_its_digits_says_so(gap):
    q = orthogonal(np.random.default_rng(3), 3)
    w = np.array([3.0, 3.0 + gap, 1.0])
    a = (q * w) @ q.T
    a = 0.5 * (a + a.T)
    for by in (by_eigh, by_svd):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            got = grad(lambda x, by=by: np.sum(by(np.exp)(x)[0] ** 2))(a)
        want = grad(lambda x: np.sum(spectral(np.exp)(x)[0] ** 2))(a)
        sym = 0.5 * (got + got.T)
        assert said or np.abs(sym - want).max() <= 1e-6 * np.abs(want).max()
        assert not said or gap < 1e-6
