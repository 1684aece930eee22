"""Convolution along chosen axes, and products summed over others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, differentiable


def _windows(x: Any, size: int, axis: int) -> Any:
    """All runs of `size` neighbours along an axis, which become a new last axis."""
    return np.lib.stride_tricks.sliding_window_view(x, size, axis)


def _overlapped(g: Any, _y: Any, _x: Any, *, size: int, axis: int) -> Any:
    """The gradient of `windows`: element i was in window i - k at place k."""
    n, rest = _x.shape[axis], g.shape[axis]

    def placed(k: int) -> Any:
        widths = [(0, 0)] * (g.ndim - 1)
        widths[axis] = (k, n - rest - k)
        return np.pad(g[..., k], widths)

    return sum((placed(k) for k in range(1, size)), placed(0))


windows = differentiable(_windows, _overlapped, name="windows", view=True)
CASES[windows] = [Case((5,), size=3, axis=0), Case((2, 4), size=2, axis=1)]


def convolve(A: Any, B: Any, axes: Any = None, dot_axes: Sequence[Sequence[int]] = ((), ()), mode: str = "full") -> Any:
    """Convolve A and B along pairs of `axes` (by default all of both), and sum products over pairs of `dot_axes`.

    The result has A's other axes, then B's other axes, then the convolved ones: "full" of length n + m - 1, "same" of
    A's length, or "valid" of |n - m| + 1.

    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0]))
    array([1., 3., 5., 3.])
    """
    if mode not in ("valid", "full", "same"):
        raise ValueError(f"convolve: mode is 'valid', 'full' or 'same'; got {mode!r}")
    along_a, along_b = ([*range(np.ndim(A))], [*range(np.ndim(A))]) if axes is None else map(list, axes)
    lengths = [(np.shape(A)[i], np.shape(B)[j]) for i, j in zip(along_a, along_b, strict=True)]
    if mode == "valid" and any(n < m for n, m in lengths):
        if any(n > m for n, m in lengths):
            raise ValueError("convolve: for 'valid', one array must be the larger along every axis")
        return _swapped(A, B, along_a, along_b, dot_axes)
    spread, letters = A, list(range(np.ndim(A)))
    B = B[tuple(slice(None, None, -1) if j in along_b else slice(None) for j in range(np.ndim(B)))]
    letters_b = list(range(50, 50 + np.ndim(B)))
    for i, j, (_, m) in zip(along_a, along_b, lengths, strict=True):
        if mode != "valid":
            left = m - 1 if mode == "full" else m - 1 - (m - 1) // 2
            right = m - 1 if mode == "full" else (m - 1) // 2
            widths = [(0, 0)] * np.ndim(spread)
            widths[i] = (left, right)
            spread = np.pad(spread, widths)
        spread = windows(spread, size=m, axis=i)
        letters.append(letters_b[j])
    for i, j in zip(*dot_axes, strict=True):
        letters_b[j] = letters[i]
    kept_a = [x for i, x in enumerate(letters[: np.ndim(A)]) if i not in along_a and i not in dot_axes[0]]
    kept_b = [x for j, x in enumerate(letters_b) if j not in along_b and j not in dot_axes[1]]
    small = {x: n for n, x in enumerate(sorted({*letters, *letters_b}))}
    out = [*kept_a, *kept_b, *(letters[i] for i in along_a)]
    spelled = [[small[x] for x in part] for part in (letters, letters_b, out)]
    return np.einsum(spread, spelled[0], B, spelled[1], spelled[2])


def _swapped(A: Any, B: Any, along_a: list[int], along_b: list[int], dot_axes: Any) -> Any:
    """The valid convolution with the larger array first."""
    found = convolve(B, A, [along_b, along_a], dot_axes[::-1], "valid")
    of_b = np.ndim(B) - len(along_b) - len(dot_axes[1])
    of_a = np.ndim(A) - len(along_a) - len(dot_axes[0])
    order = [*range(of_b, of_b + of_a), *range(of_b), *range(of_a + of_b, np.ndim(found))]
    return np.transpose(found, order)
