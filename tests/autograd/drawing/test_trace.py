"""Backpropagation step by step: the steps add up to the gradients, and rules read as mathematics."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
from autograd import OPS, GraphError, Tensor, trace, watch
from autograd.drawing.mathematics import mathematics
from graphs import leaf


def model_and_loss(watched=True):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 0, 1, 1])
    with watch() if watched else autograd.enable_grad():
        return model, nn.CrossEntropyLoss()(model(x), y)


@pytest.mark.parametrize("watched", [True, False])
def test_the_last_sum_of_every_parameter_is_its_gradient(watched):
    model, loss = model_and_loss(watched)
    steps = trace(loss, model)
    totals = {step.target: step.total for step in steps}
    assert all(p.grad is None for p in model.parameters())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert np.array_equal(totals[name], parameter.grad.data)
    if watched:
        assert len(trace(loss, model)) == len(steps)


def test_contributions_are_counted_and_summed():
    x, w = leaf(3.0, name="x"), leaf(2.0, name="w")
    steps = trace(np.sin(x * w) + x**2)
    to_x = [step for step in steps if step.target == "x"]
    assert [(s.arrived, s.expected) for s in to_x] == [(1, 2), (2, 2)]
    assert to_x[1].total == to_x[0].contribution + to_x[1].contribution
    assert to_x[1].rule == "g · w" and to_x[0].rule == "g · 2 · x^(2 - 1)"
    assert "multiply takes dL/d(multiply) and sends g · w to x" in to_x[1].sentence
    assert "contribution 2 of 2, which completes the sum" in to_x[1].sentence
    assert [s.number for s in steps] == list(range(1, 7))


def test_a_trace_prints_as_a_table_and_escapes_names():
    x = leaf(1.0, 2.0, name="<script>x")
    table = trace((x * x).sum())
    lines = str(table).splitlines()
    assert len(lines) == 1 + len(table) and lines[0].split()[:2] == ["step", "op"]
    assert "<script>" not in table._repr_html_() and "&lt;script&gt;x" in table._repr_html_()


def test_errors_for_what_cannot_be_traced():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match="no graph to trace"):
        trace(Tensor(1.0))
    with pytest.raises(ValueError, match="one element"):
        trace(x * x)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(GraphError, match="freed by backward"):
        trace(loss)


def rules_of(op):
    return [op.every] if op.every else list(op.rules)


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if rules_of(op)))
def test_every_rule_of_the_registry_has_mathematics(name):
    for rule in rules_of(OPS[name]):
        text = mathematics(rule)
        assert text and "lambda" not in text and "np." not in text and text.count("(") == text.count(")")


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ("multiply", ["g · y", "g · x"]),
        ("tanh", ["g / cosh(x)²"]),
        ("sqrt", ["g · 0.5 / (y + 0.0)"]),
        ("matmul", ["g @ yᵀ", "xᵀ @ g"]),
        ("linear", ["g @ weight", "gᵀ @ x", "g"]),
        ("mean", ["g / n"]),
        ("softmax_cross_entropy", ["g · (softmax(logits) - target)", "-g[..., None] · log_softmax(logits)"]),
        ("relu", ["keep_where(g, mask=y != 0)"]),
    ],
)
def test_rules_read_as_mathematics(op, said):
    assert [mathematics(rule) for rule in rules_of(OPS[op])] == said


def test_a_leaf_that_no_longer_exists_keeps_its_name():
    def loss():
        weight = Tensor([1.0, 2.0], requires_grad=True, name="slope")
        return (weight * 3.0).sum()

    assert "slope" in str(autograd.trace(loss()))
    assert "slope" in autograd.draw(loss()).source


def test_an_op_of_more_inputs_than_fit_into_a_picture_folds_inputs():
    total = np.stack([Tensor(1.0, requires_grad=True) for _ in range(400)]).sum()
    assert "250 inputs" in autograd.draw(total, run_backward=True).source
