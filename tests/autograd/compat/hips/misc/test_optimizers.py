"""Stochastic gradient methods and fixed points."""

import numpy as np
import pytest
from autograd.misc import const_graph
from autograd.misc.fixed_points import fixed_point
from autograd.misc.optimizers import adam, rmsprop, sgd
from autograd.test_util import check_grads

from autograd import grad, make_vjp

START = {"w": np.array([3.0, -2.0]), "b": [1.5]}


@pytest.mark.parametrize(
    ("minimize", "options"), [(sgd, {}), (rmsprop, {"step_size": 0.02}), (adam, {"step_size": 0.05})]
)
def test_a_bowl_is_minimised(minimize, options):
    seen = []
    loss = lambda p, i: np.sum((p["w"] - 1.0) ** 2) + (p["b"][0] + 2.0) ** 2
    found = minimize(grad(loss), START, lambda p, i, g: seen.append((i, set(g))), num_iters=400, **options)
    np.testing.assert_allclose([*found["w"], *found["b"]], [1, 1, -2], atol=0.05)
    assert seen[-1] == (399, {"w", "b"})
    np.testing.assert_equal(minimize(grad(loss), START, num_iters=0), START)


def test_steps_are_the_published_ones():
    g = 0.5
    gradient = lambda x, i: g
    assert sgd(gradient, 1.0, None, 2, 0.1, 0.5) == 1.0 - 0.1 * 0.25 - 0.1 * 0.375
    np.testing.assert_allclose(adam(gradient, 1.0, None, 3, 0.01), 1.0 - 3 * 0.01)
    np.testing.assert_allclose(rmsprop(gradient, 1.0, None, 1, 0.1, 0.9), 1.0 - 0.1 * 0.5 / np.sqrt(0.9 + 0.1 * 0.25))


def test_a_fixed_point_has_its_implicit_derivative():
    newton = lambda a: lambda x: 0.5 * (x + a / x)
    root = lambda a, guess=1.0: fixed_point(newton, a, guess, lambda x, y: abs(x - y), 1e-12)
    np.testing.assert_allclose([root(2.0), grad(root)(2.0)], [2**0.5, 0.5 / 2**0.5])
    np.testing.assert_allclose(grad(grad(root))(2.0), -0.25 * 2**-1.5, rtol=1e-6)
    check_grads(root, modes=["rev"])(3.0)
    assert make_vjp(const_graph(lambda k, x: k * x, 3.0))(2.0)[0](1.0) == 3.0
