"""`make soak`: random programs checked against differences in longdouble, and a long training run with flat memory.

Not part of the suite.  Prints a line that docs/reliability.md quotes: how many programs, which seeds, how many
disagreements.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
import tracemalloc
from collections import Counter

import numpy as np
from programs import Program, disagreement

import nn


def check(seed: int) -> tuple[int, str, int, list[str]]:
    """One program: its seed, what disagrees, how many ops it has and which."""
    with np.errstate(all="raise", under="ignore"):
        try:
            program = Program(seed)
            return seed, disagreement(program), len(program.steps), [step.name for step in program.steps]
        except Exception as error:
            return seed, f"{type(error).__name__}: {error}", 0, []


def programs(count: int, first: int, workers: int) -> bool:
    """Check `count` programs; whether all agree."""
    begun, ops, wrong, used = time.perf_counter(), 0, [], Counter()
    with multiprocessing.Pool(workers) as pool:
        for seed, said, length, names in pool.imap_unordered(check, range(first, first + count), chunksize=200):
            ops += length
            used.update(names)
            if said:
                wrong.append(seed)
                print(f"seed {seed}: {said}\n  {Program(seed)}", flush=True)
    seconds = time.perf_counter() - begun
    print(
        f"{count:,} programs (seeds {first} to {first + count - 1}), {ops:,} ops of {len(used)} kinds: {len(wrong)} "
        f"disagreements of value, gradient or second derivative; {seconds:.0f} s"
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
    options = parser.parse_args()
    sys.exit(not (programs(options.programs, options.first, options.workers) & training(options.steps)))
