"""Layers that standardise: training and eval, their averages, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_batch_norm_uses_the_batch_and_later_its_averages(axes):
    x = RNG.normal(size=(4, 3, *(2,) * axes)) * 2 + 1
    layer = getattr(nn, f"BatchNorm{axes}d")(3, momentum=0.5, dtype=float)
    around = (0, *range(2, x.ndim))
    np.testing.assert_allclose(layer(x).data, F.standardize(x, axis=around))
    np.testing.assert_allclose(layer.running_mean.data, 0.5 * x.mean(around))
    np.testing.assert_allclose(layer.running_var.data, 0.5 + 0.5 * x.var(around, ddof=1))
    column = (1, -1, *(1,) * axes)
    mean, var = (layer.state_dict()[name].reshape(column) for name in ("running_mean", "running_var"))
    np.testing.assert_allclose(layer.eval()(x).data, (x - mean) / np.sqrt(var + 1e-5))
    assert layer.state_dict()["num_batches_tracked"] == 1


def test_without_momentum_the_average_is_that_of_all_batches():
    batches = RNG.normal(size=(4, 5, 3))
    layer = nn.BatchNorm1d(3, momentum=None, dtype=float)
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.data, batches.mean((0, 1)))
    np.testing.assert_allclose(layer.running_var.data, batches.var(1, ddof=1).mean(0))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_instance_norm_treats_every_sample_alone(axes):
    x = RNG.normal(size=(4, 3, *(2,) * axes))
    layer = getattr(nn, f"InstanceNorm{axes}d")(3, dtype=float)
    np.testing.assert_allclose(layer(x), F.standardize(x, axis=tuple(range(2, x.ndim))))
    np.testing.assert_allclose(layer(x[0]), layer(x)[0])
    np.testing.assert_allclose(layer.eval()(x), layer.train()(x))
    assert not layer.state_dict()
    tracked = getattr(nn, f"InstanceNorm{axes}d")(3, track_running_stats=True, affine=True, dtype=float)
    assert not np.allclose(tracked(x).data, tracked.eval()(x).data)


def test_group_norm_learns_a_scale_and_a_shift_for_each_channel():
    x = RNG.normal(size=(2, 4, 3))
    layer = nn.GroupNorm(2, 4, dtype=float)
    layer.weight.data, layer.bias.data = np.arange(4.0), np.arange(4.0)[::-1]
    parts = F.standardize(x.reshape(2, 2, -1)).reshape(x.shape)
    np.testing.assert_allclose(layer(Tensor(x)).data, parts * np.arange(4)[:, None] + np.arange(4)[::-1, None])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nn.BatchNorm2d(3)(np.zeros((2, 4, 5, 5))),
            r"BatchNorm2d\(3\) needs.*\(n, 3, height, width\); got \(2, 4",
        ),
        (lambda: nn.BatchNorm2d(3)(np.zeros((2, 3, 5))), r"BatchNorm2d\(3\) needs"),
        (lambda: nn.BatchNorm1d(3)(np.zeros(3)), r"\(n, 3\) or \(n, 3, length\); got \(3,\)"),
        (lambda: nn.BatchNorm2d(3)(np.zeros((1, 3, 1, 1))), "more than one value per channel"),
        (lambda: nn.InstanceNorm1d(3)(np.zeros((2, 4, 5))), r"InstanceNorm1d\(3\) needs"),
        (lambda: nn.InstanceNorm1d(3)(np.zeros((2, 3, 1))), "more than one value per channel"),
        (lambda: nn.GroupNorm(2, 5), "GroupNorm: 2 groups do not divide 5 channels"),
        (lambda: nn.GroupNorm(2, 4)(np.zeros((2, 6, 3))), r"GroupNorm\(.*\(n, 4, ...\); got \(2, 6, 3\)"),
        (lambda: nn.BatchNorm1d(-1), "BatchNorm1d: num_features is at least 1; got -1"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
