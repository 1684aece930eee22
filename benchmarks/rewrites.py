"""Measure what each rewrite of the compiler is worth: leave one out at a time, over the compiled cases.

Run it on an idle core: `OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/rewrites.py`.  All variants of a case are
compiled in one process and take turns; a cell is the shortest time without the rewrite over the shortest time with all
of them.  The last row leaves out nothing: it is the noise.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from autograd.compiling import blocks, rewrites
from autograd.compiling.emit import Writer
from autograd.compiling.rewrites import RULES
from cases import find

CASES = {
    "mlp 2-16-16-2, batch 100": 20,
    "mlp 784-128-10, batch 64": 4,
    "chain of 10,000": 20,
    "chain of 1,000,000": 1,
    "elementwise chain, per op": 20,
    "dense chain, per op": 20,
    "recurrent loop of 50 steps": 1,
}  # calls per turn
SECONDS = 20.0  # for which each case is measured; on a busy machine the chain of 1,000,000 needs more
ALL = "all"
LARGE = blocks.LARGE
NOTHING = lambda *_: None
TEXT = lambda self, line, x: self.text(x)
TARGET = Writer.target
OUTS = lambda self, line: TARGET(self, line) if line.kind == "select" else self.outs.get(id(line), "")


@contextmanager
def without(name: str) -> Iterator[None]:
    """Compile without one rewrite of RULES, or one habit of the writer."""
    rounds = RULES[name][0] if name in RULES else False
    with (
        patch.dict(RULES, {name: (rounds, lambda program, _: program)} if name in RULES else {}),
        patch.object(blocks, "LARGE", sys.maxsize if name == "blocks" else LARGE),
        patch.object(rewrites, "_selected", NOTHING if name == "masks on bits" else rewrites._selected),
        patch.object(rewrites, "_moment", NOTHING if name == "means" else rewrites._moment),
        patch.object(rewrites, "_signed", NOTHING if name == "signs" else rewrites._signed),
        patch.object(Writer, "operand", TEXT if name == "numbers as arrays" else Writer.operand),
        patch.object(Writer, "target", OUTS if name == "memory made once" else TARGET),
    ):
        yield


VARIANTS = [*RULES, "masks on bits", "means", "signs", "blocks", "numbers as arrays", "memory made once", "none"]


def shortest(case: Any, calls: int) -> dict[str, float]:
    """The shortest time per call of each variant; ALL has all rewrites."""
    steps: dict[str, Callable[[], Any]] = {}
    for name in [ALL, *VARIANTS]:
        with without(name):
            steps[name] = case.ways["compiled"](*case.args)
            for _ in range(5):
                steps[name]()
    best = dict.fromkeys(steps, np.inf)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(calls):
                step()
            best[name] = min(best[name], (time.perf_counter() - start) / calls)
    return best


if __name__ == "__main__":
    np.empty(31 << 20, np.uint8)  # see worker.age
    print(f"| without | {' | '.join(CASES)} |\n|---|{'---|' * len(CASES)}")
    found = [shortest(find(name), calls) for name, calls in CASES.items()]
    for name in VARIANTS:
        print(f"| {name} | {' | '.join(str(round(best[name] / best[ALL], 2)) for best in found)} |")
