"""The errors of `gradcheck`, and how they describe a wrong gradient."""

from __future__ import annotations

from typing import Any

import numpy as np


class GradcheckError(AssertionError):
    """A gradient disagrees with finite differences.

    The attributes `op` (a name or None), `input` (which array of the inputs, nested ones counted), `path` (where it is
    in them, such as "0['w']"), `index` (in that array), `analytic`, `numeric` and `hint` hold the details; the message
    states them.
    """

    def __init__(
        self,
        *,
        op: str | None,
        input: int,
        index: tuple[int, ...],
        analytic: complex,
        numeric: complex,
        hint: str,
        path: str = "",
    ) -> None:
        self.op, self.input, self.index, self.hint, self.path = op, input, index, hint, path
        self.analytic, self.numeric = analytic, numeric
        where = f"the rule of {op} for its input {input}" if op else f"the gradient of input {path or input}"
        super().__init__(
            f"{where} is wrong at index {index}: analytic {analytic:.9g}, numeric {numeric:.9g}{hint and f' ({hint})'}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), vars(self))


def _rebuilt(kind: type[GradcheckError], facts: dict[str, Any]) -> GradcheckError:
    return kind(**facts)


class KinkError(GradcheckError):
    """The function has a kink within the step, so finite differences cannot judge the gradient at this point."""


def hint(analytic: Any, numeric: Any) -> str:
    """Describe how a gradient is wrong: a sign, a factor, the length of an axis, a transpose."""
    if not (np.isfinite(analytic).all() and np.isfinite(numeric).all()):
        return "not finite: the function, or its gradient, is not defined within the step"

    def close(a: Any, b: Any) -> bool:
        return np.allclose(a, b, rtol=1e-3, atol=1e-6)

    if not np.any(analytic):
        return "no gradient arrives: it is 0 everywhere"
    if close(analytic, -numeric):
        return "the sign is reversed"
    if analytic.ndim == 2 and analytic.shape[0] == analytic.shape[1] and close(analytic.T, numeric):
        return "it is the transpose of the right one"
    known = np.abs(numeric) > 1e-6
    ratios = analytic[known] / numeric[known]
    if ratios.size and not np.iscomplexobj(ratios) and np.allclose(ratios, ratios.flat[0], rtol=1e-3, atol=0):
        factor = float(ratios.flat[0])
        large = max(factor, 1 / factor)
        lengths = [f"axis {axis}" for axis, n in enumerate(analytic.shape) if n > 1 and np.isclose(large, n, rtol=1e-3)]
        axes = f", the length of {' or '.join(lengths)}: is an axis not summed, or averaged?" if lengths else ""
        return f"it is {factor:.6g} times the right one: a factor is missing or extra{axes}"
    if numeric.size and np.isclose(np.sum(analytic), np.sum(numeric), rtol=1e-3):
        return "the sum is right but the places are not: an axis or an index is mixed up"
    return ""
