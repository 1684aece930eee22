"""Calls that would drop a gradient: the error names the function that was called, and what to write instead works."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from autograd.conversion import _DRAWS
from autograd.elsewhere import MODULE, TENSOR
from autograd.errors import REFUSED

X = Tensor([1.0, 2.0, 3.0], requires_grad=True)
A, B = X[0], X[1]
W, RNG = np.eye(3), np.random.default_rng(0)


def filled(make):
    out = make()
    for i in range(3):
        out[i] = X[i] ** 2
    return out


def by_slice():
    out = np.zeros(3)
    out[:] = X
    return out


# (the call, the name in the message, what the message says to use, the same program with it, the values)
CALLS = [
    (lambda: np.array([A, B]), "np.array", "np.stack", lambda: np.stack([A, B]), [1, 2]),
    (lambda: np.asarray([A, B]), "np.asarray", "np.stack", lambda: np.stack([A, B]), [1, 2]),
    (lambda: np.array([[A, B], [B, A]]), "np.array", "np.block", lambda: np.block([[A, B], [B, A]]), [[1, 2], [2, 1]]),
    (lambda: np.asarray(X), "np.asarray", "a Tensor needs no conversion", lambda: X, [1, 2, 3]),
    (lambda: np.array([A, B], dtype=float), "np.array", "np.stack", lambda: np.stack([A, B]), [1, 2]),
    (lambda: np.full(3, B), "np.full", r"np.ones\(shape\) \* t", lambda: np.ones(3) * B, [2, 2, 2]),
    (lambda: np.r_[A, B], "np.r_", "np.stack", lambda: np.stack([A, B]), [1, 2]),
    (lambda: np.c_[X, X], "np.c_", "np.stack", lambda: np.stack([X, X], axis=1), [[1, 1], [2, 2], [3, 3]]),
    (lambda: np.float32(A), "np.float32", "t.astype", lambda: A.astype(np.float32), 1),
    (lambda: np.arange(B), "np.arange", r"np.arange\(n\) \* t", lambda: np.arange(2) * B, [0, 2]),
    (lambda: np.sum([A, B]), "np.sum", "np.stack", lambda: np.sum(np.stack([A, B])), 3),
    (lambda: np.exp([A, B]), "np.exp", "np.stack", lambda: np.exp(np.stack([A, B])), np.exp([1, 2])),
    (lambda: np.diff([A, B]), "np.diff", "np.stack", lambda: np.diff(np.stack([A, B])), [1]),
    (lambda: np.interp([0.5], [0, 1], [A, B]), "np.interp", "np.stack",
     lambda: np.interp(np.array([0.5]), np.array([0, 1]), np.stack([A, B])), [1.5]),
    (lambda: np.dot([A, B], [1, 2]), "np.dot", "np.stack", lambda: np.dot(np.stack([A, B]), [1, 2]), 5),
    (lambda: np.linalg.det([[A, B], [B, A]]), r"np.linalg.det", "np.stack",
     lambda: np.linalg.det(np.block([[A, B], [B, A]])), -3),
    (lambda: np.concatenate([[A], [B]]), "np.concatenate", "np.stack",
     lambda: np.concatenate([np.stack([A]), np.stack([B])]), [1, 2]),
    (lambda: np.where(True, [A, B], 0.0), "np.where", "np.stack",
     lambda: np.where(True, np.stack([A, B]), 0.0), [1, 2]),
    (lambda: np.ones(2) * [A, B], r"np.ones\(2\) \* \[A, B\]", "np.stack",
     lambda: np.ones(2) * np.stack([A, B]), [1, 2]),
    (lambda: math.sin(A), "math.sin", "np.sin", lambda: np.sin(A), math.sin(1)),
    (lambda: float(A), r"float\(\)", "NumPy's functions and operators", lambda: A, 1),
    (lambda: int(A), r"int\(\)", "NumPy's functions and operators", lambda: np.trunc(A), 1),
    (lambda: complex(A), r"complex\(\)", "NumPy's functions and operators", lambda: A * (1 + 0j), 1),
    (lambda: np.eye(3).dot(X), r"np.eye\(3\).dot", r"np.eye\(3\) @ t, or np.dot\(np.eye\(3\), t\)",
     lambda: np.eye(3) @ X, [1, 2, 3]),
    (lambda: W.dot(X), r"W.dot", r"W @ t, or np.dot\(W, t\)", lambda: W @ X, [1, 2, 3]),
    (lambda: W.put([0], X), "W.put", r"autograd.set_at\(x, index, t\)",
     lambda: autograd.set_at(np.zeros(3), [0], X[1:2]), [2, 0, 0]),
    (lambda: np.fill_diagonal(W.copy(), X), "np.fill_diagonal", r"np.where\(np.eye\(n, dtype=bool\), t, x\)",
     lambda: np.where(np.eye(3, dtype=bool), X, 1.0), [[1, 1, 1], [1, 2, 1], [1, 1, 3]]),
    (lambda: RNG.normal(loc=X), "RNG.normal", r"loc \+ scale \* rng.normal\(size=shape\)",
     lambda: X + 0.0 * np.random.default_rng(0).normal(size=3), [1, 2, 3]),
    (lambda: np.random.default_rng(0).uniform(0.0, X), r"np.random.default_rng\(0\).uniform",
     r"low \+ \(high - low\) \* rng.random\(shape\)",
     lambda: X * np.random.default_rng(0).random(3), np.random.default_rng(0).uniform(0, [1, 2, 3])),
    (by_slice, r"out\[:\] = t", "autograd.buffer", lambda: filled(lambda: autograd.buffer(3)), [1, 4, 9]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "name", "instead", "better", "values"), CALLS, ids=[re.sub(r"\\", "", c[1]) for c in CALLS]
)
def test_the_message_names_the_call_and_what_keeps_the_gradient(call, name, instead, better, values):
    with pytest.raises(TypeError, match=f"^{name}.* would turn a Tensor .* drops the gradient; .*{instead}") as error:
        call()
    assert error.value.__cause__ is None and error.value.__context__ is None  # the last line is ours
    result = better()
    assert result.requires_grad
    np.testing.assert_allclose(result.data, values)


def test_functions_of_scipy_have_a_replacement_where_there_is_one():
    linalg, special, fft = (pytest.importorskip(f"scipy.{name}") for name in ("linalg", "special", "fft"))
    matrix = np.eye(3) * X
    for call, said in [
        (lambda: linalg.cholesky(matrix), r"scipy.linalg.cholesky .*; np.linalg.cholesky takes Tensors"),
        (lambda: linalg.solve(np.eye(3), X), r"scipy.linalg.solve .*; np.linalg.solve takes Tensors"),
        (lambda: linalg.toeplitz(X), r"scipy.linalg.toeplitz has no derivative rule"),
        (lambda: special.logsumexp(X), r"scipy.special.logsumexp .*; autograd.logsumexp takes Tensors"),
        (lambda: special.softmax(X), r"scipy.special.softmax .*; nn.functional.softmax takes Tensors"),
        (lambda: fft.fft(X), r"scipy.fft.fft .*; np.fft.fft takes Tensors"),
    ]:
        with pytest.raises(TypeError, match=said):
            call()
    assert np.linalg.cholesky(matrix).requires_grad and np.fft.fft(X).requires_grad
    assert autograd.logsumexp(X).requires_grad and nn.functional.softmax(X, dim=0).requires_grad


def test_the_function_that_is_named_exists():
    """As the program wrote it, or by the dotted name at which it is found."""
    stats = pytest.importorskip("scipy.stats")
    frozen = stats.norm(0, 1)
    for call, name, instead in [
        (lambda: stats.norm.logpdf(X), "scipy.stats.norm.logpdf", "autograd.scipy.stats.norm.logpdf takes Tensors"),
        (lambda: stats.norm(0, 1).cdf(X), r"stats.norm\(0, 1\).cdf", "it has no derivative rule"),
        (lambda: frozen.cdf(X), "frozen.cdf", "it has no derivative rule"),
        (lambda: stats.gamma.isf(X, 2.0), "scipy.stats.gamma.isf", "scipy.stats.gamma.isf has no derivative rule"),
        (lambda: stats.norm.fit(X), "scipy.stats.norm.fit", "scipy.stats.norm.fit has no"),
        (lambda: stats.pearsonr(X, X), "scipy.stats.pearsonr", "scipy.stats.pearsonr has no"),
        (lambda: exec("stats.norm.isf(t)", {"stats": stats, "t": X}), "scipy.stats.norm.isf", ""),
    ]:
        with pytest.raises(TypeError, match=f"^{name} would turn .*; {instead}"):
            call()
    assert autograd.scipy.stats.norm.logpdf(X).requires_grad


@pytest.mark.parametrize("name", ["normal", "laplace", "gumbel", "logistic", "exponential", "rayleigh", "lognormal"])
def test_draws_with_a_gradient_are_those_of_numpy(name):
    p = {"exponential": [2.0], "rayleigh": [2.0]}.get(name, [0.5, 2.0])
    plain = getattr(np.random.default_rng(0), name)(*p, size=4)
    rng, shape = np.random.default_rng(0), 4
    names = {"rng": rng, "shape": shape, "np": np, "loc": p[0], "mean": p[0], "scale": p[-1], "sigma": p[-1]}
    np.testing.assert_allclose(eval(_DRAWS[name], names), plain)


def test_an_item_of_an_array_is_set_in_a_buffer():
    """NumPy replaces the error of the conversion by its own; what it was caused by says what to write."""
    for make in (lambda: np.zeros(3), lambda: np.zeros((3, 1))):
        with pytest.raises((TypeError, ValueError)) as error:
            filled(make)
        cause = error.value.__cause__ or error.value
        assert re.search(r"^out\[i\] = t .*; autograd.buffer\(shape\) is filled like this array", str(cause))
    filled(lambda: autograd.buffer(3)).sum().backward()
    assert X.grad.tolist() == [2, 4, 6]
    X.grad = None


def test_without_a_source_the_message_still_says_what_to_do():
    scope = {"np": np, "t": A, "filled": filled}
    with pytest.raises(TypeError, match=r"np.full .*np.ones"):
        exec("np.full(3, t)", scope)
    with pytest.raises(TypeError, match=r"this expression would turn .* into a plain number"):
        exec("float(t)", scope)


def test_no_message_offers_a_number_or_an_array_for_a_gradient():
    for name, text in {**REFUSED, **TENSOR, **MODULE}.items():
        assert ".item()" not in text, name
        for place in re.finditer(r"\.data\b(?!\.)", text):
            before = text[: place.start()]
            assert (
                before.endswith("detach()")
                or name in ("backward", "replaced", "no leaf", "cuda", "data_ptr", "device", "is_cuda")
                or "assign" in before
            ), name
    with pytest.raises(TypeError, match="only where no gradient is wanted, pass the array"):
        np.vander(X)


def test_constants_become_arrays_and_numbers():
    t = X.detach()
    assert np.asarray(t).tolist() == [1, 2, 3] and float(t[1]) == 2 and np.full(2, t[0]).tolist() == [1, 1]
