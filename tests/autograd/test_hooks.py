"""Hooks of tensors: functions that see, and may replace, a gradient."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import autograd
import nn
from autograd import GraphError, Tensor
from leaves import leaf


def test_a_hook_sees_the_whole_gradient_and_may_replace_it():
    x, seen = leaf(1.0, 2.0), []
    y = x * 3
    handle = y.register_hook(lambda g: seen.append(g.data.copy()))
    (y * y).sum().backward(retain_graph=True)
    assert seen[0].tolist() == [6, 12] and x.grad.data.tolist() == [18, 36]
    x.grad = None
    double = y.register_hook(lambda g: g * 2)
    leafs = x.register_hook(lambda g: np.clip(g, 0, 50))
    loss = (y * y).sum()
    loss.backward(retain_graph=True)
    assert len(seen) == 2 and x.grad.data.tolist() == [36, 50]
    for hook in (handle, double, leafs, leafs):
        hook.remove()
    x.grad = None
    loss.backward()
    assert len(seen) == 2 and x.grad.data.tolist() == [18, 36]


def test_hooks_in_recorded_gradients_and_wrong_ones():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    y.backward(create_graph=True)  # 2x * x
    g = x.grad
    x.grad = None
    g.backward()
    assert g.item() == 18 and x.grad.item() == 12
    z = leaf(1.0, 2.0) * 2
    z.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"shape \(1,\) for a gradient of shape \(2,\)"):
        z.sum().backward()
    with pytest.raises(GraphError, match="records nothing"):
        Tensor(1.0).register_hook(print)


def test_a_hook_gets_the_dtype_of_its_gradient_and_cannot_write_into_what_others_hold():
    x, other, seed = leaf(1.0, 2.0), leaf(1.0, 2.0), np.ones(2)
    narrow = Tensor(np.float32([1, 2]), requires_grad=True)
    for returned in (lambda g: g.data.astype(float) * 3, lambda g: [3, 3], lambda g: g * 3):
        narrow.grad = None
        handle = narrow.register_hook(returned)
        (narrow * 1.0).sum().backward()
        assert narrow.grad.dtype == np.float32 and narrow.grad.tolist() == [3, 3]
        handle.remove()

    def writes(g):
        g.data[0] = 100.0

    for hooked in (x * 1.0, x):
        handle = hooked.register_hook(writes)
        with pytest.raises(ValueError, match="read-only"):
            (hooked * 1.0 + other).backward(seed)
        handle.remove()
    assert seed.tolist() == [1, 1] and x.grad is None and other.grad is None
    x.register_hook(lambda g: g * 1j)
    with pytest.raises(TypeError, match="a hook returned complex128 for a gradient of float64"):
        x.sum().backward()
    for register in (x.register_hook, nn.ReLU().register_forward_hook, nn.ReLU().register_full_backward_hook):
        with pytest.raises(TypeError, match="a hook is a function; got int"):
            register(5)


def test_hooks_go_with_their_tensor():
    class Seen:
        def __call__(self, g):
            return None

    y, seen = leaf(1.0) * 2, Seen()
    gone = weakref.ref(seen)
    y.register_hook(seen)
    del seen
    assert gone() is not None
    del y
    assert gone() is None


def test_an_error_in_a_hook_leaves_the_mode_and_the_gradients():
    x = leaf(1.0)
    y = x * 2

    def fails(g):
        raise KeyError("planted")

    y.register_hook(fails)
    with pytest.raises(KeyError):
        y.backward(create_graph=True)
    assert x.grad is None and autograd.is_grad_enabled()
