"""Norms in few passes: the same numbers as the ops they are made of, in every layout, dtype and order of derivative."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autograd import Tensor, as_tensor, grad, jvp
from nn.functional import batch_norm, group_norm, instance_norm, layer_norm, moments, normalization, rms_norm

SHAPES = [(5, 4), (3, 4, 7), (2, 4, 3, 5), (2, 4, 2, 3, 2)]
NORMS = {
    "batch": lambda x, w, b: batch_norm(x, None, None, w, b, training=True),
    "groups": lambda x, w, b: group_norm(x, 2, w, b),
    "instance": lambda x, w, b: instance_norm(x, None, None, w, b),
    "layer": lambda x, w, b: layer_norm(x, np.shape(x)[-1:], w, b),
    "layers": lambda x, w, b: layer_norm(x, np.shape(x)[1:], w, b),
    "rms": lambda x, w, b: rms_norm(x, np.shape(x)[-1:], w, eps=1e-5),
}
CASES = [
    (name, shape, last, affine)
    for name, shape, last, affine in itertools.product(NORMS, SHAPES, (False, True), ("both", "weight", "bias", "none"))
    if (len(shape) > 2 or name != "instance") and (affine == "both" or shape == (3, 4, 7))
]


def given(name, shape, last, affine, dtype=np.float64):
    """An input, channels last in memory if asked, and its weight and bias, as leaves."""
    draw = np.random.default_rng(0).standard_normal
    x = as_tensor((np.moveaxis(draw((shape[0], *shape[2:], shape[1])), -1, 1) if last else draw(shape)).astype(dtype))
    x.requires_grad = True
    inner = {"layer": shape[-1:], "rms": shape[-1:], "layers": shape[1:]}.get(name, shape[1:2])
    weight, bias = (Tensor(draw(inner).astype(dtype), requires_grad=True) for _ in range(2))
    has_bias = affine in ("both", "bias") and name != "rms"
    return [x, weight if affine in ("both", "weight") else None, bias if has_bias else None]


def results(name, arrays, gradient):
    """Value and gradients, from `backward()` and from `grad`; gradients of their squares; and a jvp."""
    leaves = [a for a in arrays if a is not None]

    def loss(*own):
        filled = iter(own)
        return (NORMS[name](*(a if a is None else next(filled) for a in arrays)) * gradient).sum()

    def steepness(*own):
        return sum((g * g).sum() for g in grad(loss, argnum=every)(*own))

    every = tuple(range(len(leaves)))
    y = NORMS[name](*arrays)
    y.backward(gradient)
    first = [a.grad for a in leaves]
    second = grad(steepness, argnum=every)(*leaves)
    along = jvp(loss, tuple(leaves), tuple(np.ones(a.shape, a.dtype) for a in leaves))
    return [y, *first, *grad(loss, argnum=every)(*leaves), *second, *along]


@pytest.mark.parametrize(("name", "shape", "last", "affine"), CASES)
def test_they_are_the_ops_they_are_made_of(name, shape, last, affine, monkeypatch):
    for dtype, block, tolerance in ((np.float64, 8, 1e-9), (np.float32, 2**15, 2e-3)):
        monkeypatch.setattr(moments, "BLOCK", block)  # several blocks, with a shorter last one
        monkeypatch.setattr(moments, "SPAN", block)
        arrays = given(name, shape, last, affine, dtype)
        gradient = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        found = results(name, arrays, gradient)
        arrays = given(name, shape, last, affine, dtype)
        with monkeypatch.context() as patch:
            patch.setattr(normalization, "_is_plain", lambda *_: False)
            wanted = results(name, arrays, gradient)
        for a, b in zip(found, wanted, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            scale = max(1.0, float(np.abs(b.data).max()))
            np.testing.assert_allclose(a.data / scale, b.data / scale, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NORMS)
def test_the_layout_of_the_gradient_is_that_of_the_input(name):
    """What a convolution makes lies channels last, and stays so."""
    x, *weights = given(name, (2, 4, 3, 5), True, "both")
    y = NORMS[name](x, *weights)
    if name in ("batch", "groups", "instance"):
        assert y.data.strides == x.data.strides
    y.backward(np.broadcast_to(np.float64(1.0), y.shape))
    if name != "rms":
        np.testing.assert_allclose(x.grad.data.sum(), 0, atol=1e-9)
    assert x.grad.data.flags.writeable


@pytest.mark.parametrize("last", [False, True])
def test_mean_and_variance_are_computed_once(last, monkeypatch):
    calls = []
    known = moments.Channels.known
    monkeypatch.setattr(moments.Channels, "known", lambda *args: calls.append(1) or known(*args))
    x, weight, bias = given("batch", (3, 4, 2, 5), last, "both")
    running = [Tensor(np.zeros(4)), Tensor(np.ones(4))]
    batch_norm(x, *running, weight, bias, training=True, momentum=1.0).sum().backward()
    assert len(calls) == 1
    np.testing.assert_allclose(running[0].data, x.data.mean((0, 2, 3)))
    np.testing.assert_allclose(running[1].data, x.data.var((0, 2, 3), ddof=1))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("last", [False, True])
def test_numbers_too_large_to_be_squared(name, last):
    x, *weights = given(name, (2, 4, 3, 5), last, "both", np.float32)
    large = as_tensor(x.data * np.float32(2.0**100))
    large.requires_grad = True
    y, wanted = NORMS[name](large, *weights), NORMS[name](x, *weights)
    np.testing.assert_allclose(y.data, wanted.data, rtol=1e-3, atol=1e-3)
    gradient = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    y.backward(gradient), wanted.backward(gradient)
    np.testing.assert_allclose(large.grad.data * 2.0**100, x.grad.data, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in NORMS if name != "rms"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("dtype", "shift"), [(np.float32, 2.0**12), (np.float64, 2.0**40)])
def test_a_mean_far_from_0_costs_no_digits(name, last, dtype, shift):
    """Multiples of 1/64, so that the shift is exact: values and gradients are those without it."""
    x, *weights = given(name, (2, 4, 3, 5), last, "both", dtype)
    near, far = (as_tensor((np.round(x.data * 64) / 64 + s).astype(dtype)) for s in (0, shift))
    gradient = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    results = []
    for own in (near, far):
        own.requires_grad = True
        leaves = [own, *(Tensor(w.data, requires_grad=True) for w in weights)]
        y = NORMS[name](*leaves)
        y.backward(gradient)
        results.append([y.data, *(leaf.grad.data for leaf in leaves)])
    for wanted, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=64 * np.finfo(dtype).eps * np.abs(wanted).max())


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("large", [(1.0, 2.0**12), (2.0**70, 0.0)])
@pytest.mark.parametrize("norm", [batch_norm, instance_norm])
def test_running_statistics_of_numbers_that_are_large(norm, large, last):
    factor, shift = large
    x, *_ = given("batch", (3, 4, 2, 5), last, "none", np.float32)
    x = (x.data * factor + shift).astype(np.float32)
    mean, variance = Tensor(np.zeros(4, np.float32)), Tensor(np.ones(4, np.float32))
    with np.errstate(over="ignore"):
        options = {"training": True} if norm is batch_norm else {}
        norm(Tensor(x), mean, variance, momentum=1.0, **options)
    wanted = x.astype(np.float64).mean((0, 2, 3))
    np.testing.assert_allclose(mean.data, wanted, rtol=1e-5, atol=1e-5 * factor)
    assert np.isinf(variance.data).all() == (factor > 1)
