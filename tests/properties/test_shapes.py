"""Shapes that NumPy broadcasts or special-cases: axes of length 1, and numbers without axes, for every op."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from numpy.exceptions import AxisError

from autograd import OPS, Tensor, gradcheck
from autograd.tree import flatten
from samples import CALLS, IDS, closed, gradients, joined, replaced, sample, varied

SEVERAL = [(name, i) for name, i in CALLS if len(varied(sample(name, i)[0])) > 1]


def called(function, *args, **params):
    """What a function returns, as a list of arrays, or the error that it raises; warnings do not matter here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return [np.asarray(getattr(x, "data", x)) for x in flatten(function(*args, **params))[0]]
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            return error


def shortened(arrays, n):
    """The arrays with axes cut to length n: one axis of one of them, all its axes, or all axes of one length."""
    lengths = {m for a in arrays for m in a.shape}
    chosen = [{(k, axis)} for k, a in enumerate(arrays) for axis in range(a.ndim)]
    chosen += [{(k, axis) for axis in range(a.ndim)} for k, a in enumerate(arrays)]
    chosen += [
        {(k, axis) for k, a in enumerate(arrays) for axis in range(a.ndim) if a.shape[axis] == m} for m in lengths
    ]
    for axes in chosen:
        cut = [
            a[tuple(slice(0, n if (k, axis) in axes else None) for axis in range(a.ndim))] for k, a in enumerate(arrays)
        ]
        if any(a.shape != b.shape for a, b in zip(arrays, cut, strict=True)):
            yield cut


def numpys(name, i, arrays):
    """What NumPy's function returns for a case with other arrays (or the op's, if NumPy has none), or its error."""
    op = OPS[name]
    function = op.numpy[0] if op.numpy and name != "astype" else op.function  # np.astype takes its dtype by position
    found = called(closed(name, i, function)[0], *arrays)
    return found if isinstance(found, Exception) else found[0]


@pytest.mark.parametrize(("name", "i"), SEVERAL, ids=[f"{name}-{i}" for name, i in SEVERAL])
def test_what_the_forward_pass_stretches_the_backward_pass_sums(name, i):
    """Where NumPy accepts an axis of length 1 instead of the one in a case, so does the op, with its gradient."""
    call, arrays = closed(name, i)
    for new in shortened(arrays, 1):
        expected = numpys(name, i, new)
        if not isinstance(expected, Exception) and np.isfinite(expected).all():  # not the variance of one number
            assert gradcheck(call, new, order=2, directions=1, rtol=2e-6), [a.shape for a in new]


# NumPy returns what was in memory.
UNDEFINED = {"einsum", "irfft", "irfftn", "irfft2", "hfft"}
# These refuse nothing along an axis where NumPy does not: no element of the result needs it.
STRICTER = {"complex_rows", "qr_rows", "solve_sylvester", "take"}
# NumPy fails by accident (it cannot reshape to (0, -1)), or with another kind of error than for other wrong shapes.
BY_ACCIDENT = {"cov", "gradient", "median", "piecewise", "quantile"}


@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_axes_of_length_zero(name, i):
    """Nothing along an axis: NumPy's value and a gradient of the shape of each input, or NumPy's kind of error."""
    call, arrays = closed(name, i)
    for new in shortened(arrays, 0):
        shapes, expected = [a.shape for a in new], numpys(name, i, new)
        result = called(call, *(Tensor(a, requires_grad=True) for a in new))
        if isinstance(expected, Exception):
            assert name in BY_ACCIDENT or isinstance(result, kind_of(expected)), (shapes, expected, result)
        elif isinstance(result, Exception):
            assert "gradient" in str(result) or name in STRICTER, (shapes, result)
        else:
            assert result[0].shape == expected.shape and result[0].dtype == expected.dtype, shapes
            if name not in UNDEFINED:
                np.testing.assert_allclose(result[0], expected, rtol=1e-13, err_msg=str(shapes))
            found = called(gradients, call, new)
            assert not isinstance(found, Exception) or name in STRICTER, (shapes, found)


def kind_of(error):
    """The kind of an error, of those that NumPy raises; an AxisError is two of them."""
    kinds = (AxisError, np.linalg.LinAlgError, ValueError, IndexError, TypeError)
    return next(kind for kind in kinds if isinstance(error, kind))


def takes_axis(name):
    functions = [f for f in OPS[name].numpy if inspect.isroutine(f) and not isinstance(f, np.ufunc)]
    return any("axis" in inspect.signature(f).parameters for f in functions)


ALONG = [(name, i) for name, i in CALLS if takes_axis(name)]


@pytest.mark.parametrize("axis", [None, 0, -1, (), 1], ids=str)
@pytest.mark.parametrize(("name", "i"), ALONG, ids=[f"{name}-{i}" for name, i in ALONG])
def test_numbers_have_no_axes(name, i, axis):
    """A number where a case has an array: NumPy's value with its gradient, or NumPy's error."""
    inputs, params = sample(name, i)
    params = {**params, "axis": axis}
    if len(inputs) > list(inspect.signature(OPS[name].numpy[0]).parameters).index("axis"):
        return
    number = [a.reshape(-1)[0].reshape(()) for a in varied(inputs) if a.size]
    if len(number) < len(varied(inputs)):
        return
    expected = called(OPS[name].numpy[0], *replaced(inputs, number), **params)

    def call(*arrays):
        return joined(OPS[name].function(*replaced(inputs, list(arrays)), **params))

    if expected == [] or (expected and "mean" in params):  # np.gradient of no axes; np.var with mean= takes none
        return
    mine = called(call, *[Tensor(a, requires_grad=True) for a in number])
    if isinstance(expected, Exception):
        assert isinstance(mine, ValueError | IndexError | TypeError), (expected, mine)
    else:
        assert not isinstance(mine, Exception), (expected, mine)
        expected = (
            np.concatenate([e.reshape(-1) for e in expected if e.dtype.kind in "fc"])
            if len(expected) > 1
            else expected[0]
        )
        np.testing.assert_allclose(mine[0], expected, rtol=1e-13, strict=True)
        if np.isfinite(expected).all() and expected.dtype.kind in "fc":
            assert gradcheck(call, number, order=2, directions=1)
