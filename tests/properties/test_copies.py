"""Pickles and copies of everything that holds numbers; nothing recurses where depth is data."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from optimisers import NAMES, made, moves

WAYS = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, protocol=n)) for n in range(2, 6)},
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
DEEP = 100_000


@every_way
@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(1.5),
        Tensor(np.float32([[1, 2], [3, 4]]).T, requires_grad=True, name="weights"),
        Tensor(np.zeros((0, 3))),
        Tensor([1 + 2j], requires_grad=True),
        Tensor([True, False]),
        nn.Parameter([1.0, 2.0], requires_grad=False),
        nn.module.Buffer(np.arange(3)),
    ],
    ids=repr,
)
def test_tensors(way, tensor):
    other = way(tensor)
    assert type(other) is type(tensor) and other.name == tensor.name and other.requires_grad == tensor.requires_grad
    np.testing.assert_array_equal(other.data, tensor.data, strict=True)
    assert not np.shares_memory(other.data, tensor.data) and other.is_leaf and other.grad is None


@every_way
@pytest.mark.parametrize("name", NAMES)
def test_an_optimiser_goes_on_with_its_model_as_if_nothing_had_been(way, name):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    optimizer = made(name, options, model.parameters(), lr=0.05)
    schedule = nn.StepLR(optimizer, 2, 0.5)
    x, y = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 1, 0, 1])

    def train(model, optimizer, schedule):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        return model.state_dict()

    train(model, optimizer, schedule)
    again = way((model, optimizer, schedule))
    assert again[2].optimizer is again[1]
    moved = [p for p in again[0].parameters() if moves(name, p.shape)]
    assert {id(p) for p in moved} == {id(p) for p in again[1].params}
    found, expected = train(*again), train(model, optimizer, schedule)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, strict=True)


@every_way
def test_lbfgs_goes_on_too(way):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 1))
    model = nn.Linear(3, 1, dtype=float, generator=rng)
    optimizer = nn.LBFGS(model.parameters(), max_iter=3, line_search_fn="strong_wolfe")

    def train(model, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
        return model.state_dict()

    train(model, optimizer)
    again = way((model, optimizer))
    found, expected = train(*again), train(model, optimizer)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, strict=True)


@every_way
def test_modules_and_optimisers_with_graphs_refuse_and_without_do_not(way):
    model = nn.Linear(2, 1)
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    x = np.ones((3, 2), np.float32)
    (model(x) ** 2).sum().backward(create_graph=True)  # the gradients have graphs now
    for thing in (model, optimizer, {"all": [model, optimizer]}):
        with pytest.raises(TypeError, match=r"holds a graph; use its .detach\(\)"):
            way(thing)
    optimizer.zero_grad()
    model.last = model(x)  # a result that is kept
    with pytest.raises(TypeError, match=r"made by linear .*holds a graph"):
        way(model)
    model.last = model.last.detach()
    np.testing.assert_array_equal(way(model)(x).data, model(x).data)
    assert way(optimizer).params[0].tolist() == model.weight.tolist()


@every_way
def test_what_is_shared_stays_shared(way):
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    again = way(model)
    assert again[0] is again[2] and len(again.parameters()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("way", [WAYS["deepcopy"], WAYS["pickle 5"]], ids=["deepcopy", "pickle"])
def test_a_network_of_a_hundred_thousand_layers(way):
    model = nn.Sequential(*(nn.ReLU() for _ in range(DEEP)), nn.Linear(1, 1))
    x = Tensor(np.ones((1, 1), np.float32), requires_grad=True)
    y = model(x)
    with pytest.raises(TypeError, match="detach"):
        way(y)
    y.sum().backward()
    again = way(model)
    assert len(again) == DEEP + 1 and list(again.state_dict()) == [f"{DEEP}.weight", f"{DEEP}.bias"]
    np.testing.assert_array_equal(again(x).data, y.data)


@pytest.mark.slow
def test_lists_and_dicts_nested_a_hundred_thousand_deep_are_walked_without_recursion():
    model = nn.Module()
    inner = {"end": nn.Parameter([1.0])}
    for i in range(DEEP):
        inner = [inner] if i % 2 else (inner,)
    model.nest = inner
    assert len(model.parameters()) == 1 and model.parameters()[0].tolist() == [1.0]
    del model, inner  # freed without recursion too


def test_modules_nested_far_deeper_than_python_recurses_are_walked_and_freed():
    model = nn.Sequential(nn.Linear(1, 1))
    for _ in range(3_000):
        model = nn.Sequential(model)
    assert len(model.parameters()) == 2 and len(list(model.modules())) == 3_002
    model.zero_grad()
    assert not model.eval().training and len(model.state_dict()) == 2
    with pytest.raises(RecursionError):  # each layer of modules is a Python call
        model(np.ones((1, 1), np.float32))
    del model


@every_way
def test_a_gradient_with_a_graph_of_its_own_is_refused(way):
    x = Tensor(2.0, requires_grad=True)
    (x * x).backward(create_graph=True)
    with pytest.raises(TypeError, match="detach"):
        way(x)
    x.grad = x.grad.detach()
    assert way(x).grad.item() == 4 and autograd.is_grad_enabled()
