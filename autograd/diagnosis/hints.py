"""The hints of `detect_anomaly`: the usual remedies where a number became infinite or NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MASKS = {"where", "select", "choose", "piecewise", "clip", "maximum", "minimum", "fmax", "fmin", "relu"}


def of_result(op: str, made: Any, numbers: Sequence[Any]) -> str:
    """The hint for an op that made the number `made` out of `numbers` (the known ones)."""
    x = numbers[0] if numbers else None
    if isinstance(x, complex):
        x = None if x else 0.0
    masked = f"if a where() masks this output, the slope of {op} is still infinite: select a safe input first"
    if op in ("log", "log2", "log10") and x is not None and x <= 0:
        return (
            f"the logarithm of {x}: add a small number, or compute in logarithms (nn.functional.log_softmax); {masked}"
        )
    if op == "log1p" and x is not None and x <= -1:
        return f"log1p needs numbers above -1, and this one is {x}; {masked}"
    if op == "sqrt":
        return f"the root of a negative number; rounding can make a sum of squares minus another negative; {masked}"
    if op in ("divide", "reciprocal", "remainder", "floor_divide") and len(numbers) and numbers[-1] == 0:
        return f"a division by 0: add a small number to the divisor; {masked}"
    if op in ("exp", "expm1", "exp2", "sinh", "cosh") and x is not None:
        return f"{x} is too large for {op} in this dtype: subtract the largest first (autograd.logsumexp)"
    if op == "power" and x is not None and x < 0:
        return f"a negative number to a power that is not whole; {masked}"
    if op == "power" and x == 0:
        return f"0 to a negative power is a division by 0; {masked}"
    if np.isinf(made):
        kind = np.asarray(made).dtype
        return f"the result is larger than {kind} can hold ({np.finfo(kind).max:.3g})"
    return ""


def of_slope(op: str, arriving: Any, senders: Sequence[str]) -> str:
    """The hint for a rule of `op` that got the gradient `arriving` (None if not known) from the ops `senders`."""
    if arriving is None or arriving != 0:
        return f"the slope of {op} is infinite or not defined at this point"
    masks = [name for name in senders if name in MASKS]
    what = f"the {' and '.join(masks)}() masks the output" if masks else "the gradient that comes here is 0"
    return (
        f"{what}, but the slope of {op} is infinite, and 0 * inf is NaN: select a safe input with autograd.where "
        f"before {op}"
    )
