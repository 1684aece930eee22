"""The names of HIPS's autograd."""

import numpy as np
import pytest

import autograd
from autograd import (
    grad,
    hessian,
)
from autograd.compat import hips


def test_hips_names():
    x = np.array([0.3, -0.2])
    pull, value = hips.make_vjp(lambda a, b: a * b, 1)(2.0, x)
    np.testing.assert_array_equal(pull(np.ones(2)), [2, 2])
    np.testing.assert_array_equal(value, 2 * x)
    assert hips.grad_and_aux(lambda t: (t * t, "aux"))(3.0) == (6, "aux")
    assert hips.check_grads(lambda a, b: np.sin(a) * b)(x, x)

    @hips.primitive
    def logsumexp(x):
        top = np.max(x)
        return top + np.log(np.sum(np.exp(x - top)))

    hips.defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))
    np.testing.assert_allclose(grad(logsumexp)(x), np.exp(x) / np.exp(x).sum())
    np.testing.assert_allclose(hessian(logsumexp)(x), hessian(autograd.logsumexp)(x))
    with pytest.raises(TypeError, match="defvjp"):
        grad(hips.primitive(np.sum))(x)
