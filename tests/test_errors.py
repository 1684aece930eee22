"""What the errors say: what was given, what was expected, and what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd
from autograd import GraphError, Tensor


def leaf(*numbers):
    return Tensor(np.array(numbers) if len(numbers) != 1 else numbers[0], requires_grad=True)


def own_op(rule, forward=lambda x: x * 2.0):
    return autograd.differentiable(forward, rule, name="own_op", cases=[])


def switched_on(tensor):
    tensor.requires_grad = True
    return tensor


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        (lambda x: x.backward(), ValueError, "reduce to one real number"),
        (lambda x: (x * 2).backward(np.ones(3)), ValueError, r"\(3,\) for a Tensor of shape \(2,\)"),
        (lambda x: Tensor([1, 2], requires_grad=True), TypeError, "floating-point"),
        (lambda x: x + np.ones(3), ValueError, r"add of shapes \(2,\) and \(3,\)"),
        (lambda x: x @ np.ones(3), ValueError, r"matmul of shapes \(2,\) and \(3,\)"),
        (lambda x: x.__setitem__(0, 1.0), TypeError, "set_at"),
        (lambda x: x.detach().sum().backward(), GraphError, "records nothing"),
        (lambda x: float(x[0]), TypeError, r"write t.item\(\)"),
        (lambda x: math.sin(x[0]), TypeError, "NumPy's functions"),
        (lambda x: np.zeros(2).__setitem__(0, x[0]), ValueError, "sequence"),
        (lambda x: (switched_on(Tensor([1, 2])) * 2.5).sum().backward(), TypeError, "whole numbers have no gradient"),
        (lambda x: x + np.ones((1, 1)).view(np.matrix), TypeError, "np.asarray"),
        (lambda x: autograd.grad(lambda t: None)(1.0), TypeError, "returned NoneType"),
        (lambda x: autograd.grad(np.sum, (0, 0))(np.ones(2)), ValueError, "twice"),
        (lambda x: x.backward(np.ones(2) * 1j), TypeError, "complex gradient"),
        (lambda x: Tensor(1.0, name=5), TypeError, "name of a Tensor"),
        (lambda x: autograd.no_grad(5), TypeError, "decorate"),
        (lambda x: own_op(lambda g, _y, x: None)(x).backward(np.ones(2)), TypeError, "rule returned None"),
        (lambda x: own_op(np.exp), TypeError, "written with def or lambda"),
        (lambda x: own_op(lambda g, *_: g, lambda x: (x, x))(x), TypeError, "returned tuple"),
        (lambda x: np.polyfit(x, x, 1), TypeError, "np.polyfit has no derivative rule"),
        (lambda x: np.spacing(x), TypeError, "np.spacing has no derivative rule"),
        (lambda x: np.exp(x, out=np.ones(2)), TypeError, "out="),
        (lambda x: np.ones(2).__iadd__(x), TypeError, "x = x"),
        (lambda x: np.sum(x, out=np.empty(())), TypeError, "out"),
        (lambda x: np.asarray(x), TypeError, "drop the gradient"),
        (lambda x: x + "word", TypeError, "str"),
        (lambda x: np.add(x, [x, x]), TypeError, "stack"),
        (lambda x: x * np.array([1, 2], dtype=object), TypeError, "objects"),
        (lambda x: np.add.reduceat(x, [0]), TypeError, "np.add.reduceat has no derivative rule"),
        (lambda x: x.sum(axis=3), ValueError, "axis 3"),
        (lambda x: x[7], IndexError, "getitem"),
        (lambda x: x.item(), ValueError, "exactly one"),
        (lambda x: (x * 1j).sum().backward(), ValueError, "one real number"),
        (lambda x: x + np.ma.array([1.0, 2.0], mask=[True, False]), TypeError, "masked"),
        (lambda x: autograd.set_at(x, [0, 0], 1.0), ValueError, "twice"),
        (lambda x: autograd.grad(x), TypeError, "backward"),
        (lambda x: autograd.grad(lambda t: t)(np.ones(2)), ValueError, "one real number"),
        (lambda x: autograd.grad(np.sum)(np.array([1, 2])), TypeError, "int64"),
        (lambda x: autograd.differentiable(lambda x: x, lambda g, *_: g), ValueError, "needs a name"),
    ],
)
def test_errors_say_what_to_do(program, kind, words):
    with pytest.raises(kind, match=words):
        program(leaf(1.0, 2.0))
