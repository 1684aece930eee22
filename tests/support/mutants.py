"""Test the tests: plant errors in the engine, the rules and the optimisers, one by one, and list the unnoticed ones.

`python tests/support/mutants.py [--count 400] [--seed 0] [--only autograd/graph.py]`.  Of all errors that can be
planted `--count` are drawn, evenly from all files, and each is written into a copy of the project in which the tests of
its file run until the first failure: first those that notice most, then the others.  An error that makes the tests run
without end counts as noticed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import itertools
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CPU = 150  # seconds of computing for one run of tests; how long it takes depends on what else runs
ASLEEP = 60  # seconds without computing, after which threads are assumed to wait for each other
MEMORY = 8 * 2**30
# The tests of each file, those that notice most errors first.
ENGINE = (
    "autograd/test_functional autograd/test_custom autograd/diagnosis/test_anomaly autograd/test_hooks "
    "wrong/test_errors wrong/test_refusals wrong/test_programs properties/test_faults autograd/test_updating "
    "autograd/test_graph autograd/test_tensor autograd/test_op autograd/test_mode",
    "autograd/diagnosis/test_why autograd/test_numpy_calls "
    "properties/test_threads nn/optim/test_optimizer autograd/test_gradcheck autograd/ops/test_singular "
    "properties/test_interrupts autograd/ops/test_ops",
)
TESTS = {
    "autograd/graph.py": ENGINE,
    "autograd/numpy_calls.py": ENGINE,
    "autograd/tensor.py": ENGINE,
    "autograd/op.py": ENGINE,
    "nn/optim/optimizer.py": (
        "properties/test_recorded",
        "nn/optim/test_optimizer nn/optim/test_first_order wrong/test_errors wrong/test_training "
        "properties/test_interrupts",
    ),
    **dict.fromkeys(
        ("nn/optim/first_order.py", "nn/optim/moments.py", "nn/optim/matrices.py"),
        (
            "properties/test_recorded",
            "nn/optim/test_optimizer nn/optim/test_first_order wrong/test_errors wrong/test_training "
            "properties/test_interrupts",
        ),
    ),
    "nn/optim/lbfgs.py": ("nn/optim/test_lbfgs", "wrong/test_training properties/test_interrupts nn/test_checkpoint"),
    **dict.fromkeys(
        ("nn/optim/schedule.py", "nn/optim/cycles.py", "nn/optim/lr_scheduler.py"),
        ("properties/test_recorded", "nn/optim/test_lr_scheduler wrong/test_training"),
    ),
}
RULES = (
    "autograd/ops/test_ops",
    "autograd/ops/test_singular wrong/test_refusals autograd/test_numpy_calls properties/test_threads "
    "properties/test_faults",
)
SLOW = "test_a_million_ops"  # and does not notice more than shorter chains do

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
    """Wrong versions of this node."""
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
        case ast.Call(func=ast.Name(id="max" | "min") | ast.Attribute(attr="add" | "multiply")):
            return  # which have no order
        case ast.Call(args=[a, b, *_]) if not isinstance(a, ast.Starred) and not isinstance(b, ast.Starred):
            new.args[:2] = [b, a]
            yield new
        case ast.Lambda(args=ast.arguments(args=[ast.arg(arg="g"), *_]), body=body):
            new.body = ast.BinOp(body, ast.Mult(), ast.Constant(1.001))
            yield new


def _skipped(node: ast.AST) -> bool:
    """Whether no error is planted here: messages, samples, types, documentation."""
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


def right(path: str) -> Mutant:
    """The file without an error, rewritten like those with one."""
    return Mutant(path, 0, "", "", ast.unparse(ast.parse((ROOT / path).read_text())))


def _put(above: ast.AST, field: str, i: int | None, node: ast.AST) -> None:
    if i is None:
        setattr(above, field, node)
    else:
        getattr(above, field)[i] = node


def tests_of(path: str) -> list[list[str]]:
    """The arguments of pytest that run the tests of a file, stage by stage."""
    if path in TESTS:
        return [[*map("tests/{}.py".format, names.split()), "-k", f"not {SLOW}"] for names in TESTS[path]]
    names = {node.id for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Name)}
    import autograd.ops.special  # registers its ops

    mine = [name for name, op in autograd.OPS.items() if name in names or path in _files(op)]
    some = " or ".join(f"{name}-" for name in mine)
    return [[f"tests/{RULES[0]}.py", "-k", some], [*map("tests/{}.py".format, RULES[1].split())]]


def _files(op: Any) -> set[str]:
    """The files in which the function and the rules of an op are written."""
    codes = (getattr(function, "__code__", None) for function in (op.forward, *op.rules, op.every))
    found = (Path(code.co_filename) for code in codes if code is not None)
    return {str(path.relative_to(ROOT)) for path in found if path.is_relative_to(ROOT)}


# ---- in the process of a worker, which has imported what all tests need, but nothing of the project

HOMES: list[Path] = []


def begin(folder: str) -> None:
    """Make this worker's copy of the project."""
    import hypothesis.strategies  # noqa: F401
    import scipy.special  # noqa: F401

    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    home = Path(folder, str(os.getpid()))
    HOMES.append(Path(shutil.copytree(ROOT, home, ignore=shutil.ignore_patterns(".*", "out"))))


def survives(mutant: Mutant, stages: list[list[str]]) -> bool:
    """Whether all tests pass in this worker's copy of the project with the error in it."""
    target = HOMES[0] / mutant.path
    original = target.read_text()
    target.write_text(mutant.text)
    try:
        return all(passes(arguments) for arguments in stages)
    finally:
        target.write_text(original)


def pass_without_errors(paths: list[str], stages: dict[str, list[list[str]]]) -> bool:
    """Whether all tests pass when the files are only rewritten, like those with errors."""
    originals = {path: (HOMES[0] / path).read_text() for path in paths}
    for path in paths:
        (HOMES[0] / path).write_text(right(path).text)
    runs = {tuple(arguments): arguments for path in paths for arguments in stages[path]}
    try:
        return all(passes(arguments) for arguments in runs.values())
    finally:
        for path, text in originals.items():
            (HOMES[0] / path).write_text(text)


def passes(arguments: list[str]) -> bool:
    """Run tests in a process forked off this one, which need not import everything again."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                os.chdir(HOMES[0])
                resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                sys.path[:0] = [str(HOMES[0]), str(HOMES[0] / "tests" / "support")]
                code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *arguments]))
            except BaseException:
                traceback.print_exc()
                code = 3
            sys.stderr.flush()
            os._exit(code)
        awake = time.monotonic()
        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if not sleeps(child):
                awake = time.monotonic()
            elif time.monotonic() > awake + ASLEEP:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return False
            time.sleep(0.05)
        code = os.waitstatus_to_exitcode(found[1])
        if code in (3, 4):
            output.seek(0)
            raise RuntimeError(output.read().decode())
        return code in (0, 5)  # 5: there is no such test


def sleeps(process: int) -> bool:
    """Whether every thread of the process waits for something other than the processor."""
    try:
        states = [Path(task, "stat").read_text().rpartition(")")[2].split()[0] for task in tasks(process)]
    except FileNotFoundError:  # it has just ended, or this is not Linux
        return not Path("/proc").exists()
    return all(state == "S" for state in states)


def tasks(process: int) -> list[Path]:
    return list(Path(f"/proc/{process}/task").iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
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
    print(
        f"{sum(map(len, every.values())):,} errors can be planted in {len(paths)} files; {len(drawn)} drawn", flush=True
    )
    stages = {path: tests_of(path) for path in paths}
    start, survivors = time.time(), 0
    with tempfile.TemporaryDirectory() as folder:
        pool = multiprocessing.get_context("spawn").Pool(options.workers, begin, (folder,))
        control = pool.apply_async(pass_without_errors, (paths, stages))
        waiting = [pool.apply_async(survives, (mutant, stages[mutant.path])) for mutant in drawn]
        if not control.get():
            pool.terminate()
            raise RuntimeError("the tests fail without any error")
        print(f"  (without errors all tests pass, {time.time() - start:.0f} s)", flush=True)
        for i, (mutant, result) in enumerate(zip(drawn, waiting, strict=True), 1):
            if result.get():
                survivors += 1
                print(f"{mutant.path}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
            if i % 50 == 0:
                print(f"  ({i} of {len(drawn)}, {time.time() - start:.0f} s)", flush=True)
        pool.close()
        pool.join()
    print(f"{len(drawn) - survivors} of {len(drawn)} noticed, seed {options.seed}, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
