"""Padding modules against NumPy's pad."""

from __future__ import annotations

import numpy as np
import pytest

import nn

MODES = {"ZeroPad": "constant", "ReflectionPad": "reflect", "ReplicationPad": "edge", "CircularPad": "wrap"}


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_number_or_two_for_each_axis(name, axes):
    x = np.random.default_rng(0).normal(size=(2, 2, *(4,) * axes))
    kind = getattr(nn, f"{name}{axes}d")
    around = [(0, 0)] * 2
    np.testing.assert_array_equal(kind(2)(x), np.pad(x, around + [(2, 2)] * axes, mode=MODES[name]))
    pairs = [(1, 2), (0, 3), (2, 1)][:axes]
    given = [n for pair in pairs for n in pair]
    np.testing.assert_array_equal(kind(given)(x), np.pad(x, around + pairs[::-1], mode=MODES[name]))


def test_a_constant():
    x = np.ones((1, 2, 3))
    np.testing.assert_array_equal(nn.ConstantPad1d(1, 5.0)(x), np.pad(x, [(0, 0), (0, 0), (1, 1)], constant_values=5))
    assert nn.ConstantPad1d((1, 2), 5.0).describe() == "(1, 2), value=5.0"


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"ZeroPad2d: padding is one number or 4; got \(1, 2\)"):
        nn.ZeroPad2d((1, 2))
    with pytest.raises(ValueError, match=r"ReflectionPad1d\(\(3, 3\)\).*within the input.*\(1, 3\)"):
        nn.ReflectionPad1d(3)(np.zeros((1, 3)))
