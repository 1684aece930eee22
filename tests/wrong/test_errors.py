"""Error messages: what was given, what was expected, and what to do."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import autograd
import nn
from autograd import GraphError, Tensor
from leaves import leaf


def own_op(rule, forward=lambda x: x * 2.0):
    return autograd.differentiable(forward, rule, name="own_op")


def switched_on(tensor):
    tensor.requires_grad = True
    return tensor


MODEL = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
ONES, LABELS = np.ones((2, 2), np.float32), np.array([0, 1])
SGD, MASK = nn.SGD, np.array([True, False])


def loss(model=MODEL):
    return nn.functional.cross_entropy(model(ONES), LABELS)


def stepped(x):
    """A graph whose leaf was replaced before backward."""
    y = (x * x).sum()
    x.assign(x.data * 2)
    return y


# A program that is wrong; the error, and words of its message; the program after the repair that the message suggests.
TABLE = [
    # backward
    (lambda x: x.backward(), ValueError, "reduce to one real number", lambda x: x.sum().backward()),
    (
        lambda x: (x * 2).backward(np.ones(3)),
        ValueError,
        r"\(3,\) for a Tensor of shape \(2,\)",
        lambda x: (x * 2).backward(np.ones(2)),
    ),
    (lambda x: x.detach().sum().backward(), GraphError, "requires_grad=True", lambda x: x.sum().backward()),
    (lambda x: twice(x.sum()), GraphError, "retain_graph=True", lambda x: twice(x.sum(), retain_graph=True)),
    (lambda x: x.backward(np.ones(2) * 1j), TypeError, "complex gradient", lambda x: x.backward(np.ones(2))),
    (lambda x: (x * 1j).sum().backward(), ValueError, "one real number", lambda x: np.abs(x * 1j).sum().backward()),
    (lambda x: stepped(x).backward(), GraphError, "run the forward pass again", lambda x: (x * x).sum().backward()),
    (lambda x: under_no_grad(x).backward(), GraphError, r"no_grad\(\)", lambda x: (x * x).sum().backward()),
    # what a Tensor is
    (
        lambda x: Tensor([1, 2], requires_grad=True),
        TypeError,
        "pass dtype=float",
        lambda x: Tensor([1, 2], requires_grad=True, dtype=float),
    ),
    (
        lambda x: (switched_on(Tensor([1, 2])) * 2.5).sum().backward(),
        TypeError,
        "requires_grad=True needs a floating-point",
        lambda x: (switched_on(Tensor([1.0, 2.0])) * 2.5).sum().backward(),
    ),
    (lambda x: Tensor(1.0, name=5), TypeError, "is a string", lambda x: Tensor(1.0, name="5")),
    (lambda x: Tensor(["a"]), TypeError, "holds numbers", lambda x: Tensor([1.0])),
    (lambda x: x.item(), ValueError, "exactly one", lambda x: x[0].item()),
    (lambda x: float(x[0]), TypeError, r"t.detach\(\) in place of t", lambda x: float(x[0].detach())),
    (lambda x: math.sin(x[0]), TypeError, "np.sin takes the Tensor", lambda x: np.sin(x[0]).backward()),
    (
        lambda x: np.zeros(2).__setitem__(0, x[0]),
        ValueError,
        "sequence",
        lambda x: autograd.set_at(np.zeros(2), 0, x[0]).sum().backward(),
    ),
    (lambda x: np.asarray(x), TypeError, r"t.detach\(\) in place of t", lambda x: np.asarray(x.detach())),
    (lambda x: x.__setitem__(0, 1.0), TypeError, "set_at", lambda x: autograd.set_at(x, 0, 1.0).sum().backward()),
    (lambda x: (x * 2).assign(x), TypeError, "compute a new one", lambda x: x.assign(x.data * 2)),
    (
        lambda x: x.assign(np.ones(3)),
        ValueError,
        r"shape \(3,\) for a Tensor of shape \(2,\)",
        lambda x: x.assign(np.ones(2)),
    ),
    (
        lambda x: autograd.as_tensor(x.data, np.float32) + autograd.as_tensor(x, np.float32),
        TypeError,
        "use astype",
        lambda x: x.astype(np.float32),
    ),
    (lambda x: copy.deepcopy(x * 2), TypeError, r"use its .detach\(\)", lambda x: copy.deepcopy((x * 2).detach())),
    # NumPy
    (lambda x: x + np.ones(3), ValueError, r"add of shapes \(2,\) and \(3,\)", lambda x: x + np.ones(2)),
    (lambda x: x @ np.ones(3), ValueError, r"matmul of shapes \(2,\) and \(3,\)", lambda x: x @ np.ones(2)),
    (lambda x: x.sum(axis=3), ValueError, "axis 3", lambda x: x.sum(axis=0)),
    (lambda x: x[7], IndexError, "getitem", lambda x: x[1]),
    (lambda x: np.exp(x, out=np.ones(2)), TypeError, "x = x", lambda x: np.exp(x)),
    (lambda x: np.ones(2).__iadd__(x), TypeError, "x = x", lambda x: np.ones(2) + x),
    (lambda x: np.sum(x, out=np.empty(())), TypeError, "out", lambda x: np.sum(x)),
    (lambda x: np.polyfit(x, x, 1), TypeError, r"t.detach\(\).data", lambda x: np.polyfit(x.detach().data, x.data, 1)),
    (lambda x: np.histogram(x), TypeError, r"t.detach\(\).data", lambda x: np.histogram(x.detach().data)),
    (
        lambda x: np.add.reduceat(x, [0]),
        TypeError,
        "np.add.reduceat has no derivative rule",
        lambda x: np.add.reduce(x),
    ),
    (lambda x: np.add(x, [x, x]), TypeError, "autograd.stack", lambda x: np.add(x, autograd.stack([x, x]))),
    (lambda x: x * np.array([1, 2], dtype=object), TypeError, "objects", lambda x: x * np.array([1, 2])),
    (lambda x: x + "word", TypeError, "cannot compute with str", lambda x: x + 1.0),
    (
        lambda x: x + np.ma.array([1.0, 2.0], mask=MASK),
        TypeError,
        "autograd.where",
        lambda x: x + autograd.where(MASK, 1.0, 0.0),
    ),
    (
        lambda x: x + np.ones((1, 1)).view(np.matrix),
        TypeError,
        "np.asarray",
        lambda x: x + np.asarray(np.ones((1, 1)).view(np.matrix)),
    ),
    (lambda x: autograd.set_at(x, [0, 0], 1.0), ValueError, "twice", lambda x: autograd.add_at(x, [0, 0], 1.0)),
    (lambda x: np.max(x, where=MASK), ValueError, "needs initial=", lambda x: np.max(x, where=MASK, initial=-np.inf)),
    (
        lambda x: np.linalg.svd(x * np.ones((3, 2))),
        ValueError,
        "full_matrices=False",
        lambda x: np.linalg.svd(x * np.ones((3, 2)), full_matrices=False),
    ),
    (lambda x: np.ravel(x, order="K"), ValueError, "'C' or 'F'", lambda x: np.ravel(x, order="C")),
    # functions
    (lambda x: autograd.grad(x), TypeError, r"call its backward\(\)", lambda x: x.sum().backward()),
    (
        lambda x: autograd.grad(lambda t: t)(np.ones(2)),
        ValueError,
        "one real number",
        lambda x: autograd.grad(lambda t: t.sum())(np.ones(2)),
    ),
    (
        lambda x: autograd.grad(lambda t: None)(1.0),
        TypeError,
        "returned NoneType",
        lambda x: autograd.grad(lambda t: t)(1.0),
    ),
    (
        lambda x: autograd.grad(np.sum)(np.array([1, 2])),
        TypeError,
        "pass a floating-point array",
        lambda x: autograd.grad(np.sum)(np.array([1.0, 2.0])),
    ),
    (
        lambda x: autograd.grad(np.sum, (0, 0))(np.ones(2)),
        ValueError,
        "twice",
        lambda x: autograd.grad(np.sum, (0,))(np.ones(2)),
    ),
    (
        lambda x: autograd.grad(np.sum, 1)(np.ones(2)),
        TypeError,
        "called with 1",
        lambda x: autograd.grad(np.sum, 0)(np.ones(2)),
    ),
    (lambda x: autograd.no_grad(5), TypeError, "decorate functions", lambda x: autograd.no_grad(np.sum)(x)),
    (
        lambda x: own_op(lambda g, _y, x: None)(x).backward(np.ones(2)),
        TypeError,
        "rule returned None",
        lambda x: own_op(lambda g, _y, x: g * 2)(x).backward(np.ones(2)),
    ),
    (
        lambda x: own_op(lambda g, _y, _x: np.ones(5))(x).sum().backward(),
        GraphError,
        r"shape \(5,\) for an input of shape \(2,\)",
        lambda x: own_op(lambda g, *_: g * 2)(x).sum().backward(),
    ),
    (lambda x: own_op(np.exp), TypeError, "written with def or lambda", lambda x: own_op(lambda g, *_: np.exp(g))),
    (
        lambda x: own_op(lambda g, *_: g, lambda x: (x, x))(x),
        TypeError,
        "returns one array",
        lambda x: own_op(lambda g, *_: g)(x),
    ),
    (
        lambda x: autograd.differentiable(lambda x: x, lambda g, *_: g),
        ValueError,
        "needs a name",
        lambda x: own_op(lambda g, *_: g),
    ),
    # nn
    (lambda x: MODEL(np.ones((2, 5), np.float32)), ValueError, "last axis has length 2", lambda x: MODEL(ONES)),
    (lambda x: nn.functional.cross_entropy(MODEL(ONES), [0, 2]), ValueError, "2 classes", lambda x: loss()),
    (lambda x: nn.functional.cross_entropy(MODEL(ONES), [0, -1]), ValueError, "label -1", lambda x: loss()),
    (lambda x: nn.functional.cross_entropy(MODEL(ONES), [0.0, 1.0]), TypeError, "integers", lambda x: loss()),
    (
        lambda x: nn.functional.cross_entropy(MODEL(ONES), [0]),
        ValueError,
        "one integer label per row",
        lambda x: loss(),
    ),
    (
        lambda x: nn.functional.mse_loss(np.ones((5, 1)), np.ones(5)),
        ValueError,
        "reshape one",
        lambda x: nn.functional.mse_loss(np.ones((5, 1)), np.ones(5).reshape(5, 1)),
    ),
    (lambda x: nn.Sequential(np.tanh), TypeError, "takes modules", lambda x: nn.Sequential(nn.Tanh())),
    (lambda x: nn.Module()(x), TypeError, "def forward", lambda x: nn.Tanh()(x)),
    # warnings, which are errors in these tests
    (lambda x: stepping(x, forget=False), UserWarning, r"zero_grad\(\)", lambda x: stepping(x, forget=True)),
    (
        lambda x: nn.CrossEntropyLoss()(nn.functional.softmax(MODEL(ONES)), LABELS),
        UserWarning,
        "leave out the softmax",
        lambda x: nn.CrossEntropyLoss()(MODEL(ONES), LABELS),
    ),
    (
        lambda x: nn.CrossEntropyLoss()(nn.functional.softmax(MODEL(ONES)), LABELS),
        UserWarning,
        "log-probabilities to NLLLoss",
        lambda x: nn.NLLLoss()(np.log(nn.functional.softmax(MODEL(ONES))), LABELS),
    ),
    (
        lambda x: own_model_under_no_grad().backward(),
        GraphError,
        r"computed under no_grad\(\)",
        lambda x: loss().backward(),
    ),
    (lambda x: SGD([], lr=0.1), ValueError, "parameter", lambda x: SGD(MODEL.parameters(), lr=0.1)),
    (lambda x: SGD(MODEL.parameters(), lr=-1), ValueError, "at least 0", lambda x: SGD(MODEL.parameters(), lr=1)),
]


def twice(y, **options):
    y = y * 1.0
    y.backward(**options)
    y.backward()


def stepping(x, forget):
    optimizer = SGD([x], lr=0.1)
    for _ in range(2):
        if forget:
            optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()


def own_model_under_no_grad():
    with autograd.no_grad():
        return loss()


def under_no_grad(x):
    with autograd.no_grad():
        return (x * x).sum()


def test_the_table_is_long():
    assert len(TABLE) >= 40


@pytest.mark.parametrize(("program", "kind", "words", "repair"), TABLE, ids=[row[2] for row in TABLE])
def test_errors_say_what_to_do_and_it_works(program, kind, words, repair):
    with pytest.raises(kind, match=words):
        program(leaf(1.0, 2.0))
    x = leaf(1.0, 2.0)
    repair(x)
    assert x.grad is None or np.isfinite(x.grad.data).all()


def test_the_line_of_a_numpy_warning_is_found_as_the_documents_say():
    x = leaf(1.0, -1.0)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        np.log(x)
    with autograd.detect_anomaly(), pytest.raises(autograd.AnomalyError, match=r"test_errors.py.*np.log"):
        np.log(x)
