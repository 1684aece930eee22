"""Decompositions of complex matrices: derivatives of whatever does not depend on the phases of vectors."""

import numpy as np
import pytest

from autograd import Tensor, grad, gradcheck
from autograd.ops.unitary import _must_not_turn

RNG = np.random.default_rng(1)


def draw(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def hermitian(a):
    return a + np.conj(np.swapaxes(a, -1, -2))


def outer(v):
    """The projections on the vectors, which no phase changes."""
    return np.einsum("...ik,...jk->...kij", v, np.conj(v))


INVARIANT = {
    "eigh, values": (lambda a: np.linalg.eigh(hermitian(a))[0], (3, 3)),
    "eigh, sizes": (lambda a: np.abs(np.linalg.eigh(hermitian(a))[1]), (3, 3)),
    "eigh, projections": (lambda a: outer(np.linalg.eigh(hermitian(a))[1]), (3, 3)),
    "eigh, upper": (lambda a: outer(np.linalg.eigh(hermitian(a), "U")[1]), (2, 3, 3)),
    "eigvalsh": (lambda a: np.linalg.eigvalsh(hermitian(a)), (2, 3, 3)),
    "eig, values": (lambda a: np.linalg.eig(a)[0], (3, 3)),
    "eig, sizes": (lambda a: np.abs(np.linalg.eig(a)[1]), (2, 3, 3)),
    "eig, projections": (lambda a: outer(np.linalg.eig(a)[1]), (3, 3)),
    "eigvals": (lambda a: np.linalg.eigvals(a) ** 2, (3, 3)),
    **{
        f"svd, {what} of {shape}": (run, shape)
        for shape in ((3, 3), (4, 3), (2, 3, 4))
        for what, run in {
            "values": lambda a: np.linalg.svd(a, compute_uv=False),
            "sizes": lambda a: np.abs(np.linalg.svd(a, full_matrices=False)[0]),
            "right": lambda a: outer(np.conj(np.swapaxes(np.linalg.svd(a, full_matrices=False)[2], -1, -2))),
            "pairs": lambda a: np.einsum("...ik,...kj->...kij", *np.linalg.svd(a, full_matrices=False)[::2]),
        }.items()
    },
    **{f"qr of {shape}": (lambda a: list_sum(np.linalg.qr(a)), shape) for shape in ((3, 3), (4, 3), (2, 3, 4))},
    "slogdet": (lambda a: list_sum(np.linalg.slogdet(a)), (3, 3)),
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc"), (3, 4)),
}


def list_sum(parts):
    """One array of all results."""
    return np.concatenate(
        [np.reshape(np.asarray(part) if np.isscalar(part) else part, -1) * (i + 1) for i, part in enumerate(parts)]
    )


@pytest.mark.parametrize("name", INVARIANT)
def test_derivatives_of_what_no_phase_changes(name):
    run, shape = INVARIANT[name]
    a = draw(*shape)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(run(Tensor(a)).data, run(a), atol=1e-13)
    assert gradcheck(run, a, order=2, modes=("rev", "fwd"), rtol=1e-6)
    assert grad(lambda a: np.sum(np.abs(run(a)) ** 2))(a.astype(np.complex64)).dtype == np.complex64


REAL = {
    "eig, values": lambda a: np.linalg.eig(a)[0],
    "eig, sizes": lambda a: np.abs(np.linalg.eig(a)[1]),
    "eigvals": lambda a: np.abs(np.linalg.eigvals(a)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_matrices_with_complex_eigenvalues(name):
    turn = np.array([[0.3, -2.0, 0.1], [1.5, 0.2, -0.4], [0.2, 0.3, 1.0]])
    assert np.iscomplexobj(np.linalg.eigvals(turn))
    assert gradcheck(REAL[name], turn, order=2, modes=("rev", "fwd"), rtol=1e-6)
    assert grad(lambda a: np.sum(np.abs(REAL[name](a))))(turn).dtype == np.float64


PHASES = {
    "eigh": lambda a: np.linalg.eigh(hermitian(a))[1],
    "eig": lambda a: np.linalg.eig(a)[1],
    "svd": lambda a: np.linalg.svd(a)[0],
}


@pytest.mark.parametrize("name", PHASES)
def test_a_result_that_depends_on_a_phase_is_an_error(name):
    with pytest.raises(TypeError, match=f"{name}: the result depends on the phase"):
        grad(lambda a: np.sum(np.real(PHASES[name](a)) * np.arange(9.0).reshape(3, 3)))(draw(3, 3))
    _must_not_turn(np.zeros(0), np.zeros(0), name)


def test_equal_eigenvalues_give_nan_with_a_warning():
    mixed = np.array([[1.0, 2.0], [0.5, -1.0]])
    for same in (np.eye(2) + 0j, np.diag([1.0, 1.0 + 1e-16]) + 0j):
        with pytest.warns(RuntimeWarning, match="equal"):
            found = grad(lambda a: np.sum(np.abs(np.linalg.eigh(a)[1] @ mixed) ** 2))(same)
        assert np.isnan(found).any()
    values = grad(lambda a: np.sum(np.linalg.eigh(a)[0]))(np.eye(2) + 0j)
    np.testing.assert_array_equal(values, np.eye(2))
