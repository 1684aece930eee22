"""grad and value_and_grad."""

import numpy as np
import pytest

import autograd
from autograd import Tensor, grad, value_and_grad


def test_arrays_in_arrays_out():
    x = np.array([1.0, 2.0])
    value, gradient = value_and_grad(lambda t: (t**2).sum())(x)
    assert value == 5 and type(value) is np.float64
    assert type(gradient) is np.ndarray
    np.testing.assert_array_equal(gradient, [2, 4])
    assert grad(lambda t: t * t)(3) == 6
    assert grad(lambda t: t * t)(np.float32(3)).dtype == np.float32


def test_argnums():
    def f(x, y, *, z):
        return (x * y * z).sum()

    x, y = np.ones(2), np.array([3.0, 4.0])
    gx, gy = grad(f, (0, 1))(x, y, z=2.0)
    np.testing.assert_array_equal(gx, 2 * y)
    np.testing.assert_array_equal(gy, 2 * x)
    np.testing.assert_array_equal(grad(f, 1)(x, y, z=2.0), 2 * x)


def test_derivatives_of_every_order():
    f = np.exp
    for _ in range(6):
        f = grad(f)
        assert f(0.5) == pytest.approx(np.exp(0.5), rel=1e-14)


def test_nested_gradients_keep_their_variables_apart():
    # d/dx [x * d/dy (x + y)] at y = x; an engine that confuses the two answers 2
    assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(3.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(3.0) == 6
    assert grad(lambda x: grad(lambda y: x * y * y)(2.0))(3.0) == 4


def test_tensors_in_tensors_out_that_can_be_differentiated():
    w = Tensor(2.0, requires_grad=True)
    penalty = grad(lambda t: t**3)(w) ** 2
    penalty.backward()  # d/dw (3 w^2)^2 = 36 w^3
    assert w.grad.item() == 288


def test_captured_parameters_get_no_gradient():
    w = Tensor(2.0, requires_grad=True)
    assert grad(lambda t: t * w)(5.0) == 2
    assert w.grad is None


def test_a_function_that_does_not_depend_on_its_argument():
    np.testing.assert_array_equal(grad(lambda x: Tensor(1.0))(np.ones(3)), np.zeros(3))
    assert grad(lambda x: 1.0)(2.0) == 0
    assert grad(lambda x: x)(2.0) == 1


def test_grad_records_under_no_grad():
    with autograd.no_grad():
        assert grad(lambda x: x * x)(3.0) == 6


def test_the_hessian_of_rosenbrock_by_two_gradients():
    def rosenbrock(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    x = np.array([1.2, 0.8])
    rows = [grad(lambda t, i=i: grad(rosenbrock)(t)[i])(x) for i in range(2)]
    expected = [[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200]]
    np.testing.assert_allclose(rows, expected)
