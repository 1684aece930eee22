"""Nested arrays as vectors."""

from collections import namedtuple

import numpy as np
import pytest
from autograd.misc import flatten
from autograd.misc.flatten import flatten_func

from autograd import grad, jacobian

Pair = namedtuple("Pair", "a b")
TREES = [
    1.5,
    np.ones((2, 3)),
    [],
    {"b": np.arange(3.0), "a": [1.0, (np.eye(2), 2.0)]},
    Pair(np.zeros((0, 2)), [1.0]),
    [np.ones(2, complex), 1.0],
    [np.ones(2, np.float32), 1.0],
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_flattening_is_undone(tree):
    vector, unflatten = flatten(tree)
    assert vector.ndim == 1
    np.testing.assert_equal(unflatten(vector), tree)
    twice, again = flatten(unflatten(vector * 2))
    np.testing.assert_array_equal(twice, vector * 2)
    assert type(again(twice)) is type(unflatten(vector))


def test_it_is_differentiable_both_ways():
    tree = {"b": np.arange(3.0), "a": [1.0, (np.eye(2),)]}
    vector, unflatten = flatten(tree)
    np.testing.assert_array_equal(jacobian(lambda v: flatten(unflatten(v))[0])(vector), np.eye(8))
    assert list(flatten({"b": 1.0, "a": 2.0})[0]) == [2.0, 1.0]  # by sorted keys
    np.testing.assert_equal(grad(lambda t: np.sum(flatten(t)[0] ** 2))(tree), unflatten(2 * vector))
    f, back, example = flatten_func(lambda t, k: {"x": t["b"] * k}, tree)
    np.testing.assert_array_equal(f(example, 2.0), [0, 2, 4])
    np.testing.assert_equal(back(example), tree)
