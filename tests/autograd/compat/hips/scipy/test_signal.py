"""Convolutions along chosen axes."""

import numpy as np
import pytest
import scipy.signal
from autograd.scipy.signal import convolve

from autograd import gradcheck

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.normal(size=shape)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(
    ("n", "m"), [((7,), (3,)), ((3,), (7,)), ((4,), (4,)), ((6, 5), (3, 2)), ((2, 3), (5, 5)), ((5,), (2,))]
)
def test_values_are_scipys(mode, n, m):
    a, b = draw(*n), draw(*m)
    if mode == "same" and any(i < j for i, j in zip(n, m, strict=True)):
        assert convolve(a, b, mode=mode).shape == a.shape
    else:
        np.testing.assert_allclose(convolve(a, b, mode=mode), scipy.signal.convolve(a, b, mode), atol=1e-12)
    assert gradcheck(lambda a, b: convolve(a, b, mode=mode), [a, b], order=2, modes=("rev", "fwd"))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_some_axes_are_kept_and_some_summed(mode):
    images, kernels = draw(3, 2, 6, 5), draw(2, 4, 3, 2)
    run = lambda a, b: convolve(a, b, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
    expected = np.stack(
        [
            [sum(scipy.signal.convolve(image[c], kernels[c, k], mode) for c in range(2)) for k in range(4)]
            for image in images
        ]
    )
    np.testing.assert_allclose(run(images, kernels), expected, atol=1e-12)
    assert gradcheck(run, [images, kernels], modes=("rev", "fwd"))
    if mode == "valid":
        swapped = lambda b, a: convolve(b, a, axes=([2, 3], [2, 3]), dot_axes=([0], [1]), mode=mode)
        np.testing.assert_allclose(swapped(kernels, images), np.swapaxes(expected, 0, 1), atol=1e-12)


def test_misuse():
    with pytest.raises(ValueError, match="mode"):
        convolve(draw(3), draw(2), mode="circular")
    with pytest.raises(ValueError, match="larger along every axis"):
        convolve(draw(3, 5), draw(5, 3), mode="valid")
