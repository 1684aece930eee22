"""One SGD step of three networks: ours beside the same step written by hand in NumPy, and PyTorch where installed.

    taskset -c 0 python benchmarks/mlp.py

float32, one thread, softmax cross-entropy of integer labels, plain SGD.  In each round every contender makes the same
number of steps in turn; a ratio is that of two times of one round.  `--memory` measures the peak of one training step
of 784-1024-1024-1024-10 with batch 4096, each in a process of its own.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import autograd
import nn

SIZES = [((2, 16, 16, 2), 100, 400), ((784, 128, 10), 64, 200), ((784, 512, 512, 10), 256, 12)]
LARGE = (784, 1024, 1024, 1024, 10), 4096
LR = 0.01


def problem(sizes, batch):
    """Inputs, labels, and the first weights (out, in) and biases (out,) of every layer."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch, sizes[0]), np.float32)
    y = rng.integers(0, sizes[-1], batch)
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.standard_normal((b, a), np.float32) * np.float32(a**-0.5) for a, b in pairs]
    return X, y, weights, [np.zeros(b, np.float32) for _, b in pairs]


def by_hand(sizes, batch):
    """The usual forward and backward pass in NumPy, as a person would write it."""
    X, y, W, b = problem(sizes, batch)
    rows = np.arange(batch)

    def step():
        activations = [X]
        for i in range(len(W)):
            z = activations[-1] @ W[i].T + b[i]
            activations.append(np.maximum(z, 0) if i < len(W) - 1 else z)
        z = activations[-1] - activations[-1].max(axis=1, keepdims=True)
        e = np.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        g = p
        g[rows, y] -= 1
        g /= batch
        for i in reversed(range(len(W))):
            gw, gb = g.T @ activations[i], g.sum(axis=0)
            if i:
                g = (g @ W[i]) * (activations[i] > 0)
            W[i] -= LR * gw
            b[i] -= LR * gb
        return loss

    return step


def compiled(sizes, batch):
    return ours(sizes, batch, autograd.compile)


def ours(sizes, batch, wrap=lambda step: step):
    X, y, W, b = problem(sizes, batch)
    layers = []
    for w, c in zip(W, b, strict=True):
        layer = nn.Linear(w.shape[1], w.shape[0])
        layer.weight.assign(w)
        layer.bias.assign(c)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(model.parameters(), lr=LR)

    @wrap
    def step(X, y):
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(X, y).item()


def pytorch(sizes, batch):
    import torch

    torch.set_num_threads(1)
    X, y, W, b = problem(sizes, batch)
    layers = []
    for w, c in zip(W, b, strict=True):
        layer = torch.nn.Linear(w.shape[1], w.shape[0])
        layer.weight.data, layer.bias.data = torch.tensor(w), torch.tensor(c)
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    loss_of, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=LR)
    X, y = torch.tensor(X), torch.tensor(y)

    def step():
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


CONTENDERS = {"by hand": by_hand, "eager": ours, "compiled": compiled, "PyTorch": pytorch}


def timed(step, count):
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def available():
    """The contenders that are installed; the others are named."""
    found = dict(CONTENDERS)
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed and is left out")
        del found["PyTorch"]
    return found


def speed(rounds):
    found = available()
    for sizes, batch, count in SIZES:
        steps = {name: make(sizes, batch) for name, make in found.items()}
        first = {name: float(step()) for name, step in steps.items()}
        if max(first.values()) - min(first.values()) > 1e-4:
            raise SystemExit(f"the losses differ: {first}")
        times = {name: [] for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                times[name].append(timed(step, count))
        print(f"{'-'.join(map(str, sizes))}, batch {batch}")
        for name, each in times.items():
            low, middle, high = np.quantile(np.array(each) / np.array(times["by hand"]), [0.25, 0.5, 0.75])
            print(f"  {name:8} {np.median(each) * 1e6:9.0f} us   {middle:.2f} of by hand ({low:.2f} to {high:.2f})")


def memory():
    """The peak of a process that makes three steps, over one that only makes the network and the data."""
    for name in available():
        peaks = []
        for steps in (0, 3):
            command = [sys.executable, __file__, "--peak", name, str(steps)]
            peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(f"  {name:8} peak of a training step {(peaks[1] - peaks[0]) / 1024:7.1f} MiB over network and data")


def peak(name, steps):
    step = CONTENDERS[name](*LARGE)
    for _ in range(steps):
        step()
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent, too
    print(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", action="store_true", help="also measure memory (a minute)")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak(arguments.peak[0], int(arguments.peak[1]))
    else:
        speed(arguments.rounds)
        if arguments.memory:
            memory()
