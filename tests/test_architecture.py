"""The house: which file may import which, how long files are, and what an import costs in modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import autograd
from autograd import Tensor

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "graph": set(),
    "mode": set(),
    "refusing": set(),
    "protocols": {"refusing"},
    "tensor": {"graph", "mode", "protocols", "refusing"},
    "arguments": {"tensor", "tree"},
    "unroll": set(),
    "op": {"graph", "mode", "protocols", "tensor", "arguments", "unroll"},
    "ops": {"protocols", "tensor", "op", "ops"},
    "tree": set(),
    "functional": {"graph", "mode", "tensor", "ops", "tree"},
    "hips": {"tensor", "functional", "custom", "gradcheck"},
    "custom": {"graph", "mode", "tensor", "op", "tree", "functional"},
    "hooks": {"graph", "mode", "tensor"},
    "source": set(),
    "locking": set(),
    "hints": set(),
    "anomaly": {"graph", "hints", "locking", "mode", "source"},
    "why": {"graph", "mode", "tensor", "anomaly"},
    "gradcheck": {"graph", "mode", "tensor", "op", "functional"},
    "compiling": {"graph", "mode", "refusing", "source", "tensor", "arguments", "tree", "custom", "compiling"},
    "profiling": {"graph", "mode", "op", "source", "tensor", "tree", "compiling", "profiling"},
    "drawing": {"graph", "mode", "tensor", "op", "source", "drawing"},
}
MAY_IMPORT["__init__"] = {*MAY_IMPORT}
FILES = sorted(path.relative_to(ROOT) for folder in ("autograd", "nn") for path in (ROOT / folder).rglob("*.py"))

OTHERS = sorted(path.relative_to(ROOT) for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def imports(path):
    """The modules that a file imports, by their full dotted names; {module: names taken from it}."""
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
        assert not module.startswith("autograd."), f"{path} reaches into {module}"
        if module == "autograd":
            assert all(not name.startswith("_") and hasattr(autograd, name) for name in names)


@pytest.mark.parametrize("path", [*FILES, *OTHERS], ids=str)
def test_files_are_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= 450


def code_lines(path):
    """Lines that hold code: no blank ones, comments or docstrings."""
    tree = ast.parse(path.read_text())
    words = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(path.read_text().splitlines(), 1)
    return sum(bool(text.strip()) and not text.strip().startswith("#") and n not in words for n, text in lines)


def test_the_core_is_read_in_one_sitting():
    total = sum(code_lines(ROOT / "autograd" / f"{name}.py") for name in ("graph", "protocols", "tensor", "op"))
    assert total <= CORE, f"the core has {total} lines of code"


CORE = 672  # docs/decisions.md says what the lines beyond 400 are for


def test_importing_loads_numpy_and_nothing_else():
    program = (
        "import sys, numpy; before = set(sys.modules); import autograd, nn;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in result.stdout.split() if "cython" not in name}  # the runtime of numpy.random
    assert loaded == {"autograd", "nn", "numpy"}


def test_the_operators_that_type_checkers_see_are_those_that_ops_attach():
    body = next(
        n for n in ast.walk(ast.parse((ROOT / "autograd/tensor.py").read_text())) if isinstance(n, ast.ClassDef)
    )
    block = next(n for n in body.body if isinstance(n, ast.If))
    for function in block.body:
        if function.name != "__getattr__":
            assert callable(vars(Tensor)[function.name])
