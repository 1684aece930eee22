"""Rules of np.fft.  A Fourier transform is its own transpose, so the rule of fft is an fft.

(The walk sends the conjugate of a gradient, see `differentiate`; with the gradient itself, it would be an inverse fft.)
"""

from __future__ import annotations

import numpy as np

from ..op import differentiable
from ..registry import Operation
from .register import CASES, COMPLEX, Case, composite, domain
from .sequence import part


def _resize(x, n: int, axis: int):
    """x cut to length n along an axis, or padded with zeros."""
    have = x.shape[axis]
    if have >= n:
        return part(x, axis, 0, n) if have > n else x
    zeros = np.zeros_like(part(x, axis, 0, 1))
    return np.concatenate([x, np.repeat(zeros, n - have, axis=axis)], axis=axis)


def _fft_rule(transform):
    def rule(g, _y, _x, *, n: int | None = None, axis: int = -1, norm=None):
        return _resize(transform(g, axis=axis, norm=norm), _x.shape[axis], axis)

    return rule


fft: Operation = differentiable(np.fft.fft, _fft_rule(np.fft.fft), numpy=[np.fft.fft], name="fft")
ifft: Operation = differentiable(np.fft.ifft, _fft_rule(np.fft.ifft), numpy=[np.fft.ifft], name="ifft")


def _rfft_rule(g, _y, _x, *, n: int | None = None, axis: int = -1, norm=None):
    """Half of an fft: the missing half has the gradient 0; the walk takes the real part."""
    n = _x.shape[axis] if n is None else n
    return _resize(np.fft.fft(_resize(g, n, axis), axis=axis, norm=norm), _x.shape[axis], axis)


def _irfft_rule(g, _y, _x, *, n: int | None = None, axis: int = -1, norm=None):
    """Every frequency except 0 and the highest of an even length represents itself and its mirror image."""
    n = g.shape[axis]
    half = n // 2 + 1
    i = np.arange(half, like=g).reshape([-1 if i == axis % g.ndim else 1 for i in range(g.ndim)])
    twice = np.where((i == 0) | (2 * i == n), 1.0, 2.0)
    return _resize(part(np.fft.ifft(g, axis=axis, norm=norm), axis, 0, half) * twice, _x.shape[axis], axis)


rfft: Operation = differentiable(np.fft.rfft, _rfft_rule, numpy=[np.fft.rfft], name="rfft")
irfft: Operation = differentiable(np.fft.irfft, _irfft_rule, numpy=[np.fft.irfft], name="irfft")
_OTHER = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
hfft = composite(
    lambda a, n=None, axis=-1, norm=None, out=None: irfft(
        np.conj(a), n=2 * (a.shape[axis] - 1) if n is None else n, axis=axis, norm=_OTHER[norm]
    ),
    np.fft.hfft,
    name="hfft",
)
ihfft = composite(
    lambda a, n=None, axis=-1, norm=None, out=None: np.conj(rfft(a, n=n, axis=axis, norm=_OTHER[norm])),
    np.fft.ihfft,
    name="ihfft",
)


def _sizes(a, s, axes, half: bool = False) -> list[tuple[int, int | None]]:
    """Pairs of axis and length."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(a.ndim - len(s), a.ndim)
    lengths = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    return list(zip(axes, lengths, strict=True))


def _over_axes(transform: Operation, first: Operation | None = None, last: Operation | None = None):
    """A transform along several axes in turn; for real numbers, the last axis is the halved one."""

    def function(a, s=None, axes=None, norm=None, out: None = None):
        sizes = _sizes(a, s, axes)
        if first is not None:
            axis, n = sizes.pop()
            a = first(a, n=n, axis=axis, norm=norm)
        final = sizes.pop() if last is not None else None
        for axis, n in reversed(sizes):
            a = transform(a, n=n, axis=axis, norm=norm)
        return last(a, n=final[1], axis=final[0], norm=norm) if last is not None and final is not None else a

    return function


def _two(function):
    return lambda a, s=None, axes=(-2, -1), norm=None, out=None: function(a, s, axes, norm)


_fftn, _ifftn = _over_axes(fft), _over_axes(ifft)
_rfftn, _irfftn = _over_axes(fft, first=rfft), _over_axes(ifft, last=irfft)
fftn = composite(_fftn, np.fft.fftn)
ifftn = composite(_ifftn, np.fft.ifftn)
rfftn = composite(_rfftn, np.fft.rfftn)
irfftn = composite(_irfftn, np.fft.irfftn)
fft2 = composite(_two(_fftn), np.fft.fft2)
ifft2 = composite(_two(_ifftn), np.fft.ifft2)
rfft2 = composite(_two(_rfftn), np.fft.rfft2)
irfft2 = composite(_two(_irfftn), np.fft.irfft2)


def _shift(inverse: bool):
    def shift(x, axes=None):
        axes = tuple(range(x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
        halves = tuple((-(x.shape[a] // 2) if inverse else x.shape[a] // 2) for a in axes)
        return np.roll(x, halves, axes)

    return shift


fftshift = composite(_shift(False), np.fft.fftshift)
ifftshift = composite(_shift(True), np.fft.ifftshift)

# ---- test data

_LENGTHS = [Case((5,)), Case((2, 4)), Case((4, 2), axis=0), Case((5,), n=3), Case((3,), n=6), Case((4,), norm="ortho")]
_AXES = [Case((2, 3)), Case((2, 3, 4), axes=(0, -1)), Case((2, 4), s=(3, 3), axes=(0, 1)), Case((2, 4), norm="ortho")]
_TWO = [Case((2, 3)), Case((2, 3, 4)), Case((2, 4), s=(3, 5))]

CASES[fft] = domain(COMPLEX, *_LENGTHS)
CASES[ifft] = domain(COMPLEX, *_LENGTHS)
CASES[rfft] = _LENGTHS
CASES[irfft] = domain(COMPLEX, *_LENGTHS, Case((4,), n=7), Case((4,), n=5, norm="forward"))
CASES[hfft] = domain(COMPLEX, Case((4,)), Case((2, 3), n=5), Case((4,), norm="ortho"))
CASES[ihfft] = [Case((4,)), Case((2, 5)), Case((5,), norm="forward")]
CASES[fftn] = domain(COMPLEX, *_AXES)
CASES[ifftn] = domain(COMPLEX, *_AXES)
CASES[rfftn] = _AXES
CASES[irfftn] = domain(COMPLEX, *_AXES)
CASES[fft2] = domain(COMPLEX, *_TWO)
CASES[ifft2] = domain(COMPLEX, *_TWO)
CASES[rfft2] = _TWO
CASES[irfft2] = domain(COMPLEX, *_TWO)
CASES[fftshift] = [Case((5,)), Case((2, 3), axes=1), Case((2, 3))]
CASES[ifftshift] = [Case((5,)), Case((2, 3), axes=1), Case((2, 3))]
