"""odeint and its adjoint."""

import numpy as np
import pytest
import scipy.integrate
from autograd.scipy.integrate import odeint
from autograd.test_util import check_grads

from autograd import grad

Y0, T = np.array([0.3, -0.7]), np.array([0.0, 0.4, 1.1])
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def swing(y, t, a, b):
    return np.stack([a * y[1] + b[0] * np.sin(t), -np.sin(y[0]) - b[1] * y[1]])


def solve(y0, t, a, b):
    return odeint(swing, y0, t, (a, b), **TIGHT)


def test_values_and_derivatives():
    a, b = 1.3, np.array([0.4, 0.2])
    np.testing.assert_array_equal(solve(Y0, T, a, b), scipy.integrate.odeint(swing, Y0, T, (a, b), **TIGHT))
    check_grads(solve, (0, 1, 2, 3), modes=["rev"], order=1)(Y0, T, a, b)


def test_a_list_of_slopes():
    f = lambda y0: np.sum(odeint(lambda y, t: [-y[0], -2.0 * y[1]], y0, T, **TIGHT)[-1])
    np.testing.assert_allclose(grad(f)(Y0), np.exp([-1.1, -2.2]), rtol=1e-6)


@pytest.mark.parametrize("steps", [2, 5])
def test_the_gradient_of_a_linear_equation_is_known(steps):
    t = np.linspace(0.0, 1.0, steps)
    f = lambda k: odeint(lambda y, t, k: -k * y, np.ones(1), t, (k,), **TIGHT)[-1, 0]
    np.testing.assert_allclose(grad(f)(0.7), -np.exp(-0.7), rtol=1e-6)
