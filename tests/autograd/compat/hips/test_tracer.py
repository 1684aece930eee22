"""Primitives of HIPS's autograd: their rules, arguments and results."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.extend import (
    Box,
    def_linear,
    defjvp,
    defjvp_argnum,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
    register_notrace,
)
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.test_util import check_grads
from autograd.tracer import getval, isbox

import autograd
from autograd import Tensor, grad, hessian, jvp, make_vjp, vjp

X, Y = np.array([0.3, -0.7, 1.2]), np.array([1.5, 0.4, -0.2])


def product(maker):
    """x * sin(y), with rules set in one of the ways."""

    @primitive
    def f(x, y, scale=1.0):
        assert not isbox(x) and not isbox(y)
        return scale * x * np.sin(y)

    maker(f)
    return f


def by_defvjp(f):
    defvjp(
        f,
        lambda ans, x, y, scale=1.0: lambda g: g * scale * np.sin(y),
        lambda ans, x, y, scale=1.0: lambda g: g * scale * x * np.cos(y),
    )


def by_argnum(f):
    def maker(argnum, ans, args, kwargs):
        scale = kwargs.get("scale", 1.0)
        factor = np.sin(args[1]) if argnum == 0 else args[0] * np.cos(args[1])
        return lambda g: g * scale * factor

    defvjp_argnum(f, maker)


def by_argnums(f):
    def maker(argnums, ans, args, kwargs):
        scale, factors = kwargs.get("scale", 1.0), (np.sin(args[1]), args[0] * np.cos(args[1]))
        return lambda g: [g * scale * factors[i] for i in argnums]

    defvjp_argnums(f, maker)


def by_defjvp(f):
    defjvp(
        f,
        lambda v, ans, x, y, scale=1.0: v * scale * np.sin(y),
        lambda v, ans, x, y, scale=1.0: v * scale * x * np.cos(y),
    )


def by_jvp_argnum(f):
    def maker(argnum, v, ans, args, kwargs):
        scale = kwargs.get("scale", 1.0)
        return v * scale * (np.sin(args[1]) if argnum == 0 else args[0] * np.cos(args[1]))

    defjvp_argnum(f, maker)


@pytest.mark.parametrize("maker", [by_defvjp, by_argnum, by_argnums, by_defjvp, by_jvp_argnum])
def test_every_way_to_set_rules_gives_every_derivative(maker):
    f = product(maker)
    plain = lambda x, y, scale=1.0: scale * x * np.sin(y)
    for scale in (1.0, 3.0):
        check_grads(lambda x, y, s=scale: f(x, y, scale=s), (0, 1))(X, Y)
        check_grads(lambda x, s=scale: f(x, x, scale=s))(0.4)
        total = lambda f, s=scale: lambda x: np.sum(f(x, x * x, scale=s))
        np.testing.assert_allclose(hessian(total(f))(X), hessian(total(plain))(X), atol=1e-12)
        third = lambda f, t=total: grad(grad(grad(lambda x: t(f)(x * Y))))(0.7)
        np.testing.assert_allclose(third(f), third(plain))
    np.testing.assert_allclose(jvp(f, [X, Y], [Y, X])[1], jvp(plain, [X, Y], [Y, X])[1])
    assert type(f(2.0, 3.0)) is np.float64


def test_a_wrong_rule_is_found():
    f = primitive(np.square)
    defvjp(f, lambda ans, x: lambda g: g * x * 2.001)
    with pytest.raises(AssertionError, match="VJP"):
        check_grads(f, modes=["rev"])(X)
    with pytest.raises(AssertionError, match="Value mismatch"):
        check_grads(f)(X)
    with pytest.raises(ValueError, match="modes"):
        check_grads(f, modes=["both"])(X)


def test_arguments_and_results_are_nested():
    @primitive
    def f(tree, scale):
        assert not isbox(tree["a"][0])
        return {"sum": tree["a"][0] + tree["b"], "both": [tree["a"][1] * scale, (tree["b"],)]}

    def pull(ans, tree, scale):
        def vjp(g):
            first, (second, (third,)) = g["sum"], g["both"]
            return {"a": [first, second * scale], "b": first + third}

        return vjp

    defvjp(f, pull, None)

    def whole(tree):
        out = f(tree, 3.0)
        return np.sum(out["sum"] ** 2) + np.sum(np.sin(out["both"][0])) * np.sum(out["both"][1][0] ** 3)

    check_grads(whole)({"a": [X, Y], "b": X * Y})
    found = grad(lambda x: whole({"a": [x, Y], "b": Y}))(X)
    np.testing.assert_allclose(found, 2 * (X + Y))


def test_none_is_zero_and_what_has_no_rule_raises():
    f = primitive(lambda x, y: x * y)
    defvjp(f, None, lambda ans, x, y: lambda g: g * x)
    assert grad(f)(2.0, 3.0) == 0 and grad(f, 1)(2.0, 3.0) == 2
    only = primitive(lambda x, y: x * y)
    defvjp(only, lambda ans, x, y: lambda g: g * x, argnums=[1])
    assert grad(only, 1)(2.0, 3.0) == 2
    with pytest.raises(NotImplementedError, match="argnum 0 not defined"):
        grad(only)(2.0, 3.0)
    with pytest.raises(NotImplementedError, match="not defined"):
        grad(primitive(np.sum))(X)
    with pytest.raises(TypeError, match="a function or None"):
        defvjp(only, "same")


def test_linear_and_flat_primitives():
    f = primitive(lambda x, y: x * y)
    def_linear(f)
    check_grads(f, (0, 1))(X, Y)
    turned = primitive(lambda x, y: x.T @ y)
    defjvp(turned, "same", "same")
    check_grads(turned, (0, 1))(np.outer(X, Y)[:2], np.outer(Y, X)[:2])
    steps = primitive(np.floor)
    register_notrace(None, steps)
    assert grad(lambda x: steps(x) * x)(1.5) == 1.0
    seen = notrace_primitive(lambda x: type(x))
    assert grad(lambda x: x * (seen(x) is np.float64) * (seen([x]) is list))(2.0) == 1.0


def test_derivatives_inside_a_primitive():
    @primitive
    def root(a):
        x = 1.0
        for _ in range(30):
            x = x - (x * x - a) / grad(lambda t: t * t - a)(x)
        return x

    defvjp(root, lambda ans, a: lambda g: g / (2 * ans))
    np.testing.assert_allclose([root(2.0), grad(root)(2.0)], [2**0.5, 0.5 / 2**0.5])
    np.testing.assert_allclose(grad(grad(root))(2.0), -0.25 * 2**-1.5)


def test_what_clients_ask_of_a_traced_value():
    seen = []

    def f(x):
        seen.append(
            (isinstance(x, ArrayBox), isinstance(x, Box), isbox(x), type(x) is ArrayBox, "ArrayBox" in str(type(x)))
        )
        seen.append((getval(x), x._value))
        return x * x

    assert grad(f)(3.0) == 6
    assert seen == [(True,) * 5, (3.0, 3.0)]
    assert not isbox(3.0) and getval("text") == "text"
    assert autograd.isinstance(Tensor(1.0), float) and autograd.isinstance(Tensor([1.0]), np.ndarray)
    assert autograd.type(Tensor([1.0])) is np.ndarray
    ArrayBox.register(type("Marked", (np.ndarray,), {}))
    with pytest.raises(TypeError, match="cannot be traced"):
        Box.register(dict)


def test_gradients_of_complex_numbers_are_hips_own():
    autograd.complex_gradients("conjugate")
    z = np.array([1.0 + 2.0j, -0.5j])
    square = primitive(lambda z: z * z)
    defvjp(square, lambda ans, z: lambda g: g * 2 * z)
    np.testing.assert_allclose(autograd.holomorphic_grad(lambda z: np.sum(square(z)))(z), 2 * z)
    np.testing.assert_allclose(make_vjp(np.exp)(z)[0](np.ones(2, complex)), np.exp(z))
    check_grads(lambda z: square(z) * np.exp(z))(z)
    check_grads(lambda z: anp.fft.fft(z * anp.conj(z)))(z)
    with pytest.warns(UserWarning, match="not complex"):
        autograd.holomorphic_grad(np.sin)(1.0)
    assert vjp(np.abs, 3j)[1](1.0)[0] == -1j
