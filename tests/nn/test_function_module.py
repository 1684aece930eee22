"""Modules made of a function: which arguments a call passes, and which the class keeps."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest

import nn


def scaled(x, by, offset=0.0):
    """x times a number, plus another."""
    return x * by + offset


class Scaled(nn.FunctionModule, function=scaled, inputs=1): ...


class Free(nn.FunctionModule, function=scaled): ...


def test_with_inputs_the_class_keeps_what_has_no_default_too():
    assert list(inspect.signature(Scaled).parameters) == ["by", "offset"]
    assert list(inspect.signature(Free).parameters) == ["offset"]
    x = np.ones(2)
    np.testing.assert_array_equal(Scaled(2.0, offset=1.0)(x), [3, 3])
    np.testing.assert_array_equal(Scaled(by=2.0)(x), [2, 2])
    np.testing.assert_array_equal(Free(1.0)(x, 2.0), [3, 3])


def test_what_is_kept_can_be_shown_copied_and_changed():
    module = Scaled(2.0)
    assert module.describe() == "by=2.0" and Scaled(2.0, 1.0).describe() == "by=2.0, offset=1.0"
    other = copy.deepcopy(module)
    other.by = 5.0
    assert other(np.ones(1)) == 5 and module(np.ones(1)) == 2


def test_a_missing_or_unknown_argument_is_named():
    with pytest.raises(TypeError, match=r"Scaled\(by, offset=0.0\): missing a required argument: 'by'"):
        Scaled()
    with pytest.raises(TypeError, match=r"Scaled\(.*unexpected keyword argument 'x'"):
        Scaled(2.0, x=1)
