"""Complex gradients: one process returns ours or HIPS's, never both."""

import numpy as np
import pytest

from autograd import (
    Tensor,
    complex_gradients,
    elementwise_grad,
    grad,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from autograd.convention import CONVENTION

Z, W = np.array([1.0 + 2.0j, -0.5j]), np.array([0.3 - 0.2j, 1.0 + 1.0j])


def loss(z):
    return np.sum(np.abs(z * z - 1.0) ** 2 * np.array([1.0, 2.0]))


WAYS = {
    "grad": lambda: grad(loss)(Z),
    "several": lambda: grad(lambda z, w: loss(z * w), (0, 1))(Z, W),
    "nested": lambda: grad(lambda tree: loss(tree["z"][0]))({"z": [Z]})["z"][0],
    "value_and_grad": lambda: value_and_grad(loss)(Z)[1],
    "vjp": lambda: vjp(np.exp, Z)[1](W.conj() if CONVENTION.chosen == "conjugate" else W)[0],
    "elementwise_grad": lambda: elementwise_grad(lambda z: np.abs(z) ** 2)(Z),
    "jacobian of real outputs": lambda: jacobian(lambda z: np.abs(z) ** 2)(Z),
    "hvp": lambda: hvp(loss)(Z, W),
}


@pytest.mark.parametrize("name", WAYS)
def test_the_conjugate_is_returned_everywhere(name):
    ours = WAYS[name]()
    CONVENTION.delivered = None
    complex_gradients("conjugate")
    np.testing.assert_allclose(WAYS[name](), np.conj(ours))


@pytest.mark.parametrize("kind", ["ascent", "conjugate"])
def test_directions_and_real_gradients_are_the_same_in_both(kind):
    complex_gradients(kind)
    np.testing.assert_allclose(jvp(np.exp, [Z], [W])[1], np.exp(Z) * W)
    np.testing.assert_allclose(
        grad(lambda x: np.sum(np.abs(np.exp(1j * x) + x) ** 2))(2.0), 4.0 + 2 * np.cos(2.0) - 4.0 * np.sin(2.0)
    )
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    assert CONVENTION.delivered is None


def backward():
    z = Tensor(Z, requires_grad=True)
    loss(z).backward()
    return z.grad


def test_a_program_never_gets_both():
    def chosen(kind):
        def run():
            complex_gradients(kind)
            return grad(loss)(Z)

        return run

    ours, theirs = [backward, chosen("ascent")], [chosen("conjugate")]
    for first, second in [*((a, b) for a in ours for b in theirs), *((b, a) for a in ours for b in theirs)]:
        CONVENTION.delivered = None
        first()
        with pytest.raises(RuntimeError, match="two kinds"):
            second()
    z = Tensor(Z, requires_grad=True)
    with pytest.raises(RuntimeError, match="two kinds"):
        loss(z).backward()
    assert z.grad is None
    with pytest.raises(ValueError, match="'ascent' or 'conjugate'"):
        complex_gradients("hips")
