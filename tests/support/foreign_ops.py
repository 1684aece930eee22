"""Every op on arrays of another library: which give the value, the gradient and the second derivative of NumPy's.

`python tests/support/foreign_ops.py` prints the counts of docs/arrays.md, and why the others fail.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import foreign
from autograd import OPS, Tensor, as_tensor, libraries
from autograd.libraries import library_of
from samples import CALLS, joined, replaced, sample, varied

LEVELS = ("value", "gradient", "second derivative")


def moved(x: Any, to: Any) -> Any:
    """Arrays converted by `to`, in lists and tuples and dicts too."""
    if isinstance(x, np.ndarray):
        return to(x)
    if isinstance(x, list | tuple) and type(x) in (list, tuple):
        return type(x)(moved(item, to) for item in x)
    return {key: moved(item, to) for key, item in x.items()} if type(x) is dict else x


def call_of(name: str, i: int, to: Any) -> tuple[Any, list[Any]]:
    """Case i as a function of its floating-point arrays, and these; every array is converted by `to`."""
    valid, params = sample(name, i)
    given = {key: library_of(to(np.ones(1))) if key == "library" else moved(x, to) for key, x in params.items()}

    def function(*arrays: Any) -> Any:
        return joined(OPS[name].function(*moved(replaced(valid, list(arrays)), to), **given))

    return function, [to(a) for a in varied(valid)]


def levels(name: str, i: int, to: Any, order: int) -> list[Any]:
    """The value of case i, with order 1 its gradients, with order 2 the gradients of these."""
    function, arrays = call_of(name, i, to)
    if order == 0 or not arrays:
        return [function(*map(as_tensor, arrays))]
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    total = _weighted(function(*leaves), to)
    total.backward(create_graph=order == 2)
    found = [leaf.grad for leaf in leaves]
    if order == 2:
        again = sum(_weighted(g, to) for g in found if g is not None)
        if not isinstance(again, Tensor) or not again.requires_grad:
            return [g for g in found if g is not None]
        for leaf in leaves:
            leaf.grad = None
        again.backward()
        found = [leaf.grad for leaf in leaves]
    return found


def _weighted(y: Any, to: Any) -> Any:
    """A real number that depends on every element of y, each with a weight of its own."""
    weights = to(np.arange(1, y.size + 1, dtype=y.real.dtype).reshape(y.shape) / max(y.size, 1))
    z = (y.real * 0.7 + y.imag * 0.3) if y.dtype.kind == "c" else y
    return (z * weights).sum()


libraries.LIKE_SCIPY["foreign"] = "foreignx"
# Loading HIPS's layer registers one more op, and so do tests.
COUNTED = [name for name, op in OPS.items() if not {"compat", "tests"} & {*Path(op.place).parts}]


def check(name: str, i: int, order: int) -> None:
    """Raise an error unless case i gives NumPy's numbers on the device, and leaves them there."""
    there, here = levels(name, i, foreign.asarray, order), levels(name, i, np.asarray, order)
    for a, b in zip(there, here, strict=True):
        if b is None:
            assert a is None
            continue
        a, b = (getattr(x, "data", x) for x in (a, b)) if isinstance(b, Tensor) else (a, b)
        if isinstance(b, np.ndarray | np.generic):
            assert isinstance(a, foreign.ndarray), f"a result of {type(a).__name__}"
            a = a._a
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def failures(order: int) -> dict[str, str]:
    """{op: why one of its cases fails}."""
    found: dict[str, str] = {}
    for name, i in CALLS:
        if name not in found and name in COUNTED:
            try:
                check(name, i, order)
            except Exception as error:  # whatever it is, it is counted
                found[name] = f"{i}: {type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for order, level in enumerate(LEVELS):
        found = failures(order)
        print(f"{level}: {len(COUNTED) - len(found)} of {len(COUNTED)}")
        if "-v" in sys.argv:
            for name, why in sorted(found.items()):
                print("   ", name, why.replace("\n", " ")[:170])
