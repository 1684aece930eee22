"""Buffers that loops fill: the values that an array would have, gradients to whatever was written, clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd
from autograd import OPS, Tensor, buffer, grad, gradcheck, hessian, jacobian, jvp, no_grad
from samples import numbers

DTYPES = [np.float16, np.float32, np.float64, np.complex64, np.complex128]


@st.composite
def fillings(draw):
    """A shape, and indices that name every item once."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = draw(st.integers(0, len(shape) - 1))
    order = draw(st.permutations(range(shape[axis])))
    cut = draw(st.integers(0, shape[axis]))
    before = (slice(None),) * axis
    rest = sorted(order[cut:])
    several = draw(st.sampled_from([np.array(rest, int), rest, np.isin(np.arange(shape[axis]), rest)]))
    return shape, [*((*before, i) for i in order[:cut]), (*before, several)]


@given(filling=fillings(), dtype=st.sampled_from(DTYPES))
def test_filled_in_any_order_it_is_the_array_with_gradients_to_what_was_written(filling, dtype):
    shape, indices = filling
    values = [
        Tensor(numbers(np.shape(np.empty(shape)[i]), (0.5, 2.0), np.random.default_rng(0)), requires_grad=True)
        for i in indices
    ]
    array, out = np.empty(shape, dtype), buffer(shape, dtype)
    for index, value in zip(indices, values, strict=True):
        array[index], out[index] = value.data, value
    assert (out.shape, out.dtype, out.ndim, out.size, len(out)) == (shape, dtype, len(shape), array.size, shape[0])
    np.testing.assert_array_equal(out.data, array, strict=True)
    weights = np.arange(1.0, 1 + array.size).reshape(shape)
    (out * weights).real.sum().backward()
    for index, value in zip(indices, values, strict=True):
        if value.size:
            np.testing.assert_allclose(value.grad.data, weights[index], rtol=1e-2 if dtype is np.float16 else 1e-6)


def squares(x):
    out = buffer(x.shape[0], x.dtype)
    for i in reversed(range(x.shape[0])):
        out[i] = x[i] ** 3 * 2.0
    return out


def recurrence(x):
    """Every item is computed from those before it, and rows are broadcast."""
    out = buffer((4, 2), x.dtype)
    out[0] = x[0]
    for i in range(1, 4):
        out[i] = np.sin(out[i - 1]) * x + out[0]
    return out * out[1:3].sum()


@pytest.mark.parametrize("function", [squares, recurrence])
def test_derivatives_of_every_order(function):
    x = np.array([0.3, 0.8])
    assert gradcheck(function, x, order=2)
    assert gradcheck(function, np.array([0.3 + 0.2j, 0.8 - 0.5j]), order=2)
    np.testing.assert_allclose(
        jvp(function, (x,), (np.ones(2),))[1].reshape(-1), jacobian(function)(x).sum(-1).reshape(-1)
    )
    np.testing.assert_allclose(hessian(lambda x: squares(x).sum())(x), np.diag(12 * x))
    narrow = grad(lambda x: function(x).sum())(x.astype(np.float32))
    assert narrow.dtype == np.float32


def test_it_compiles():
    def total(x):
        return recurrence(x).sum()

    step = autograd.compile(autograd.value_and_grad(total))
    for k in range(6):
        x = np.array([0.3 + k, 0.8])
        for mine, expected in zip(step(x), autograd.value_and_grad(total)(x), strict=True):
            np.testing.assert_allclose(mine, expected)


def test_every_function_takes_it():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for read in (
        np.exp, np.sum, np.linalg.norm, autograd.exp, lambda b: b + 1.0, lambda b: 2.0 * b, lambda b: x * b,
        lambda b: b @ x, lambda b: np.stack([b, x]), lambda b: b.mean(), lambda b: b.T, list, lambda b: b[::-1],
        lambda b: np.add(b, np.ones(2)), lambda b: Tensor.reshape(b, (2, 1)),
    ):  # fmt: skip
        out = buffer(2)
        out[1], out[0] = x[0] * 3.0, 5.0
        results = [autograd.tree.flatten(read(b))[0] for b in (out, np.stack([5.0 + 0 * x[0], x[0] * 3.0]))]
        for mine, expected in zip(*results, strict=True):
            assert type(mine) is Tensor and mine.requires_grad
            np.testing.assert_allclose(mine.data, expected.data)


def test_ten_thousand_items_are_joined_by_one_op():
    x, n = Tensor(2.0, requires_grad=True), 10_000
    out = buffer(n)
    for i in range(n):
        out[i] = x
    node = out.tensor.node.edges[0]
    assert node.op is OPS["assemble"] and len(node.edges) == n and node is out.tensor.node.edges[0]
    out.sum().backward()
    assert x.grad == n


def test_what_is_written_under_no_grad_is_constant_and_reading_there_loses_nothing():
    x = Tensor([1.0, 2.0], requires_grad=True)
    out = buffer(2)
    out[0] = x[0]
    with no_grad():
        out[1] = x[1]
        repr(out), out.data, float(np.sum(out))
    out.sum().backward()
    assert x.grad.tolist() == [1, 0]


def test_a_written_array_is_copied():
    row, out = np.ones(2), buffer((2, 2))
    out[0] = row
    row[:] = 7
    out[1] = row
    assert out.tolist() == [[1, 1], [7, 7]]


UNSET = [
    (lambda b: b.sum(), r"before these items were set: 1, 2"),
    (lambda b: np.exp(b), "set: 1, 2"),
    (lambda b: b[1], "set: 1$"),
    (lambda b: b + 1.0, "set: 1, 2"),
    (lambda b: list(b), "set: 1"),
]


@pytest.mark.parametrize(("read", "said"), UNSET)
def test_items_that_were_not_set_are_named(read, said):
    out = buffer(3)
    out[0] = 1.0
    with pytest.raises(ValueError, match=said):
        read(out)
    assert repr(out) == "Buffer of shape (3,), 2 of 3 items not set"


def test_wrong_items_are_refused():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"set: \(0, 0\), \(0, 1\), \(0, 2\), \(1, 0\), \(1, 1\) and 4 more"):
        buffer((3, 3)).sum()
    with pytest.raises(TypeError, match="floating-point or complex numbers; got int64"):
        buffer(3, int)
    out = buffer((3, 2))
    out[0] = x
    for index, value, kind, said in [
        (0, x, ValueError, r"item \(0, 0\), \(0, 1\) of a buffer was already set"),
        ((0, 1), 1.0, ValueError, r"item \(0, 1\) of a buffer was already set"),
        (([1, 1], 0), x, ValueError, "already set"),
        (1, np.ones(3), ValueError, r"buffer\[1\] has shape \(2,\), and the value has shape \(3,\)"),
        ((1, 0), x, ValueError, r"has shape \(\), and the value has shape \(2,\)"),
        (1, x * 1j, TypeError, "a value of complex128 does not fit into a buffer of float64"),
        (1, [x[0], x[1]], TypeError, "autograd.stack"),
        (1, ["a", "b"], TypeError, "does not fit"),
        (3, x, IndexError, "index 3 is out of bounds"),
    ]:
        with pytest.raises(kind, match=said):
            out[index] = value
    out[1:] = x
    assert out.sum() == 9
    with pytest.raises(ValueError, match="already set"):
        out[1, 0] = 1.0
