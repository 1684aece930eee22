"""Measure a library's import time, and its size on disk, alone and with its dependencies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import CONTENDERS, ROOT, environment, python_of

IMPORTS = {
    "by_hand": "import numpy",
    "eager": "import autograd, nn",
    "pytorch": "import torch",
    "jax_jit": "import jax, jax.numpy",
    "mygrad": "import mygrad",
    "hips": "import autograd, autograd.numpy",
}
DISTRIBUTIONS = {"by_hand": "numpy", "pytorch": "torch", "jax_jit": "jax", "mygrad": "mygrad", "hips": "autograd"}
OURS = ("autograd", "nn")

# File sizes of a distribution and of its installed dependencies, without bytecode.
MEASURE = """
import importlib.metadata as m, json, re, sys

def size(name):
    files = m.files(name) or []
    return sum(f.size or 0 for f in files if not str(f).endswith(".pyc"))

def needs(name, seen):
    if name in seen:
        return
    try:
        lines = m.requires(name) or []
        seen[name] = size(name)
    except m.PackageNotFoundError:
        return
    for line in lines:
        if "extra ==" not in line:
            needs(re.match(r"[\\w.-]+", line).group().lower().replace("_", "-"), seen)

seen = {}
for name in sys.argv[1:]:
    needs(name, seen)
print(json.dumps(seen))
"""


@dataclass
class Footprint:
    """Seconds of each import, in fresh processes; bytes alone and with all dependencies."""

    statement: str
    imports: list[float] = field(default_factory=list)
    alone: int = 0
    together: int = 0


def footprints(who: Sequence[str], rounds: int, core: int | None) -> dict[str, Footprint]:
    """Measure the libraries among `who`; their imports take turns."""
    found = {name: Footprint(IMPORTS[name]) for name in IMPORTS if name in who}
    for i in range(rounds + 1):  # the first writes the bytecode
        for name, footprint in found.items():
            spent = _seconds(name, footprint.statement, core)
            if i:
                footprint.imports.append(spent)
    for name, footprint in found.items():
        footprint.alone, footprint.together = sizes(name)
    return found


def _seconds(name: str, statement: str, core: int | None) -> float:
    pin = "" if core is None else f"import os; os.sched_setaffinity(0, {{{core}}}); "
    program = f"{pin}import time; t = time.process_time(); {statement}; print(time.process_time() - t)"
    kept = {k: v for k, v in environment(name, True).items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [python_of(name), "-c", program]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=kept, cwd="/").stdout)


def sizes(name: str) -> tuple[int, int]:
    """Return the bytes of a library alone, and with its dependencies."""
    ours = name == "eager"
    command = [python_of(name), "-c", MEASURE, *(["numpy", "graphviz"] if ours else [DISTRIBUTIONS[name]])]
    known = json.loads(subprocess.run(map(str, command), capture_output=True, text=True, check=True).stdout)
    if not ours:
        return known[DISTRIBUTIONS[name]], sum(known.values())
    alone = sum(_size(ROOT / package) for package in OURS)
    return alone, alone + sum(known.values())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def title(name: str) -> str:
    return {"by_hand": "NumPy", "eager": "Plaingrad", "jax_jit": "JAX"}.get(name, CONTENDERS[name].title)
