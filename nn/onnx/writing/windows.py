"""Convolutions and what is taken of windows, as nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .writer import Step, Writer


def pads(padding: Sequence[tuple[int, int]]) -> list[int]:
    """ONNX's order: all before, then all after."""
    return [before for before, _ in padding] + [after for _, after in padding]


def _windows(s: Step) -> Any:
    windows = s.param("windows")
    if any(other != windows[0] for other in windows):
        raise s.refuse("has windows over an axis that follows the batch")
    return windows[0]


def convolution(w: Writer, s: Step, *bias: str) -> str:
    p = s.params
    options = {"strides": p["stride"], "pads": pads(p["padding"]), "dilations": p["dilation"], "group": p["groups"]}
    return str(w.node("Conv", s.x(0), s.x(1), *bias, **options))


def convolution_input(w: Writer, s: Step, *bias: str) -> str:
    p = s.params
    old, kernel = s.shape_of(0)[2:], s.shape_of(1)[2:]
    extra = [
        size - ((n - 1) * stride - sum(pad) + dilation * (k - 1) + 1)
        for size, n, stride, pad, dilation, k in zip(
            p["sizes"], old, p["stride"], p["padding"], p["dilation"], kernel, strict=True
        )
    ]
    options = {"strides": p["stride"], "pads": pads(p["padding"]), "dilations": p["dilation"], "group": p["groups"]}
    return str(w.node("ConvTranspose", s.x(0), s.x(1), *bias, output_padding=extra, **options))


def _window_max(w: Writer, s: Step) -> str:
    win = _windows(s)
    options = {"strides": win.stride, "pads": pads(win.padding), "dilations": win.dilation}
    return str(w.node("MaxPool", s.x(), kernel_shape=win.kernel, **options))


def _window_sum(w: Writer, s: Step) -> str:
    win = _windows(s)
    if set(win.dilation) != {1}:
        raise s.refuse("has a dilation")
    mean = w.node(
        "AveragePool", s.x(), kernel_shape=win.kernel, strides=win.stride, pads=pads(win.padding), count_include_pad=1
    )  # fmt: skip
    return str(w.node("Mul", mean, w.constant(np.asarray(math.prod(win.kernel), s.dtype))))


def _one_hot(w: Writer, s: Step, win: Any, channels: int) -> str:
    """The weight (channels * places, 1, *kernel) that picks each place in a window."""
    places = math.prod(win.kernel)
    weight = np.eye(places, dtype=s.dtype).reshape(places, 1, *win.kernel)
    return w.constant(np.tile(weight, (channels, 1, *(1,) * len(win.kernel))))


def _window_columns(w: Writer, s: Step) -> str:
    win, channels = _windows(s), s.shape_of(0)[1]
    options = {"strides": win.stride, "pads": pads(win.padding), "dilations": win.dilation, "group": channels}
    made = w.node("Conv", s.x(), _one_hot(w, s, win, channels), **options)
    return w.new_shape(made, [made.value.shape for made in s.versions])


def _window_joined(w: Writer, s: Step) -> str:
    win, channels = _windows(s), s.shape[1]
    places = math.prod(win.kernel)
    flat = w.new_shape(s.x(), [(made.value.shape[0], channels * places, *win.outputs) for made in s.versions])
    extra = [
        size - ((n - 1) * stride - sum(pad) + dilation * (k - 1) + 1)
        for size, n, stride, pad, dilation, k in zip(
            win.sizes, win.outputs, win.stride, win.padding, win.dilation, win.kernel, strict=True
        )
    ]
    options = {"strides": win.stride, "pads": pads(win.padding), "dilations": win.dilation, "group": channels}
    return str(w.node("ConvTranspose", flat, _one_hot(w, s, win, channels), output_padding=extra, **options))


WINDOWS_WRITTEN: dict[str, Callable[[Writer, Step], str]] = {
    "convolution": convolution, "convolution_input": convolution_input, "window_max": _window_max,
    "window_sum": _window_sum, "window_columns": _window_columns, "window_joined": _window_joined,
}  # fmt: skip
