"""One gradient of each of 48 small functions, whose cost is the library's: ours, through autograd.numpy, HIPS's.

`python benchmarks/gradients.py` prints a table; with `--hips PYTHON`, HIPS's package is measured by that interpreter
(by default the one that `make peers` installs).  Processes take turns, and every time is the best of all rounds.
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
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
V, W, P = RNG.uniform(-1, 1, 10), RNG.uniform(-1, 1, 10), RNG.uniform(0.5, 2, 10)
M, N = RNG.uniform(-1, 1, (5, 5)), RNG.uniform(-1, 1, (5, 5))
S = M @ M.T + 5 * np.eye(5)
A = RNG.uniform(-1, 1, (4, 3, 5))
INDEX = np.array([3, 1, 1, 7])

# {name: (the function, given a NumPy; the point)}: 48 of them
FUNCTIONS: dict[str, tuple[Callable[[Any], Callable[[Any], Any]], Any]] = {
    # reductions
    "sum": (lambda np: np.sum, V),
    "mean": (lambda np: np.mean, V),
    "sum of squares": (lambda np: lambda x: np.sum(x**2), V),
    "sum along an axis": (lambda np: lambda x: np.sum(np.sum(x, axis=1) ** 2), M),
    "max": (lambda np: np.max, V),
    "var": (lambda np: np.var, V),
    "std": (lambda np: np.std, V),
    "prod": (lambda np: np.prod, P),
    "cumsum": (lambda np: lambda x: np.sum(np.cumsum(x) * W), V),
    # elementwise
    "sin of a number": (lambda np: np.sin, 0.7),
    "tanh": (lambda np: lambda x: np.sum(np.tanh(x)), V),
    "a polynomial": (lambda np: lambda x: 3 * x**3 - 2 * x**2 + x - 1, 0.7),
    "a logistic loss": (lambda np: lambda w: np.sum(np.log(1 + np.exp(-N @ w))), M[0]),
    "where": (lambda np: lambda x: np.sum(np.where(x > 0, x * x, -x)), V),
    "maximum": (lambda np: lambda x: np.sum(np.maximum(x, W)), V),
    "a loop of numbers": (lambda np: looped, 0.7),
    # linear algebra
    "dot": (lambda np: lambda x: np.dot(x, W), V),
    "matrix product": (lambda np: lambda x: np.sum((x @ N) ** 2), M),
    "trace": (lambda np: np.trace, M),
    "diagonal": (lambda np: lambda x: np.sum(np.diagonal(x, 0, -1, -2) ** 2), M),
    "diag": (lambda np: lambda x: np.sum(np.diag(x) @ np.ones(10)), V),
    "outer": (lambda np: lambda x: np.sum(np.outer(x, W)), V),
    "tensordot": (lambda np: lambda x: np.sum(np.tensordot(x, A, ((1, 2), (1, 2)))), A),
    "einsum": (lambda np: lambda x: np.sum(np.einsum("ij,jk->ik", x, N)), M),
    "norm": (lambda np: np.linalg.norm, V),
    "inv": (lambda np: lambda x: np.sum(np.linalg.inv(x)), S),
    "det": (lambda np: np.linalg.det, S),
    "slogdet": (lambda np: lambda x: np.linalg.slogdet(x)[1], S),
    "solve": (lambda np: lambda x: np.sum(np.linalg.solve(x, M[0])), S),
    "cholesky": (lambda np: lambda x: np.sum(np.linalg.cholesky(x @ x.T)), S),
    "eigh": (lambda np: lambda x: np.sum(np.linalg.eigh(x @ x.T)[0] ** 2), S),
    # indexing, joining, shapes
    "an item": (lambda np: lambda x: x[3] * x[4], V),
    "a slice": (lambda np: lambda x: np.sum(x[1:] * x[:-1]), V),
    "an index array": (lambda np: lambda x: np.sum(x[INDEX] ** 2), V),
    "concatenate": (lambda np: lambda x: np.sum(np.concatenate([x, W, x]) ** 2), V),
    "stack": (lambda np: lambda x: np.sum(np.stack([x, W]) ** 2), V),
    "reshape": (lambda np: lambda x: np.sum(np.reshape(x, (3, 20)) ** 2), A),
    "transpose": (lambda np: lambda x: np.sum(np.transpose(x, (2, 0, 1)) ** 2), A),
    "swapaxes": (lambda np: lambda x: np.sum(np.swapaxes(x, 0, 2) ** 2), A),
    "moveaxis": (lambda np: lambda x: np.sum(np.moveaxis(x, 0, -1) ** 2), A),
    "repeat": (lambda np: lambda x: np.sum(np.repeat(x, 3) ** 2), V),
    "tile": (lambda np: lambda x: np.sum(np.tile(x, 3) ** 2), V),
    "sort": (lambda np: lambda x: np.sum(np.sort(x) * W), V),
    # fft, special
    "fft": (lambda np: lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2), V),
    "rfft": (lambda np: lambda x: np.sum(np.real(np.fft.rfft(x))), V),
    "sinc": (lambda np: lambda x: np.sum(np.sinc(x)), P),
    # derivatives of derivatives
    "grad of grad": (lambda np: gradient_of(lambda x: x**3 * np.sin(x)), 0.7),
    "grad of a squared gradient": (lambda np: squared_gradient(np), V),
}
assert len(FUNCTIONS) == 48


def looped(x: Any) -> Any:
    for _ in range(20):
        x = x - 0.1 * x * x
    return x


def gradient_of(f: Any) -> Any:
    from autograd import grad

    return grad(f)


def squared_gradient(np: Any) -> Any:
    g = gradient_of(lambda x: np.sum(np.tanh(x) ** 2))
    return lambda x: np.sum(g(x) ** 2)


def measure(layer: bool) -> None:
    """Answer every line on standard input with the time of one gradient of each function, in microseconds."""
    from autograd import grad

    if layer:
        import autograd.numpy as namespace
    else:
        namespace: Any = np
    jobs = {name: (grad(make(namespace)), x) for name, (make, x) in FUNCTIONS.items()}
    values = {name: np.asarray(f(x)).tolist() for name, (f, x) in jobs.items()}
    print(json.dumps(values), flush=True)
    for _ in sys.stdin:
        print(json.dumps({name: best(f, x) for name, (f, x) in jobs.items()}), flush=True)


def best(f: Any, x: Any, number: int = 40, repeat: int = 5) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            f(x)
        times.append((time.perf_counter() - start) / number)
    return min(times) * 1e6


class Contender:
    """A process that measures one library."""

    def __init__(self, python: str, layer: bool, ours: bool) -> None:
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        env.pop("PYTHONPATH", None)
        if ours:
            env["PYTHONPATH"] = str(ROOT)
        command = [python, str(Path(__file__).resolve()), "--measure", *(["--layer"] if layer else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd="/"
        )
        self.values = self.answer()
        self.times: dict[str, float] = dict.fromkeys(FUNCTIONS, math.inf)

    def answer(self) -> Any:
        return json.loads(self.process.stdout.readline())

    def round(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times = {name: min(self.times[name], t) for name, t in self.answer().items()}


def geometric_mean(ratios: Any) -> float:
    return math.exp(float(np.mean(np.log(list(ratios)))))


def compare(hips: str, rounds: int) -> None:
    ours, layer = Contender(sys.executable, False, True), Contender(sys.executable, True, True)
    theirs = Contender(hips, True, False)
    for name in FUNCTIONS:
        for contender in (ours, layer):
            np.testing.assert_allclose(contender.values[name], theirs.values[name], rtol=1e-8, atol=1e-12, err_msg=name)
    for _ in range(rounds):
        for contender in (ours, layer, theirs):
            contender.round()
    print(f"| {'':28} | HIPS (us) | ours (us) | times as fast | autograd.numpy |")
    print("|---|---|---|---|---|")
    native = {name: theirs.times[name] / ours.times[name] for name in FUNCTIONS}
    through = {name: theirs.times[name] / layer.times[name] for name in FUNCTIONS}
    for name in FUNCTIONS:
        numbers = f"{theirs.times[name]:9.1f} | {ours.times[name]:9.1f} | {native[name]:13.2f} | {through[name]:14.2f}"
        print(f"| {name:28} | {numbers} |")
    means = geometric_mean(native.values()), geometric_mean(through.values())
    print(f"| {'geometric mean':28} | {'':9} | {'':9} | {means[0]:13.2f} | {means[1]:14.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hips", default=str(ROOT / ".venv-hips" / "bin" / "python"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--layer", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.layer)
    else:
        compare(chosen.hips, chosen.rounds)
