"""Test the tests: plant errors in the engine, the rules and the optimisers, one by one, and list those nobody notices.

`python tests/mutants.py [--count 400] [--seed 0] [--only autograd/graph.py]`.  Of all errors that can be planted
`--count` are drawn, evenly from all files, and each is written into a copy of the project in which the tests of its
file run until the first failure.  An error that makes the tests run without end counts as noticed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TIMEOUT = 240  # seconds for the tests of one mutant
ENGINE = "engine functional anomaly errors refusals numpy threads optim gradcheck singular_points interrupts ops"
TESTS = {
    "autograd/graph.py": ENGINE,
    "autograd/tensor.py": ENGINE,
    "autograd/op.py": ENGINE,
    "nn/optim/first_order.py": "recorded optim errors interrupts",
    "nn/optim/lr_scheduler.py": "recorded optim",
}
RULES = "threads singular_points refusals numpy ops"

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class Mutant(NamedTuple):
    """One planted error: the file, the line, what it was and what it became, and the whole text of the file with it."""

    path: str
    line: int
    before: str
    after: str
    text: str


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What this node could wrongly have been."""
    new = copy.deepcopy(node)
    match new:
        case ast.BinOp(op=op) if type(op) in SWAPS:
            new.op = SWAPS[type(op)]()
            yield new
        case ast.BoolOp(op=op):
            new.op = SWAPS[type(op)]()
            yield new
        case ast.Compare(ops=[op, *_]):
            new.ops[0] = SWAPS[type(op)]()
            yield new
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(value * 1.001 if value else 0.001)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            new.test = ast.UnaryOp(ast.Not(), test)
            yield new
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete() | ast.Continue():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Call(func=ast.Name(id="max" | "min")):
            return  # which have no order
        case ast.Call(args=[a, b, *_]) if not isinstance(a, ast.Starred) and not isinstance(b, ast.Starred):
            new.args[:2] = [b, a]
            yield new
        case ast.Lambda(args=ast.arguments(args=[ast.arg(arg="g"), *_]), body=body):
            new.body = ast.BinOp(body, ast.Mult(), ast.Constant(1.001))
            yield new


def _skipped(node: ast.AST) -> bool:
    """What no error is planted in: messages, samples, types, documentation."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.arg():
            return True
        case ast.Call(func=ast.Name(id="Case" | "isinstance" | "TypeVar" | "count")):
            return True
        case ast.keyword(arg="cases" | "domain" | "name" | "strict"):
            return True
        case ast.FunctionDef(name="__repr__" | "__format__"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.isupper() or (name.startswith("_") and name[1:].isupper())
    return False


def _sites(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every place of the tree: the node above, the field and the index in it."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _skipped(child):
                yield node, field, i
                yield from _sites(child)


def mutants(path: str) -> list[Mutant]:
    """All errors that can be planted in this file."""
    source = (ROOT / path).read_text()
    tree, found = ast.parse(source), []
    for above, field, i in list(_sites(tree)):
        value = getattr(above, field)
        node = value if i is None else value[i]
        for new in _changes(node):
            _put(above, field, i, ast.copy_location(new, node))
            text = ast.unparse(ast.fix_missing_locations(tree))
            _put(above, field, i, node)
            line = getattr(node, "lineno", 0)
            before, after = (" ".join(ast.unparse(n).split())[:70] for n in (node, new))
            found.append(Mutant(path, line, before, after, text))
    return found


def _put(above: ast.AST, field: str, i: int | None, node: ast.AST) -> None:
    if i is None:
        setattr(above, field, node)
    else:
        getattr(above, field)[i] = node


def tests_of(path: str) -> list[str]:
    """The arguments of pytest that run the tests of a file."""
    if path in TESTS:
        return [f"tests/test_{name}.py" for name in TESTS[path].split()]
    names = {node.id for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Name)}
    import autograd.ops.special  # registers its ops

    mine = [name for name, op in autograd.OPS.items() if name in names or _file(op.function) == path]
    some = " or ".join(f"{name}-" for name in mine)
    return [f"tests/test_{name}.py" for name in RULES.split()] + ["-k", f"not test_ops or {some}"]


def _file(function: object) -> str:
    code = getattr(function, "__code__", None)
    return "" if code is None else str(Path(code.co_filename).relative_to(ROOT))


def survives(mutant: Mutant, home: Path, arguments: list[str]) -> bool:
    """Whether all tests pass in the copy of the project at `home` with this error in it."""
    target = home / mutant.path
    original = target.read_text()
    target.write_text(mutant.text)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        run = subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=TIMEOUT)
        if run.returncode not in (0, 1, 2):
            raise RuntimeError(run.stdout.decode() + run.stderr.decode())
        return run.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="files to plant errors in")
    options = parser.parse_args()
    rules = sorted(
        str(p.relative_to(ROOT)) for p in (ROOT / "autograd/ops").glob("*.py") if p.stem not in ("__init__", "plain")
    )
    paths = options.only or [*TESTS, *rules]
    rng = random.Random(options.seed)
    every = {path: mutants(path) for path in paths}
    for planted in every.values():
        rng.shuffle(planted)
    drawn = [m for row in itertools.zip_longest(*every.values()) for m in row if m is not None][: options.count]
    print(f"{sum(map(len, every.values())):,} errors can be planted in {len(paths)} files; {len(drawn)} drawn")
    arguments = {path: tests_of(path) for path in paths}
    start, survivors = time.time(), []
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        homes: Queue[Path] = Queue()
        for i in range(workers):
            homes.put(Path(shutil.copytree(ROOT, Path(folder, str(i)), ignore=shutil.ignore_patterns(".*", "out"))))

        def check(mutant: Mutant) -> bool:
            home = homes.get()
            try:
                return survives(mutant, home, arguments[mutant.path])
            finally:
                homes.put(home)

        with ThreadPoolExecutor(workers) as pool:
            for mutant, alive in zip(drawn, pool.map(check, drawn), strict=True):
                if alive:
                    survivors.append(mutant)
                    print(f"{mutant.path}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
    print(f"{len(drawn) - len(survivors)} of {len(drawn)} noticed, seed {options.seed}, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
