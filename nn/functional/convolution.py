"""Convolution along any number of axes: three ops, each of which is the derivative of the other two.

Let x be the input (n, channels, *sizes), w the weight (out, channels / groups, *kernel) and g an array in the shape of
the output (n, out, *outputs).  The number sum(convolution(x, w) * g) is linear in each of the three arrays, and its
derivatives by g, x and w are the three ops; so the rules of each op are the two others, to any order.

Windows are gathered into matrices that fit a cache, and a product with the weight gives a block of the output.  Results
have their channels last in memory, which makes the windows of the next layer contiguous.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograd import CASES, Case, differentiable, outside

from .windows import Ints, Pads, Windows, first, last, pads_of, per_axis, same_shape

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip


def _matrix(weight: Any) -> Any:
    """The weight (out, channels, *kernel) as a matrix (kernel * channels, out)."""
    return np.moveaxis(weight, (0, 1), (-1, -2)).reshape(-1, weight.shape[0])


def _parts(total: int, groups: int) -> list[slice]:
    size = total // groups
    return [slice(i * size, (i + 1) * size) for i in range(groups)]


def _of_one_dtype(a: Any, b: Any) -> tuple[Any, Any]:
    dtype = np.result_type(a, b)
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


# ---- on arrays


def _convolve(x: Any, weight: Any, groups: int, windows: Windows) -> Any:
    x, weight = _of_one_dtype(last(x), weight)
    out, channels = weight.shape[0], x.shape[-1]
    y = np.zeros((len(x), *windows.outputs, out), x.dtype, like=x)
    if weight.shape[1] == 1 < groups:
        of_tap = np.moveaxis(weight[:, 0], 0, -1)
        for block in windows.blocks(len(x), channels):
            part = y[block]
            for tap, under in windows.taps(_repeated(windows.tile(x, block), out // groups)):
                part += under * of_tap[tap]
        return first(y)
    matrices = [_matrix(weight[part]) for part in _parts(out, groups)]
    for block in windows.blocks(len(x), channels * math.prod(windows.kernel)):
        tile, part = windows.tile(x, block), y[block]
        if groups == 1:
            np.dot(windows.columns(tile), matrices[0], out=part.reshape(-1, out))
            continue
        for matrix, ins, outs in zip(matrices, _parts(channels, groups), _parts(out, groups), strict=True):
            part[..., outs] = np.dot(windows.columns(tile[..., ins]), matrix).reshape(*part.shape[:-1], -1)
    return first(y)


def _repeated(tile: Any, times: int) -> Any:
    return tile if times == 1 else np.repeat(tile, times, axis=-1)


def _to_input(g: Any, weight: Any, groups: int, windows: Windows) -> Any:
    if set(windows.stride) == {1}:  # an input is a window of outputs then, and gathering is faster than adding
        return _convolve(g, _turned(weight, groups), groups, _turned_windows(windows))
    g, weight = _of_one_dtype(last(g), weight)
    out, channels = weight.shape[0], weight.shape[1] * groups
    x = np.zeros((len(g), *windows.sizes, channels), g.dtype, like=g)
    matrices = [_matrix(weight[part]).T.copy() for part in _parts(out, groups)]
    for block in windows.blocks(len(g), channels * math.prod(windows.kernel)):
        part, tile = g[block], windows.empty_tile(block, channels, g)
        for matrix, outs, ins in zip(matrices, _parts(out, groups), _parts(channels, groups), strict=True):
            columns = np.dot(part[..., outs].reshape(-1, len(matrix)), matrix)
            columns = columns.reshape(*part.shape[:-1], *windows.kernel, -1)
            for tap, under in windows.taps(tile[..., ins]):
                under += columns[(..., *tap, slice(None))]
        windows.add(x, block, tile)
    return first(x)


def _turned(weight: Any, groups: int) -> Any:
    """The weight of the convolution from outputs to inputs: turned around, inputs and outputs exchanged."""
    out, channels, *kernel = weight.shape
    parts = weight.reshape(groups, out // groups, channels, *kernel).swapaxes(1, 2)
    return np.flip(parts.reshape(groups * channels, out // groups, *kernel), tuple(range(2, weight.ndim)))


def _turned_windows(windows: Windows) -> Windows:
    reach = [d * (k - 1) for d, k in zip(windows.dilation, windows.kernel, strict=True)]
    before = [r - pad for r, (pad, _) in zip(reach, windows.padding, strict=True)]
    outputs = windows.outputs
    after = [size - n - b + r for size, n, b, r in zip(windows.sizes, outputs, before, reach, strict=True)]
    return replace(windows, sizes=outputs, padding=tuple(zip(before, after, strict=True)))


def _to_weight(x: Any, g: Any, groups: int, windows: Windows) -> Any:
    x, g = _of_one_dtype(last(x), last(g))
    out, channels = g.shape[-1], x.shape[-1]
    if channels == groups > 1:
        of_tap, axes = np.zeros((*windows.kernel, out), x.dtype, like=x), list(range(g.ndim))
        for block in windows.blocks(len(x), channels):
            part = g[block]
            for tap, under in windows.taps(_repeated(windows.tile(x, block), out // groups)):
                of_tap[tap] += np.einsum(under, axes, part, axes, axes[-1:])
        return np.moveaxis(of_tap, -1, 0)[:, None]
    width = channels // groups
    total = np.zeros((groups, math.prod(windows.kernel) * width, out // groups), x.dtype, like=x)
    for block in windows.blocks(len(x), channels * math.prod(windows.kernel)):
        tile, part = windows.tile(x, block), g[block]
        for sums, ins, outs in zip(total, _parts(channels, groups), _parts(out, groups), strict=True):
            sums += np.dot(windows.columns(tile[..., ins]).T, part[..., outs].reshape(-1, out // groups))
    parts = np.moveaxis(total.reshape(groups, *windows.kernel, width, out // groups), (-1, -2), (1, 2))
    return parts[0] if groups == 1 else parts.reshape(out, width, *windows.kernel)


# ---- the three ops


def _check_weight(shape: tuple[int, ...], groups: int) -> None:
    if min(shape) < 1 or shape[0] % groups:
        raise ValueError(f"a convolution's weight has numbers on every axis, and outputs for each group; got {shape}")


def _convolution(x: Any, weight: Any, *, stride: Ints, padding: Pads, dilation: Ints, groups: int) -> Any:
    windows = Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    _check_weight(weight.shape, groups)
    same_shape("the channels of a convolution's input", x.shape[1:2], (weight.shape[1] * groups,))
    return outside(_convolve, x, weight, groups, windows)


def _input_gradient(
    g: Any, weight: Any, *, sizes: Ints, stride: Ints, padding: Pads, dilation: Ints, groups: int
) -> Any:
    windows = Windows(sizes, weight.shape[2:], stride, padding, dilation)
    _check_weight(weight.shape, groups)
    same_shape("the output of a convolution, from its channels on,", g.shape[1:], (len(weight), *windows.outputs))
    return outside(_to_input, g, weight, groups, windows)


def _weight_gradient(x: Any, g: Any, *, kernel: Ints, stride: Ints, padding: Pads, dilation: Ints, groups: int) -> Any:
    windows = Windows(x.shape[2:], kernel, stride, padding, dilation)
    _check_weight((g.shape[1], x.shape[1] // groups, *kernel), groups)
    same_shape("the output of a convolution", g.shape, (len(x), g.shape[1], *windows.outputs))
    return outside(_to_weight, x, g, groups, windows)


convolution: Any = differentiable(
    _convolution,
    lambda g, _y, _x, w, *, stride, padding, dilation, groups: convolution_input(
        g, w, sizes=_x.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    lambda g, _y, x, _w, *, stride, padding, dilation, groups: convolution_weight(
        x, g, kernel=_w.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    name="convolution",
)
convolution_input: Any = differentiable(
    _input_gradient,
    lambda x, _y, _g, w, *, sizes, stride, padding, dilation, groups: convolution(
        x, w, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    lambda x, _y, g, _w, *, sizes, stride, padding, dilation, groups: convolution_weight(
        x, g, kernel=_w.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    name="convolution_input",
)
convolution_weight: Any = differentiable(
    _weight_gradient,
    lambda w, _y, _x, g, *, kernel, stride, padding, dilation, groups: convolution_input(
        g, w, sizes=_x.shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    lambda w, _y, x, _g, *, kernel, stride, padding, dilation, groups: convolution(
        x, w, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    name="convolution_weight",
)


# ---- the functions of one, two and three axes


def _check(name: str, axes: int, x: Any, weight: Any, channels: int, groups: int) -> None:
    shape, kernel = np.shape(x), np.shape(weight)
    if len(kernel) != axes + 2:
        raise ValueError(f"{name}: weight has {axes + 2} axes, (out, channels, *kernel); got shape {kernel}")
    if groups < 1 or kernel[0] % groups:
        raise ValueError(f"{name}: groups={groups} does not divide the {kernel[0]} channels of weight {kernel}")
    if len(shape) not in (axes + 1, axes + 2) or shape[-axes - 1] != channels:
        sizes = ", ".join(("length",) if axes == 1 else ("depth", "height", "width")[-axes:])
        raise ValueError(
            f"{name} with weight {kernel}{f' and groups={groups}' if groups > 1 else ''} needs inputs of shape "
            f"(n, {channels}, {sizes}) or ({channels}, {sizes}); got {shape}"
        )


def _conv(name: str, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    axes = int(name[-2])
    _check(name, axes, x, weight, np.shape(weight)[1] * groups, groups)
    kernel = np.shape(weight)[2:]
    stride = per_axis(name, stride, axes, "stride", 1)
    dilation = per_axis(name, dilation, axes, "dilation", 1)
    pads = pads_of(name, padding, kernel, stride, dilation)
    sizes = tuple(n + sum(pad) for n, pad in zip(np.shape(x)[-axes:], pads, strict=True))
    if any(d * (k - 1) + 1 > n for d, k, n in zip(dilation, kernel, sizes, strict=True)):
        apart = f" with dilation {dilation}" if max(dilation) > 1 else ""
        raise ValueError(f"{name}: the kernel {kernel}{apart} is larger than the padded input {sizes}")
    options: Any = {"stride": stride, "padding": pads, "dilation": dilation, "groups": int(groups)}
    single = np.ndim(x) == axes + 1
    y = convolution(x[None] if single else x, weight, **options)
    y = y if bias is None else y + np.reshape(bias, (-1, *(1,) * axes))
    return y[0] if single else y


def _conv_transpose(
    name: str, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, extra: Any, groups: int, dilation: Any
) -> Any:
    axes = int(name[-2])
    _check(name, axes, x, weight, np.shape(weight)[0], groups)
    kernel = np.shape(weight)[2:]
    stride = per_axis(name, stride, axes, "stride", 1)
    dilation = per_axis(name, dilation, axes, "dilation", 1)
    pads = pads_of(name, per_axis(name, padding, axes, "padding", 0), kernel, stride, dilation)
    extra = per_axis(name, extra, axes, "output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"{name}: output_padding {extra} must be smaller than stride {stride} or dilation {dilation}")
    sizes = tuple(
        (n - 1) * s - sum(pad) + d * (k - 1) + 1 + e
        for n, s, pad, d, k, e in zip(np.shape(x)[-axes:], stride, pads, dilation, kernel, extra, strict=True)
    )
    if min(sizes) < 1:
        raise ValueError(f"{name}: an input of {np.shape(x)[-axes:]} and padding {padding} give outputs of {sizes}")
    pads = tuple((a, b - e) for (a, b), e in zip(pads, extra, strict=True))  # no window reads the extra places
    single = np.ndim(x) == axes + 1
    options: Any = {"stride": stride, "padding": pads, "dilation": dilation, "groups": int(groups)}
    y = convolution_input(x[None] if single else x, weight, sizes=sizes, **options)
    y = y if bias is None else y + np.reshape(bias, (-1, *(1,) * axes))
    return y[0] if single else y


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """Slide a kernel along one axis: input (n, channels, length) and weight (out, channels / groups, kernel).

    The output (n, out, length') has at each place the sum of weight times the `kernel` inputs there, which are
    `dilation` apart; places are `stride` apart.  `padding` zeros stand before and after the input; "same" keeps the
    length, "valid" is 0.  Each of the `groups` reads its own share of the channels.  The first axis may be missing.
    Raises ValueError for shapes that do not fit.

    >>> conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    array([[[1., 2.]]])
    """
    return _conv("conv1d", input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """Slide a kernel over images (n, channels, height, width); see `conv1d`.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), padding="same")[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    return _conv("conv2d", input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """Slide a kernel through volumes (n, channels, depth, height, width); see `conv1d`.

    >>> conv3d(np.ones((1, 1, 2, 2, 2)), np.ones((3, 1, 2, 2, 2))).shape
    (1, 3, 1, 1, 1)
    """
    return _conv("conv3d", input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """The gradient of `conv1d` by its input, as a layer that makes arrays longer; weight (channels, out / groups, k).

    Every input is spread over `kernel` outputs, which begin `stride` apart; `padding` of them are cut off at both
    ends, and `output_padding` more are made at the end.  Raises ValueError for shapes that do not fit.

    >>> conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 1.0]]]), stride=2)
    array([[[1., 1., 2., 2.]]])
    """
    return _conv_transpose("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """`conv_transpose1d` for images (n, channels, height, width).

    >>> conv_transpose2d(np.ones((1, 2, 4, 4)), np.ones((2, 3, 2, 2)), stride=2).shape
    (1, 3, 8, 8)
    """
    return _conv_transpose("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """`conv_transpose1d` for volumes (n, channels, depth, height, width).

    >>> conv_transpose3d(np.ones((1, 2, 2, 2, 2)), np.ones((2, 1, 2, 2, 2)), stride=2).shape
    (1, 1, 4, 4, 4)
    """
    return _conv_transpose("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)


# ---- test data

_ONE: Any = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
_TWO: Any = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2), "groups": 1}
_DEEP: Any = {"stride": (2,), "padding": ((1, 1),), "dilation": (1,), "groups": 2}
CASES[convolution] = [
    Case((2, 2, 4), (3, 2, 2), **_ONE),
    Case((1, 2, 4, 4), (2, 2, 2, 2), **_TWO),
    Case((2, 2, 4), (4, 1, 3), **_DEEP),
    Case((1, 4, 4), (2, 2, 3), **_DEEP),
    Case((0, 2, 4), (3, 2, 2), **_ONE),
]
CASES[convolution_input] = [
    Case((2, 3, 3), (3, 2, 2), sizes=(4,), **_ONE),
    Case((1, 2, 3, 3), (2, 2, 2, 2), sizes=(4, 4), **_TWO),
    Case((2, 4, 2), (4, 1, 3), sizes=(4,), **_DEEP),
    Case((1, 2, 2), (2, 2, 3), sizes=(4,), **_DEEP),
]
CASES[convolution_weight] = [
    Case((2, 2, 4), (2, 3, 3), kernel=(2,), **_ONE),
    Case((1, 2, 4, 4), (1, 2, 3, 3), kernel=(2, 2), **_TWO),
    Case((2, 2, 4), (2, 4, 2), kernel=(3,), **_DEEP),
    Case((1, 4, 4), (1, 2, 2), kernel=(3,), **_DEEP),
]
