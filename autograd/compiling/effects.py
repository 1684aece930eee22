"""What a function does besides computing, and a program would not do again: draw numbers, read clocks, print."""

from __future__ import annotations

import datetime
import dis
import gc
import importlib
import io
import os
import pickle
import random
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..callsite import in_library, line_at
from .names import is_library, is_standard, line_of
from .surroundings import Surroundings
from .tape import Tape

_MODULES = {"time", "random", "_random", "numpy.random", "secrets", "posix", "nt", "_queue"}
_BUILTINS = {"print", "input", "open", "breakpoint"}
_HIDING = {"eval", "exec", "compile", "globals", "__import__"}  # by which code reads what it does not name
_EXEMPT = {"warnings", "linecache", "importlib._bootstrap", "importlib._bootstrap_external"}  # a warning, an import
_OUTSIDE = "do so outside of the function that is compiled"
# Functions that are written in Python, when somebody's own code calls them.
_CALLS: dict[Any, str] = {
    **{getattr(os._Environ, f"__{name}__").__code__: "os.environ is read" for name in ("getitem", "iter", "len")},
    **{getattr(os._Environ, f"__{name}__").__code__: "os.environ is changed" for name in ("setitem", "delitem")},
    importlib.import_module.__code__: "a module is imported by import_module()",
    warnings.catch_warnings.__enter__.__code__: "catch_warnings is entered",
}


def _effect(function: Any, frame: Any) -> str:
    """What a function that is written in C does besides returning a value; "" for nothing that is known."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, random.Random) and not name.startswith("__"):
        return f"Random.{name} draws numbers; call it as autograd.outside(generator.{name})"
    if isinstance(owner, io.IOBase):
        return f"{name} reads or writes a file"
    if isinstance(owner, ContextVar):
        return _context(name, frame)
    if isinstance(owner, type) and issubclass(owner, datetime.date) and name in ("now", "utcnow", "today"):
        return f"{owner.__name__}.{name}() reads a clock"
    of_owner = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__module__
    module = getattr(function, "__module__", None) or of_owner
    if module == "builtins" and (name in _BUILTINS or (name in _HIDING and _own(frame))):
        return f"{name}() is called"
    if name.startswith("warn") and module in ("_warnings", "warnings") and not in_library(frame):
        return f"{name}() is called"
    if module in _MODULES and name not in ("fspath", "getpid"):
        return f"{module}.{name}() is called, which returns another result, or has another effect, each time"
    return ""


def _context(name: str, frame: Any) -> str:
    """What reading or setting a context variable means; NumPy's are those of np.errstate."""
    if not frame.f_globals.get("__name__", "").startswith("numpy."):
        return "" if in_library(frame) else f"{name}() of a context variable is called"
    within, decorated = frame.f_code.co_name, frame.f_locals.get("func")
    if within == "_no_nep50_warning" or (in_library(frame.f_back) and decorated is None):
        return ""  # the former is NumPy 2.0's own: its mean() is called within
    if decorated is not None and is_library(getattr(decorated, "__module__", None)):
        return ""  # np.errstate as the decorator of a function of NumPy's
    if within == "__exit__" or (within == "__enter__" and not _enters(frame.f_back)):
        return ""  # in a function of NumPy's that is written in C
    return "the settings of np.errstate are read or set"


def _enters(frame: Any) -> bool:
    """Whether a frame is at the beginning of a `with` block."""
    code, at = frame.f_code.co_code, frame.f_lasti
    now, before = dis.opname[code[at]], dis.opname[code[at - 2]]
    return now == "BEFORE_WITH" or before == "LOAD_SPECIAL" or is_library(frame.f_globals.get("__name__"))


def _own(frame: Any) -> bool:
    """Whether the code of a frame is no library's."""
    return not in_library(frame) and not is_library(frame.f_globals.get("__name__"))


def _caller(frame: Any) -> Any:
    """Who has called a function, by way of others of its kind: os.getenv(), environ.get()."""
    frame = frame.f_back
    while frame.f_back is not None and frame.f_globals.get("__name__") in ("os", "_collections_abc", "collections.abc"):
        frame = frame.f_back
    return frame


def _exempt(frame: Any) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in _EXEMPT:
            return True
        frame = frame.f_back
    return False


def _place(frame: Any) -> str:
    """The innermost line that is neither a library's nor Python's own."""
    while frame.f_back is not None and (in_library(frame) or is_standard(frame.f_code.co_filename)):
        frame = frame.f_back
    return f", at {line_at((frame.f_code.co_filename, frame.f_lineno))}"


def _state(generator: Any) -> bytes:
    """What a generator will draw next depends on this."""
    if isinstance(generator, np.random.RandomState):
        return pickle.dumps(generator.get_state(legacy=False))
    return pickle.dumps(getattr(generator, "bit_generator", generator).state)


def _generators(around: Surroundings) -> Iterator[tuple[str, Any]]:
    """The generators that the function may reach, by name; those that everybody can reach among them."""
    yield from around.generators
    yield "random", np.random.mtrand._rand
    own = getattr(sys.modules.get("nn.init"), "default_generator", None)
    if own is not None:
        yield "the generator of nn", own()


@contextmanager
def watched(tape: Tape, around: Surroundings) -> Iterator[None]:
    """Refuse what a program of the block's NumPy calls would not repeat.

    The methods of NumPy's generators cannot be seen when they are called, but their states can be compared.
    """

    def look(frame: Any, event: str, function: Any) -> None:
        if tape.outside or frame.f_code.co_filename == __file__:
            return
        if event == "call":
            effect = _CALLS.get(frame.f_code, "")
            if effect and _own(_caller(frame)) and not _exempt(_caller(frame)):
                tape.refuse(effect, _place(frame), _OUTSIDE)
        elif event == "c_call":
            effect = _effect(function, frame)
            if effect and not _exempt(frame):
                tape.refuse(effect, _place(frame))

    states = [(name, generator, _state(generator)) for name, generator in _generators(around)]
    before, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # what is called when garbage is collected has nothing to do with the block
    if before is not None and not callable(before):
        before.disable()  # a cProfile.Profile, which is no function that could be set again
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before if callable(before) else None)
        if before is not None and not callable(before):
            before.enable()
        if collecting:
            gc.enable()
    for name, generator, state in states:
        if id(generator) not in tape.drawn and _state(generator) != state:
            kind = type(generator).__name__
            what = "np.random" if generator is np.random.mtrand._rand else f"{name}, a {kind},"
            line = line_of(around.functions, name)
            tape.refuse(
                f"{what} draws numbers in the function", line, "call it as autograd.outside(generator.normal, ...)"
            )
