"""Measure training on several processes: throughput, the parts of a step, and how a run with a dead rank ends.

    python benchmarks/parallel.py            # measure, and model 2 to 1024 workers from the parts
    python benchmarks/parallel.py --ends     # kill, raise and leave on one rank: how long until all have ended

Run it on idle cores, one for each of two ranks.  It needs the extra `parallel`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

import autograd
import nn

SIZES, ROWS, ROUNDS = (784, 512, 512, 10), 256, 40
WAYS = ("undivided", "sharded", "compiled")
NETWORKS = {"10 Gbit/s, 20 us": (1.25e9, 20e-6), "100 Gbit/s, 2 us": (12.5e9, 2e-6)}
WORKERS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def fastest(
    work: Callable[[], Any], rounds: int = ROUNDS, before: Callable[[], Any] = lambda: None
) -> dict[str, float]:
    """The median and the least of the seconds that `work` takes."""
    times = []
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return {"median": float(np.median(times)), "least": min(times)}


def loss_and_model() -> tuple[Any, Any]:
    nn.manual_seed(0)
    layers: list[Any] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.CrossEntropyLoss(), nn.Sequential(*layers[:-1])


def work(way: str) -> None:
    """On every rank: take steps, and measure their parts; rank 0 prints what it found."""
    from mpi4py import MPI

    from nn.parallel.ending import meet
    from nn.parallel.rows import rows_of

    comm, (loss, model) = MPI.COMM_WORLD, loss_and_model()
    nn.parallel.begin(model, comm)
    data = np.random.default_rng(comm.rank)
    x, y = data.normal(size=(ROWS, SIZES[0])).astype(np.float32), data.integers(0, SIZES[-1], ROWS)
    optimizer = nn.Adam(model.parameters())

    def gradients(x: Any, y: Any) -> Any:
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        return value

    compiled = way == "compiled"
    gradients = autograd.compile(gradients, audit=False) if compiled else gradients
    sharded = nn.parallel.Sharded(optimizer, comm, compiled=compiled)
    if way == "undivided":
        sharded.divided = False

    def step() -> None:
        gradients(x, y)
        sharded.step(ROWS)

    fastest(step, 5)
    found: dict[str, Any] = {"step": fastest(step, before=comm.Barrier)}
    found["gradients"] = fastest(lambda: gradients(x, y), before=comm.Barrier)
    row = rows_of(model.parameters(), comm)[0]
    own = np.zeros(row.block, row.dtype)
    found["fill"] = fastest(lambda: row.fill(0.5), before=comm.Barrier)
    found["meet"] = fastest(lambda: meet(comm, [0.0] * 8), before=comm.Barrier)
    if comm.size > 1:
        found["reduce_scatter"] = fastest(row.scattered, before=comm.Barrier)
        found["allgather"] = fastest(lambda: row.gathered(own), before=comm.Barrier)
    else:
        found["update"] = fastest(sharded._whole, before=lambda: gradients(x, y))
    found["weights"] = row.ends[-1]
    if comm.rank == 0:
        print(json.dumps(found))


def launched(size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """This file on `size` ranks."""
    launcher = Path(sys.executable).with_name("mpiexec")
    command = [str(launcher), "-n", str(size), sys.executable, __file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def measured(size: int, way: str, repeats: int) -> dict[str, Any]:
    """The parts of a step: the smallest of the medians, and of all times, of several runs."""
    runs = []
    for _ in range(repeats):
        done = launched(size, "--work", way)
        if done.returncode:
            raise SystemExit(done.stderr)
        runs.append(json.loads(done.stdout))
    return {
        name: value
        if isinstance(value, int)
        else {kind: min(run[name][kind] for run in runs) for kind in ("median", "least")}
        for name, value in runs[0].items()
    }


def modelled(parts: dict[str, float], workers: int, bandwidth: float, latency: float, divided: bool) -> float:
    """Seconds of a step of `workers`, from the parts of one: a ring moves 2 (p - 1) / p of the row through each link.

    Small messages take log2(p) latencies; compute and filling the row stay, and the update is divided among the ranks.
    """
    size, exchange = 4 * parts["weights"], 2 * (workers - 1) / workers
    update = parts["update"] / (workers if divided else 1)
    rounds = 3 * math.ceil(math.log2(workers))
    return parts["gradients"] + parts["fill"] + update + exchange * size / bandwidth + rounds * latency


def show_model(parts: dict[str, float]) -> None:
    print("\nModelled speed-up at 256 rows per worker, the step undivided / divided (ideal: the number of workers)\n")
    print("| workers | " + " | ".join(NETWORKS) + " |\n|---|" + "---|" * len(NETWORKS))
    alone = parts["gradients"] + parts["update"]
    for workers in WORKERS:
        cells = [
            " / ".join(
                f"{workers * alone / modelled(parts, workers, *network, divided):.1f}" for divided in (False, True)
            )
            for network in NETWORKS.values()
        ]
        print(f"| {workers} | {' | '.join(cells)} |")


def measure(repeats: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {'-'.join(map(str, SIZES))}, {ROWS} rows a rank\n")
    one = {way: measured(1, way, repeats) for way in ("sharded", "compiled")}
    columns = ("step", "gradients", "fill", "meet", "reduce_scatter", "allgather", "update")
    titles = [name.replace("_", "-") for name in columns]
    print(f"| ms, median (least) | {' | '.join(titles)} | rows/s of two : one |")
    print("|---|---|---|---|---|---|---|---|---|")

    def line(title: str, parts: dict[str, Any], ratio: str) -> None:
        cells = [
            f"{parts[c]['median'] * 1e3:.2f} ({parts[c]['least'] * 1e3:.2f})" if c in parts else "" for c in columns
        ]
        print(f"| {title} | {' | '.join(cells)} | {ratio} |")

    for way, parts in one.items():
        line(f"one rank, {'compiled' if way == 'compiled' else 'eager'}", parts, "")
    for way in WAYS:
        parts = measured(2, way, repeats)
        alone = one["compiled" if way == "compiled" else "sharded"]
        ratios = [2 * alone["step"][kind] / parts["step"][kind] for kind in ("median", "least")]
        line(f"two ranks, {way}", parts, f"{ratios[0]:.2f} (fastest steps {ratios[1]:.2f})")
    flat = one["sharded"]
    show_model({k: v if isinstance(v, int) else v["least"] for k, v in flat.items()})


# ---- how a run ends

HOWS = ("killed", "raised", "left")


def end(how: str) -> None:
    """Train until rank 1 ends in one of these ways, in its 50th forward pass."""
    from mpi4py import MPI

    comm, (loss, inner) = MPI.COMM_WORLD, loss_and_model()
    calls = 0

    class Ending(nn.Module):
        def __init__(self) -> None:
            self.inner = inner

        def forward(self, x: Any) -> Any:
            nonlocal calls
            calls += 1
            if comm.rank == 1 and calls == 50:
                if how == "killed":
                    os.kill(os.getpid(), 9)
                if how == "raised":
                    raise ValueError("planted")
                sys.exit(0)
            return self.inner(x)

    X = np.random.default_rng(0).normal(size=(1000, SIZES[0])).astype(np.float32)
    nn.fit(Ending(), X, (X[:, 0] > 0).astype(int), loss=loss, epochs=50, progress=False, comm=comm)


def show_ends() -> None:
    for how in HOWS:
        start = time.perf_counter()
        done = launched(2, "--end", how)
        told = "" if how == "killed" else f", its traceback {'shown' if 'in forward' in done.stderr else 'lost'}"
        print(f"rank 1 {how}: all ended after {time.perf_counter() - start:.1f} s, exit {done.returncode}{told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", choices=WAYS)
    parser.add_argument("--end", choices=HOWS)
    given = parser.parse_args()
    if given.work:
        work(given.work)
    elif given.end:
        end(given.end)
    elif given.ends:
        show_ends()
    else:
        measure(given.repeats)
