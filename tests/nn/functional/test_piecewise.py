"""The small activations against their formulas, at their corners, far away, and beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
import nn.functional as F
from autograd import Tensor

X = np.array([-1e4, -7.0, -3.0, -2.5, -0.5, -0.3, 0.0, 0.3, 0.5, 1.5, 3.0, 5.0, 6.0, 7.0, 1e4])
FORMULAS = {
    "relu6": (F.relu6, nn.ReLU6, lambda x: np.minimum(np.maximum(x, 0), 6)),
    "hardsigmoid": (F.hardsigmoid, nn.Hardsigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hardswish": (F.hardswish, nn.Hardswish, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hardshrink": (F.hardshrink, nn.Hardshrink, lambda x: np.where(abs(x) > 0.5, x, 0)),
    "softshrink": (F.softshrink, nn.Softshrink, lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0)),
    "tanhshrink": (F.tanhshrink, nn.Tanhshrink, lambda x: x - np.tanh(x)),
    "threshold": (
        lambda x: F.threshold(x, 0.4, 2.0),
        lambda: nn.Threshold(0.4, 2.0),
        lambda x: np.where(x > 0.4, x, 2.0),
    ),
    "logsigmoid": (F.logsigmoid, nn.LogSigmoid, lambda x: -np.logaddexp(0, -x)),
    "softsign": (F.softsign, nn.Softsign, lambda x: x / (1 + abs(x))),
    "softmin": (F.softmin, nn.Softmin, lambda x: np.exp(x.min() - x) / np.exp(x.min() - x).sum()),
    "rrelu": (F.rrelu, lambda: nn.RReLU().eval(), lambda x: np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2)),
}
SMOOTH = np.array([-7.1, -2.4, -1.1, -0.31, 0.29, 0.83, 2.2, 7.3])


@pytest.mark.parametrize("name", FORMULAS)
def test_values_dtypes_and_modules(name):
    function, module, formula = FORMULAS[name]
    np.testing.assert_allclose(function(X), formula(X), rtol=1e-14, atol=1e-300)
    np.testing.assert_array_equal(module()(X), function(X))
    for dtype in (np.float16, np.float32):
        x = Tensor(X[1:-1].astype(dtype), requires_grad=True)
        y = function(x)
        assert y.dtype == dtype
        y.backward(np.ones_like(y.data))
        assert x.grad.dtype == dtype
    if name != "softmin":
        assert np.isnan(function(np.array([np.nan]))).all()
        assert function(np.array(0.25)).shape == () and function(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_of_every_order(name):
    assert autograd.gradcheck(FORMULAS[name][0], [SMOOTH / 3 if name == "softmin" else SMOOTH], order=2)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in ("softmin", "softsign", "tanhshrink")])
def test_gradients_far_away_are_numbers(name):
    x = Tensor(np.array([-np.inf, -1e30, 1e30, np.inf]), requires_grad=True)
    with np.errstate(invalid="ignore"):  # softshrink takes infinity from infinity
        FORMULAS[name][0](x).backward(np.ones(4))
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_beside_pytorch_at_every_place(name):
    torch = pytest.importorskip("torch")
    names = {"relu6": "ReLU6", "logsigmoid": "LogSigmoid", "rrelu": "RReLU"}
    kind = getattr(torch.nn, names.get(name, name.capitalize()))
    theirs = kind(0.4, 2.0) if name == "threshold" else kind(dim=-1) if name == "softmin" else kind().eval()
    a, b = Tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    y, z = FORMULAS[name][0](a), theirs(b)
    g = np.arange(1.0, len(X) + 1)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12, atol=1e-12)
    corners = abs(X) == 3 if name == "hardswish" else np.zeros(len(X), bool)  # PyTorch has other slopes there
    np.testing.assert_allclose(a.grad.data[~corners], b.grad.numpy()[~corners], rtol=1e-7, atol=1e-12)


def test_rrelu_draws_slopes_in_training():
    layer = nn.RReLU(0.1, 0.3, generator=np.random.default_rng(0))
    slopes = -layer(np.full(10_000, -1.0))
    assert 0.1 <= slopes.min() < 0.11 and 0.29 < slopes.max() <= 0.3
    assert layer(np.float32([-1.0])).dtype == np.float32
    np.testing.assert_allclose(layer.eval()(np.array([-1.0, 2.0])), [-0.2, 2.0])


def test_softmax2d_is_over_the_channels():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(nn.Softmax2d()(x), F.softmax(x, dim=1))
    np.testing.assert_allclose(nn.Softmax2d()(x[0]), F.softmax(x[0], dim=0))
    with pytest.raises(ValueError, match=r"Softmax2d needs.*got \(2, 3\)"):
        nn.Softmax2d()(x[:, :, 0, 0])


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="lambd is at least 0; got -1"):
        F.softshrink(X, -1)
    with pytest.raises(ValueError, match="RReLU: lower is at most upper; got 2 and 1"):
        nn.RReLU(2, 1)
    with pytest.raises(ValueError, match="rrelu: lower"):
        F.rrelu(X, 2, 1)
