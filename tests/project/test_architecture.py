"""The architecture: which file may import which, how long files are, and which modules an import loads."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import autograd
from counting import code_lines

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "elsewhere": set(),
    "errors": {"callsite", "elsewhere", "libraries"},
    "files": set(),
    "libraries": set(),
    "convention": set(),
    "mode": set(),
    "ownership": set(),
    "parts": set(),
    "tree": set(),
    "numpy_calls": {"errors", "inputs"},
    "inputs": {"errors", "libraries"},
    "graph": {"errors", "ownership", "parts"},
    "updating": {"convention", "errors", "graph", "libraries", "mode"},
    "conversion": {"callsite", "elsewhere", "numpy_calls"},
    "array": {
        "_methods",
        "conversion",
        "elsewhere",
        "errors",
        "numpy_calls",
        "tensor",
    },  # two of them only for type checkers
    "tensor": {"array", "errors", "graph", "inputs", "libraries", "mode", "ownership", "updating"},
    "signatures": {"numpy_calls"},
    "registry": {"array", "errors", "mode", "numpy_calls", "signatures", "tensor", "tree"},
    "op": {"errors", "graph", "inputs", "mode", "numpy_calls", "registry", "tensor"},
    "ops": {
        "array",
        "errors",
        "libraries",
        "mode",
        "numpy_calls",
        "op",
        "ops",
        "parts",
        "registry",
        "signatures",
        "tensor",
    },
    "linalg": {"ops"},
    "fft": {"ops"},
    "special": {"ops"},
    "buffer": {"errors", "mode", "ops", "tensor"},
    "functional": {"calls", "mode", "tensor", "tree"},
    "custom": {"calls", "errors", "graph", "mode", "op", "ops", "registry", "tensor", "tree"},
    "gradcheck_errors": set(),
    "gradcheck": {"calls", "errors", "functional", "gradcheck_errors", "graph", "mode", "registry", "tensor", "tree"},
    "calls": {"convention", "graph", "inputs", "mode", "ops", "tensor", "tree"},
    "compat": {"compat", "linalg", "special"},  # public modules; and the public names of autograd
    "hooks": {"array", "errors", "mode", "tensor"},
    "callsite": set(),
    "diagnosis": {"callsite", "diagnosis", "errors", "graph", "mode", "tensor"},
    "compiling": {
        "compiling",
        "custom",
        "errors",
        "callsite",
        "files",
        "graph",
        "inputs",
        "libraries",
        "mode",
        "tensor",
        "tree",
        "updating",
    },
    "profiling": {"callsite", "files", "graph", "mode", "profiling", "tree"},
    "drawing": {"drawing", "errors", "files", "graph", "callsite", "mode", "tensor"},
}
MAY_IMPORT["__init__"] = {*MAY_IMPORT}
FILES = sorted(path.relative_to(ROOT) for folder in ("autograd", "nn") for path in (ROOT / folder).rglob("*.py"))

OTHERS = sorted(path.relative_to(ROOT) for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def imports(path):
    """Return {full dotted name of an imported module: names taken from it}."""
    package = list(path.parts[:-1])
    found = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name: set() for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.setdefault(module, set()).update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[0] == "autograd"], ids=str)
def test_imports_run_one_way(path):
    room = path.parts[1] if len(path.parts) > 2 else path.stem
    for module, names in imports(path).items():
        if module == "autograd":
            used = {name for name in names if name in MAY_IMPORT}
        elif module.startswith("autograd."):
            used = {module.split(".")[1]}
        else:
            assert module.split(".")[0] != "nn"
            continue
        assert used <= MAY_IMPORT[room], f"{path} imports {used - MAY_IMPORT[room]}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[0] == "nn"], ids=str)
def test_nn_uses_public_names_only(path):
    for module, names in imports(path).items():
        if module.partition(".")[0] == "autograd":
            public = module.split(".")[1:]
            assert set(public) <= set(dir(autograd)), f"{path} reaches into {module}"
            found = importlib.import_module(module)
            assert all(name in dir(found) for name in names), f"{path} takes more than public names of {module}"


@pytest.mark.parametrize("path", [*FILES, *OTHERS], ids=str)
def test_files_are_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= 450


CORE = ("graph", "tensor", "op", "numpy_calls")
CEILING = 450  # lines of code; never raised: code that does not fit is simplified, or does not belong to the core


def test_the_core_is_read_in_one_sitting():
    total = sum(code_lines(ROOT / "autograd" / f"{name}.py") for name in CORE)
    assert total <= CEILING, f"the core has {total} lines of code"


COMPILER_CODE, COMPILER_LINES, COMPILER_FILES = 2389, 3271, 12  # never raised: what is added must pay for itself


def test_the_compiler_stays_small():
    files = sorted((ROOT / "autograd" / "compiling").glob("*.py"))
    code, lines = sum(map(code_lines, files)), sum(len(path.read_text().splitlines()) for path in files)
    found = f"{code} lines of code, {lines} in all, in {len(files)} files"
    assert len(files) <= COMPILER_FILES and code <= COMPILER_CODE and lines <= COMPILER_LINES, found


COMPILER_WORDS = {"tape", "traced", "opaque"}  # what only the compiler knows
LOOKING = ("dis", "co_code", "f_lasti", "sys.setprofile", "gc.get_referrers", "f_code.co_name")


def names_in(path):
    """Every name, attribute, argument, keyword and import in a file, dotted where it is one; and its words in code."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Attribute):
            found |= {node.attr, ast.unparse(node)}
            if isinstance(node.value, ast.Attribute):
                found.add(f"{node.value.attr}.{node.attr}")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {part for alias in node.names for part in alias.name.split(".")}
            if isinstance(node, ast.ImportFrom):
                found |= {*(node.module or "").split("."), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)  # a name for getattr
        else:
            found |= {
                getattr(node, field) for field in ("id", "arg", "name") if isinstance(getattr(node, field, None), str)
            }
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_compiler_is_known_in_its_folder_only_and_does_not_look_at_code(path):
    found = names_in(path)
    if path.parts[:2] == ("autograd", "compiling"):
        assert not found & set(LOOKING), f"{path} looks at code that runs"
    else:
        words = {word for name in found for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name.strip("_"))}
        assert not {word.lower() for word in words} & COMPILER_WORDS, f"{path} knows the compiler"


def test_a_file_that_looks_at_code_is_found(tmp_path):
    for text in (
        "import dis",
        "from dis import dis",
        "f.__code__.co_code",
        "from sys import setprofile",
        "import sys; sys.setprofile(f)",
        "from gc import get_referrers",
        "frame.f_code.co_name",
        "getattr(frame, 'f_lasti')",
    ):
        path = tmp_path / "file.py"
        path.write_text(text)
        assert names_in(path) & set(LOOKING), text


WHOLE = {"ops", "compiling"}  # packages that one file tests as a whole, from the registry


def test_tests_are_found_where_the_code_is():
    for package in ("autograd", "nn"):
        for path in (ROOT / "tests" / package).rglob("*.py"):
            place = path.relative_to(ROOT / "tests")
            named = place.with_name(place.name.removeprefix("test_"))
            package = (ROOT / named).with_suffix("")
            if named.stem not in WHOLE:
                assert (ROOT / named).exists() or package.is_dir(), f"tests/{place} tests no file {named}"


def test_importing_loads_numpy_and_nothing_else():
    program = (
        "import sys, numpy; before = set(sys.modules); import autograd, nn;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in result.stdout.split() if "cython" not in name}  # the runtime of numpy.random
    assert loaded == {"autograd", "nn", "numpy"}
