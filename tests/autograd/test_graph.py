"""The Tensor, the walk, and what they promise."""

from __future__ import annotations

import gc
from collections import Counter

import numpy as np
import pytest

import autograd
from autograd import GraphError
from autograd.mode import Switch
from leaves import leaf

# ---- walking


def chain(n):
    x = y = leaf(1.0)
    for _ in range(n):
        y = y + 1.0
    return x, y


@pytest.mark.slow
def test_a_million_ops_forward_backward_and_deletion():
    x, y = chain(1_000_000)
    y.backward()
    assert x.grad.item() == 1
    x, y = chain(200_000)
    del y  # a graph that was never walked is freed without recursion too


class Visits(autograd.mode.Observer):
    """An observer that counts how often the walk comes to each node."""

    def __init__(self):
        self.counts = Counter()

    def forward(self, node, data, arrays):
        pass

    def backward(self, node, gradient):
        self.counts[node.number] += 1


def test_a_diamond_of_depth_60_is_walked_once_per_node():
    x = y = leaf(1.0)
    for _ in range(60):
        y = y + y
    visits = Visits()
    with Switch(observer=visits):
        y.backward()
    assert x.grad.item() == 2.0**60
    assert list(visits.counts.values()) == [1] * 60
    assert sorted(visits.counts, reverse=True) == list(visits.counts)  # newest first


def test_many_uses_of_one_leaf():
    x = leaf(1.0, 2.0)
    total = x
    for _ in range(1000):
        total = total + x
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1001, 1001])


def test_second_backward_raises_and_says_what_to_pass():
    y = leaf(2.0) ** 2
    y.backward()
    with pytest.raises(GraphError, match="retain_graph=True"):
        y.backward()


def test_retain_graph_accumulates_exactly():
    x = leaf(1.0, 2.0, 3.0)
    loss = (x * x).sum()
    for times in (1, 2, 3):
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, times * 2 * x.data)


def test_two_losses_accumulate():
    x = leaf(3.0)
    (x * x).backward()
    (5 * x).backward()
    assert x.grad.item() == 11


def test_the_third_derivative_of_x_to_the_fourth():
    x = leaf(2.0)
    y = x**4
    for expected in (32, 48, 48, 24):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        assert y.item() == expected


def test_an_error_on_the_way_changes_no_gradient():
    x, y = leaf(1.0), leaf(2.0)

    def fails(g, *_):
        raise ArithmeticError("planted")

    broken = autograd.differentiable(lambda x: x * 1.0, fails, name="broken_rule")
    try:
        loss = y * 2 + broken(x)
        with pytest.raises(ArithmeticError):
            loss.backward()
    finally:
        del autograd.OPS["broken_rule"]
    assert x.grad is None and y.grad is None


def test_a_node_keeps_only_what_its_rules_read():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    constant = np.ones(2)
    assert not any(isinstance(a, np.ndarray) for a in (x + w + constant).node.kept)
    assert any(a is constant for a in (x * constant).node.kept)
    assert x.data is (w * x.detach()).node.kept[2]
    assert np.exp(x).node.kept[1] is x.node


@pytest.mark.slow
def test_graphs_are_freed_by_reference_counting_alone():
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            x = leaf(1.0, 2.0)
            loss = autograd.concatenate([np.exp(x) * x, x[::-1]]).sum()
            loss.backward()
            autograd.grad(autograd.grad(lambda t: t**3))(2.0)
            assert gc.collect() == 0
    finally:
        gc.enable()
