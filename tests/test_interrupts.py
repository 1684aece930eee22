"""An interrupt at any moment leaves all gradients updated or none, and the mode as it was."""

from __future__ import annotations

import copy
import linecache
import pickle
import sys

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from autograd.tensor import _leaves


class Interrupt:
    """Raise KeyboardInterrupt at the n-th line that runs inside the packages."""

    def __init__(self, n):
        self.left = n

    def __enter__(self):
        self.before = sys.gettrace()  # that of a debugger, or of what measures the coverage
        sys.settrace(self.trace)

    def __exit__(self, *exc_info):
        sys.settrace(self.before)

    def trace(self, frame, event, arg):
        name = frame.f_code.co_filename
        if "autograd" not in name and "/nn/" not in name:
            return None
        # Since Python 3.12 an error of a trace function may leave a `with` block without its exit; no real one does.
        held = _leaves.locked() and sys.version_info >= (3, 12)
        if event == "line" and not held and not linecache.getline(name, frame.f_lineno).lstrip().startswith("with "):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


X, Y = np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, 1])


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_updates_every_gradient_or_none(create_graph):
    seen = set()
    for n in range(1, 2000, 7):
        model = network()
        loss = nn.functional.cross_entropy(model(X), Y)
        try:
            with Interrupt(n):
                loss.backward(create_graph=create_graph)
        except KeyboardInterrupt:
            pass
        else:
            break
        updated = {p.grad is not None for p in model.parameters()}
        assert len(updated) == 1
        seen |= updated
        assert autograd.is_grad_enabled()
    else:
        raise AssertionError("the pass never ran to its end")
    assert False in seen


def test_a_step_updates_every_parameter_or_none():
    for n in range(1, 2000, 3):
        model = network()
        optimizer = nn.SGD(model.parameters(), lr=0.5, momentum=0.9)
        nn.functional.cross_entropy(model(X), Y).backward()
        before = [p.data for p in model.parameters()]
        try:
            with Interrupt(n):
                optimizer.step()
        except KeyboardInterrupt:
            changed = {p.data is not old for p, old in zip(model.parameters(), before, strict=True)}
            assert len(changed) == 1
        else:
            break
    else:
        raise AssertionError("the step never ran to its end")


# ---- copies


def test_copies_of_modules_and_optimizers_are_their_own():
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.5, momentum=0.9)
    nn.functional.cross_entropy(model(X), Y).backward()
    optimizer.step()
    for again, other in (copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))):
        assert [id(p) for p in again.parameters()] == [id(p) for p in other.params]
        before = [p.data.copy() for p in model.parameters()]
        nn.functional.cross_entropy(again(X), Y).backward()
        other.step()
        for p, old, new in zip(model.parameters(), before, again.parameters(), strict=True):
            np.testing.assert_array_equal(p.data, old)
            assert not np.array_equal(new.data, old)


def test_a_tensor_with_a_long_graph_refuses_to_be_copied_and_does_not_recurse():
    y = Tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    for copied in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="detach"):
            copied(y)
    assert copy.deepcopy(y.detach()).item() == 100_001


def test_a_recorded_gradient_refuses_too_and_a_plain_one_is_kept():
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    (x * x).sum().backward()
    again = pickle.loads(pickle.dumps(x))
    assert again.name == "x" and again.requires_grad and again.grad.data.tolist() == [2, 4]
    x.grad = None
    (x * x).sum().backward(create_graph=True)
    with pytest.raises(TypeError, match="detach"):
        copy.deepcopy(x)
