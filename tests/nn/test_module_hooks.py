"""Module hooks."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
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
    with pytest.raises(ValueError, match=r"a hook returned gradients of shapes \[\(1, 2\)\] for .* \[\(3, 2\)\]"):
        layer(x).sum().backward()
    assert layer.weight.grad is not None and x.grad.shape == (3, 2)


class Pair(nn.Module):
    """A module with two inputs; the second counts only with `both`."""

    def __init__(self, both=True, output=lambda y: y):
        self.both, self.output = both, output

    def forward(self, x, y):
        return self.output(np.sin(x) * y if self.both else x * 2.0)


def leaf(*numbers, dtype=float):
    return Tensor(np.array(numbers, dtype), requires_grad=True)


@pytest.mark.parametrize("create_graph", [False, True])
def test_every_gradient_of_several_inputs_may_be_replaced(create_graph):
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0, dtype=np.float32)
    module, seen = Pair(), []
    module.register_full_backward_hook(lambda m, inputs, output: seen.append([g.tolist() for g in inputs]))
    module.register_full_backward_hook(lambda m, inputs, output: tuple(g * 10 for g in inputs))
    z = module(x, y)
    assert z.dtype == float
    z.sum().backward(create_graph=create_graph)
    np.testing.assert_allclose(x.grad.data, 10 * np.cos(x.data) * y.data)
    np.testing.assert_allclose(y.grad.data, 10 * np.sin(x.data), rtol=1e-6)
    assert y.grad.dtype == np.float32 and len(seen) == 1
    np.testing.assert_allclose(seen[0], [np.cos(x.data) * y.data, np.sin(x.data)])


def test_an_input_that_the_output_does_not_depend_on_does_not_keep_the_hook_from_being_called():
    module, seen = Pair(both=False), []
    module.register_full_backward_hook(lambda m, inputs, output: seen.append([g.tolist() for g in inputs]))
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    module(x, y).sum().backward()
    assert seen == [[[2, 2], [0, 0]]]
    with autograd.no_grad():
        module(x, y)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda inputs: inputs[:1], r"shapes \[\(2,\)\] for inputs of shapes \[\(2,\), \(2,\)\]"),
        (lambda inputs: inputs[0], r"shapes \[\(2,\)\]"),
        (lambda inputs: (inputs[0], None), r"\[\(2,\), None\]"),
    ],
)
def test_what_a_backward_hook_returns_must_fit(returned, words):
    module = Pair()
    module.register_full_backward_hook(lambda m, inputs, output: returned(inputs))
    with pytest.raises(ValueError, match=words):
        module(leaf(1.0, 2.0), leaf(3.0, 4.0)).sum().backward()


def test_a_backward_hook_of_a_module_with_several_outputs_is_refused():
    module = Pair(output=lambda y: (y, y))
    handle = module.register_full_backward_hook(print)
    with pytest.raises(TypeError, match="one Tensor; Pair returned a tuple"):
        module(leaf(1.0), leaf(2.0))
    handle.remove()
    assert len(module(leaf(1.0), leaf(2.0))) == 2


def test_without_an_input_that_needs_a_gradient_the_hook_is_called_too():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda module, inputs, output: seen.append((inputs, output.shape)))
    layer(np.ones((3, 2), np.float32)).sum().backward()
    assert seen == [((None,), (3, 1))]
