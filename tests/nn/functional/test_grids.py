"""Sampling at places: a loop over places, identities, and PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autograd
import nn.functional as F
from autograd import Tensor

RNG = np.random.default_rng(0)
IMAGES, VOLUMES = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 1, 3, 4, 2))
OPTIONS = [*itertools.product(["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [False, True])]


def test_bilinear_is_the_mean_of_four_neighbours_by_distance():
    grid = RNG.uniform(-1.3, 1.3, size=(2, 3, 3, 2))
    y = F.grid_sample(IMAGES, grid)
    for n, i, j in np.ndindex(2, 3, 3):
        px, py = (grid[n, i, j] + 1) * [5 / 2, 4 / 2] - 0.5
        expected = np.zeros(3)
        for row, column in itertools.product(range(4), range(5)):
            expected += IMAGES[n, :, row, column] * max(0, 1 - abs(row - py)) * max(0, 1 - abs(column - px))
        np.testing.assert_allclose(y[n, :, i, j], expected, atol=1e-12)


@pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), OPTIONS)
def test_the_grid_of_the_identity_samples_the_image(mode, padding_mode, align_corners):
    theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3)).copy()
    grid = F.affine_grid(theta, IMAGES.shape, align_corners)
    np.testing.assert_allclose(F.grid_sample(IMAGES, grid, mode, padding_mode, align_corners), IMAGES, atol=1e-9)
    if mode != "bicubic":
        theta = np.broadcast_to(np.eye(3, 4), (2, 3, 4)).copy()
        grid = F.affine_grid(theta, VOLUMES.shape, align_corners)
        np.testing.assert_allclose(F.grid_sample(VOLUMES, grid, mode, padding_mode, align_corners), VOLUMES, atol=1e-9)


@pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), OPTIONS)
def test_derivatives_and_dtypes(mode, padding_mode, align_corners):
    grid = RNG.uniform(-1.4, 1.4, size=(1, 2, 2, 2))
    sample = lambda x, g: F.grid_sample(x, g, mode, padding_mode, align_corners)
    assert autograd.gradcheck(sample, [IMAGES[:1, :1], grid], order=2)
    x, g = (Tensor(a.astype(np.float32), requires_grad=True) for a in (IMAGES[:1], grid))
    y = sample(x, g)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32 and (mode == "nearest" or g.grad.dtype == np.float32)


@pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), OPTIONS)
def test_beside_pytorch(mode, padding_mode, align_corners):
    torch = pytest.importorskip("torch")
    for x in [IMAGES] if mode == "bicubic" else [IMAGES, VOLUMES, IMAGES[:, :, :1, :1]]:
        grid = RNG.uniform(-2.5, 2.5, size=(2, *(3, 2, 4)[: x.ndim - 2], x.ndim - 2))
        a, b = Tensor(x, requires_grad=True), Tensor(grid, requires_grad=True)
        c, d = (torch.tensor(v, requires_grad=True) for v in (x, grid))
        y = F.grid_sample(a, b, mode, padding_mode, align_corners)
        z = torch.nn.functional.grid_sample(c, d, mode, padding_mode, align_corners)
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-8, atol=1e-9)
        g = RNG.normal(size=y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(a.grad.data, c.grad.numpy(), rtol=1e-8, atol=1e-9)
        if mode != "nearest":
            np.testing.assert_allclose(b.grad.data, d.grad.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Since version")  # PyTorch's, of sizes of 1
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 1, 2), (2, 1, 2, 3, 1)])
def test_affine_grids_beside_pytorch(size, align_corners):
    torch = pytest.importorskip("torch")
    axes = len(size) - 2
    theta = RNG.normal(size=(2, axes, axes + 1))
    expected = torch.nn.functional.affine_grid(torch.tensor(theta), size, align_corners).numpy()
    np.testing.assert_allclose(F.affine_grid(theta, size, align_corners), expected, atol=1e-12)
    assert autograd.gradcheck(lambda t: F.affine_grid(t, size, align_corners), [theta])


G = np.zeros((2, 3, 3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.grid_sample(IMAGES, G, "linear"), "mode is one of bilinear, nearest, bicubic.*got 'linear'"),
        (lambda: F.grid_sample(IMAGES, G, "nearest", "wrap"), "padding_mode one of zeros, border, reflection.*'wrap'"),
        (lambda: F.grid_sample(IMAGES, G[:1]), r"got \(2, 3, 4, 5\) and \(1, 3, 3, 2\)"),
        (lambda: F.grid_sample(IMAGES, np.zeros((2, 3, 3, 3))), r"got \(2, 3, 4, 5\) and \(2, 3, 3, 3\)"),
        (lambda: F.grid_sample(IMAGES[0], G), "grid_sample needs images"),
        (lambda: F.grid_sample(VOLUMES, np.zeros((2, 1, 1, 1, 3)), "bicubic"), "'bicubic' is for images"),
        (lambda: F.affine_grid(np.zeros((2, 2, 2)), (2, 1, 3, 3)), r"got \(2, 2, 2\) and \(2, 1, 3, 3\)"),
        (lambda: F.affine_grid(np.zeros((2, 2, 3)), (2, 1, 3)), "affine_grid needs theta"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
