"""Measure what a training step gains from two cores in one process: a threaded BLAS, and two Python threads.

    python benchmarks/threads.py [--jax FOLDER]

The step is that of a 784-512-512-10 network with Adam, at several batch sizes.  Every contender runs in a fresh
process, and the processes take turns; the cores should be idle, and the load is printed.  FOLDER is where JAX lies, if
it is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

SIZES, BATCHES, TIMED = (784, 512, 512, 10), (32, 256, 1024), 30
CONTENDERS = {
    "compiled, one thread": ("compiled", 1),
    "compiled, BLAS with two threads": ("compiled", 2),
    "compiled, two Python threads": ("halves", 1),
    "JAX jit, one thread": ("jax", 1),
    "JAX jit, two threads": ("jax", 2),
}


def weights() -> list[Any]:
    """The same weights for every contender: [weight (out, in), bias (out,), ...]."""
    import numpy as np

    rng, found = np.random.default_rng(0), []
    for inputs, outputs in pairwise(SIZES):
        found += [rng.normal(0, inputs**-0.5, (outputs, inputs)), np.zeros(outputs)]
    return [array.astype(np.float32) for array in found]


def samples(n: int) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(1)
    return rng.normal(size=(n, SIZES[0])).astype(np.float32), rng.integers(0, SIZES[-1], n)


def network() -> tuple[Any, Any, Any]:
    """A model, its optimiser, and its compiled gradients of a batch, which return the loss."""
    import autograd
    import nn

    layers: list[Any] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model, loss = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    for p, array in zip(model.parameters(), weights(), strict=True):
        p.assign(array)
    optimizer = nn.Adam(model.parameters())

    @autograd.compile(audit=False)
    def gradients(x: Any, y: Any) -> Any:
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        return value

    return model, optimizer, gradients


def compiled(n: int) -> Callable[[], float]:
    """The whole step as one program."""
    import autograd
    import nn

    (model, optimizer, _), (x, y), loss = network(), samples(n), nn.CrossEntropyLoss()

    @autograd.compile(audit=False)
    def step(x: Any, y: Any) -> Any:
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value

    return lambda: step(x, y).item()


def halves(n: int) -> Callable[[], float]:
    """Two threads compute the gradients of half the batch each, with programs of their own; one takes the step."""
    import autograd
    from autograd import as_tensor, assign_all, clear_gradients

    both, (x, y), pool = [network() for _ in range(2)], samples(n), ThreadPoolExecutor(2)
    parts = [(x[: n // 2], y[: n // 2]), (x[n // 2 :], y[n // 2 :])]
    (first, optimizer, _), (second, _, _) = both
    update = autograd.compile(optimizer.step, audit=False)

    def step() -> float:
        losses = list(pool.map(lambda one, part: one[2](*part).item(), both, parts))
        for p, q in zip(first.parameters(), second.parameters(), strict=True):
            mean = p.grad.data + q.grad.data
            mean *= 0.5
            p.grad = as_tensor(mean)
        update()
        clear_gradients([*first.parameters(), *second.parameters()])
        assign_all(list(second.parameters()), [p.data for p in first.parameters()])
        return sum(losses) / 2

    return step


def jax_step(n: int) -> Callable[[], float]:
    import jax
    import jax.numpy as jnp

    x, y = samples(n)

    def loss(params: Any) -> Any:
        h = x
        for i in range(0, len(params), 2):
            h = h @ params[i].T + params[i + 1]
            h = jnp.maximum(h, 0) if i + 2 < len(params) else h
        return -jax.nn.log_softmax(h)[jnp.arange(n), y].mean()

    def update(params: Any, mean: Any, square: Any, t: Any) -> Any:
        value, g = jax.value_and_grad(loss)(params)
        mean = [0.9 * m + 0.1 * d for m, d in zip(mean, g, strict=True)]
        square = [0.999 * s + 0.001 * d * d for s, d in zip(square, g, strict=True)]
        moved = zip(params, mean, square, strict=True)
        new = [p - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(s / (1 - 0.999**t)) + 1e-8) for p, m, s in moved]
        return new, mean, square, t + 1, value

    program = jax.jit(update, donate_argnums=(0, 1, 2))
    params = [jnp.asarray(w) for w in weights()]
    state = [params, [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params], jnp.float32(1)]

    def step() -> float:
        *state[:], value = program(*state)
        return float(value)

    return step


WAYS = {"compiled": compiled, "halves": halves, "jax": jax_step}


def time_one(way: str, n: int) -> None:
    step = WAYS[way](n)
    losses = [step() for _ in range(8)]
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    times.sort()
    print(json.dumps({"median": times[TIMED // 2], "least": times[0], "loss": losses[-1]}))


def run(way: str, threads: int, n: int, jax: str) -> dict[str, float]:
    flag = "true" if threads > 1 else "false"
    environment = {
        **os.environ,
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={flag} intra_op_parallelism_threads={threads}",
        "JAX_PLATFORMS": "cpu",
    }
    if way == "jax" and jax:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), jax]))
    prefix = ["taskset", "-c", "0"] if threads == 1 and way != "halves" and sys.platform == "linux" else []
    command = [*prefix, sys.executable, __file__, "--way", way, "--batch", str(n)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        return {"failed": 1.0} if "No module named 'jax'" in done.stderr else sys.exit(done.stderr)  # type: ignore[return-value]
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(jax: str, rounds: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"ms a step: median (least) of the fastest of {rounds} processes\n")
    print(f"| step of {'-'.join(map(str, SIZES))} | " + " | ".join(f"{n} rows" for n in BATCHES) + " |")
    print("|---|" + "---|" * len(BATCHES))
    found: dict[tuple[str, int], dict[str, float]] = {}
    for _ in range(rounds):
        for n in BATCHES:
            for title, (way, threads) in CONTENDERS.items():
                one = run(way, threads, n, jax)
                best = found.get((title, n))
                found[title, n] = one if best is None or one.get("median", 0) < best.get("median", 0) else best
    for title in CONTENDERS:
        cells = [
            "not installed" if "failed" in one else f"{one['median'] * 1e3:.2f} ({one['least'] * 1e3:.2f})"
            for one in (found[title, n] for n in BATCHES)
        ]
        print(f"| {title} | {' | '.join(cells)} |")
    for n in BATCHES:  # all contenders compute the same
        losses = [found[title, n]["loss"] for title in CONTENDERS if "loss" in found[title, n]]
        assert max(losses) - min(losses) < 1e-3 * max(losses), losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jax", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--batch", type=int, default=256)
    given = parser.parse_args()
    if given.way:
        time_one(given.way, given.batch)
    else:
        compare(given.jax, given.rounds)
