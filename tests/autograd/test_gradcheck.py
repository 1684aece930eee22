"""gradcheck finds what is wrong, says where, and is not fooled."""

import pickle

import numpy as np
import pytest

import autograd
from autograd import GradcheckError, KinkError, Tensor, differentiable, gradcheck

A = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6], [0.2, 0.9, -1.4]])


@pytest.fixture
def planted():
    """Make an op that is forgotten after the test."""
    names = []

    def make(forward, *rules, **about):
        names.append(f"planted_{len(names)}")
        return differentiable(forward, *rules, name=names[-1], **about)

    yield make
    for name in names:
        del autograd.OPS[name]


@pytest.mark.parametrize("mode", ["directions", "jacobian"])
@pytest.mark.parametrize("order", [1, 2])
def test_right_gradients_pass(mode, order):
    assert gradcheck(lambda x, y: np.tanh(x @ y) * x, [A, A.T], mode=mode, order=order)
    assert gradcheck(lambda x: np.exp(x).sum(), Tensor(A), mode=mode, order=order)


def test_float32_is_checked_with_wider_steps(planted):
    x = A.astype(np.float32)
    assert gradcheck(lambda x: np.tanh(x) * x, x, order=2)
    with pytest.raises(GradcheckError):
        gradcheck(planted(np.tanh, lambda g, y, _x: g * (1 - y * y) * 1.1), x)


@pytest.mark.parametrize(
    ("forward", "rule", "hint"),
    [
        (lambda x: x * x, lambda g, _y, x: g * x, "0.5 times"),
        (np.sin, lambda g, _y, x: -g * np.cos(x.data if isinstance(x, Tensor) else x), "sign"),
        (lambda x: 2 * x.T, lambda g, *_: 2 * g, "transpose"),
        (lambda x: x.mean(axis=0), lambda g, _y, _x: np.broadcast_to(g, _x.shape), "length of axis 0"),
        (np.tanh, lambda g, *_: g * 0.0, "no gradient arrives"),
        (lambda x: 1.0 * x[::-1], lambda g, *_: g, "places"),
    ],
)
def test_a_wrong_rule_is_named_with_a_hint(planted, forward, rule, hint):
    wrong = planted(forward, rule)
    with pytest.raises(GradcheckError, match=hint) as caught:
        gradcheck(lambda x, y: np.exp(wrong(x + 1.0)) * y.sum(), [A, A])
    error = caught.value
    assert error.op == "planted_0" and error.input == 0 and hint in error.hint
    assert error.op in str(error) and f"{error.analytic:.9g}" in str(error) and f"{error.numeric:.9g}" in str(error)
    assert len(error.index) == 2


def test_the_numbers_are_those_of_the_element(planted):
    def rule(g, _y, x):
        wrong = g * 2 * x
        return wrong + np.where(np.arange(9).reshape(3, 3) == 5, g, 0.0)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(planted(lambda x: x * x, rule), A, mode="jacobian")
    assert caught.value.index == (1, 2)
    assert caught.value.analytic - caught.value.numeric == pytest.approx(1, abs=0.6)


def test_a_gradient_of_the_wrong_shape_is_named(planted):
    with pytest.raises(GradcheckError, match=r"planted_0.*\(3, 2\).*axis") as caught:
        gradcheck(planted(lambda x: 1.0 * x.T, lambda g, *_: g), A[:2])
    assert caught.value.op == "planted_0"


def test_a_wrong_gradient_of_the_gradient_is_found(planted):
    def rule(g, _y, x):  # right by value, but it hides its dependence on x
        return g * 2 * (x.data if isinstance(x, Tensor) else x)

    hidden = planted(lambda x: x * x, rule)
    assert gradcheck(hidden, A)
    with pytest.raises(GradcheckError):
        gradcheck(hidden, A, order=2)


@pytest.mark.parametrize("distance", [0.0, 1e-7, 1e-6, 4e-6])
def test_kinks_within_the_step_are_reported(distance):
    with pytest.raises(KinkError, match="kink") as caught:
        gradcheck(np.abs, np.array([1.0, distance]))
    assert caught.value.index == (1,)


def test_a_kink_outside_the_step_is_none_of_its_business():
    assert gradcheck(np.abs, np.array([1.0, 1e-3, -0.5]))
    assert gradcheck(lambda x: np.maximum(x, 0.0), np.array([0.01, -0.01]))


def test_steep_and_flat_functions_are_no_kinks():
    assert gradcheck(lambda x: np.exp(5 * x), A)
    assert gradcheck(lambda x: x**3, np.zeros(3))
    assert gradcheck(lambda x: 1e6 * x * x, A)


def test_an_infinite_gradient_is_reported():
    with pytest.raises(GradcheckError, match="not finite"):
        gradcheck(np.sqrt, np.array([0.0, 1.0]))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="mode"):
        gradcheck(np.exp, A, mode="all")
    with pytest.raises(ValueError, match="order"):
        gradcheck(np.exp, A, order=3)
    with pytest.raises(TypeError, match="floating-point"):
        gradcheck(lambda i: i, np.array([1, 2]))


def test_integer_inputs_are_passed_on_unchanged():
    assert gradcheck(lambda x, i: x[i], [A, np.array([0, 0, 2])])


# ---- no false alarms, and no misses


def test_large_and_small_elements_together():
    assert gradcheck(np.log, np.array([1.0, 1e6]))
    assert gradcheck(np.sqrt, np.array([1e-2, 1e4]))
    assert gradcheck(np.sin, np.array([1e5, 1.0]))
    assert gradcheck(lambda x: (x**2).sum(), np.array([1e8, 1.0]))
    assert gradcheck(lambda x: x**2 + 1e8, np.array([1.0, 2.0]))
    assert gradcheck(lambda x: x * np.abs(x), np.array([0.0, 1.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_gradients_are_judged_by_their_own_size(planted, dtype):
    wrong = planted(lambda x: x * x, lambda g, _y, x: g * 4.0 * x)
    x = np.linspace(0.5, 2, 300).astype(dtype)
    for f in (lambda x: wrong(x) * 1e-10, lambda x: wrong(x).mean()):
        for mode in ("directions", "jacobian"):
            with pytest.raises(GradcheckError):
                gradcheck(f, x, mode=mode)


def test_what_gradcheck_takes():
    assert gradcheck(np.exp, 1.0) and gradcheck(np.exp, np.float32(1))
    with autograd.no_grad():
        assert gradcheck(np.exp, np.ones(2))
    with pytest.raises(TypeError, match="float16"):
        gradcheck(np.exp, np.ones(2, np.float16))
    with pytest.raises(TypeError, match="one Tensor"):
        gradcheck(lambda x: (x, x), np.ones(2))


def test_the_error_can_be_pickled(planted):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(planted(np.exp, lambda g, y, _x: g * y * 2), np.ones(2))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.op == caught.value.op


def test_forward_mode_is_compared_too(monkeypatch):
    function = lambda x, y: np.tanh(x @ y) * (x + y)
    for modes in (("fwd",), ("rev", "fwd")):
        assert gradcheck(function, [A, A.T], order=2, modes=modes)
        assert gradcheck(lambda z, n: z * z * n, [A + 1j * A.T, 3], modes=modes)
        assert gradcheck(lambda x: np.array(2.0), [A], modes=modes)
    right = autograd.gradcheck.__globals__["jvp"]
    monkeypatch.setitem(autograd.gradcheck.__globals__, "jvp", lambda *args: (right(*args)[0], right(*args)[1] * 1.001))
    assert gradcheck(function, [A, A.T])
    with pytest.raises(GradcheckError, match="in forward mode"):
        gradcheck(function, [A, A.T], modes=("rev", "fwd"))
    for modes in ((), ("reverse",)):
        with pytest.raises(ValueError, match="modes"):
            gradcheck(function, [A, A.T], modes=modes)
