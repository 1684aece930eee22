"""A few of the random programs that `make soak` runs by the hundred thousand, and a test that the check can fail."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
from autograd import OPS, Tensor
from compiled import differences
from programs import ONE, TWO, Program, disagreement, ops_of


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_a_random_program_agrees_with_differences(seed):
    assert disagreement(Program(seed)) == ""


@pytest.mark.slow
def test_programs_are_made_of_everything():
    used = {step.name for seed in range(300) for step in Program(seed).steps}
    assert used == {*ONE, *TWO}
    assert len({name for seed in range(300) for name in ops_of(Program(seed))}) > 100
    assert max(len(Program(seed).steps) for seed in range(50)) > 40


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_compiled_program_agrees_with_the_eager_one(seed):
    assert not any(differences(Program(seed, 12)))


def test_a_compiled_program_that_is_off_by_a_bit_does_not_pass(monkeypatch):
    def compile_wrongly(function, exact=True):
        def off(*leaves):
            out = function(*leaves)
            leaves[0].grad = Tensor(np.nextafter(leaves[0].grad.data, np.inf))
            return out

        return off

    program = Program(3, 12)
    monkeypatch.setattr("compiled.MODES", {"exact": {"exact": True}})
    monkeypatch.setattr(autograd, "compile", compile_wrongly)
    found = differences(program)
    assert found[0].startswith("compiled, exact: gradient of input 0 is off by") and "second derivative" in found[1]
    monkeypatch.setattr("compiled.MODES", {"not exact": {"exact": False}})
    assert not any(differences(program))


def test_a_wrong_rule_does_not_pass():
    op = OPS["tanh"]
    right = op.rules
    op.rules = [lambda g, _y, x: g * (1.0 - np.tanh(x) ** 2) * 1.0001]
    try:
        found = [disagreement(Program(seed)) for seed in range(60)]
    finally:
        op.rules = right
    assert any("gradient" in text for text in found)
    assert np.mean([text == "" for text in found]) < 0.9
