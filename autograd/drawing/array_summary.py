"""Summarise an array in one or two lines: in full if it is small, else mean, deviation, range and zeros."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BINS = 16
FULL = 6  # arrays of at most this many elements are written out
SIDE = 8  # most rows and columns of a matrix whose elements are kept, to be shown as numbers in colour


@dataclass(frozen=True)
class ArraySummary:
    """An array as `lines` of text, the number of non-finite elements, and the root mean square.

    `histogram` is (lowest, highest, counts in 16 equal bins) of the finite elements; only larger arrays have one.
    `cells` are the rows of a real matrix of at most 8x8, and () for any other array.
    """

    lines: tuple[str, ...]
    nonfinite: int
    rms: float
    histogram: tuple[float, float, tuple[int, ...]] | None = field(default=None, repr=False)
    cells: tuple[tuple[float, ...], ...] = field(default=(), repr=False)


def shape_text(shape: tuple[int, ...]) -> str:
    """`4x8` for (4, 8); `scalar` for ().

    >>> shape_text((4, 8)), shape_text(())
    ('4x8', 'scalar')
    """
    return "x".join(map(str, shape)) or "scalar"


def summarise(value: Any) -> ArraySummary:
    """Summarise an array of any shape, or a Python number.

    >>> summarise(np.array([[1.0, 2.0], [0.5, float("nan")]]))
    ArraySummary(lines=('[[1, 2], [0.5, nan]]',), nonfinite=1, rms=nan)
    >>> summarise(np.arange(8.0)).lines
    ('mean 3.5, std 2.291', 'range 0 to 7, zeros 12%')
    """
    if not hasattr(value, "dtype"):
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        return ArraySummary((text,), 0 if np.isfinite(value) else 1, abs(value))
    if value.size == 0:
        return ArraySummary(("empty",), 0, 0.0)
    wide = value if value.dtype.kind == "c" else value.astype(np.float64)  # float16 overflows in a sum of squares
    finite = np.isfinite(wide)
    nonfinite = value.size - int(np.count_nonzero(finite))
    cells = _cells(value)
    if value.size <= FULL:
        return ArraySummary((_nested(value.tolist()),), nonfinite, _rms(wide), cells=cells)
    good = wide[finite] if nonfinite else wide
    if good.size == 0:
        return ArraySummary(("no finite element",), nonfinite, math.nan, cells=cells)
    if bool((good == good[(0,) * good.ndim]).all()):
        what = "all" if not nonfinite else "all others"
        said = f"{what} {number_text(good[(0,) * good.ndim].item())}"
        return ArraySummary((said,), nonfinite, _rms(wide), cells=cells)
    lines = [f"mean {number_text(good.mean().item())}, std {number_text(good.std().item())}"]
    none = int(np.count_nonzero(good == 0))
    zeros = [f"zeros {_share(none, value.size)}"] * (none > 0)
    if value.dtype.kind == "c":
        return ArraySummary((*lines, *zeros), nonfinite, _rms(wide))
    low, high = good.min().item(), good.max().item()
    lines.append(", ".join([f"range {number_text(low)} to {number_text(high)}", *zeros]))
    counts = np.histogram(good, BINS, (low, high))[0] if math.isfinite(high - low) else ()
    return ArraySummary(tuple(lines), nonfinite, _rms(wide), (low, high, tuple(map(int, counts))), cells)


def _cells(value: Any) -> tuple[tuple[float, ...], ...]:
    small = value.ndim == 2 and max(value.shape) <= SIDE and value.dtype.kind in "biuf"
    return tuple(map(tuple, value.tolist())) if small else ()


def _rms(wide: Any) -> float:
    """The root mean square, scaled by the largest element so that the squares neither overflow nor underflow."""
    magnitude = np.abs(wide)
    largest = float(magnitude.max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(float(((magnitude / largest) ** 2).mean()))


def _share(count: int, size: int) -> str:
    """`count` of `size` as a percentage that is 0% only for none and 100% only for all."""
    if 0 < count < size:
        return "<1%" if 100 * count < size else f"{min(99, round(100 * count / size))}%"
    return "100%" if count else "0%"


def number_text(number: Any) -> str:
    """A number with four digits, or a whole one in full.

    >>> number_text(1 / 3), number_text(12345)
    ('0.3333', '12345')
    """
    if isinstance(number, int):
        return str(number)  # booleans too; whole numbers in full
    return f"{number:.4g}"


def _nested(items: Any) -> str:
    return f"[{', '.join(map(_nested, items))}]" if isinstance(items, list) else number_text(items)
