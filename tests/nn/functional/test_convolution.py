"""Convolution against the definition, as a loop over every number; its derivatives, errors and memory."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd
import nn.functional as F
from autograd import Tensor
from nn.functional.convolution import convolution, convolution_input, convolution_weight


def slow(x, w, stride, pads, dilation, groups):
    """The sum of weight times input, number by number."""
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    n, out, axes = len(x), len(w), x.ndim - 2
    sizes = [(x.shape[2 + a] - dilation[a] * (w.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in range(axes)]
    y = np.zeros((n, out, *sizes), np.result_type(x, w))
    each, per = w.shape[1], out // groups
    for place in itertools.product(range(n), range(out), *map(range, sizes)):
        i, o, *at = place
        for c, *tap in itertools.product(range(each), *map(range, w.shape[2:])):
            where = [p * s + t * d for p, s, t, d in zip(at, stride, tap, dilation, strict=True)]
            y[place] += x[i, o // per * each + c, *where] * w[o, c, *tap]
    return y


@st.composite
def problems(draw, most=3):
    """x, weight and options, of one to three axes."""
    axes = draw(st.integers(1, most))
    few = 4 if axes < 3 else 2
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    each, per = draw(st.integers(1, 9 if axes == 1 else 2)), draw(st.integers(1, 2))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    stride = draw(st.tuples(*[st.integers(1, 3)] * axes))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * axes))
    padding = draw(st.tuples(*[st.integers(0, 2)] * axes))
    sizes = [
        max(d * (k - 1) + 1 - 2 * p, 1) + draw(st.integers(0, few))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(draw(st.integers(1, 2)), each * groups, *sizes))
    w = rng.normal(size=(per * groups, each, *kernel))
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def expected(x, w, options):
    pads = [(p, p) for p in options["padding"]]
    return slow(x, w, options["stride"], pads, options["dilation"], options["groups"])


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_convolution_is_its_definition(problem, dtype):
    x, w, options = problem
    x, w = x.astype(dtype), w.astype(dtype)
    y = getattr(F, f"conv{x.ndim - 2}d")(x, w, **options)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected(x, w, options), rtol=1e-4, atol=1e-4 if dtype == np.float32 else 1e-10)


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_the_rules_are_the_gradients_of_the_definition(problem, dtype):
    """y . g is linear in x and in w, so its gradients are found by setting one number to 1."""
    x, w, options = problem
    a, b = (Tensor(v.astype(dtype), requires_grad=True) for v in (x, w))
    y = getattr(F, f"conv{x.ndim - 2}d")(a, b, **options)
    g = np.random.default_rng(0).normal(size=y.shape)
    y.backward(g.astype(dtype))
    rng, places = np.random.default_rng(1), 3
    for array, leaf, other in ((x, a, lambda unit: (unit, w)), (w, b, lambda unit: (x, unit))):
        for flat in rng.integers(array.size, size=places):
            unit = np.zeros(array.size)
            unit[flat] = 1
            one = np.sum(expected(*other(unit.reshape(array.shape)), options) * g)
            np.testing.assert_allclose(leaf.grad.data.ravel()[flat], one, rtol=1e-3, atol=1e-4)


@given(problems(most=2))
def test_derivatives_of_every_order(problem):
    x, w, options = problem
    conv = getattr(F, f"conv{x.ndim - 2}d")
    assert autograd.gradcheck(lambda a, b: np.tanh(conv(a, b, **options)), [x, w], order=2)


@given(problems())
def test_the_three_ops_are_each_others_transposes(problem):
    x, w, options = problem
    options = {**options, "padding": tuple((p, p) for p in options["padding"])}
    y = convolution(x, w, **options)
    g = np.random.default_rng(5).normal(size=y.shape)
    number = np.sum(y * g)
    back = convolution_input(g, w, sizes=x.shape[2:], **options)
    of_weight = convolution_weight(x, g, kernel=w.shape[2:], **options)
    assert back.shape == x.shape and of_weight.shape == w.shape
    np.testing.assert_allclose([np.sum(back * x), np.sum(of_weight * w)], number, rtol=1e-9, atol=1e-9)


@given(problems(), st.data())
def test_a_transposed_convolution_spreads_every_input(problem, data):
    x, w, options = problem
    axes, groups = x.ndim - 2, options["groups"]
    w = np.ascontiguousarray(w[: w.shape[0] // groups * groups])
    x = np.random.default_rng(2).normal(size=(len(x), w.shape[0], *x.shape[2:]))
    stride, dilation, padding = options["stride"], options["dilation"], options["padding"]
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(x.shape[2:], stride, dilation, w.shape[2:], extra, strict=True)
    ]
    if min(n - 2 * p for n, p in zip(full, padding, strict=True)) < 1:
        return
    y = np.zeros((len(x), w.shape[1] * groups, *full))
    per = w.shape[0] // groups
    for c, o, *tap in np.ndindex(*w.shape):
        where = [
            slice(t * d, t * d + s * (n - 1) + 1, s)
            for t, d, s, n in zip(tap, dilation, stride, x.shape[2:], strict=True)
        ]
        y[:, c // per * w.shape[1] + o, *where] += x[:, c] * w[c, o, *tap]
    y = y[:, :, *(slice(p, n - p) for p, n in zip(padding, full, strict=True))]
    found = getattr(F, f"conv_transpose{axes}d")(x, w, output_padding=extra, **options)
    np.testing.assert_allclose(found, y, rtol=1e-10, atol=1e-10)


def test_transposed_convolutions_have_derivatives():
    rng = np.random.default_rng(0)
    for options in [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2, "groups": 2}]:
        w = rng.normal(size=(2, 1 if "groups" in options else 2, 3))
        conv = lambda x, w, o=options: F.conv_transpose1d(x, w, **o)
        assert autograd.gradcheck(conv, [rng.normal(size=(2, 2, 4)), w], order=2)


def test_padding_by_name():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 2, 7)), rng.normal(size=(3, 2, 4))
    same = F.conv1d(x, w, padding="same")
    np.testing.assert_allclose(same, slow(x, w, (1,), [(1, 2)], (1,), 1))
    np.testing.assert_allclose(F.conv1d(x, w, padding="valid"), F.conv1d(x, w))


def test_a_sample_without_a_batch_and_a_bias():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 5, 5)), rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3)
    y = F.conv2d(x[None], w) + b[:, None, None]
    np.testing.assert_allclose(F.conv2d(x, w, b), y[0])
    np.testing.assert_allclose(F.conv_transpose2d(y[0], w, rng.normal(size=2) * 0), F.conv_transpose2d(y, w)[0])


def test_an_empty_batch():
    assert F.conv2d(np.zeros((0, 2, 5, 5)), np.zeros((3, 2, 2, 2))).shape == (0, 3, 4, 4)


def test_layouts_of_memory_do_not_matter():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 9, 6, 6)), rng.normal(size=(4, 9, 3, 3))
    y = F.conv2d(x, w)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    for other in (np.asfortranarray(x), last, np.flip(np.flip(x, 2).copy(), 2)):
        np.testing.assert_allclose(F.conv2d(other, np.asfortranarray(w)), y, rtol=1e-12)


X = np.zeros((2, 4, 5, 5))
W = np.zeros((6, 4, 3, 3))
WRONG = {
    "channels": (lambda: F.conv2d(np.zeros((2, 3, 5, 5)), W), r"\(n, 4, height, width\).*got \(2, 3, 5, 5\)"),
    "axes": (lambda: F.conv2d(np.zeros((5, 5)), W), r"got \(5, 5\)"),
    "axes of the weight": (lambda: F.conv2d(X, np.zeros((6, 4, 3))), r"weight has 4 axes.*\(6, 4, 3\)"),
    "kernel": (lambda: F.conv2d(X, np.zeros((6, 4, 7, 3)), padding=0), r"kernel \(7, 3\).*larger.*\(5, 5\)"),
    "dilated kernel": (lambda: F.conv2d(X, W, dilation=3), r"dilation \(3, 3\).*larger.*\(5, 5\)"),
    "groups": (lambda: F.conv2d(X, W, groups=4), r"groups=4 does not divide the 6 channels"),
    "no groups": (lambda: F.conv2d(X, W, groups=0), "groups=0"),
    "channels of groups": (lambda: F.conv2d(X, W, groups=2), r"\(n, 8, height, width\).*got"),
    "stride 0": (lambda: F.conv2d(X, W, stride=0), "stride is a whole number from 1.*got 0"),
    "strides": (lambda: F.conv2d(X, W, stride=(1, 1, 1)), "stride.*or 2 of them"),
    "half a stride": (lambda: F.conv2d(X, W, stride=1.5), "stride is a whole number"),
    "negative padding": (lambda: F.conv2d(X, W, padding=-1), "padding is a whole number from 0.*got -1"),
    "padding by name": (lambda: F.conv2d(X, W, padding="full"), "'same', 'valid' or whole numbers; got 'full'"),
    "same with a stride": (lambda: F.conv2d(X, W, padding="same", stride=2), "'same' needs stride 1"),
    "transposed channels": (lambda: F.conv_transpose2d(X, W), r"\(n, 6, height, width\)"),
    "output padding": (lambda: F.conv_transpose2d(X, W[:4], output_padding=1), "output_padding.*smaller than stride"),
    "negative size": (lambda: F.conv_transpose2d(X, W[:4], padding=9), r"give outputs of \(-11, -11\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_error_says_what_was_given_and_what_is_needed(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert str(error.value).startswith(("conv2d", "conv_transpose2d"))


@pytest.mark.parametrize("groups", [1, 64])
@pytest.mark.parametrize("order", ["C", "channels last"])
def test_temporaries_take_about_a_megabyte(groups, order):
    x, w = np.ones((8, 64, 56, 56), np.float32), np.ones((64, 64 // groups, 3, 3), np.float32)
    if order != "C":
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    options = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": groups}
    results = {}
    for name, call in {
        "y": lambda: convolution(x, w, **options),
        "x": lambda: convolution_input(results["y"], w, sizes=(56, 56), **options),
        "w": lambda: convolution_weight(x, results["y"], kernel=(3, 3), **options),
    }.items():
        tracemalloc.start()
        results[name] = call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak - results[name].nbytes < 1.25e6 + 64 * w.size, f"{name}: {peak - results[name].nbytes:,} bytes"


def test_blocks_are_joined_at_their_edges():
    """A batch larger than one block, with rows that a block cuts."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 16, 60, 40)).astype(np.float32), rng.normal(size=(4, 16, 3, 3)).astype(np.float32)
    y = F.conv2d(x, w, stride=(2, 1), padding=1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), (2, 3))
    np.testing.assert_allclose(y, np.einsum("nchwij,ocij->nohw", windows[:, :, ::2], w), rtol=1e-3, atol=1e-3)
    assert math.prod(y.shape) * 16 * 9 > 2**17
