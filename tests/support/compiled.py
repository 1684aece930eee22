"""Random programs compiled: value, gradient and second derivative compared with the same program run eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd
from autograd import Tensor
from programs import Program


def _modes() -> dict[str, dict[str, Any]]:
    modes: dict[str, dict[str, Any]] = {"exact": {"exact": True}}
    try:
        autograd.compile(lambda x: x, exact=False)
    except ValueError:
        return modes  # no rewrites change rounding
    return modes | {"not exact": {"exact": False}}


MODES = _modes()
FEW = 1e-11  # how far rounding may carry a program of 50 steps that computes in another order
LAST = 2.0**-52  # the last bit of the numbers of a program, which are about 1: what cancels out may leave as much


def first(program: Program) -> Callable[..., Any]:
    """The program with its backward pass."""

    def run(*leaves: Tensor) -> Any:
        out = program(*leaves)
        out.backward()
        return out

    return run


def second(program: Program) -> Callable[..., Any]:
    """The program with the backward pass of its derivative along its direction."""

    def run(*leaves: Tensor) -> Any:
        out = program(*leaves)
        out.backward(create_graph=True)
        along = [(x.grad * d).sum() for x, d in zip(leaves, program.direction, strict=True) if x.grad is not None]
        for x in leaves:
            x.grad = None
        bent = [slope for slope in along if isinstance(slope, Tensor) and slope.requires_grad]
        if bent:
            sum(bent[1:], start=bent[0]).backward()
        return out.detach()  # of the graph, which create_graph=True keeps

    return run


def differences(program: Program) -> list[str]:
    """Per mode and order, "" if the runs of the compiled program agree with eager runs, else what does not."""
    found = []
    for mode, options in MODES.items():
        for order, function in (("gradient", first(program)), ("second derivative", second(program))):
            compiled = autograd.compile(function, **options)
            with np.errstate(all="ignore"):
                said = [_compare(compiled, function, program.inputs, mode == "exact") for _ in range(3)]
            what = next(filter(None, said), "")
            found.append(what and f"compiled, {mode}: {what.replace('slope', order)}")
    return found


def _compare(compiled: Any, function: Any, inputs: list[Any], exact: bool) -> str:
    mine, theirs = ([Tensor(x, requires_grad=True) for x in inputs] for _ in range(2))
    a, b = compiled(*mine), function(*theirs)
    if not _same(a.data, b.data, exact, abs(b.item())):
        return f"value {a.item()!r} is not {b.item()!r}"
    largest = max((float(np.abs(y.grad.data).max(initial=0.0)) for y in theirs if y.grad is not None), default=0.0)
    for i, (x, y) in enumerate(zip(mine, theirs, strict=True)):
        if (x.grad is None) != (y.grad is None):
            return f"slope of input {i} is {x.grad} and not {y.grad}"
        if x.grad is not None and y.grad is not None and not _same(x.grad.data, y.grad.data, exact, largest):
            return f"slope of input {i} is off by {np.abs(x.grad.data - y.grad.data).max():.3g}"
    return ""


def _same(a: Any, b: Any, exact: bool, largest: float) -> bool:
    """Whether they agree bit for bit, or to rounding relative to the largest number."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if exact:
        return np.array_equal(a, b, equal_nan=True)
    return np.allclose(a, b, rtol=FEW, atol=FEW * largest + LAST, equal_nan=True)
