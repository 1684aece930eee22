"""What people write out of habit from other libraries: the same meaning, a warning, or an error with the remedy."""

from __future__ import annotations

import json
import struct
import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor

MATRIX, CUBE = np.arange(6.0).reshape(2, 3), np.zeros((2, 3, 4))


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("axes", [(0, 1), (-2, -1), (0, -1), (-2, 1)])
def test_two_axes_that_exchange_nothing_warn(axes, requires_grad):
    t = Tensor(MATRIX, requires_grad=requires_grad)
    with pytest.warns(UserWarning, match=r"x\.transpose\(.*of a matrix keeps its axes.*write x\.T, or x\.swapaxes\("):
        assert t.transpose(*axes).shape == (2, 3)
    with pytest.raises(ValueError, match=r"takes all 3 axes in their new order; x\.swapaxes\(1, 2\) exchanges two"):
        Tensor(CUBE, requires_grad=requires_grad).transpose(1, 2)


def test_what_is_meant_does_not_warn():
    t = Tensor(MATRIX, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert t.transpose(1, 0).shape == t.transpose().shape == t.T.shape == t.swapaxes(0, 1).shape == (3, 2)
        assert np.transpose(t, (0, 1)).shape == t.transpose((0, 1)).shape == (2, 3)
        assert Tensor(CUBE).transpose(0, 1, 2).shape == (2, 3, 4)
        np.sum(t.transpose(1, 0) ** 2).backward(create_graph=True)


@pytest.mark.parametrize("values", [[True, False], [1, -2], True, 3])
def test_inversion_is_numpys(values):
    found = ~Tensor(values)
    np.testing.assert_array_equal(found.data, ~np.array(values))
    assert found.dtype == np.array(values).dtype


WRONG = {
    "inverted numbers": (lambda: ~Tensor([1.0]), "invert"),
    "a negative of booleans": (lambda: -Tensor([True]), r"use the `~` operator or the logical_not function"),
    "a difference of booleans": (lambda: Tensor([True]) - Tensor([True]), r"use .*logical_xor function"),
    "a modulus": (lambda: pow(Tensor(2.0), 2, 3), r"no third argument, the modulus; write t \*\* n % modulus"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_meaning_names_what_has(name):
    call, message = WRONG[name]
    with pytest.raises(TypeError, match=message):
        call()


def test_a_network_of_two_inputs_is_told_how_they_are_given():
    class Two(nn.Module):
        def __init__(self, inputs=None):
            self.layer = nn.Linear(2, 1)

        def forward(self, x, z):
            return self.layer(x) + z

    class One(Two):
        def forward(self, inputs):
            return super().forward(inputs["x"], inputs["z"])

    class Inner(Two):
        def forward(self, x):
            return super().forward(x)

    x, y = {"x": np.ones((4, 2), np.float32), "z": np.ones((4, 1), np.float32)}, np.ones((4, 1), np.float32)
    for data in (x["x"], x):
        with pytest.raises(TypeError, match=r"missing 1 .*'z'; .*nn\.fit gives one input: put several into a dict"):
            nn.fit(Two(), data, y, loss=nn.MSELoss(), epochs=1, progress=False)
    nn.fit(One(), x, y, loss=nn.MSELoss(), epochs=1, progress=False)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'z'$"):
        Inner()(x["x"])


@pytest.mark.parametrize("dtype", ["F8_E4M3", "XYZ"])
def test_a_dtype_that_is_not_read_is_named(tmp_path, dtype):
    pytest.importorskip("safetensors")
    head = json.dumps({"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + b"\0")
    with pytest.raises(ValueError, match=rf"x\.safetensors holds .*{dtype}.*convert"):
        nn.load(tmp_path / "x.safetensors")
