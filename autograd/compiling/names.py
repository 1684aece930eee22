"""The names that code reads, and whose code it is: a library's, which stays as it is, or somebody's own."""

from __future__ import annotations

import dis
import functools
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..callsite import line_at

# Packages that are installed and well known.  Others may be somebody's own, and are looked through like a script.
_KNOWN = set(
    "IPython PIL _pytest attr attrs coverage cupy cv2 dask einops graphviz h5py hypothesis ipykernel jax jaxlib "
    "joblib matplotlib mlflow networkx numba opt_einsum pandas pluggy plotly polars pyarrow pydantic pygraphviz "
    "pytest requests rich safetensors seaborn setuptools skimage sklearn statsmodels sympy tensorboard tensorflow "
    "torch tqdm typing_extensions wandb xarray yaml".split()
)
_STANDARD = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
# Names by which code reads attributes that it does not name itself.
_OPEN = set(
    "getattr vars dir attrgetter methodcaller asdict astuple fields deepcopy __dict__ __getattribute__ setattr".split()
)


class Names(NamedTuple):
    """What a code object and those inside it name.

    `attributes` has strings too, which getattr() may be given; `imports` are modules with the level of the import;
    `open` tells whether attributes may be read by names that only the run knows.
    """

    globals: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[tuple[int, str]]
    open: bool


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> Names:
    """The names in a code object, and in the functions that are made in it."""
    outer: set[str] = set()
    attributes = set(strings(code.co_consts))
    imports: set[tuple[int, str]] = set()
    level: Any = 0
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.argval
        if "GLOBAL" in name or name == "LOAD_NAME":
            outer.add(argument)
        elif name == "IMPORT_NAME":
            imports.add((level, argument))
        elif isinstance(argument, str) and ("ATTR" in name or name in ("LOAD_METHOD", "IMPORT_FROM")):
            attributes.add(argument)  # what no string names is no attribute: SET_FUNCTION_ATTRIBUTE says what kind
        if name == "LOAD_CONST" and type(argument) is int:  # an import first loads its level, and what it takes
            level = argument
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found = names_in(inner)
            outer |= found.globals
            attributes |= found.attributes
            imports |= found.imports
    return Names(
        frozenset(outer),
        frozenset(attributes),
        frozenset(imports),
        bool(_OPEN & (outer | attributes)) or "copy" in outer,
    )


def strings(constants: Any) -> Iterator[str]:
    """The names that strings are, or are made of: `getattr(x, "a")`, `attrgetter("a.b")`."""
    for constant in constants:
        if isinstance(constant, str):
            yield from (part for part in constant.split(".") if part.isidentifier())
        elif isinstance(constant, tuple | frozenset):
            yield from strings(constant)


def imported(function: types.FunctionType, level: int, name: str) -> str:
    """The full name of a module that a function imports."""
    package = function.__globals__.get("__package__") or ""
    try:
        return importlib.util.resolve_name("." * level + name, package) if level else name
    except ImportError:
        return name


def is_library(module: str | None) -> bool:
    """Whether a module is part of a library, whose names do not change while a program runs."""
    top = (module or "").partition(".")[0]
    if top in ("numpy", "scipy", "autograd", "nn", "builtins"):
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    if top in sys.stdlib_module_names:
        return file is None or is_standard(file)  # else somebody's own file of that name
    return top in _KNOWN and f"-packages{os.sep}" in (file or "")  # site-packages, dist-packages


@functools.cache
def is_standard(file: str) -> bool:
    """Whether a file is Python's own, or made by it."""
    return file.startswith("<frozen ") or (
        os.path.realpath(file).startswith(_STANDARD) and f"-packages{os.sep}" not in file
    )


def module_of(function: types.FunctionType) -> str | None:
    """The module whose code a function is; `__module__` would be that of the function that it wraps."""
    return function.__globals__.get("__name__") or function.__module__


def line_of(functions: list[Any], name: str, storing: bool = False) -> str:
    """Where the code of functions names (or sets) this: `, at file.py:12: text`; else where the first one begins."""
    wanted = {name, name.partition(".")[0]}  # `items.0` is an item of `items`
    lines = [(f.__code__, *found) for f in functions for found in _named_at(f.__code__) if found[0] in wanted]
    lines.sort(key=lambda line: not (storing and line[2]))
    if lines:
        return f", at {line_at((lines[0][0].co_filename, lines[0][3]))}"
    if not functions:
        return ""
    code = functions[0].__code__
    return f", at {line_at((code.co_filename, code.co_firstlineno))}"


def _named_at(code: types.CodeType) -> Iterator[tuple[Any, bool, int]]:
    """What each instruction names, whether it sets that, and its line."""
    for instruction in dis.get_instructions(code):
        line = instruction.positions and instruction.positions.lineno
        if line and isinstance(instruction.argval, str):
            yield instruction.argval, instruction.opname.startswith("STORE"), line
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _named_at(inner)
