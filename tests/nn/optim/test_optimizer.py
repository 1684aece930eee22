"""Optimisers: their own guarantees, and PyTorch's trajectories (extra `oracle`)."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from optimisers import NAMES
from recorded import STATES, in_float64

OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {"lr": 1.0, "rho": 0.8, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.05}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.5, 0.6), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.5, 0.3)}),  # so short a memory that the mean squares never count
    ("Adamax", {"lr": 0.05}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"lr": 0.05}),
    ("Rprop", {"lr": 0.3, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.4), "maximize": True}),
    ("ASGD", {"lr": 0.05}),
    ("ASGD", {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 10, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {"lr": 0.05}),
    (
        "Adafactor",
        {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 1.5, "weight_decay": 0.1, "maximize": True},
    ),
    ("Muon", {"lr": 0.05}),
    ("Muon", {"lr": 0.05, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "momentum": 0.5}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(OPTIMISERS)]
START = [np.array([1.0, -2.0, 0.5]), np.array([[0.3, -0.1], [2.0, 1.0]])]
MATRICES = [np.array([[1.0, -2.0], [0.5, 0.7], [-1.0, 0.2]]), np.array([[0.3, -0.1], [2.0, 1.0]])]


def loss(a, b):
    """A curved function of arrays, Tensors or PyTorch's tensors, not the same in every direction."""
    return (a * a * a * a).sum() * 0.1 + (a * a).sum() + ((b - 0.7) * (b - 0.7)).sum() * 2 + (b[0] * a[0]).sum() * 0.3


def leaves(name=""):
    return [Tensor(x, requires_grad=True) for x in (MATRICES if name == "Muon" else START)]


def run(optimizer, params, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(*params).backward()
        optimizer.step()
    return [p.data for p in params]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=IDS)
def test_50_steps_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    mine = leaves(name)
    with in_float64(torch):
        theirs = [torch.tensor(p.data, requires_grad=True) for p in mine]
        ours, other = getattr(nn, name)(mine, **options), getattr(torch.optim, name)(theirs, **options)
        for _ in range(50):
            for optimizer, params in ((ours, mine), (other, theirs)):
                optimizer.zero_grad()
                loss(*params).backward() if not options.get("maximize") else (-loss(*params)).backward()
                optimizer.step()
            for p, t in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-10, atol=1e-12)
    for p, state in zip(theirs, ours.state if name in STATES else (), strict=False):
        assert state.keys() == other.state[p].keys() - {"mu"} <= {*STATES[name]}
        for key, value in state.items():
            np.testing.assert_allclose(value, np.asarray(other.state[p][key]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=IDS)
def test_the_loss_falls_and_the_state_can_be_kept(name, options):
    options = {k: v for k, v in options.items() if k != "maximize"}
    params = leaves(name)
    optimizer = getattr(nn, name)(params, **options)
    before = loss(*params).item()
    run(optimizer, params, 10)
    assert loss(*params).item() < before
    again = [Tensor(p.data, requires_grad=True) for p in params]
    other = getattr(nn, name)(again, **options)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for a, b in zip(run(optimizer, params, 5), run(other, again, 5), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(a.dtype == np.float64 for state in other.state for a in state.values() if np.ndim(a))


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_gradients_are_not_changed(name):
    w = Tensor(np.ones((1, 3), np.float32), requires_grad=True)
    optimizer = getattr(nn, name)([w], lr=0.1)
    (w * w).sum().backward()
    kept, old = w.grad.data.copy(), w.data
    for _ in range(3):
        optimizer.step()
    assert w.dtype == np.float32 and all(a.dtype == np.float32 for a in optimizer.state[0].values() if np.ndim(a))
    np.testing.assert_array_equal(w.grad.data, kept)
    np.testing.assert_array_equal(old, [[1, 1, 1]])


@pytest.mark.parametrize(
    ("name", "options", "arrays"),
    [
        ("SGD", {}, 1),
        ("SGD", {"momentum": 0.9}, 2),
        ("SGD", {"momentum": 0.9, "dampening": 0.1}, 2),
        ("SGD", {"momentum": 0.9, "nesterov": True}, 2),
        ("Adam", {}, 3),
        ("Adam", {"amsgrad": True}, 4),
        ("AdamW", {}, 4),
        ("RMSprop", {}, 2),
        ("RMSprop", {"centered": True, "momentum": 0.9}, 4),
        ("Adagrad", {}, 2),
        ("Adadelta", {}, 4),
        ("NAdam", {}, 5),
        ("RAdam", {}, 4),
        ("Adamax", {}, 4),
        ("Rprop", {}, 5),
        ("ASGD", {}, 2),
        ("Adafactor", {}, 3),
        ("Muon", {}, 7),
    ],
    ids=str,
)
def test_a_step_makes_the_new_arrays_and_no_others_of_their_size(name, options, arrays):
    """Most need one or two more, for a moment; Muon five."""
    w = Tensor(np.ones((1 << 8, 1 << 8)), requires_grad=True)
    optimizer = getattr(nn, name)([w], lr=0.1, **options)
    w.grad = Tensor(np.full((1 << 8, 1 << 8), 0.5))
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (arrays + 0.1) * w.data.nbytes


def test_groups_have_options_of_their_own():
    a, b = leaves()
    optimizer = nn.SGD([{"params": [a]}, {"params": [b], "lr": 0.0}], lr=0.1)
    run(optimizer, [a, b], 1)
    assert not np.array_equal(a.data, START[0]) and np.array_equal(b.data, START[1])
    optimizer.lr = 0.5
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.5]


class Forgetful(nn.Optimizer):
    def __init__(self):
        pass


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        (lambda p: nn.Adam([]), ValueError, "no parameters"),
        (lambda p: nn.Adam(p), TypeError, "got one Tensor"),
        (lambda p: nn.Adam([p, p]), ValueError, "twice"),
        (lambda p: nn.Adam([p * 2]), TypeError, "not a leaf"),
        (lambda p: nn.Adam([p], betas=(1.0, 0.9)), ValueError, "betas"),
        (lambda p: nn.RMSprop([p], alpha=-1), ValueError, "alpha"),
        (lambda p: nn.SGD([p], momentum=1.0), ValueError, "momentum must be at least 0 and below 1"),
        (lambda p: nn.SGD([p], lr=np.eye(2)), TypeError, r"got array\(\[\[1\., 0\.\],  +\[0\., 1\.\]\]\)$"),
        (lambda p: nn.SGD([p], 0.1, weight_decay=-1), ValueError, "weight_decay"),
        (lambda p: nn.SGD([p], 0.1, nesterov=True), ValueError, "nesterov"),
        (lambda p: nn.SGD([{"params": [p], "speed": 1}]), ValueError, "no option speed"),
        (lambda p: nn.SGD([p]).load_state_dict({"state": [], "groups": []}), ValueError, "0 parameters"),
        (
            lambda p: nn.SGD([p]).load_state_dict(nn.SGD([p]).state_dict() | {"state": [{"v": np.ones(9)}]}),
            ValueError,
            "shape",
        ),
        (
            lambda p: nn.SGD([p], momentum=0.9).load_state_dict(
                nn.SGD([p], momentum=0.9).state_dict() | {"state": [{"mean": np.ones(p.shape)}]}
            ),
            ValueError,
            "the state of parameter 0 does not fit SGD",
        ),
        (lambda p: Forgetful().step(), AttributeError, r"__init__ of Forgetful does not call super\(\).__init__\(\)"),
    ],
)
def test_wrong_arguments(program, kind, words):
    with pytest.raises(kind, match=words):
        program(leaves()[0])


def test_clipping():
    a, b = leaves()
    loss(a, b).backward()
    grads = [a.grad.data, b.grad.data]
    norm = nn.clip_grad_norm_([a, b], 0.5)
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in grads)))
    np.testing.assert_allclose(a.grad.data, grads[0] * 0.5 / norm, rtol=1e-5)
    assert nn.clip_grad_norm_([a, b], 100.0) == pytest.approx(0.5, rel=1e-5)
    nn.clip_grad_value_([a, b], 0.1)
    assert max(np.abs(p.grad.data).max() for p in (a, b)) == 0.1
    assert nn.clip_grad_norm_([Tensor(1.0, requires_grad=True)], 1.0) == 0


def test_gradients_that_are_meant_to_add_up_are_no_mistake():
    p, other = leaves()[:1], leaves()[:1]
    optimizer, second = nn.SGD(p, lr=0.1), nn.SGD(other, lr=0.1)

    def backward():
        ((p[0] * p[0]).sum() + (p[0] * other[0]).sum()).backward()

    for _ in range(3):  # two batches per step, and another optimiser's losses that depend on these parameters
        backward()
        backward()
        optimizer.step()
        optimizer.step()  # once more with the same gradients
        second.zero_grad()
        backward()
        second.step()
        optimizer.zero_grad()
    p[0].grad = None
    backward()
    nn.clip_grad_norm_(p, 0.1)
    optimizer.step()


def test_a_forgotten_zero_grad_is_told_once():
    p = leaves()[:1]
    optimizer = nn.Adam(p)

    def train():
        for _ in range(4):
            (p[0] * p[0]).sum().backward()
            optimizer.step()

    with pytest.warns(UserWarning, match="zero_grad") as told:
        train()
    assert len(told) == 1 and told[0].filename == __file__


def test_a_loaded_state_is_a_copy_with_the_options():
    first, second = (nn.Adam(leaves()[:1], lr=lr, betas=betas) for lr, betas in ((0.1, (0.5, 0.6)), (0.2, (0.9, 0.99))))
    run(first, [*first.params, Tensor(START[1])], 2)
    kept = first.state_dict()
    second.load_state_dict(kept)
    assert second.lr == 0.1 and second.groups[0]["betas"] == (0.5, 0.6) and second.state[0]["step"] == 2
    assert second.groups[0]["params"] == second.params
    assert not np.shares_memory(second.state[0]["mean"], kept["state"][0]["mean"])
    np.testing.assert_array_equal(second.state[0]["mean"], first.state[0]["mean"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
        ("Adagrad", {}),
        ("Adadelta", {}),
        ("NAdam", {}),
        ("RAdam", {}),
        ("Adamax", {}),
        ("Rprop", {}),
        ("ASGD", {}),
        ("Adafactor", {}),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_weight_without_axes_moves_as_one_of_one_axis_does(name, options, compiled):
    found = []
    for shape in ((), (1,)):
        w = Tensor(np.full(shape, 1.5), requires_grad=True)
        optimizer = getattr(nn, name)([w], **options)

        def step(w=w, optimizer=optimizer):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()

        step = autograd.compile(step, exact=True) if compiled else step
        for _ in range(4):
            step()
        optimizer.load_state_dict(optimizer.state_dict())
        step()
        assert w.shape == shape and isinstance(w.data, np.ndarray)
        found.append(w.item())
    assert found[0] == found[1]
