"""An interrupt at any moment leaves all gradients updated or none, and the mode as it was."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from autograd.updating import accumulating
from interrupting import Interrupt
from optimisers import made


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


X, Y = np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, 1])
VARIED = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


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


OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.1}),
    ("Adadelta", {"lr": 1.0}),
    ("NAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01}),
    ("Rprop", {"lr": 0.01}),
    ("ASGD", {"lr": 0.01}),
    ("Adafactor", {"lr": 0.01}),
    ("Muon", {"lr": 0.01}),
    ("LBFGS", {"lr": 0.5, "max_iter": 3}),
    ("LBFGS", {"max_iter": 2, "line_search_fn": "strong_wolfe"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=[f"{n}-{len(o)}" for n, o in OPTIMISERS])
def test_training_goes_on_after_an_interrupt_at_any_point_of_a_step(name, options):
    """With the same numbers as if the interrupted step had been taken, or as if it had not."""

    def begun():
        model = network()
        return model, made(name, options, model.parameters())

    def step(model, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(VARIED), Y)
            loss.backward()
            return loss

        closure()
        optimizer.step(*([closure] if name == "LBFGS" else []))

    def numbers(model):
        return [p.data.tolist() for p in model.parameters()]

    allowed = []
    for steps in (3, 4):
        model, optimizer = begun()
        for _ in range(steps):
            step(model, optimizer)
        allowed.append(numbers(model))
    assert allowed[0] != allowed[1]
    model, optimizer = begun()
    step(model, optimizer)
    with Interrupt(10**9) as clock:
        step(model, optimizer)
    lines, found = 10**9 - clock.left, set()
    rng = np.random.default_rng(0)
    for n in (*rng.integers(1, lines, 25), *range(lines - 15, lines + 2)):  # the last lines are those after the change
        model, optimizer = begun()
        step(model, optimizer)
        try:
            with Interrupt(int(n)):
                step(model, optimizer)
        except KeyboardInterrupt:
            found.add("interrupted")
        assert autograd.is_grad_enabled() and not accumulating.locked()
        for _ in range(2):
            step(model, optimizer)
        found.add(allowed.index(numbers(model)))
    assert found == {"interrupted", 0, 1}


def test_other_changes_of_all_parameters_happen_to_all_or_none():
    changes = {
        "to": lambda model, state: model.to(np.float64),
        "load": lambda model, state: model.load_state_dict(state),
    }
    for change in changes.values():
        for n in range(1, 3000, 7):
            model = network()
            state = {name: array * 2 for name, array in model.state_dict().items()}
            before = [p.data for p in model.parameters()]
            try:
                with Interrupt(n):
                    change(model, state)
            except KeyboardInterrupt:
                assert len({p.data is old for p, old in zip(model.parameters(), before, strict=True)}) == 1
            else:
                break
        else:
            raise AssertionError("the change never ran to its end")


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


@pytest.mark.slow
def test_a_tensor_with_a_long_graph_refuses_to_be_copied_and_does_not_recurse():
    y = Tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    assert copy.copy(y) is y
    for copied in (copy.deepcopy, pickle.dumps):
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
