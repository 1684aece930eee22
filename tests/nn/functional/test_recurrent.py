"""Recurrent layers against a loop over samples and steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd
from autograd import Tensor
from nn.functional import recurrent as module
from nn.functional.recurrent import Gru, Lstm, Rnn, recurrent

CELLS = {"tanh": Rnn(), "relu": Rnn(relu=True), "lstm": Lstm(), "gru": Gru()}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def step(kind, x, states, w_in, w, b_in, b):
    """The next states of one sample, from the formulas in PyTorch's documentation."""
    h = states[0]
    a, c = w_in @ x + b_in, w @ h + b
    if kind in ("tanh", "relu"):
        return [np.tanh(a + c) if kind == "tanh" else np.maximum(a + c, 0)]
    if kind == "lstm":
        i, f, g, o = np.split(a + c, 4)
        cell = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(cell), cell]
    (a_r, a_z, a_n), (c_r, c_z, c_n) = np.split(a, 3), np.split(c, 3)
    r, z = sigmoid(a_r + c_r), sigmoid(a_z + c_z)
    return [(1 - z) * np.tanh(a_n + r * c_n) + z * h]


@st.composite
def problems(draw):
    kind = draw(st.sampled_from(sorted(CELLS)))
    cell = CELLS[kind]
    steps, n, inputs, size = (draw(st.integers(1, most)) for most in (4, 3, 3, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [
        rng.normal(size=(steps, n, inputs)),
        rng.normal(size=(cell.gates * size, inputs)),
        rng.normal(size=(cell.gates * size, size)),
    ]
    if draw(st.booleans()):
        arrays += [rng.normal(size=cell.gates * size) for _ in range(2)]
    arrays += [rng.normal(size=(n, size)) for _ in range(cell.states)]
    counts = None
    if draw(st.booleans()):
        counts = tuple(sorted((draw(st.integers(1, n)) for _ in range(steps)), reverse=True))
        counts = (n, *counts[1:])
    return kind, arrays, {"reverse": draw(st.booleans()), "counts": counts}


def loop(kind, arrays, reverse, counts):
    """The states of every sample at every step; 0 behind its end."""
    cell = CELLS[kind]
    x, w_in, w, *rest = arrays
    size = w.shape[1]
    b_in, b = rest[:2] if len(rest) > cell.states else (np.zeros(len(w)),) * 2
    out = np.zeros((cell.states, *x.shape[:2], size))
    for i in range(x.shape[1]):
        length = len(x) if counts is None else sum(i < c for c in counts)
        states = [first[i] for first in rest[-cell.states :]]
        for t in range(length)[:: -1 if reverse else 1]:
            states = step(kind, x[t, i], states, w_in, w, b_in, b)
            out[:, t, i] = states
    return out


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_a_layer_is_a_loop_of_steps(problem, dtype):
    kind, arrays, options = problem
    found = recurrent(*(a.astype(dtype) for a in arrays), cell=CELLS[kind], **options)
    states = found[: CELLS[kind].states]
    assert states.dtype == dtype
    np.testing.assert_allclose(
        states, loop(kind, arrays, **options), rtol=1e-3, atol=1e-5 if dtype == np.float32 else 1e-10
    )
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    composed = module._composed(CELLS[kind], options["reverse"], options["counts"], *tensors)
    np.testing.assert_allclose(composed.data, recurrent(*arrays, cell=CELLS[kind], **options), rtol=1e-10, atol=1e-12)


@given(problems())
def test_derivatives_of_every_order(problem):
    """Those of the sums too, which come after the states."""
    kind, arrays, options = problem
    if kind == "relu":
        return  # its corner is anywhere; the loop above and the next test cover it
    assert autograd.gradcheck(lambda *a: recurrent(*a, cell=CELLS[kind], **options), arrays, order=2)


@settings(max_examples=150)
@given(problems(), st.booleans())
def test_the_written_rule_is_that_of_the_composition(problem, of_states):
    kind, arrays, options = problem
    cell = CELLS[kind]
    written = [Tensor(a, requires_grad=True) for a in arrays]
    composed = [Tensor(a, requires_grad=True) for a in arrays]
    out = recurrent(*written, cell=cell, **options)
    g = np.random.default_rng(0).normal(size=out.shape)
    if of_states:
        g[cell.states :] = 0
    out.backward(g)
    module._composed(cell, options["reverse"], options["counts"], *composed).backward(g)
    for a, b in zip(written, composed, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.data, rtol=1e-9, atol=1e-10)


def test_far_numbers_saturate():
    for kind, cell in CELLS.items():
        if kind == "relu":
            continue
        arrays = [np.full((2, 1, 2), 1e4), np.ones((cell.gates * 2, 2)), np.ones((cell.gates * 2, 2))]
        arrays += [np.zeros((1, 2))] * cell.states
        with np.errstate(all="raise", under="ignore"):
            leaves = [Tensor(a, requires_grad=True) for a in arrays]
            np.sum(recurrent(*leaves, cell=cell)[: cell.states]).backward()
        assert all(np.isfinite(x.grad.data).all() for x in leaves)


@pytest.mark.parametrize("kind", CELLS)
def test_no_sample_and_one_sample(kind):
    cell = CELLS[kind]
    for n in (0, 1):
        arrays = [np.zeros((3, n, 2)), np.zeros((cell.gates * 2, 2)), np.zeros((cell.gates * 2, 2))]
        leaves = [Tensor(a, requires_grad=True) for a in [*arrays, *[np.zeros((n, 2))] * cell.states]]
        out = recurrent(*leaves, cell=cell)
        np.sum(out).backward()
        assert out.shape[1:] == (3, n, 2) and all(x.grad.shape == x.shape for x in leaves)
