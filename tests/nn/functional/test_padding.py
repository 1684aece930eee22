"""Padding, normalize and the reordering of pixels against loops over places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import autograd
import nn.functional as F

SOURCE = {
    "reflect": lambda p, n: abs((p + n - 1) % (2 * n - 2) - (n - 1)) if n > 1 else 0,
    "replicate": lambda p, n: min(max(p, 0), n - 1),
    "circular": lambda p, n: p % n,
}


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data(), st.sampled_from(["constant", *SOURCE]))
def test_every_place_comes_from_its_source(shape, data, mode):
    axes = data.draw(st.integers(1, len(shape)))
    most = {"constant": 3, "reflect": min(shape) - 1, "replicate": 3, "circular": min(shape)}[mode]
    given_pad = data.draw(st.lists(st.integers(-1, most), min_size=2 * axes, max_size=2 * axes))
    pairs = [(0, 0)] * (len(shape) - axes) + [*zip(given_pad[::2], given_pad[1::2], strict=True)][::-1]
    assume(all(n + min(a, 0) + min(b, 0) > 0 and n + a + b > 0 for n, (a, b) in zip(shape, pairs, strict=True)))
    assume(mode == "constant" or all(a >= 0 for a in given_pad))
    x = np.random.default_rng(0).normal(size=shape)
    y = F.pad(x, given_pad, mode, 2.5 if mode == "constant" else None)
    assert y.shape == tuple(n + a + b for n, (a, b) in zip(shape, pairs, strict=True))
    for place in np.ndindex(y.shape):
        source = [p - a for p, (a, _) in zip(place, pairs, strict=True)]
        if mode == "constant":
            there = all(0 <= p < n for p, n in zip(source, shape, strict=True))
            assert y[place] == (x[tuple(source)] if there else 2.5)
        else:
            assert y[place] == x[tuple(SOURCE[mode](p, n) for p, n in zip(source, shape, strict=True))]
    assert autograd.gradcheck(lambda a: F.pad(a, given_pad, mode) ** 3, [x], order=2)


@pytest.mark.parametrize(
    ("pads", "options", "message"),
    [
        ((1,), {}, "two numbers for each of the last axes"),
        ((1,) * 6, {}, r"got \(1, 1, 1, 1, 1, 1\) for shape \(2, 3\)"),
        ((1, 1), {"mode": "mirror"}, "constant, reflect, replicate, circular; got 'mirror'"),
        ((1, 1), {"mode": "reflect", "value": 1.0}, "only mode 'constant' takes a value"),
        ((-2, -2), {}, "cuts more off"),
        ((3, 0), {"mode": "reflect"}, "within the input"),
        ((4, 0), {"mode": "circular"}, "within the input"),
    ],
)
def test_padding_that_does_not_fit(pads, options, message):
    with pytest.raises(ValueError, match=message):
        F.pad(np.zeros((2, 3)), pads, **options)


def test_normalize_divides_by_the_norm_or_by_eps():
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    for p in (1.0, 2.0, 3.0, np.inf):
        for dim in (0, 1, -1):
            size = (
                np.max(abs(x), axis=dim, keepdims=True)
                if p == np.inf
                else (abs(x) ** p).sum(dim, keepdims=True) ** (1 / p)
            )
            np.testing.assert_allclose(F.normalize(x, p, dim), x / size)
    np.testing.assert_array_equal(F.normalize(np.zeros((1, 2))), 0)
    assert F.normalize(x.astype(np.float32)).dtype == np.float32
    assert autograd.gradcheck(F.normalize, [x], order=2)


def test_pixels_become_channels_and_back():
    x = np.random.default_rng(0).normal(size=(2, 12, 3, 5))
    y = F.pixel_shuffle(x, 2)
    assert y.shape == (2, 3, 6, 10)
    for n, c, i, j in np.ndindex(y.shape):
        assert y[n, c, i, j] == x[n, c * 4 + (i % 2) * 2 + j % 2, i // 2, j // 2]
    np.testing.assert_array_equal(F.pixel_unshuffle(y, 2), x)
    z = F.channel_shuffle(x, 3)
    np.testing.assert_array_equal(z, x[:, [g * 4 + i for i in range(4) for g in range(3)]])
    np.testing.assert_array_equal(F.channel_shuffle(z, 4), x)
    assert F.pixel_shuffle(x[:0], 2).shape == (0, 3, 6, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.pixel_shuffle(np.zeros((3, 2, 2)), 2), r"3 channels are not a multiple of upscale_factor\*\*2 = 4"),
        (lambda: F.pixel_unshuffle(np.zeros((1, 3, 2)), 2), "3 x 2 is not a multiple of downscale_factor = 2"),
        (lambda: F.pixel_shuffle(np.zeros((2, 2)), 2), r"\(..., channels, height, width\); got \(2, 2\)"),
        (lambda: F.channel_shuffle(np.zeros((1, 4)), 3), "groups=3 does not divide 4 channels"),
        (lambda: F.pixel_shuffle(np.zeros((4, 2, 2)), 0), "0"),
    ],
)
def test_pixels_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
