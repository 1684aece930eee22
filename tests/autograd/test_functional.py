"""Derivatives of functions, and functions with a backward pass of their own."""

import copy
import inspect
import pickle
from typing import Annotated

import numpy as np
import pytest

import autograd
import nn
from autograd import (
    OPS,
    Tensor,
    elementwise_grad,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)


def cube(x):
    return x**3


def annotated(x: Annotated[float, lambda x: x > 0]):
    return x**3


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


MAKERS = [grad, value_and_grad, elementwise_grad, jacobian, hessian, hvp, lambda f: grad(grad(f))]


@pytest.mark.parametrize("make", MAKERS)
def test_functions_of_every_op_are_pickled_and_are_no_ops(make):
    for f in {op.function for op in OPS.values()} | {nn.functional.softmax, nn.Linear(2, 1), annotated}:
        try:
            pickle.dumps(f)
        except (AttributeError, pickle.PicklingError):
            continue
        made = make(f)
        assert not hasattr(made, "op")
        assert repr(pickle.loads(pickle.dumps(made))).partition(" at 0x")[0] == repr(made).partition(" at 0x")[0]
        assert inspect.signature(made) == inspect.signature(f)


@pytest.mark.parametrize("make", [make for make in MAKERS if make is not hvp])
def test_functions_of_functions_are_pickled(make):
    made = make(cube)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_equal(again(2.0), made(2.0))
    np.testing.assert_equal(copy.deepcopy(made)(2.0), made(2.0))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(make(lambda x: x**3))


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


# ---- vjp, jvp, jacobian, hessian, hvp

W = np.random.default_rng(1).normal(size=(3, 4))


def layer(x):
    return np.tanh(W @ x)


def numeric_jacobian(f, x, step=1e-6):
    columns = [(f(x + step * e) - f(x - step * e)) / (2 * step) for e in np.eye(x.size).reshape(-1, *x.shape)]
    return np.stack(columns, axis=-1).reshape(np.shape(f(x)) + x.shape)


def test_jacobian_of_any_shape():
    x = np.linspace(-1, 1, 4)
    np.testing.assert_allclose(jacobian(layer)(x), numeric_jacobian(layer, x), atol=1e-9)
    m = x.reshape(2, 2)
    np.testing.assert_allclose(jacobian(np.linalg.inv)(m), numeric_jacobian(np.linalg.inv, m), rtol=1e-6)
    assert jacobian(np.sum)(m).shape == (2, 2)
    assert jacobian(lambda t: np.stack([t, t * t]))(2.0).tolist() == [1, 4]
    assert jacobian(lambda t: t[:0])(x).shape == (0, 4)


def test_a_vectorised_jacobian_is_the_same():
    x = np.linspace(-1, 1, 4)

    def batch(x):
        return np.tanh(x @ W.T) * x[..., :1]

    np.testing.assert_allclose(jacobian(batch, vectorize=True)(x), jacobian(batch)(x), rtol=1e-15)
    with pytest.raises(ValueError, match="first axis as a batch"):
        jacobian(lambda t: t.reshape(-1)[:3], vectorize=True)(x)


def test_hessian_and_hvp():
    x, v = np.array([0.3, -0.4, 0.5]), np.array([1.0, 2.0, -1.0])

    def f(x):
        return (np.exp(x[0] * x[1]) + np.sin(x[2]) * x[0]).sum()

    expected = numeric_jacobian(grad(f), x)
    np.testing.assert_allclose(hessian(f)(x), expected, atol=1e-9)
    np.testing.assert_allclose(hvp(f)(x, v), expected @ v, atol=1e-9)
    m = x[:, None] * np.ones((3, 2))
    assert hessian(lambda t: (t**3).sum())(m).shape == (3, 2, 3, 2)
    with pytest.raises(ValueError, match="hvp: the vector"):
        hvp(f)(x, v[:2])


def test_vjp_and_jvp_are_products_with_the_jacobian():
    x, v, u = np.linspace(-1, 1, 4), np.array([1.0, 2, 3, 4]), np.array([0.5, -1, 2])
    j = jacobian(layer)(x)
    value, pull = vjp(layer, x)
    np.testing.assert_allclose(value, layer(x))
    np.testing.assert_allclose(pull(u)[0], u @ j)
    np.testing.assert_allclose(pull(2 * u)[0], 2 * u @ j)
    value, moved = jvp(layer, [x], [v])
    np.testing.assert_allclose(value, layer(x))
    np.testing.assert_allclose(moved, j @ v)
    with pytest.raises(ValueError, match="tangents"):
        jvp(layer, [x], [v[:2]])
    with pytest.raises(ValueError, match="cotangent of shape"):
        pull(u[:2])


def test_nested_arguments_and_results():
    params = {"w": np.ones((2, 2)), "layers": [np.array(2.0), (np.array([3.0]),)]}

    def f(p):
        return {"a": p["w"] * p["layers"][0], "b": [p["layers"][1][0] ** 2]}

    gradient = grad(lambda p: f(p)["a"].sum() + f(p)["b"][0].sum())(params)
    assert gradient["layers"][0] == 4
    np.testing.assert_array_equal(gradient["layers"][1][0], [6])
    value, pull = vjp(f, params)
    assert value["b"][0] == 9
    (back,) = pull({"a": np.ones((2, 2)), "b": [np.array([1.0])]})
    np.testing.assert_array_equal(back["w"], np.full((2, 2), 2))
    _, moved = jvp(f, [params], [params])
    np.testing.assert_array_equal(moved["a"], np.full((2, 2), 4))
    with pytest.raises(ValueError, match="2 outputs, and 1 cotangents"):
        pull([np.ones((2, 2))])


def test_aux():
    (value, aux), gradient = value_and_grad(lambda x: (x * x, {"twice": 2 * x}), has_aux=True)(3.0)
    assert (value, aux["twice"], gradient) == (9, 6, 6)
    assert grad(lambda x: (x * x, "note"), has_aux=True)(3.0) == (6, "note")
    assert vjp(lambda x: (x * x, 5), 3.0, has_aux=True)[2] == 5
    with pytest.raises(TypeError, match="pair"):
        grad(lambda x: x, has_aux=True)(3.0)


def test_elementwise_grad_and_orders():
    x = np.linspace(-1, 1, 5)
    f = np.tanh
    for _ in range(3):
        f = autograd.elementwise_grad(f)
    t = np.tanh(x)
    np.testing.assert_allclose(f(x), (1 - t**2) * (6 * t**2 - 2), atol=1e-14)


def test_jvp_of_a_gradient_is_an_hvp():
    x, v = np.array([0.3, 0.7]), np.array([1.0, -2.0])
    f = lambda t: (np.sin(t) * t[::-1]).sum()
    np.testing.assert_allclose(jvp(grad(f), [x], [v])[1], hvp(f)(x, v))


def test_float32_stays_float32():
    x = np.ones(3, np.float32)
    assert jacobian(np.tanh)(x).dtype == np.float32
    assert jvp(np.tanh, [x], [x])[1].dtype == np.float32
    assert hessian(lambda t: (t**3).sum())(x).dtype == np.float32


def test_complex_gradients_are_those_of_pytorch():
    # of L(z) with z = x + iy: dL/dx + i dL/dy
    z = np.array([1.0 + 2.0j, -0.5j])
    np.testing.assert_allclose(grad(lambda z: (np.abs(z) ** 2).sum())(z), 2 * z)
    np.testing.assert_allclose(grad(lambda z: np.real(z * z).sum())(z), 2 * z.conj())
    np.testing.assert_allclose(grad(lambda z: np.imag(np.exp(z)).sum())(z), (np.exp(z) * -1j).conj())
    np.testing.assert_allclose(vjp(np.exp, z)[1](np.ones(2, complex))[0], np.exp(z).conj())
    np.testing.assert_allclose(jvp(np.exp, [z], [np.ones(2, complex)])[1], np.exp(z))
    assert gradcheck(lambda z: np.fft.fft(z) * np.exp(z), z, order=2)
    with pytest.raises(ValueError, match="complex"):
        grad(np.exp)(1j)
