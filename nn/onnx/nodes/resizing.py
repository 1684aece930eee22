"""Resize and Upsample: a matrix for each axis, or the nearest places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .values import array, ints, refuse


def _places(transformation: str, new: int, old: int, scale: float, roi: tuple[float, float]) -> Any:
    """Where the new places lie among the old."""
    at = np.arange(new, dtype=float)
    start, end = roi
    if transformation == "asymmetric":
        return at / scale
    if transformation == "align_corners":
        return at * ((old - 1) / (new - 1)) if new > 1 else at * 0.0
    if transformation == "pytorch_half_pixel":
        return (at + 0.5) / scale - 0.5 if new > 1 else at * 0.0
    if transformation == "half_pixel":
        return (at + 0.5) / scale - 0.5
    if transformation == "half_pixel_symmetric":
        centre = old / 2 * (1 - new / (scale * old))
        return centre + (at + 0.5) / scale - 0.5
    if transformation == "tf_half_pixel_for_nn":
        return (at + 0.5) / scale
    if transformation == "tf_crop_and_resize":
        if new > 1:
            return start * (old - 1) + at * (end - start) * (old - 1) / (new - 1)
        return 0.5 * (start + end) * (old - 1) + at * 0.0
    return refuse(f"has coordinate_transformation_mode={transformation!r}")


_ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _linear(distance: Any) -> Any:
    return np.clip(1 - np.abs(distance), 0, 1)


def _cubic(a: float, distance: Any) -> Any:
    """Keys 1981."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _matrix(places: Any, old: int, weigh: Callable[[Any], Any], reach: int, narrow: float, exclude: bool) -> Any:
    """The matrix (new, old) of weights; `narrow` < 1 widens the kernel, against aliasing."""
    width = math.ceil(reach / narrow)
    first = np.floor(places).astype(int)
    matrix, rows = np.zeros((len(places), old)), np.arange(len(places))
    for k in range(1 - width, width + 1):
        at = first + k
        weight = weigh((at - places) * narrow)
        if exclude:
            weight = np.where((at >= 0) & (at < old), weight, 0.0)
        np.add.at(matrix, (rows, np.clip(at, 0, old - 1)), weight)
    total = matrix.sum(1, keepdims=True)
    return matrix / np.where(total == 0, 1.0, total)


def resize(
    x: Any,
    roi: Any = None,
    scales: Any = None,
    sizes: Any = None,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Any:
    """Each axis by itself: a product with a matrix, or a choice of places."""
    along = [axis % np.ndim(x) for axis in axes] if axes is not None else [*range(np.ndim(x))]
    old = [np.shape(x)[axis] for axis in along]
    if sizes is not None and np.size(array(sizes)):
        new = list(ints(sizes))
        factors = [n / o for n, o in zip(new, old, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            factor = (min if keep_aspect_ratio_policy == "not_larger" else max)(factors)
            factors, new = [factor] * len(old), [math.floor(factor * o + 0.5) for o in old]
    else:
        factors = [float(f) for f in np.ravel(array(scales))]
        new = [math.floor(f * o) for f, o in zip(factors, old, strict=True)]
    given = (
        np.ravel(array(roi))
        if roi is not None and np.size(array(roi))
        else np.array([0.0] * len(old) + [1.0] * len(old))
    )
    outside: Any = False
    for i, (axis, n, o, factor) in enumerate(zip(along, new, old, factors, strict=True)):
        span = float(given[i]), float(given[i + len(old)])
        cropped = coordinate_transformation_mode == "tf_crop_and_resize"
        if n == o and factor == 1 and not cropped:
            continue
        places = _places(coordinate_transformation_mode, n, o, factor, span)
        if cropped:
            beyond = (places < 0) | (places > o - 1)
            outside = outside | beyond.reshape(-1, *(1,) * (np.ndim(x) - 1 - axis))
        x = _resized(x, axis, places, o, factor, mode, nearest_mode, antialias, cubic_coeff_a, bool(exclude_outside))
    return np.where(outside, extrapolation_value, x) if np.any(outside) else x


def _resized(
    x: Any, axis: int, places: Any, old: int, factor: float, mode: str, rounding: str, antialias: int, a: float,
    exclude: bool,
) -> Any:  # fmt: skip
    if mode == "nearest":
        return np.take(x, np.clip(_ROUNDINGS[rounding](places), 0, old - 1).astype(int), axis=axis)
    narrow = min(1.0, factor) if antialias else 1.0
    if mode == "linear":
        matrix = _matrix(places, old, _linear, 1, narrow, exclude)
    elif mode == "cubic":
        matrix = _matrix(places, old, lambda d: _cubic(a, d), 2, narrow, exclude)
    else:
        refuse(f"has mode={mode!r}")
    return np.swapaxes(np.swapaxes(x, axis, -1) @ matrix.T.astype(x.dtype), axis, -1)


def upsample(x: Any, scales: Any, mode: str = "nearest") -> Any:
    return resize(
        x, scales=scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )  # fmt: skip


def resize_of_scales(x: Any, scales: Any, mode: str = "nearest") -> Any:
    """As it was in opset 10."""
    return upsample(x, scales, mode)


RESIZING: dict[str, Callable[..., Any]] = {"Resize": resize, "Resize/10": resize_of_scales, "Upsample": upsample}
