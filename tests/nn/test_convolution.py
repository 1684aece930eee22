"""Convolutional layers: their options, how they are shown, and what they say to inputs that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor


def test_a_layer_calls_its_function():
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 6))
    layer = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2, dtype=float)
    expected = F.conv2d(x, layer.weight, layer.bias, (2, 1), 1, (1, 2), 2)
    np.testing.assert_array_equal(layer(x).data, expected.data)
    back = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, bias=False, dtype=float)
    np.testing.assert_array_equal(back(x).data, F.conv_transpose2d(x, back.weight, None, 2, 1, 1, 2).data)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same"])
def test_padding_modes(mode, padding):
    x = np.random.default_rng(0).normal(size=(1, 2, 5, 5))
    layer = nn.Conv2d(2, 3, (3, 4), padding=padding, padding_mode=mode, dtype=float)
    pads = (1, 2, 1, 1) if padding == "same" else (2, 2, 1, 1)
    np.testing.assert_allclose(layer(x).data, F.conv2d(F.pad(x, pads, mode), layer.weight, layer.bias).data)


def test_initial_values_are_uniform_and_drawn_by_the_generator():
    made = [nn.Conv2d(8, 16, 3, generator=np.random.default_rng(0)) for _ in range(2)]
    np.testing.assert_array_equal(made[0].weight.data, made[1].weight.data)
    bound = 1 / np.sqrt(8 * 9)
    assert bound * 0.95 < abs(made[0].weight.data).max() <= bound
    assert made[0].weight.dtype == np.float32 and made[0].weight.shape == (16, 8, 3, 3)
    assert nn.ConvTranspose2d(8, 16, 3).weight.shape == (8, 16, 3, 3)


def test_the_weight_lies_as_the_product_needs_it():
    layer = nn.Conv2d(8, 16, 3)
    assert np.moveaxis(layer.weight.data, (0, 1), (-1, -2)).flags.c_contiguous


def test_a_given_output_size_chooses_the_output_padding():
    x = np.zeros((1, 2, 4, 4), np.float32)
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    assert layer(x).shape == (1, 3, 7, 7) and layer(x, output_size=(8, 7)).shape == (1, 3, 8, 7)
    with pytest.raises(ValueError, match=r"ConvTranspose2d.*output_size \(9, 7\).*from \(7, 7\) to \(8, 8\)"):
        layer(x, output_size=(9, 7))
    with pytest.raises(ValueError, match="output_size"):
        layer(x, output_size=(8,))


def test_shown_are_the_options_that_were_chosen():
    assert repr(nn.Conv2d(3, 8, 3)) == "Conv2d(3 -> 8, 3x3): 224 parameters"
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=(1, 0), groups=2, bias=False, padding_mode="reflect")
    assert layer.describe() == "4 -> 8, 3x3, stride=2, padding=(1, 0), groups=2, bias=False, padding_mode=reflect"
    assert "output_padding=1" in repr(nn.ConvTranspose1d(3, 8, 3, stride=2, output_padding=1))


X = np.zeros((2, 4, 5, 5), np.float32)
WRONG = {
    "channels": (lambda: nn.Conv2d(3, 8, 3)(X), r"Conv2d\(3 -> 8, 3x3\).*needs.*\(n, 3, height, width\).*got \(2, 4"),
    "axes": (lambda: nn.Conv3d(4, 8, 3)(X[0]), r"Conv3d\(4 -> 8.*got \(4, 5, 5\)"),
    "kernel": (lambda: nn.Conv2d(4, 8, 7)(X), r"Conv2d\(4 -> 8, 7x7\).*larger than the padded input \(5, 5\)"),
    "kernel with a mode": (lambda: nn.Conv2d(4, 8, 7, padding_mode="reflect")(X), r"Conv2d\(4 -> 8, 7x7.*larger"),
    "reflection": (lambda: nn.Conv2d(4, 8, 3, padding=6, padding_mode="reflect")(X), r"Conv2d\(.*within the input"),
    "groups": (lambda: nn.Conv2d(3, 8, 3, groups=2), "Conv2d: groups=2 must divide both.*got 3 and 8"),
    "no groups": (lambda: nn.Conv2d(3, 8, 3, groups=0), "Conv2d.*groups"),
    "kernel of 0": (lambda: nn.Conv2d(3, 8, 0), "Conv2d.*kernel_size"),
    "kernel of three": (lambda: nn.Conv2d(3, 8, (3, 3, 3)), r"Conv2d.*kernel_size.*\(3, 3, 3\)"),
    "stride": (lambda: nn.Conv2d(3, 8, 3, stride=0), "Conv2d.*stride.*got 0"),
    "dilation": (lambda: nn.Conv2d(3, 8, 3, dilation=(1,)), r"Conv2d.*dilation.*got \(1,\)"),
    "padding": (lambda: nn.Conv2d(3, 8, 3, padding=-1), "Conv2d.*padding.*got -1"),
    "padding by name": (lambda: nn.Conv2d(3, 8, 3, padding="full"), "Conv2d.*'same', 'valid'.*'full'"),
    "same with stride": (lambda: nn.Conv2d(3, 8, 3, padding="same", stride=2), "Conv2d.*stride 1"),
    "mode": (lambda: nn.Conv2d(3, 8, 3, padding_mode="mirror"), "Conv2d: padding_mode.*got 'mirror'"),
    "mode of a transpose": (lambda: nn.ConvTranspose2d(3, 8, 3, padding_mode="reflect"), "pads with zeros only"),
    "output": (lambda: nn.ConvTranspose2d(4, 8, 3, padding=9)(X), r"ConvTranspose2d\(4 -> 8.*\(-11, -11\)"),
    "output padding": (lambda: nn.ConvTranspose2d(4, 8, 3, output_padding=1)(X), r"ConvTranspose2d\(.*output_padding"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_error_names_the_layer_what_it_got_and_what_it_needs(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_lists_are_tensors_and_integers_are_told():
    layer = nn.Conv1d(1, 1, 2, dtype=float)
    y = layer(Tensor(np.ones((1, 1, 3))))
    np.testing.assert_array_equal(layer(np.ones((1, 1, 3))).data, y.data)
