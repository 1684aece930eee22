"""Pooling modules call their functions."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F

X = np.random.default_rng(0).normal(size=(2, 3, 7, 8))


def test_modules_pass_their_options_on():
    for module, expected in [
        (nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), F.max_pool2d(X, 3, 2, 1, 1, True)),
        (nn.AvgPool2d((3, 2), count_include_pad=False, padding=1), F.avg_pool2d(X, (3, 2), None, 1, False, False)),
        (nn.AdaptiveAvgPool2d((2, None)), F.adaptive_avg_pool2d(X, (2, None))),
        (nn.AdaptiveMaxPool2d(3), F.adaptive_max_pool2d(X, 3)),
    ]:
        np.testing.assert_array_equal(module(X), expected)
    y, places = nn.MaxPool2d(2, return_indices=True)(X)
    np.testing.assert_array_equal(
        y, X.reshape(2, 3, -1)[np.arange(2)[:, None, None, None], np.arange(3)[:, None, None], places]
    )


def test_shown_are_the_options_that_were_chosen():
    assert nn.MaxPool2d(2).describe() == "kernel_size=2"
    assert nn.AvgPool2d(2, ceil_mode=True).describe() == "kernel_size=2, ceil_mode=True"


def test_an_option_is_missing_or_unknown():
    with pytest.raises(TypeError, match=r"MaxPool2d.*missing a required argument: 'kernel_size'"):
        nn.MaxPool2d()
    with pytest.raises(TypeError, match=r"AvgPool2d.*unexpected keyword argument 'size'"):
        nn.AvgPool2d(2, size=3)
