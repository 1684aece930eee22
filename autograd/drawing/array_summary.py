"""Summarise an array in one or two lines: in full if it is small, else its mean, spread, range, zeros and NaNs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BINS = 16
FULL = 6  # arrays of at most this many elements are written out


@dataclass(frozen=True)
class ArraySummary:
    """An array as `lines` of text, the number of non-finite elements, and the root mean square.

    `histogram` is (lowest, highest, counts in 16 equal bins) of the finite elements; only larger arrays have one.
    """

    lines: tuple[str, ...]
    nonfinite: int
    rms: float
    histogram: tuple[float, float, tuple[int, ...]] | None = field(default=None, repr=False)


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
    ('mean 3.5, spread 2.291', 'range 0 to 7, zeros 12%')
    """
    if not hasattr(value, "dtype"):
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        return ArraySummary((text,), 0 if np.isfinite(value) else 1, abs(value))
    if value.size == 0:
        return ArraySummary(("empty",), 0, 0.0)
    wide = value if value.dtype.kind == "c" else value.astype(np.float64)  # float16 overflows in a sum of squares
    finite = np.isfinite(wide)
    nonfinite = value.size - int(np.count_nonzero(finite))
    if value.size <= FULL:
        return ArraySummary((_nested(value.tolist()),), nonfinite, _rms(wide))
    good = wide[finite] if nonfinite else wide
    if good.size == 0:
        return ArraySummary(("no finite element",), nonfinite, math.nan)
    if bool((good == good[(0,) * good.ndim]).all()):
        what = "all" if not nonfinite else "all others"
        return ArraySummary((f"{what} {_number(good[(0,) * good.ndim].item())}",), nonfinite, _rms(wide))
    first = f"mean {_number(good.mean().item())}, spread {_number(good.std().item())}"
    second = f"zeros {_share(int(np.count_nonzero(good == 0)), value.size)}"
    if value.dtype.kind != "c":
        low, high = good.min().item(), good.max().item()
        second = f"range {_number(low)} to {_number(high)}, {second}"
        counts = np.histogram(good, BINS, (low, high))[0] if math.isfinite(high - low) else ()
        return ArraySummary((first, second), nonfinite, _rms(wide), (low, high, tuple(map(int, counts))))
    return ArraySummary((first, second), nonfinite, _rms(wide))


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


def _number(number: Any) -> str:
    if isinstance(number, int):
        return str(number)  # booleans too; whole numbers in full
    return f"{number:.4g}"


def _nested(items: Any) -> str:
    return f"[{', '.join(map(_nested, items))}]" if isinstance(items, list) else _number(items)
