"""Every rewrite can be left out alone: programs without it compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Tensor, compile
from autograd.compiling.rewrites import RULES
from compiled_steps import X, Y, agree, close, pair
from programs import Program

SEEDS = range(12)


def results(function, leaves):
    out = function(*leaves)
    found = [out, *(leaf.grad for leaf in leaves)]
    for leaf in leaves:
        leaf.grad = None
    return found


@pytest.fixture(params=[*RULES, "none of those that change rounding"])
def rule(request, monkeypatch):
    for name, (rounds, _) in RULES.items():
        if name == request.param or (rounds and request.param not in RULES):
            monkeypatch.setitem(RULES, name, (rounds, lambda program, _: program))
    return request.param


@pytest.mark.parametrize("seed", SEEDS)
def test_programs_without_a_rewrite_compute_the_same(rule, seed):
    program = Program(seed, 30)

    def both(*leaves):
        out = program(*leaves)
        out.backward()
        return out

    compiled = compile(both, audit=False)
    for _ in range(4):
        leaves = [Tensor(x, requires_grad=True) for x in program.inputs]
        others = [Tensor(x, requires_grad=True) for x in program.inputs]
        for a, b in zip(results(compiled, leaves), results(both, others), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-9 * np.abs(b.data).max(initial=0.0))
    assert compiled.stats.compiles == 1


@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), nn.Adam])
def test_steps_without_a_rewrite_do_the_same(rule, make):
    (step, model, _), (eager, other, _) = pair(make)
    for _ in range(6):
        close(step(X, Y), eager(X, Y))
        agree(model, other)
    assert step.stats.compiles == 1 and step.stats.eager == 0
