"""What CuPy's wheel says of itself, without a GPU: `python tests/support/foreign_wheel.py` writes it down."""

from __future__ import annotations

import importlib
import inspect
import json
import operator
from typing import Any

import numpy as np

from foreign import FILE


def written() -> dict[str, Any]:
    """What CuPy's wheel says of itself: its functions with their arguments, its ufuncs, the names of its arrays."""
    import cupy

    def words(function: Any) -> list[str]:
        try:
            parameters, star, found = inspect.signature(function).parameters.values(), False, []
        except ValueError:  # a ufunc, or written in Cython, without a signature
            return ["*args", "**kwargs"]
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY and not star:
                found.append("*")
            star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
            mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
            found.append(f"{mark}{p.name}{'' if p.default is p.empty else '='}")
        return found

    functions, ufuncs = {}, {}
    for space in ("", "linalg", "fft", "lib.stride_tricks"):
        theirs, ours = (operator.attrgetter(space)(m) if space else m for m in (cupy, np))
        for name in sorted(vars(ours)):
            function = getattr(theirs, name, None)
            if name.startswith("_") or not callable(function) or isinstance(function, type):
                continue
            if isinstance(function, cupy.ufunc) and isinstance(getattr(ours, name), np.ufunc):
                ufuncs[name] = "".join(
                    sorted({np.dtype(t[0]).kind for t in function.types if t[0] in np.typecodes["All"]})
                )
            else:
                functions[f"{space}.{name}".lstrip(".")] = words(function)
    ufuncs["matmul"] = "biufc"
    special = importlib.import_module("cupyx.scipy.special")
    scipy = {"special": sorted(name for name in vars(special) if name[0] != "_"), "linalg": ["solve_triangular"]}
    methods = sorted(name for name in dir(cupy.ndarray) if not name.startswith("_"))
    return {"cupy": cupy.__version__, "functions": functions, "ufuncs": ufuncs, "methods": methods, "scipy": scipy}


if __name__ == "__main__":
    rows = json.dumps(written(), sort_keys=True).replace("], ", "],\n")
    FILE.write_text(rows + "\n")
