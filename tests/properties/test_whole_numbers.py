"""Tensors of integers and booleans: the value and dtype that NumPy gives for the arrays, for every op."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd
from autograd import OPS, Tensor
from samples import CALLS, sample

CHOSEN = [(name, i) for name, i in CALLS if OPS[name].numpy and not isinstance(OPS[name].numpy[0], tuple)]
OURS_ARE_WIDER = {("choose", np.bool_)}  # np.choose of booleans gives booleans, not numbers


def converted(x, kind, wrap):
    if isinstance(x, list):
        return [converted(item, kind, wrap) for item in x]
    if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            whole = (np.abs(x) * 3).astype(kind)
        return Tensor(whole) if wrap else whole
    return x


def outcome(name, i, kind, wrap):
    inputs, params = sample(name, i)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = OPS[name].numpy[0](*converted(inputs, kind, wrap), **params)
    except Exception:
        return ["refused"]
    return autograd.tree.flatten(found)[0]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.bool_], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("name", "i"), CHOSEN, ids=[f"{name}-{i}" for name, i in CHOSEN])
def test_values_and_dtypes_are_numpys(name, i, kind):
    theirs, mine = outcome(name, i, kind, False), outcome(name, i, kind, True)
    assert len(theirs) == len(mine)
    for a, b in zip(theirs, mine, strict=True):
        if isinstance(a, str):
            assert isinstance(b, str)
            continue
        b = np.asarray(b.data if isinstance(b, Tensor) else b)
        assert np.asarray(a).dtype == b.dtype or (name, kind) in OURS_ARE_WIDER
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6)


def test_what_was_wrong_once():
    numbers = Tensor([1, 2, 4, 9])
    assert np.median(numbers).item() == 3 and np.quantile(numbers, 0.3).item() == pytest.approx(1.9)
    assert np.gradient(Tensor(np.uint8([3, 1, 2]))).tolist() == [-2, -0.5, 1]
    assert np.tril(Tensor([[1, 2], [3, 4]])).dtype == np.int64
    assert numbers.sum(where=np.array([True, False, True, False])).dtype == np.int64
    mixed = np.average(numbers, weights=Tensor([1.0, 1.0, 0.0, 0.0], requires_grad=True))  # no longer whole
    assert mixed.requires_grad and mixed.item() == 1.5


def test_a_row_becomes_a_square_as_in_numpy():
    x = np.array([1.0, 2.0, 3.0])
    for function in (np.tril, np.triu):
        np.testing.assert_array_equal(function(Tensor(x)).data, function(x))
        assert autograd.gradcheck(function, (x,))


def test_spread_of_complex_numbers_is_real_and_they_have_no_quantiles():
    z = np.array([[1 + 2j, 3.0, 1j], [2.0, 2j, -1.0]])
    mask = np.array([True, False, True])
    for spread in (lambda t: np.var(t, axis=1, where=mask), np.nanvar, np.nanstd):
        found = spread(Tensor(z, requires_grad=True))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found.data, spread(z))
    for function in (np.quantile, np.percentile):
        with pytest.raises(TypeError, match="complex numbers have no order"):
            function(Tensor(z, requires_grad=True), 0.5)


def test_the_spread_of_too_few_numbers_is_none_and_so_is_its_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.var(x, ddof=2).backward()
    assert np.isnan(x.grad.data).all()
