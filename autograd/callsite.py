"""Find where the user's program called an op: the line, and the running module."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from types import FrameType
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NN = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "nn") + os.sep
_NUMPY = os.path.dirname(sys.modules["numpy"].__file__ or "") + os.sep
_OURS = (_HERE, _NN, _NUMPY, "<__array_function__")


CallSite = tuple[str, int]  # a file and a line number


def place_of_caller() -> CallSite:
    """The innermost line that is neither this package's nor NumPy's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def line_at(place: CallSite) -> str:
    """The place and its source line: `file.py:12: y = np.log(x)`."""
    name, number = place
    text = linecache.getline(name, number).strip()
    return f"{os.path.basename(name)}:{number}{text and ': ' + text}"


def line_of_caller() -> str:
    """`file.py:12: y = np.log(x)`, the innermost line that is neither this package's nor NumPy's."""
    return line_at(place_of_caller())


def in_library(frame: Any) -> bool:
    """Whether the code of `frame` belongs to this package, nn or NumPy."""
    return bool(frame.f_code.co_filename.startswith(_OURS))


def frames_of_call() -> tuple[FrameType, FrameType | None]:
    """The frame of the program, and that of the function of NumPy or SciPy that it called, if this is in Python."""
    frame, inner = sys._getframe(1), None
    while frame.f_back is not None and (in_library(frame) or frame.f_globals.get("__name__", "").startswith("scipy.")):
        name = frame.f_globals.get("__name__", "")
        inner = frame if name.startswith(("numpy.", "scipy.")) else None
        frame = frame.f_back
    return frame, inner


def modules_running() -> tuple[Any, ...]:
    """The modules whose calls are under way, outermost first."""
    frame: Any = sys._getframe(1)
    running: list[Any] = []
    while frame is not None:
        if frame.f_code.co_name == "__call__":
            module = frame.f_locals.get("self")
            if hasattr(type(module), "named_children"):  # the type, because an object may have any name
                running.append(module)
        frame = frame.f_back
    return tuple(reversed(running))


def name_within(parent: Any, module: Any) -> str:
    """The name of `module` in `parent`, or in its lists of modules (`layers.0`); "?" if it is not found."""
    inner = itertools.chain(parent.named_children(), getattr(parent, "named_modules", tuple)())
    return next((name for name, child in inner if child is module), "?")


def path_of_module() -> str:
    """`encoder.0 (Linear)`: the modules whose calls are under way, outermost first; "" outside all modules."""
    running = modules_running()
    if not running:
        return ""
    names = [name_within(parent, module) for parent, module in itertools.pairwise(running)]
    kind = type(running[-1]).__name__
    return f"{'.'.join(names)} ({kind})" if names else kind
