"""Which of two complex gradients the functions return: ours and PyTorch's, or the conjugate, HIPS's and JAX's.

Of a real L(z) with z = x + iy, one is dL/dx + i dL/dy, the direction of steepest ascent, and the other its conjugate,
which is the complex derivative of a holomorphic function.  They look alike, so one process returns one of them only.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["ascent", "conjugate"]


class Convention:
    """What the functions (`grad` and its relatives) return, and what has been returned so far."""

    chosen: Kind = "ascent"
    delivered: Kind | None = None


CONVENTION = Convention()


def complex_gradients(kind: Kind) -> None:
    """Choose what `grad` and its relatives return for complex arguments, from now on and in the whole process.

    "ascent", the default, is d/dx + i d/dy, as in PyTorch; "conjugate" is its conjugate, as in HIPS's autograd and JAX
    (importing `autograd.numpy` chooses it).  `backward()` returns the first in any case.  A program that would get both
    raises RuntimeError.

    >>> complex_gradients("ascent")
    """
    if kind not in ("ascent", "conjugate"):
        raise ValueError(f"complex_gradients takes 'ascent' or 'conjugate'; got {kind!r}")
    CONVENTION.chosen = kind


def deliver(kind: Kind) -> None:
    """Note that a complex gradient is returned.  Raises RuntimeError if the other kind has been returned before."""
    if CONVENTION.delivered not in (None, kind):
        raise RuntimeError(
            "this program would get complex gradients of two kinds: d/dx + i d/dy, as in PyTorch (from backward(), and "
            "from grad before autograd.numpy is imported), and its conjugate, as in HIPS's autograd (from grad after). "
            "Import autograd.numpy first, or not at all; and do not call backward() for complex numbers beside it"
        )
    CONVENTION.delivered = kind
