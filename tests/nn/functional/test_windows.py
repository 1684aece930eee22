"""Windows: every output is in one block, and a tile holds what its windows read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.functional import windows as module
from nn.functional.windows import Windows, pads_of, per_axis


@st.composite
def layouts(draw):
    axes = draw(st.integers(1, 2))
    kernel, stride, dilation = (draw(st.tuples(*[st.integers(1, 3)] * axes)) for _ in range(3))
    padding = tuple((draw(st.integers(-1, 2)), draw(st.integers(-1, 2))) for _ in range(axes))
    sizes = tuple(
        max(1, d * (k - 1) + 1 - a - b + draw(st.integers(0, 6)))
        for k, d, (a, b) in zip(kernel, dilation, padding, strict=True)
    )
    return Windows(sizes, kernel, stride, padding, dilation)


def padded(x, windows):
    """x with its padding, or without the places that negative padding cuts off."""
    x = np.pad(x, [(0, 0), *((max(a, 0), max(b, 0)) for a, b in windows.padding), (0, 0)])
    cut = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape[1:-1], windows.padding, strict=True)]
    return x[:, *cut]


@given(layouts(), st.integers(1, 3), st.sampled_from([1, 3, 8, 9]), st.integers(1, 200))
def test_blocks_hold_every_window_once(windows, n, channels, size):
    if min(windows.outputs) < 1:
        return
    x = np.random.default_rng(0).normal(size=(n, *windows.sizes, channels))
    whole = padded(x, windows)
    seen, back = np.zeros((n, *windows.outputs), int), np.zeros_like(x)
    old, module.BLOCK = module.BLOCK, size
    try:
        blocks = [*windows.blocks(n, channels)]
    finally:
        module.BLOCK = old
    for block in blocks:
        seen[block] += 1
        tile = windows.tile(x, block)
        view = windows.view(tile)
        assert not view.flags.writeable
        np.testing.assert_array_equal(windows.columns(tile), view.reshape(-1, np.prod(windows.kernel) * channels))
        for place in np.ndindex(view.shape[: 1 + len(windows.kernel)]):
            i, row, *more = place
            starts = [p * s for p, s in zip((row + block[1].start, *more), windows.stride, strict=True)]
            reads = [
                slice(a, a + d * (k - 1) + 1, d)
                for a, d, k in zip(starts, windows.dilation, windows.kernel, strict=True)
            ]
            np.testing.assert_array_equal(view[place], whole[i + block[0].start, *reads])
        for tap, under in windows.taps(tile):
            np.testing.assert_array_equal(under, view[(slice(None),) * (1 + len(tap)) + tap])
        windows.add(back, block, windows.tile(x, block))
    assert (seen == 1).all()


def test_options_of_axes():
    assert per_axis("f", 2, 3, "stride", 1) == (2, 2, 2)
    assert per_axis("f", np.array([1, 2]), 2, "stride", 1) == (1, 2)
    assert pads_of("f", "same", (3, 4), (1, 1), (2, 1)) == ((2, 2), (1, 2))
    for wrong in (0, -1, 1.0, None, "2", (1,), (1, 2, 3), (1, 0)):
        with pytest.raises(ValueError, match="f: stride is a whole number from 1, or 2 of them; got"):
            per_axis("f", wrong, 2, "stride", 1)
