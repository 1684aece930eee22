"""Resampling: constants and straight lines stay what they are; every mode beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
import nn.functional as F
from autograd import Tensor

MODES = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}
ALL = [(axes, mode) for axes in (1, 2, 3) for mode in ["nearest", "nearest-exact", "area", *MODES[axes]]]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("axes", "mode"), ALL)
def test_a_constant_stays_constant(axes, mode):
    y = F.interpolate(np.full((1, 2, *(4,) * axes), 3.5), size=7, mode=mode)
    np.testing.assert_allclose(y, np.full((1, 2, *(7,) * axes), 3.5))


@pytest.mark.parametrize(("axes", "mode"), [(1, "linear"), (2, "bilinear"), (3, "trilinear")])
def test_straight_lines_stay_straight(axes, mode):
    line = np.arange(9.0)
    x = np.broadcast_to(line, (1, 1, *(9,) * axes))
    y = F.interpolate(x, size=17, mode=mode, align_corners=True)
    np.testing.assert_allclose(y[0, 0, *(0,) * (axes - 1)][4:-4], np.arange(17)[4:-4] / 2)
    y = F.interpolate(x, scale_factor=3, mode=mode)
    np.testing.assert_allclose(y[0, 0, *(0,) * (axes - 1)][6:-6], (np.arange(27)[6:-6] + 0.5) / 3 - 0.5)


def test_nearest_repeats_and_area_averages():
    x = RNG.normal(size=(2, 3, 4, 6))
    np.testing.assert_array_equal(F.interpolate(x, scale_factor=2), x.repeat(2, 2).repeat(2, 3))
    np.testing.assert_array_equal(F.interpolate(x, (2, 3)), x[:, :, ::2, ::2])
    np.testing.assert_array_equal(F.interpolate(x, (4, 2), mode="nearest-exact"), x[:, :, :, 1::3])
    np.testing.assert_allclose(F.interpolate(x, (2, 3), mode="area"), F.avg_pool2d(x, 2))
    np.testing.assert_array_equal(F.interpolate(np.arange(6).reshape(1, 1, 6), 3), [[[0, 2, 4]]])


@pytest.mark.parametrize(("axes", "mode"), ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_and_dtypes(axes, mode, dtype):
    x = RNG.normal(size=(1, 2, *(3, 2, 4)[:axes]))
    y = F.interpolate(Tensor(x.astype(dtype), requires_grad=True), size=(4, 3, 2)[:axes], mode=mode)
    assert y.dtype == dtype
    assert autograd.gradcheck(lambda a: F.interpolate(a, size=(4, 3, 2)[:axes], mode=mode) ** 3, [x], order=2)


@pytest.mark.parametrize(("axes", "mode"), ALL)
def test_beside_pytorch(axes, mode):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for _ in range(15):
        x = rng.normal(size=(2, 2, *rng.integers(1, 7, axes)))
        options = {"mode": mode}
        if mode in MODES[axes]:
            options["align_corners"] = bool(rng.random() < 0.5)
        if rng.random() < 0.5:
            options["size"] = tuple(map(int, rng.integers(1, 9, axes)))
        else:
            options["scale_factor"] = tuple(map(float, rng.choice([1.0, 1.5, 2.0, 2.7, 3.0], axes)))
            options["recompute_scale_factor"] = bool(rng.random() < 0.5)
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = nn.Upsample(**options)(a), torch.nn.functional.interpolate(b, **options)
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-9, atol=1e-9, err_msg=str((x.shape, options)))
        g = rng.normal(size=y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-9, atol=1e-9)


X = np.zeros((1, 2, 4, 4))


@pytest.mark.parametrize("factor", [1.05, 1.3, 2.05, 2.3])
@pytest.mark.parametrize(("axes", "mode"), ALL)
def test_a_factor_that_is_rounded_down_to_a_whole_one_beside_pytorch(axes, mode, factor):
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=(2, 2, *(3, 2, 4)[:axes]))
    for recompute in (None, True):
        options = {"scale_factor": factor, "mode": mode, "recompute_scale_factor": recompute}
        expected = torch.nn.functional.interpolate(torch.tensor(x), **options)
        np.testing.assert_allclose(F.interpolate(x, **options), expected.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.interpolate(X), "either size or scale_factor; got None and None"),
        (lambda: F.interpolate(X, 2, 2), "either size or scale_factor"),
        (lambda: F.interpolate(X, 2, mode="cubic"), "mode is one of.*got 'cubic'"),
        (
            lambda: F.interpolate(X, 2, mode="linear"),
            r"'linear' needs n, channels and 1 axes; got shape \(1, 2, 4, 4\)",
        ),
        (lambda: F.interpolate(X[0, 0], 2), "needs n, channels"),
        (lambda: F.interpolate(X, 0), "size is a whole number from 1.*got 0"),
        (lambda: F.interpolate(X, (1, 2, 3)), "size.*2 of them"),
        (lambda: F.interpolate(X, scale_factor=0.1), r"makes sizes \(0, 0\) of \(4, 4\)"),
        (lambda: F.interpolate(X, scale_factor=-1), "positive number"),
        (lambda: F.interpolate(X, 2, align_corners=True), "align_corners is for modes"),
        (lambda: F.interpolate(X[..., :0], 2), "sizes of at least 1"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
