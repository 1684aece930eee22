"""`why`: one sentence on why a gradient is missing, zero or not finite."""

from __future__ import annotations

import re

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, detect_anomaly, why
from leaves import leaf


def test_why_a_gradient_is_missing_or_zero():
    w, x, other = leaf(2.0), leaf(-3.0), leaf(1.0)
    assert "without requires_grad" in why(Tensor(1.0))
    assert "result of multiply" in why(w * 2)
    assert "no backward() has reached it" in why(w)
    loss = np.maximum(w * x, 0.0) + other
    assert "backward() has not been called" in why(w, loss)
    assert "no path of recorded ops" in why(leaf(1.0), loss)
    loss.backward(retain_graph=True)
    assert "all paths end at maximum" in why(w, loss)
    assert "nothing is wrong" in why(other, loss)
    assert "does not hold it" in why(w, optimizer=nn.SGD([other], lr=0.1))
    loss.backward()
    assert "already freed" in why(w, loss)
    assert "all paths contain factors of 0" in why(w)
    w.grad = Tensor(np.nan)
    assert "1 of 1 elements" in why(w)


def test_why_finds_where_the_gradient_was_cut():
    w = leaf(2.0)
    with detect_anomaly():
        y = (w * 3).detach() * 2  # cut here
        z = leaf(1.0) * y
        z.backward()
    assert "cut off by detach() in test_why.py" in why(w) and "# cut here" in why(w)
    assert "# cut here" in why(w, z * leaf(1.0))
    with detect_anomaly():
        with autograd.no_grad():
            y = w * 3  # not recorded
        (leaf(1.0) * y).backward()
    assert "no_grad()" in why(w) and "# not recorded" in why(w)
    with detect_anomaly():
        (leaf(1.0) * w.astype(int)).backward()  # whole numbers
    assert "# whole numbers" in why(w)


def test_why_of_paths_that_cancel_and_of_changed_values():
    x = leaf(3.0)
    loss = x * 2 - x * 2
    loss.backward(retain_graph=True)
    assert "arrives on its paths adds up to 0" in why(x, loss)
    assert "records nothing" in why(x, Tensor(1.0))
    w = leaf(2.0)
    loss = w * w * 0.0
    loss.backward(retain_graph=True)
    assert "all paths end at multiply" in why(w, loss)
    w.assign(5.0)
    assert "was replaced" in why(w, loss)
    y = leaf(1.0)
    y.backward(np.array(0.0))
    assert "it is the loss itself" in why(y, y)


def test_why_names_every_kind_of_cut():
    for program, words in (
        (lambda w: w.astype(np.int64) * 1.0, r"cut off by astype\(int64\) in test_why"),
        (lambda w: w.detach() * 1.0, r"cut off by detach\(\) in test_why"),
        (lambda w: (w > 1.0) * Tensor(1.0), r"cut off by greater\(\), which has no gradient"),
        (lambda w: np.argmax(w) * Tensor(1.0), r"cut off by argmax\(\), which has no gradient"),
    ):
        w, v = leaf(1.0, 2.0), leaf(1.0)
        with detect_anomaly():
            loss = np.sum(program(w * 1.0) * v)
            loss.backward(retain_graph=True)
        assert autograd.why(v, loss).startswith("nothing is wrong")
        for said in (why(w), why(w, loss)):
            assert re.search(words, said), said
        loss.backward()
        assert "already freed" in why(w, loss) and "cut off by" in why(w, loss)


def test_a_cut_that_was_meant_comes_before_one_for_a_mask():
    w = leaf(1.0, 2.0)
    with detect_anomaly():
        mask = w > 1.0
        (w.detach() * mask * leaf(1.0)).sum().backward()
    assert "detach()" in why(w)


def test_why_sees_hooks_and_sums_inside():
    w = leaf(1.0)
    for program, words in (
        (lambda y: [y.register_hook(lambda g: g * 0), y * 3][1], "a hook on the result of multiply makes it 0"),
        (lambda y: (y * 2 - y * 2) * 3, "adds up to 0"),
    ):
        w.grad = None
        loss = program(w * 2)
        loss.backward(retain_graph=True)
        assert words in why(w, loss)
    handle = w.register_hook(lambda g: g * 0)
    w.grad, loss = None, w * 2
    loss.backward(retain_graph=True)
    assert "a hook on the parameter makes it 0" in why(w, loss)
    handle.remove()


def test_why_of_a_long_chain_takes_no_time():
    w = leaf(1.0)
    y = np.maximum(-w, 0.0)
    for _ in range(20_000):
        y = y * 1.0
    y.backward(retain_graph=True)
    assert "all paths end at maximum" in why(w, y)


def test_why_takes_tensors():
    model = nn.Linear(2, 1)
    for program, words in (
        (lambda: why(model), r"got Linear; ask for each: for p in model.parameters\(\)"),
        (lambda: why(np.ones(2)), "takes a parameter, which is a Tensor; got ndarray"),
        (lambda: why(model.weight, 5.0), "takes a loss, which is a Tensor; got float"),
        (lambda: why(model.weight, optimizer=[model.weight]), "takes an optimizer, .* got list"),
    ):
        with pytest.raises(TypeError, match=words):
            program()
    for p in model.parameters():
        assert "no backward() has reached it" in why(p)
    assert "frozen" in why(model.requires_grad_(False).weight)
