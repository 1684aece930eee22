"""Where in the user's program an op was called: the line, and the module that was running."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NN = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "nn") + os.sep
_NUMPY = os.path.dirname(sys.modules["numpy"].__file__ or "") + os.sep
_OURS = (_HERE, _NN, _NUMPY, "<__array_function__")


def line_of_caller() -> str:
    """`file.py:12: y = np.log(x)`, the innermost line that is neither this package's nor NumPy's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, number).strip()
    return f"{os.path.basename(name)}:{number}{text and ': ' + text}"


def path_of_module() -> str:
    """`encoder.0 (Linear)`: the modules whose calls are under way, outermost first; "" outside of all modules."""
    frame: Any = sys._getframe(1)
    running: list[Any] = []
    while frame is not None:
        module = frame.f_locals.get("self") if frame.f_code.co_name == "__call__" else None
        if hasattr(module, "named_children"):
            running.append(module)
        frame = frame.f_back
    if not running:
        return ""
    running.reverse()
    names = [
        next((name for name, child in parent.named_children() if child is module), "?")
        for parent, module in itertools.pairwise(running)
    ]
    kind = type(running[-1]).__name__
    return f"{'.'.join(names)} ({kind})" if names else kind
