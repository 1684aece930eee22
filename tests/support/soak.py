"""`make soak`: random programs checked against differences in longdouble, and a long training run with flat memory.

Not part of the suite.  Value, gradient and second derivative of every program must be those of the differences.  Every
tenth program (`--compiled 1`: every one, which takes hours) is compiled too, and must then give what it gives eagerly,
bit for bit; with exact=False, where there is such a mode, to a few units in the last place.  Prints lines that
docs/maintainers/reliability.md quotes.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
import tracemalloc
from collections import Counter
from typing import NamedTuple

import numpy as np

import autograd
import nn
from compiled import MODES, differences
from programs import Program, disagreement, ops_of


class Checked(NamedTuple):
    """One program: what disagrees, how many ops it has, of which kinds, and which ops of the registry its graph has."""

    seed: int
    said: list[str]
    length: int
    kinds: set[str]
    ops: set[str]
    compiled: int  # in how many modes and orders it was compiled
    refused: bool  # whether Python code in it depends on numbers, so that it cannot be


def check(job: tuple[int, bool]) -> Checked:
    """Check one program, and its compiled forms if it is to be compiled."""
    seed, compiling = job
    with np.errstate(all="raise", under="ignore"):
        try:
            program = Program(seed)
            said = [disagreement(program)]
            kinds, ops = {step.name for step in program.steps}, ops_of(program)
        except Exception as error:
            return Checked(seed, [f"{type(error).__name__}: {error}"], 0, set(), set(), 0, False)
    if not compiling:
        return Checked(seed, [*filter(None, said)], len(program.steps), kinds, ops, 0, False)
    try:
        said += (found := differences(program))
    except autograd.AuditError as error:
        said, found = [*said, f"compiled: {error}"], []
    except autograd.CompileError:
        return Checked(seed, [*filter(None, said)], len(program.steps), kinds, ops, 0, True)
    except Exception as error:
        said, found = [*said, f"compiled: {type(error).__name__}: {error}"], []
    return Checked(seed, [*filter(None, said)], len(program.steps), kinds, ops, len(found), False)


def programs(count: int, first: int, workers: int, every: int) -> bool:
    """Check `count` programs, and each `every`-th one compiled; whether all agree."""
    begun, total, compiled, refused = time.perf_counter(), 0, 0, 0
    wrong: Counter[str] = Counter()
    kinds, ops = set(), set()
    with multiprocessing.Pool(workers) as pool:
        jobs = [(seed, seed % every == 0) for seed in range(first, first + count)]
        for one in pool.imap_unordered(check, jobs, chunksize=100):
            total += one.length
            compiled += one.compiled > 0
            refused += one.refused
            kinds |= one.kinds
            ops |= one.ops
            for said in one.said:
                wrong["compiled" if said.startswith("compiled") else "eager"] += 1
                print(f"seed {one.seed}: {said}\n  {Program(one.seed)}", flush=True)
    seconds = time.perf_counter() - begun
    rules = sum(bool(op.rules or op.every) for op in autograd.OPS.values())
    print(
        f"{count:,} programs (seeds {first} to {first + count - 1}), {total:,} steps of {len(kinds)} kinds, {len(ops)} "
        f"of the {rules} ops that have rules: {wrong['eager']} disagreements of value, gradient or second derivative"
    )
    print(
        f"{compiled:,} of them compiled ({', '.join(MODES)}; {refused} could not be), value, gradient and second "
        f"derivative: {wrong['compiled']} disagreements; {seconds:.0f} s"
    )
    return not wrong


def training(steps: int) -> bool:
    """Train a small network for many steps; whether the memory that Python holds stays flat."""
    nn.manual_seed(0)
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = nn.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = rng.normal(size=(16, 4)).astype(np.float32), rng.integers(0, 2, 16)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    sizes = []
    for step in range(steps):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % (steps // 10) == steps // 10 - 1:
            sizes.append(tracemalloc.get_traced_memory()[0])
    garbage = gc.collect()
    print(f"{steps:,} training steps: {sizes[4]:,} bytes held after half of them, {sizes[-1]:,} at the end; ", end="")
    print(f"cyclic garbage: {garbage} objects; loss {loss.item():.4f}")
    return sizes[-1] <= sizes[4] + 1_000 and garbage == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--compiled", type=int, default=10, help="compile every n-th program")
    given = parser.parse_args()
    agree = programs(given.programs, given.first, given.workers, given.compiled)
    sys.exit(not (agree & training(given.steps)))
