"""The copies of an op's function for a fixed number of inputs do what the function itself does."""

from __future__ import annotations

import inspect
import linecache
import traceback

import numpy as np
import pytest
from samples import CALLS, closed, gradients

import autograd
from autograd import OPS, Tensor, no_grad
from autograd.unroll import unrolled


def itself(name):
    """The function that this op's is a copy of; None if it is none."""
    function = OPS[name].function
    return inspect.getclosurevars(function).nonlocals.get("itself") if inspect.isfunction(function) else None


COPIES = [(name, i) for name, i in CALLS if itself(name)]


def test_most_ops_are_copies():
    assert len({name for name, _ in COPIES}) > 80
    assert {len(OPS[name].rules) for name, _ in COPIES} >= {1, 2, 3}
    assert itself("sum") is not None and itself("concatenate") is None


@pytest.mark.parametrize(("name", "i"), COPIES, ids=str)
def test_copy_and_original_agree(name, i):
    function, arrays = closed(name, i)
    original, _ = closed(name, i, itself(name))
    (value, found), (right, expected) = gradients(function, arrays), gradients(original, arrays)
    np.testing.assert_array_equal(value, right)
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(g, e)
    np.testing.assert_array_equal(function(*arrays), original(*arrays))  # of plain arrays


@pytest.mark.parametrize("name", ["multiply", "subtract", "tanh", "exp", "where"])
def test_both_keep_and_need_the_same(name):
    n = len(OPS[name].rules)
    for needs in range(2**n):
        inputs = [Tensor(np.full(2, 0.5), requires_grad=bool(needs >> i & 1)) for i in range(n)]
        if name == "where":
            inputs[0] = np.array([True, False])
        nodes = [function(*inputs).node for function in (OPS[name].function, itself(name) or OPS[name].function)]
        if nodes[0] is None:
            assert nodes[1] is None
        else:
            assert list(nodes[0].edges) == list(nodes[1].edges)
            for mine, other in zip(nodes[0].kept, nodes[1].kept, strict=True):
                assert mine is other or np.array_equal(mine, other)
        with no_grad():
            assert OPS[name].function(*inputs).node is None


def test_unusual_calls_go_to_the_function_itself():
    x = Tensor([1.0, 4.0], requires_grad=True)
    for right, wrong in (
        (np.sum, lambda: autograd.sum()),
        (np.exp, lambda: autograd.exp()),
        (np.multiply, lambda: autograd.multiply(x)),
        (np.multiply, lambda: autograd.multiply(x, x, x, x)),
        (np.sqrt, lambda: autograd.sqrt(x, axis=0)),
    ):
        with pytest.raises(TypeError, match=right.__name__):
            wrong()
    assert autograd.sum(x, 0).item() == autograd.sum(a=x).item() == autograd.sum(x, axis=0).item() == 5
    assert autograd.sqrt(x, where=np.array([True, False])).tolist() == [1, 0]


def test_errors_show_the_lines_that_ran():
    x = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(ValueError, match="multiply of shapes") as caught:
        x * np.ones(3)
    frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
    assert frames[-1].filename == "<autograd.op for 2 inputs>"
    assert "forward(arrays0, arrays1)" in frames[-1].line


def test_a_function_without_a_text_stays_as_it_is():
    scope = {}
    exec(compile("def outer(f):\n    def g(*inputs): return f\n    return g", "<nowhere>", "exec"), scope)
    function = scope["outer"](1)
    assert not linecache.getlines("<nowhere>") and unrolled(function, 2) is function
