"""Hooks of modules."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor


def test_a_forward_hook_sees_and_may_replace_the_output():
    layer, seen = nn.Linear(2, 3), []
    handle = layer.register_forward_hook(
        lambda module, inputs, output: seen.append((module, inputs[0].shape, output.shape))
    )
    double = layer.register_forward_hook(lambda module, inputs, output: output * 2)
    x = np.ones((4, 2), np.float32)
    y = layer(x)
    assert seen == [(layer, (4, 2), (4, 3))]
    handle.remove()
    double.remove()
    double.remove()
    np.testing.assert_allclose(layer(x).data * 2, y.data)
    assert len(seen) == 1 and len(list(layer.parameters())) == 2


def test_a_backward_hook_sees_the_gradients_of_this_module_alone():
    layer, seen = nn.Linear(2, 1, bias=False), []
    handle = layer.register_full_backward_hook(
        lambda module, inputs, output: seen.append((inputs[0].data, output.data))
    )
    x = Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    (layer(x).sum() + (x * 5).sum()).backward()  # the second path is not the module's
    through, out = seen[0]
    np.testing.assert_allclose(out, np.ones((3, 1)))
    np.testing.assert_allclose(through, np.tile(layer.weight.data, (3, 1)))
    np.testing.assert_allclose(x.grad.data, through + 5)
    handle.remove()
    layer(x).sum().backward()
    assert len(seen) == 1


def test_a_backward_hook_may_replace_the_gradient():
    layer = nn.Linear(2, 1)
    x = Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    layer.register_full_backward_hook(lambda module, inputs, output: (inputs[0] * 0,))
    layer(x).sum().backward()
    assert not x.grad.data.any() and layer.weight.grad.data.any()
    layer.register_full_backward_hook(lambda module, inputs, output: (inputs[0][:1],))
    with pytest.raises(ValueError, match="a hook returned shape"):
        layer(x).sum().backward()


def test_without_an_input_that_needs_a_gradient_the_hook_is_called_too():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda module, inputs, output: seen.append((inputs, output.shape)))
    layer(np.ones((3, 2), np.float32)).sum().backward()
    assert seen == [((None,), (3, 1))]
