"""CTC by its definition, the sum over all alignments, and PyTorch's (extra `oracle`)."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nn
import nn.functional as F
from autograd import Tensor, compile, gradcheck, hessian


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def by_definition(log_probs, labels, blank):
    """Minus the log of the summed probabilities of all sequences that are `labels` without repeats and blanks."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        merged = [c for c, _ in itertools.groupby(path) if c != blank]
        if merged == list(labels):
            total += np.exp(sum(row[c] for row, c in zip(log_probs, path, strict=True)))
    return -np.log(total) if total else np.inf


def drawn(seed, classes=3, longest=5, dtype=np.float64):
    """Random inputs with lengths of which some are too short, with repeated labels, and empty targets."""
    rng = np.random.default_rng(seed)
    batch, blank = int(rng.integers(1, 4)), int(rng.integers(classes))
    logits = rng.normal(size=(longest, batch, classes)).astype(dtype) * 2
    times, counts = rng.integers(1, longest + 1, batch), rng.integers(0, 4, batch)
    targets = rng.choice([c for c in range(classes) if c != blank], (batch, 3))
    return logits, targets, times, counts, blank


@given(st.integers(0, 2**32))
def test_the_loss_is_its_definition(seed):
    logits, targets, times, counts, blank = drawn(seed)
    log_probs = log_softmax(logits)
    found = F.ctc_loss(log_probs, targets, times, counts, blank, "none")
    expected = [by_definition(log_probs[: times[i], i], targets[i, : counts[i]], blank) for i in range(len(times))]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    in_a_row = np.concatenate([row[:n] for row, n in zip(targets, counts, strict=True)])
    if len(times) > 1:
        np.testing.assert_array_equal(F.ctc_loss(log_probs, in_a_row, times, counts, blank, "none"), found)
    zeros = np.where(np.isinf(found), 0.0, found)
    np.testing.assert_array_equal(F.ctc_loss(log_probs, targets, times, counts, blank, "none", True), zeros)
    mean = (zeros / np.maximum(counts, 1)).mean()
    loss = nn.CTCLoss(blank, zero_infinity=True)(log_probs, targets, times, counts)
    np.testing.assert_allclose(loss, mean)
    single = F.ctc_loss(log_probs[:, 0], targets[0], times[0], counts[0], blank, "sum")
    np.testing.assert_allclose(single, found[0])


@given(st.integers(0, 2**32))
def test_values_and_gradients_are_pytorchs(seed):
    torch = pytest.importorskip("torch")
    logits, targets, times, counts, blank = drawn(seed, classes=6, longest=9)
    for reduction in ("mean", "sum", "none"):
        x, t = Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
        mine = F.ctc_loss(F.log_softmax(x, -1), targets, times, counts, blank, reduction, zero_infinity=True)
        theirs = torch.nn.functional.ctc_loss(
            torch.log_softmax(t, -1), *map(torch.tensor, (targets, times, counts)), blank, reduction, zero_infinity=True
        )
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
        mine.sum().backward()
        theirs.sum().backward()
        np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-8, atol=1e-10)


@given(st.integers(0, 2**32))
def test_derivatives(seed):
    logits, targets, _, counts, blank = drawn(seed, longest=7)
    times = np.full(logits.shape[1], 7)
    times[-1] = 6

    def loss(x):
        return F.ctc_loss(F.log_softmax(x, -1), targets, times, counts, blank)

    assert gradcheck(loss, logits, rtol=1e-4)
    assert gradcheck(lambda x: F.ctc_loss(x, targets, times, counts, blank), log_softmax(logits), rtol=1e-4)


def test_second_derivatives_and_compiled_steps():
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    labels, times, counts = np.array([[1, 1], [2, 1]]), np.array([4, 3]), np.array([2, 1])

    def loss(x):
        return F.ctc_loss(F.log_softmax(x, -1), labels, times, counts)

    exact, step = hessian(loss)(x).reshape(24, 24), 1e-5
    for i in range(0, 24, 5):
        gradients = []
        for sign in (1, -1):
            moved = Tensor(x + sign * step * (np.arange(24) == i).reshape(x.shape), requires_grad=True)
            loss(moved).backward()
            gradients.append(moved.grad.data.ravel())
        np.testing.assert_allclose(exact[i], (gradients[0] - gradients[1]) / (2 * step), rtol=1e-4, atol=1e-8)
    run = compile(lambda x: loss(x))
    for _ in range(3):
        np.testing.assert_allclose(run(x), loss(x), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_long_sequences_of_every_dtype_are_finite(dtype):
    x = Tensor(np.random.default_rng(0).normal(size=(200, 2, 5)).astype(dtype), requires_grad=True)
    loss = F.ctc_loss(F.log_softmax(x, -1), np.array([[1, 2, 2], [3, 4, 1]]), [200, 150], [3, 3])
    loss.backward()
    assert loss.dtype == x.grad.dtype == dtype and np.isfinite(loss.data) and np.isfinite(x.grad.data).all()
    assert not x.grad.data[150:, 1].any()


def test_what_cannot_be_aligned_is_infinite_without_a_gradient():
    x = Tensor(log_softmax(np.zeros((2, 1, 3))), requires_grad=True)
    loss = F.ctc_loss(x, [[1, 1]], [2], [2], reduction="sum")  # a blank is needed between equal labels
    assert loss.item() == np.inf
    loss.backward()
    assert not x.grad.data.any()
    certain = np.log(np.array([[[1e-300, 1.0]], [[1.0, 1e-300]]]))
    certain[certain < -600] = -np.inf
    assert F.ctc_loss(certain, [[1]], [2], [1]).item() == 0.0


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ((np.zeros(3), [[1]], [1], [1]), ValueError, r"log_probs are \(time, batch, classes\); got shape \(3,\)"),
        ((np.zeros((0, 1, 3)), [[1]], [0], [1]), ValueError, "log_probs are"),
        ((np.zeros((4, 1, 3)), [[1]], [5], [1]), ValueError, "input_lengths are from 0 to 4; got 5 to 5"),
        ((np.zeros((4, 1, 3)), [[1]], [4, 4], [1]), ValueError, "input_lengths are 1 integers"),
        ((np.zeros((4, 1, 3)), [[1]], [4.0], [1]), ValueError, "input_lengths are 1 integers; got float64"),
        ((np.zeros((4, 1, 3)), [[1]], [4], [2]), ValueError, "target_lengths are from 0 to 1"),
        ((np.zeros((4, 1, 3)), [[3]], [4], [1]), ValueError, "label 3 is not one of 3 classes"),
        ((np.zeros((4, 1, 3)), [[0]], [4], [1]), ValueError, "label 0 is not one of 3 classes, or is the blank 0"),
        ((np.zeros((4, 1, 3)), [[1.0]], [4], [1]), TypeError, "targets are class indices, integers; got float64"),
        ((np.zeros((4, 2, 3)), [1, 2, 1], [4, 4], [1, 1]), ValueError, "2 labels are needed; got targets of shape"),
        ((np.zeros((4, 1, 3)), [[1]], [4], [1], 3), ValueError, "blank is one of the 3 classes; got 3"),
        ((np.zeros((4, 1, 3)), [[1]], [4], [1], 0, "all"), ValueError, "reduction is"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, kind, words):
    with pytest.raises(kind, match=words):
        F.ctc_loss(*arguments)
