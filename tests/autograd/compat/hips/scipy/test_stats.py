"""Distributions: SciPy's values, and derivatives by every parameter that has one."""

import autograd.scipy.stats as stats
import numpy as np
import pytest
import scipy.stats

from autograd import gradcheck

RNG = np.random.default_rng(0)
X, POSITIVE, SHARE = RNG.normal(size=(2, 3)), RNG.uniform(0.3, 3.0, (2, 3)), RNG.uniform(0.1, 0.9, (2, 3))
COV = np.array([[2.0, 0.3, -0.4], [0.3, 1.5, 0.2], [-0.4, 0.2, 1.0]])
SIMPLEX = np.array([0.2, 0.5, 0.3])

# {(distribution, function): (arguments, those with a derivative)}
CALLS = {
    **{("norm", f): ((X, 0.3, 1.7), 3) for f in "pdf logpdf cdf logcdf sf logsf".split()},
    **{("t", f): ((X, 4.5, 0.3, 1.7), 4) for f in ("pdf", "logpdf")},
    **{("t", f): ((X, 4, 0.3, 1.7), 4) for f in ("cdf", "logcdf")},  # a whole number has no derivative
    **{("beta", f): ((SHARE, 2.5, 1.4), 3) for f in ("pdf", "logpdf")},
    ("beta", "cdf"): ((SHARE, 2, 3), 3),
    **{("gamma", f): ((POSITIVE, 2.5), 2) for f in ("pdf", "logpdf")},
    ("gamma", "cdf"): ((POSITIVE, 2), 2),
    **{("chi2", f): ((POSITIVE, 3.5), 2) for f in ("pdf", "logpdf")},
    **{("poisson", f): ((np.array([0, 2, 5]), POSITIVE), 2) for f in ("pmf", "logpmf", "cdf")},
    **{("dirichlet", f): ((SIMPLEX, np.array([1.5, 2.5, 3.0])), 2) for f in ("pdf", "logpdf")},
    **{("multivariate_normal", f): ((X, X[0] * 0.1, COV), 3) for f in ("pdf", "logpdf")},
}


@pytest.mark.parametrize(("name", "function"), CALLS, ids="-".join)
def test_values_are_scipys_and_derivatives_agree_with_differences(name, function):
    args, _ = CALLS[name, function]
    ours = getattr(getattr(stats, name), function)
    theirs = getattr(getattr(scipy.stats, name), function)
    np.testing.assert_allclose(ours(*args), theirs(*args), rtol=1e-10)
    if name == "multivariate_normal":  # a covariance stays symmetric
        assert gradcheck(lambda x, m, c: ours(x, m, c + c.T), [*args[:2], COV / 2], order=2, modes=("rev", "fwd"))
    elif name == "dirichlet":
        assert gradcheck(lambda x, a: ours(x / np.sum(x), a), list(args), order=2, modes=("rev", "fwd"))
    else:
        assert gradcheck(ours, list(args), order=2, modes=("rev", "fwd"), rtol=1e-6)


def test_a_shape_parameter_without_a_derivative_raises():
    for function, args in (
        (stats.gamma.cdf, (POSITIVE, 2.5)),
        (stats.beta.cdf, (SHARE, 2.0, 3.0)),
        (stats.t.cdf, (X, 4.0)),
    ):
        with pytest.raises(TypeError, match="no derivative rule"):
            gradcheck(function, list(args))


def test_multivariate_normals_of_every_form():
    ours, theirs = stats.multivariate_normal, scipy.stats.multivariate_normal
    for x, mean, cov in ((0.3, 0.1, 2.0), (X, 0.2, 1.5), (X[0], X[1], np.array([1.0, 2.0, 0.5])), (X, X[0], 2.0)):
        if np.ndim(x) and np.ndim(mean) == 0:
            x = x[0]
        np.testing.assert_allclose(ours.logpdf(x, mean, cov), theirs.logpdf(x, mean, cov))
    np.testing.assert_allclose(ours.entropy(None, COV), theirs.entropy(np.zeros(3), COV))
    assert gradcheck(lambda c: ours.entropy(None, c + c.T), COV)
    flat = np.outer(SIMPLEX, SIMPLEX) + np.outer(X[0], X[0])
    inside = flat @ X[1]
    np.testing.assert_allclose(
        ours.logpdf(inside, np.zeros(3), flat, allow_singular=True),
        theirs.logpdf(inside, np.zeros(3), flat, allow_singular=True),
    )
    with pytest.raises(ValueError, match="negative"):
        ours.logpdf(X[0], np.zeros(3), -COV, allow_singular=True)


def test_the_rest_is_scipys():
    assert stats.norm.rvs is scipy.stats.norm.rvs or stats.norm.rvs(size=3, random_state=0).shape == (3,)
