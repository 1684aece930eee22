"""The normal distribution and GELU in blocks: to some units in the last place of what float64 gives, at all sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nn.functional as F
from autograd import Tensor, as_tensor, compile, gradcheck
from nn.functional import normal

X = np.concatenate([np.linspace(-15, 15, 6001), np.geomspace(1e-30, 1, 300), -np.geomspace(1e-30, 1, 300)])
ENDS = [0.0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-40, -1e-40]


def exact(x):
    """Phi(x) of numbers of any dtype, in float64."""
    return np.array([0.5 * math.erfc(-float(a) * math.sqrt(0.5)) for a in x])


def test_the_normal_distribution_is_the_same_without_scipy():
    x = np.linspace(-38, 38, 1001)  # below -37.5, SciPy returns 0 and ours a subnormal number
    np.testing.assert_allclose(normal._plain(x), normal._scipy()(x), rtol=1e-12, atol=1e-300)
    assert normal._plain(np.float64(0.0)) == 0.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_values(dtype):
    x = X.astype(dtype)
    info, want = np.finfo(dtype), exact(x)
    ulps = 8 if dtype == np.float32 else 64
    for found, wanted in ((F.normal_cdf(x), want), (F.gelu(x), x * want)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted.astype(dtype), rtol=ulps * info.eps, atol=2 * float(info.tiny))
    ends = np.array(ENDS[:5], dtype)
    np.testing.assert_allclose(F.normal_cdf(ends), [0.5, 0.5, 1, 0, np.nan], rtol=4 * info.eps)


def test_gradients_at_the_ends_are_those_of_the_limits():
    x = Tensor(np.array(ENDS, np.float32), requires_grad=True)
    F.gelu(x[[0, 1, 5, 6, 7, 8]]).sum().backward()
    np.testing.assert_allclose(x.grad.data[[0, 1, 5, 6, 7, 8]], [0.5, 0.5, 1, 0, 0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_blocks_and_layouts_make_no_difference(dtype, monkeypatch):
    x = np.random.default_rng(0).standard_normal((4, 5, 6)).astype(dtype) * 3
    g = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    results = []
    for block, view in ((2**15, np.array), (7, np.array), (7, lambda a: np.array(a.T).T), (7, lambda a: a[::-1][::-1])):
        monkeypatch.setattr(normal, "BLOCK", block)
        leaf = as_tensor(view(x))
        leaf.requires_grad = True
        y = F.gelu(leaf)
        y.backward(view(g))
        results.append((y.data, leaf.grad.data))
    for found in results[1:]:
        np.testing.assert_array_equal(found, results[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_slope_is_that_of_the_ops_it_is_made_of(dtype):
    leaf = Tensor(X.astype(dtype), requires_grad=True)
    F.gelu(leaf).sum().backward()
    wanted = exact(leaf.data) + leaf.data * np.exp(-(leaf.data.astype(float) ** 2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(leaf.grad.data, wanted, rtol=1e-3, atol=8 * np.finfo(dtype).eps)
    assert gradcheck(F.gelu, [np.array([-3.0, -0.5, 0.0, 2.0])], order=2)


def test_in_programs_too():
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)

    def step(x):
        leaf = Tensor(x, requires_grad=True)
        F.gelu(leaf).sum().backward()
        return leaf.grad.data

    program = compile(step)
    for own in (x, x, x + 1):
        np.testing.assert_allclose(program(own), step(own), rtol=1e-6, atol=1e-7)
