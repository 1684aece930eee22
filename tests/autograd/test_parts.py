"""Gradients of parts of an array: the same numbers as of masks, and work in proportion to the array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

import autograd
from autograd import Tensor
from autograd.parts import Part

SHAPE = (3, 4, 2)
INDICES = st.lists(basic_indices(SHAPE, allow_newaxis=True), min_size=1, max_size=5)
DTYPES = [np.float16, np.float32, np.float64, np.complex128]


def numbers(dtype=np.float64, shape=SHAPE):
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=shape) + (1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0)
    return drawn.astype(dtype)


def masks(index, shape=SHAPE):
    """How many times each place of an array is in its part."""
    count = np.zeros(shape)
    count[index] += 1
    return count


@given(INDICES, st.sampled_from(DTYPES), st.booleans(), st.booleans())
def test_parts_add_up_as_masks_do(indices, dtype, of_leaf, whole_too):
    x = Tensor(numbers(dtype), requires_grad=True)
    y = x if of_leaf else x * 1
    total = sum((np.sum(y[index]) * (k + 1) for k, index in enumerate(indices)), start=np.sum(y) * int(whole_too))
    total.backward(np.ones((), dtype))
    expected = sum(((k + 1) * masks(index) for k, index in enumerate(indices)), start=np.full(SHAPE, float(whole_too)))
    assert type(x.grad.data) is np.ndarray and x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad.data, expected)


@given(INDICES)
def test_parts_have_derivatives_of_every_order(indices):
    def function(x):
        y = np.sin(x)
        return sum((np.sum(y[index] ** 3) for index in indices), start=np.sum(y * 0.5))

    assert autograd.gradcheck(function, numbers(), order=2)
    x, v = numbers(), np.cos(numbers())
    _, along = autograd.jvp(function, (x,), (v,))
    np.testing.assert_allclose(np.sum(autograd.grad(function)(x) * v), along, rtol=1e-12)
    third = autograd.grad(lambda x: np.sum(autograd.grad(lambda x: np.sum(autograd.grad(function)(x) ** 2))(x)))(x)
    assert third.shape == SHAPE and np.isfinite(third).all()


@given(INDICES)
def test_a_compiled_gradient_of_parts_is_the_eager_one(indices):
    def function(x):
        y = x * x
        return sum(np.sum(y[index] * x[index]) for index in indices)

    step = autograd.compile(autograd.grad(function))
    for k in range(4):
        x = numbers() + k
        np.testing.assert_allclose(step(x), autograd.grad(function)(x), rtol=1e-12)


def test_hooks_and_observers_see_arrays():
    x = Tensor(numbers(), requires_grad=True)
    y = x * 2
    seen = []
    for tensor in (x, y):
        tensor.register_hook(seen.append)
    y[1].sum().backward()
    assert [type(g) for g in seen] == [Tensor, Tensor] and all(type(g.data) is np.ndarray for g in seen)
    np.testing.assert_array_equal(seen[0].data, masks(1))
    np.testing.assert_array_equal(x.grad.data, 2 * masks(1))


def test_a_hook_may_change_the_gradient_of_a_part():
    x = Tensor(numbers(), requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: g * 3)
    (y[0].sum() + y[:, 1].sum()).backward()
    np.testing.assert_array_equal(x.grad.data, 3 * (masks(0) + masks(np.s_[:, 1])))


def test_a_kept_graph_can_be_walked_again():
    x = Tensor(numbers(), requires_grad=True)
    y = x * 1
    loss = y[0].sum() + y[0:2].sum()
    once = masks(0) + masks(np.s_[0:2])
    for k in (1, 2):
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, k * once)


def test_the_gradient_given_to_backward_stays_as_it_was():
    x, given_gradient = Tensor(numbers(), requires_grad=True), np.ones((4, 2))
    (part,) = np.split(x[0][None], 1)
    both = part[0] + x[0]
    both.backward(given_gradient)
    np.testing.assert_array_equal(given_gradient, 1)
    np.testing.assert_array_equal(x.grad.data, 2 * masks(0))


def test_a_gradient_used_by_two_inputs_is_not_added_to():
    x = Tensor(numbers(), requires_grad=True)
    z = Tensor(numbers(), requires_grad=True)
    total = x + z  # one gradient for both
    (total.sum() + x[0].sum()).backward()
    np.testing.assert_array_equal(z.grad.data, 1)
    np.testing.assert_array_equal(x.grad.data, 1 + masks(0))


def made_by(backward, monkeypatch):
    """How many zeros a call makes."""
    count = 0
    zeros = np.zeros_like

    def counted(*args, **options):
        nonlocal count
        made = zeros(*args, **options)
        count += made.size
        return made

    with monkeypatch.context() as patch:
        patch.setattr(np, "zeros_like", counted)
        backward()
    return count


WALKS = {
    "x[t]": lambda x: [x[t] for t in range(len(x))],
    "x[t, :, None]": lambda x: [x[t, ..., None] for t in range(len(x))],
    "x[:, t]": lambda x: [x[:, t] for t in range(x.shape[1])],
    "iteration": list,
    "split": lambda x: np.split(x, len(x)),
    "array_split": lambda x: np.array_split(x, len(x) // 2),
    "elements": lambda x: [x[t, t] for t in range(len(x))],
    "elements of rows": lambda x: [x[0][t] for t in range(x.shape[1])],
}
if hasattr(np, "unstack"):
    WALKS["unstack"] = np.unstack


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("of_leaf", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_of_an_array_cost_as_much_as_the_whole(name, of_leaf, dtype, monkeypatch):
    made = []
    for size in (20, 40):
        x = Tensor(numbers(dtype, (size, size)), requires_grad=True)
        y = x if of_leaf else x * 1
        loss = sum(np.sum(part * part) for part in WALKS[name](y))
        made.append(made_by(loss.backward, monkeypatch) / size**2)
    assert made[1] <= max(made[0], 1) * 1.2, f"{made} times the array"


def test_a_part_computes_as_its_array():
    part = Part(np.ones(2), (3, 2), 1)
    whole = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(part.whole(), whole)
    np.testing.assert_array_equal(np.asarray(part), whole)
    for result, expected in [
        (part * 2, whole * 2), (-part, -whole), (part + part, 2 * whole), (part + 1, whole + 1), (1 + part, 1 + whole),
        (np.sum(part), 2.0), (part.sum(axis=0), whole.sum(axis=0)), (np.add(part, whole, dtype=np.float32), 2 * whole),
        (part + np.ones((2, 3, 2)), whole + np.ones((2, 3, 2))),
    ]:  # fmt: skip
        np.testing.assert_array_equal(result, expected)
    total = np.ones((3, 2))
    total += part
    np.testing.assert_array_equal(total, 1 + whole)
    own = part
    own += np.ones((3, 2))
    np.testing.assert_array_equal(own, 1 + whole)
    np.testing.assert_array_equal(part.whole(), whole)
