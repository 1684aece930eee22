"""Dropout of whole channels, and of SELU networks."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batch", [True, False])
def test_channels_are_kept_or_dropped_whole(axes, batch):
    shape = ((50, 40) if batch else (2000,)) + (3,) * axes
    layer = getattr(nn, f"Dropout{axes}d")(0.25, generator=np.random.default_rng(0))
    x = Tensor(np.ones(shape), requires_grad=True)
    y = layer(x)
    flat = y.data.reshape(2000, -1)
    assert (flat == flat[:, :1]).all() and set(np.unique(flat)) == {0.0, 1 / 0.75}
    assert abs((flat[:, 0] == 0).mean() - 0.25) < 0.03
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)
    assert layer.eval()(x) is x
    assert repr(layer).startswith(f"Dropout{axes}d(p=0.25)")


def test_what_is_dropped_may_be_infinite():
    x = Tensor(np.array([[[np.inf, np.nan]]]), requires_grad=True)
    y = F.dropout1d(x, 1.0)
    y.backward(np.array([[[np.inf, 1.0]]]))
    assert not y.data.any() and not x.grad.data.any()


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(400, 500))
    for function in (F.alpha_dropout, F.feature_alpha_dropout):
        y = function(x, 0.3, generator=np.random.default_rng(1))
        np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=0.02)
        assert function(x, 0.3, training=False) is x and not function(x, 1.0).any()
        assert function(x.astype(np.float32), 0.3).dtype == np.float32
    channels = nn.FeatureAlphaDropout(0.5, generator=np.random.default_rng(0))(np.ones((20, 10, 4)))
    assert (channels == channels[..., :1]).all() and len(np.unique(channels)) == 2
    assert nn.AlphaDropout(0.5).eval()(x) is x


def test_alpha_dropout_is_pytorchs():
    torch = pytest.importorskip("torch")
    ours = np.unique(F.alpha_dropout(np.ones(1000), 0.3))
    theirs = np.unique(torch.nn.functional.alpha_dropout(torch.ones(1000).double(), 0.3, True).numpy())
    np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Dropout2d(1.5), "probability"),
        (lambda: F.dropout2d(np.ones((1, 2, 3, 3)), -0.1), "dropout2d: p is a probability, from 0 to 1; got -0.1"),
        (lambda: F.alpha_dropout(np.ones(3), 2), "alpha_dropout: p is a probability"),
        (lambda: F.dropout1d(np.ones(3)), r"dropout1d needs.*\(n, channels, length\).*got \(3,\)"),
        (lambda: nn.Dropout3d()(np.ones((2, 3))), r"dropout3d needs.*got \(2, 3\)"),
        (lambda: F.feature_alpha_dropout(np.ones(3)), r"got \(3,\)"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
