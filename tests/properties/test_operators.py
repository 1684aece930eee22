"""Python's operators and built-in functions on Tensors: the values, dtypes and errors that NumPy's arrays give."""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest

from autograd import Tensor, gradcheck
from autograd.tree import flatten

ARRAYS = [
    np.array([True, False]),
    np.array([3, -4]),
    np.array([1.5, -2.0]),
    np.array([0.5, 2.0], np.float32),
    np.array([0.5, 2.0], np.float16),
    np.array([1j, 2.0]),
    np.array(3.0),
    np.array(3),
    np.array(True),
    np.zeros(0),
]
OTHERS = [2, 2.0, -1, 0.5, True, "a", None, [1, 2], (1.0, 2.0), 1j, np.float32(2), object(), {}, np.array(["a", "b"])]
ids = {"ids": lambda x: f"{x.dtype}{list(x.shape)}"}
OPERATORS = "add sub mul truediv floordiv mod pow eq ne lt le gt ge matmul".split()


def outcome(function):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            parts = flatten(function())[0]
        except Exception as error:
            return error
    return [np.asarray(x.data if isinstance(x, Tensor) else x) for x in parts]


def agree(mine, expected, case):
    if isinstance(expected, Exception) or (expected and expected[0].dtype == object):  # which has no gradient
        assert isinstance(mine, Exception), (case, expected, mine)
        return
    assert not isinstance(mine, Exception), (case, mine)
    for a, b in zip(mine, expected, strict=True):
        if b.dtype.kind == "U":
            assert a == b
            continue
        np.testing.assert_allclose(a, b, rtol=1e-15, strict=True, err_msg=str(case))


@pytest.mark.parametrize("array", ARRAYS, **ids)
@pytest.mark.parametrize("name", [*OPERATORS, "divmod"])
def test_operators_are_numpys(name, array):
    function = divmod if name == "divmod" else getattr(operator, name)
    for other in OTHERS:
        agree(outcome(lambda o=other: function(Tensor(array), o)), outcome(lambda o=other: function(array, o)), other)
        agree(outcome(lambda o=other: function(o, Tensor(array))), outcome(lambda o=other: function(o, array)), other)


@pytest.mark.parametrize("array", ARRAYS, **ids)
@pytest.mark.parametrize(
    "function",
    [abs, operator.neg, operator.pos, bool, int, float, complex, operator.index, len, list, lambda x: "abcd"[x]],
    ids=["abs", "neg", "pos", "bool", "int", "float", "complex", "index", "len", "list", "as an index"],
)
def test_built_in_functions_are_numpys(function, array):
    mine = outcome(lambda: function(Tensor(array)))
    agree(mine, outcome(lambda: function(array)), array)


def test_round_and_divmod_are_numpys_functions():
    x = Tensor([3.25, -1.75], requires_grad=True)
    for digits in (None, 0, 1, -1):
        np.testing.assert_array_equal(round(x, digits).data, np.round(x.data, digits or 0))
    assert round(Tensor(np.float32(2.5))).dtype == np.float32
    assert gradcheck(lambda a: divmod(a, 2.0)[1] + divmod(7.0, a)[1], np.array([3.25, 1.85]))
    assert not round(x).grad and round(x).requires_grad  # a gradient of 0


def test_a_tensor_that_needs_a_gradient_is_no_index():
    with pytest.raises(TypeError):
        [1, 2][Tensor(1.0, requires_grad=True)]
