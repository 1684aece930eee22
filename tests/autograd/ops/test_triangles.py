"""Triangular systems in rules: the same numbers with and without SciPy."""

import numpy as np
import pytest

from autograd import grad, gradcheck, hvp
from autograd.ops import triangles


def log_det(a):
    return np.sum(np.log(np.diagonal(np.linalg.cholesky(a @ a.T + 5.0 * np.eye(len(a))))))


@pytest.mark.parametrize("n", [5, triangles.LARGE, triangles.LARGE + 3])
def test_gradients_of_cholesky_do_not_depend_on_scipy(n, monkeypatch):
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=(n, n)), rng.normal(size=(n, n))
    found = grad(log_det)(a), hvp(log_det)(a, v)
    monkeypatch.setattr(triangles, "_scipys", lambda: None)
    np.testing.assert_allclose(grad(log_det)(a), found[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(hvp(log_det)(a, v), found[1], rtol=1e-9, atol=1e-10)


def test_large_ones_agree_with_differences():
    a = np.random.default_rng(0).normal(size=(triangles.LARGE, triangles.LARGE))
    assert gradcheck(log_det, a, order=2, modes=("rev", "fwd"), rtol=1e-6)
