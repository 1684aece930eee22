"""Functions with a backward pass of their own."""

import gc

import numpy as np
import pytest

import autograd
from autograd import (
    Tensor,
    custom_gradient,
    grad,
    gradcheck,
)


def test_custom_gradient():
    @custom_gradient
    def softplus(x):
        return np.logaddexp(x, 0.0), lambda g: g / (1 + np.exp(-x))

    x = np.linspace(-2, 2, 5)
    assert gradcheck(softplus, x, order=2)
    reverse = custom_gradient(lambda a, b: (a * b, lambda g: (-g * b, None)))
    assert grad(reverse, (0, 1))(2.0, 3.0) == (-3, 0)
    with pytest.raises(ValueError, match="1 gradients for 2 arguments"):
        grad(custom_gradient(lambda a, b: (a * b, lambda g: g)))(2.0, 3.0)


def test_checkpoint_has_the_same_gradients_and_keeps_less():
    calls = []

    def block(x, w):
        calls.append(1)
        for _ in range(5):
            x = np.tanh(x @ w)
        return {"out": x, "norm": (x * x).sum()}

    x, w = np.ones((2, 3)), np.eye(3) * 0.5 + 0.1

    def loss(block, x, w):
        result = block(x, w)
        return (result["out"] ** 3).sum() + result["norm"]

    plain = grad(lambda x, w: loss(block, x, w), (0, 1))(x, w)
    saved = grad(lambda x, w: loss(autograd.checkpoint(block), x, w), (0, 1))(x, w)
    for a, b in zip(plain, saved, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    leaf = Tensor(x, requires_grad=True)
    calls.clear()
    out = autograd.checkpoint(block)(leaf, w)["out"]
    kept = [out.node]
    while kept[-1].edges and isinstance(kept[-1].edges[0], type(out.node)):
        kept.append(kept[-1].edges[0])
    assert len(kept) <= 3
    assert calls == [1]
    assert gradcheck(autograd.checkpoint(lambda t: np.sin(t) * np.exp(t)), x, order=2)


def test_checkpoint_finds_the_parameters_that_it_reads():
    w = Tensor([2.0, 3.0], requires_grad=True)
    x = Tensor([1.0, 1.0], requires_grad=True)
    autograd.checkpoint(lambda t: np.exp(t * w))(x).sum().backward()
    np.testing.assert_allclose(w.grad.data, np.exp([2, 3]))
    np.testing.assert_allclose(x.grad.data, np.exp([2, 3]) * [2, 3])
    made = w * 2
    with pytest.raises(TypeError, match="pass it as an argument"):
        autograd.checkpoint(lambda t: t * made)(x)
    assert type(autograd.checkpoint(np.exp)(np.ones(2))) is np.ndarray


def test_a_backward_pass_of_ones_own_leaves_no_garbage():
    double = custom_gradient(lambda x, y: (x * y, lambda g: (g * y, g * x)))
    x = Tensor([1.0, 2.0], requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        loss = double(x, np.ones(2)).sum()
        loss.backward(create_graph=True)
        x.grad = None
        del loss
        autograd.checkpoint(np.exp)(x).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()
