"""Train on handwritten digits with several processes, each of which takes its part of every batch.

    mpiexec -n 2 python examples/parallel_digits.py

It needs the extra `parallel`, whose `mpiexec` lies beside `python`.  Any number of processes ends with the same
weights, up to rounding; `python examples/parallel_digits.py` is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import nn


def world():
    """All processes that mpiexec started."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise SystemExit("several processes need MPI: pip install 'plaingrad[parallel]'") from error
    return MPI.COMM_WORLD


def load(seed: int = 0):
    """Load shuffled images (n, 64) with pixels from 0 to 1, and labels (n,): 1,437 to train on and 360 held out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SystemExit("the digits come with scikit-learn: pip install 'plaingrad[examples]'") from error
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def main(comm, out: Path, epochs: int = 20) -> float:
    start = time.perf_counter()
    nn.manual_seed(1)
    (images, labels), held = load()  # every process reads the data, and learns from its part of each batch
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    history = nn.fit(
        model,
        images,
        labels,
        batch_size=128,
        optimizer=nn.Adam(model.parameters(), lr=2e-3),
        epochs=epochs,
        validation=held,
        metrics=["accuracy"],
        callbacks=[nn.EarlyStopping(patience=5)],  # those of rank 0 decide for all
        progress=sys.stderr.isatty(),
        comm=comm,
    )
    accuracy = nn.evaluate(model, *held, metrics=["accuracy"])["accuracy"]
    size = abs(model[0].weight.data).sum()
    print(f"rank {comm.rank} of {comm.size}: accuracy {accuracy:.4f}, sum of absolute weights {size:.6f}", flush=True)
    if comm.rank == 0:
        nn.save(model.state_dict(), out / "parallel_digits.npz")
        print(f"{history.epochs} epochs in {time.perf_counter() - start:.1f} s", flush=True)
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True, parents=True)
    accuracy = main(world(), options.out)
    sys.exit(accuracy < 0.9)
