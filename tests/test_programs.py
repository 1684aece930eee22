"""A few of the random programs that `make soak` runs by the hundred thousand, and the check that they are a check."""

from __future__ import annotations

import numpy as np
import pytest
from programs import ONE, TWO, Program, disagreement

from autograd import OPS


@pytest.mark.parametrize("seed", range(150))
def test_a_random_program_agrees_with_differences(seed):
    assert disagreement(Program(seed)) == ""


def test_programs_are_made_of_everything():
    used = {step.name for seed in range(300) for step in Program(seed).steps}
    assert used == {*ONE, *TWO}
    assert max(len(Program(seed).steps) for seed in range(50)) > 40


def test_a_wrong_rule_does_not_pass():
    op = OPS["tanh"]
    right = op.rules
    op.rules = [lambda g, y, _x: g * (1.0 - y * y) * 1.0001]
    try:
        found = [disagreement(Program(seed)) for seed in range(60)]
    finally:
        op.rules = right
    assert any("gradient" in text for text in found)
    assert np.mean([text == "" for text in found]) < 0.9
