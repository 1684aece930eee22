"""LBFGS: PyTorch's trajectory (extra `oracle`), and its own guarantees."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor
from nn.optim.lbfgs import Point, cubic, strong_wolfe

SEARCHES = [None, "strong_wolfe"]


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2).sum() + 100 * ((x[1:] - x[:-1] ** 2) ** 2).sum()


def valley(x):
    return ((x - 1) ** 4).sum() + (x * x).sum() * 0.5 + (x[0] * x[1]) * 0.3


def closure_of(optimizer, function, x, count=None):
    def closure():
        optimizer.zero_grad()
        loss = function(x)
        loss.backward()
        if count is not None:
            count.append(1)
        return loss

    return closure


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("function", "options"),
    [
        (valley, {"max_iter": 3}),
        (valley, {"max_iter": 4, "history_size": 2, "lr": 0.3}),
        (rosenbrock, {"max_iter": 2, "lr": 1e-3}),
        (rosenbrock, {"max_iter": 5, "lr": 0.002, "max_eval": 4}),
    ],
)
def test_50_steps_are_pytorchs(function, options, search):
    torch = pytest.importorskip("torch")
    start = np.array([-1.2, 1.0, 0.5])
    theirs, ours = torch.tensor(start, requires_grad=True), Tensor(start, requires_grad=True)
    other = torch.optim.LBFGS([theirs], line_search_fn=search, **options)
    mine = nn.LBFGS([ours], line_search_fn=search, **options)
    calls, theirs_calls = [], []
    for _ in range(50):
        a = mine.step(closure_of(mine, function, ours, calls))
        b = other.step(closure_of(other, function, theirs, theirs_calls))
        assert a.item() == pytest.approx(b.item(), rel=1e-10, abs=1e-13)
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
        assert len(calls) == len(theirs_calls)


def test_it_finds_the_minimum_of_rosenbrocks_valley():
    x = Tensor([0.3, 0.5, 0.5, 2.0], requires_grad=True)
    optimizer = nn.LBFGS([x], line_search_fn="strong_wolfe", max_iter=100)
    optimizer.step(closure_of(optimizer, rosenbrock, x))
    np.testing.assert_allclose(x.data, 1.0, atol=1e-6)


def test_several_parameters_move_together():
    a, b = Tensor([3.0, 4.0], requires_grad=True), Tensor([[1.0], [2.0]], requires_grad=True)
    optimizer = nn.LBFGS([a, b], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((a - 1) ** 2).sum() + ((b @ np.ones((1, 2)) + a) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    gradient = max(np.abs(p.grad.data).max() for p in (a, b))
    assert gradient < 1e-5 and b.shape == (2, 1)


def test_an_error_on_the_way_leaves_the_parameters_as_they_were():
    x = Tensor([-1.2, 1.0], requires_grad=True)
    optimizer, calls = nn.LBFGS([x], line_search_fn="strong_wolfe"), []

    def closure():
        loss = closure_of(optimizer, rosenbrock, x, calls)()
        if len(calls) == 4:
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert x.data.tolist() == [-1.2, 1.0] and optimizer.memory["n_iter"] == 0


def test_its_state_is_kept_and_refused_for_others():
    def made():
        x = Tensor([-1.2, 1.0], requires_grad=True)
        return x, nn.LBFGS([x], line_search_fn="strong_wolfe", max_iter=4)

    x, optimizer = made()
    optimizer.step(closure_of(optimizer, rosenbrock, x))
    y, other = made()
    y.assign(x.data)
    other.load_state_dict(optimizer.state_dict())
    for p, o in ((x, optimizer), (y, other)):
        o.step(closure_of(o, rosenbrock, p))
    assert np.array_equal(x.data, y.data)
    z = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(ValueError, match="this state has 2 numbers"):
        nn.LBFGS([z]).load_state_dict(optimizer.state_dict())


def test_what_it_refuses():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="needs a function"):
        nn.LBFGS([x]).step()
    with pytest.raises(ValueError, match="line_search_fn is None or"):
        nn.LBFGS([x], line_search_fn="armijo")
    with pytest.raises(ValueError, match="one group"):
        nn.LBFGS([{"params": [x]}, {"params": [Tensor(1.0, requires_grad=True)]}])


def test_a_hump_in_the_way_is_not_passed():
    """Behind it the loss falls again, and a search that looks at the slope alone would go on."""
    places = []

    def look(t):
        places.append(t)
        return Point(t, *((5.0, np.array([-1.0]), -1.0) if t > 0.5 else (-t, np.array([-0.1]), -0.1)))

    found, used = strong_wolfe(look, Point(0.0, 0.0, np.array([-1.0]), -1.0), 1.0, np.array([1.0]), tries=9)
    assert max(places) == 1.0 and found.t <= 0.5 and used == len(places)


def along(*coefficients):
    """A polynomial as a line search sees it, and the list of the points where it is evaluated."""
    f, places = np.polynomial.Polynomial(coefficients), []

    def look(t):
        places.append(t)
        return Point(t, f(t), np.array([f.deriv()(t)]), f.deriv()(t))

    return look, places


def test_a_search_ends_where_the_slope_is_small():
    look, places = along(0.0, -1.0, -0.9, 1.2)
    found, used = strong_wolfe(look, look(0.0), 4.0, np.array([1.0]), tries=9)
    assert found.t == places[-1] == pytest.approx(5 / 6) and used == 2  # the minimum of this cubic


def test_one_step_near_an_end_is_allowed():
    look, places = along(0.0, -1.0, -0.4, 4.1, -2.0)
    found, _ = strong_wolfe(look, look(0.0), 1.0, np.array([1.0]), c2=0.1, tries=9)
    left, right = places[2], places[1]
    assert found.t == places[3] == cubic(look(left), look(right)) < left + 0.1 * (right - left)


def test_a_second_step_near_an_end_goes_a_tenth_inwards():
    look, places = along(0.0, -1.0, 1.9, 7.6, -3.0)
    strong_wolfe(look, look(0.0), 1.0, np.array([1.0]), c2=0.01, tries=9)
    left, right = places[2], places[1]
    assert left < 0.1 and places[3] == pytest.approx(left + 0.1 * (right - left), rel=1e-12)
    look, places = along(0.0, -1.0, -3.0, 0.4, 4.7)
    strong_wolfe(look, look(0.0), 1.0, np.array([1.0]), c2=0.01, tries=9)
    left, right = places[2], places[3]
    assert cubic(look(left), look(right)) > right - 0.1 * (right - left)
    assert places[4] == pytest.approx(right - 0.1 * (right - left), rel=1e-12)


@pytest.mark.parametrize(
    ("coefficients", "step", "tries"),
    [
        ((0.0, -1.0, 2.7, -0.5, -2.9, 5.0), 4.0, 1),
        ((0.0, -1.0, -3.0, 4.4, 1.2, -0.3), 2.0, 3),
        ((0.0, -1.0, 0.7, 1.2, -2.7, 0.9), 2.0, 1),
    ],
)
def test_when_the_tries_are_used_up_the_best_is_taken(coefficients, step, tries):
    look, places = along(*coefficients)
    found, _ = strong_wolfe(look, look(0.0), step, np.array([1.0]), c2=0.01, tries=tries)
    assert found.f == min(look(t).f for t in list(places))
