"""What a function does besides computing, and a program would not do again: draw numbers, read clocks, print."""

from __future__ import annotations

import gc
import io
import random
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..source import in_library, line_at
from .tape import Tape

_MODULES = {"time", "random", "_random", "numpy.random", "secrets", "posix", "nt"}
_BUILTINS = {"print", "input", "open", "breakpoint"}
_EXEMPT = {"warnings", "linecache", "importlib._bootstrap", "importlib._bootstrap_external"}  # a warning, an import
_STANDARD = sysconfig.get_path("stdlib")


def _effect(function: Any) -> str:
    """What a function that is written in C does besides returning a value; "" for nothing that is known."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, random.Random) and not name.startswith("__"):
        return f"Random.{name} draws numbers; call it as autograd.outside(generator.{name})"
    if isinstance(owner, io.IOBase):
        return f"{name} reads or writes a file"
    module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
    if module == "builtins" and name in _BUILTINS:
        return f"{name}() is called"
    if module in _MODULES and name not in ("fspath", "getpid"):
        return f"{module}.{name}() is called, which returns another result, or has another effect, each time"
    return ""


def _exempt(frame: Any) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in _EXEMPT:
            return True
        frame = frame.f_back
    return False


def _place(frame: Any) -> str:
    """The innermost line that is neither a library's nor Python's own."""
    while frame.f_back is not None and (in_library(frame) or frame.f_code.co_filename.startswith(_STANDARD)):
        frame = frame.f_back
    return f", at {line_at((frame.f_code.co_filename, frame.f_lineno))}"


def _state(generator: Any) -> str:
    return repr(getattr(generator, "bit_generator", generator).state)


@contextmanager
def watched(tape: Tape, generators: Iterable[tuple[str, Any]]) -> Iterator[None]:
    """Refuse what a program of the block's NumPy calls would not repeat.

    `generators` are those of NumPy, by name, that the block may reach: their methods cannot be seen when called, but
    their states can be compared.
    """

    def look(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and not tape.outside and frame.f_code.co_filename != __file__:
            effect = _effect(function)
            if effect and not _exempt(frame):
                tape.refuse(effect, _place(frame))

    states = [(name, g, _state(g)) for name, g in (*generators, ("np.random", np.random.mtrand._rand._bit_generator))]
    before, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # what is called when garbage is collected has nothing to do with the block
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collecting:
            gc.enable()
    for name, generator, state in states:
        if _state(generator) != state and id(generator) not in tape.drawn:
            what = name if name == "np.random" else f"{name}, a {type(generator).__name__},"
            advice = "call it as autograd.outside(generator.normal, ...)"
            tape.refuse(f"{what} draws numbers in the function; {advice}", " ")
