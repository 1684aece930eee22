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
    custom_gradient,
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
from autograd.tree import flatten


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


SAME = {
    "sum of two": (lambda a, b: a + b, 2),
    "sum of three": (lambda a, b, c: a + b + c, 3),
    "difference": (lambda a, b: a - b, 2),
    "joined and summed": (lambda a, b: np.concatenate([a + b, a, b]), 2),
    "a list": (lambda xs: xs[0] + xs[1] * 1.0, 1),
    "a dict of sums": (lambda d: {"sum": d["a"] + d["b"], "both": [d["a"], d["a"] + d["b"]]}, 1),
    "the arguments themselves": (lambda a, b: [a, b, a, a + b], 2),
    "a vjp": (lambda a, b: list(vjp(lambda x, y: x + y * y, a, b)[1](a + b)), 2),
    "a gradient": (lambda a, b: grad(lambda x, y: ((x + y) ** 3).sum(), (0, 1))(a, b), 2),
    "a loop": (lambda a, b: sum([a + b] * 3, a), 2),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
def test_jvp_is_the_derivative_along_the_tangents(name, dtype):
    function, count = SAME[name]
    rng = np.random.default_rng(0)

    def draw():
        array = lambda: (rng.normal(size=3) + (1j * rng.normal(size=3) if dtype == np.complex128 else 0)).astype(dtype)
        if name == "a list":
            return [[array(), array()]]
        if name == "a dict of sums":
            return [{"a": array(), "b": array()}]
        return [array() for _ in range(count)]

    primals, tangents = draw(), draw()
    if name == "a gradient" and dtype == np.complex128:
        return  # a gradient needs a real result
    leaves, build = flatten(primals)
    moves, step = flatten(tangents)[0], {np.float32: 1e-2}.get(dtype, 1e-5)
    high, low = (
        flatten(function(*build(x + t * step * v for x, v in zip(leaves, moves, strict=True))))[0] for t in (1, -1)
    )
    _, moved = jvp(function, primals, tangents)
    for found, up, down in zip(flatten(moved)[0], high, low, strict=True):
        assert found.dtype == dtype
        tolerance = 1e-3 if dtype == np.float32 else 1e-8
        np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=tolerance, atol=tolerance)
    again = jvp(lambda *args: jvp(function, args, tangents)[1], primals, tangents)[1]  # a derivative is linear
    assert len(flatten(again)[0]) == len(high)


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


def inner_newton(a):
    """The square root of a, by Newton's method with our own derivative of x**2 - a."""
    x = 1.0
    for _ in range(20):
        x = x - (x * x - a) / grad(lambda t: t * t - a)(x)
    return x


INNER = {
    "grad": inner_newton,
    "vjp": lambda a: np.sqrt(a) * vjp(lambda t: t * a, 1.0)[1](1.0)[0] / a,
    "jvp": lambda a: np.sqrt(a) * jvp(lambda t: t * a, [1.0], [1.0])[1] / a,
    "jacobian": lambda a: np.sqrt(a) * np.sum(jacobian(lambda t: t * a)(np.ones(2))) / (2 * a),
    "hessian": lambda a: np.sqrt(a) * hessian(lambda t: t * t * a)(1.0) / (2 * a),
}


@pytest.mark.parametrize("name", INNER)
def test_derivatives_are_taken_inside_the_forward_of_an_op(name):
    run = INNER[name]
    own = custom_gradient(lambda a: (run(a), lambda g: g / (2 * np.sqrt(a))))
    op = autograd.differentiable(lambda a: run(a), lambda g, y, _a: g / (2 * y), name="root_by_" + name)
    for f in (own, op):
        assert type(f(2.0)) in (float, np.float64)
        np.testing.assert_allclose(grad(f)(2.0), 0.5 / np.sqrt(2.0))
        np.testing.assert_allclose(grad(lambda a, f=f: a * grad(f)(a))(2.0), 0.25 / np.sqrt(2.0))
    del OPS["root_by_" + name]


def test_a_derivative_inside_a_function_is_recorded_if_it_reads_the_outer_variable():
    inner = {
        "in the value": lambda x: grad(lambda t: t * t * x)(1.0),
        "in aux alone": lambda x: grad(lambda t: (t * t, t * x), has_aux=True)(2.0)[1],
        "in a backward pass": lambda x: grad(custom_gradient(lambda t: (t, lambda g: g * 2.0 * x)))(1.0),
    }
    for name, f in inner.items():
        assert grad(f)(3.0) == 2.0, name
    w = Tensor(3.0, requires_grad=True)
    assert grad(lambda x: x * grad(lambda t: t * t * w)(1.0))(2.0).item() == 6.0


class Line(list):
    """A list that cannot be built from its items alone."""

    def __init__(self, first, second):
        super().__init__([first, second])


class Pair(tuple):
    """A tuple of two numbers, likewise."""

    def __new__(cls, first, second):
        return super().__new__(cls, (first, second))


@pytest.mark.parametrize("other", [Line(1.0, 2.0), Pair(1.0, 2.0), {"a": Line(1.0, 2.0)}, range(2), "text"], ids=repr)
def test_only_the_chosen_arguments_are_taken_apart(other):
    def f(x, kept):
        assert kept is other
        return (x * x).sum()

    for argnums in (0, (0,)):
        assert np.all(np.asarray(grad(f, argnums)(np.ones(3), other)) == 2)
    aux = grad(lambda x: (x, other), has_aux=True)(1.0)[1]
    assert aux is other
    with pytest.raises(ValueError, match="twice"):
        grad(f, (0, -2))(np.ones(3), other)


@pytest.mark.parametrize("result", [True, np.True_, np.array(False)], ids=repr)
def test_a_bool_has_no_gradient(result):
    for of in (grad, value_and_grad):
        with pytest.raises((TypeError, ValueError), match="bool"):
            of(lambda x: result)(1.0)
    with pytest.raises((TypeError, ValueError), match="bool"):
        grad(lambda x: x > 0)(1.0)


def test_a_shallow_copy_loses_nothing():
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    (copy.copy(x * 2) * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [6, 6])
    other = copy.copy(x)
    assert other is not x and other.requires_grad and other.name == "x"
    np.testing.assert_array_equal(other.grad.data, [6, 6])
    assert grad(lambda t: copy.copy(t) * t)(3.0) == 6.0
