"""`nn.fit` beside scikit-learn's MLPClassifier: digits, the same network, batches, epochs and Adam, in one run.

    taskset -c 0 python benchmarks/training.py

Thread counts are set to one before NumPy is imported.  Each is fitted in turn, `--rounds` times; the ratio is that of
the two times of one round.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import nn

EPOCHS, BATCH, HIDDEN, LR = 30, 32, 128, 2e-3


def data():
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    X, y = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    return X[:1437], y[:1437], X[1437:], y[1437:]


def ours(X, y, held_X, held_y, seed):
    nn.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimizer = nn.Adam(model.parameters(), lr=LR)
    start = time.perf_counter()
    nn.fit(model, X, y, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, progress=False)
    spent = time.perf_counter() - start
    return spent, nn.evaluate(model, held_X, held_y, metrics=["accuracy"])["accuracy"]


def theirs(X, y, held_X, held_y, seed):
    model = MLPClassifier(
        (HIDDEN,), solver="adam", alpha=0, batch_size=BATCH, learning_rate_init=LR, max_iter=EPOCHS,
        n_iter_no_change=EPOCHS, tol=0, random_state=seed,
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, as was asked
        model.fit(X, y)
    return time.perf_counter() - start, model.score(held_X, held_y)


def main(rounds):
    both = [(ours(*data(), seed), theirs(*data(), seed)) for seed in range(rounds)]
    ratios = np.array([a / b for (a, _), (b, _) in both])
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    print(f"64-{HIDDEN}-10, batch {BATCH}, {EPOCHS} epochs of digits, Adam, {rounds} rounds")
    for name, runs in zip(("nn.fit", "MLPClassifier"), zip(*both, strict=True), strict=True):
        spent, held = np.array(runs).T
        print(f"{name:15} {np.median(spent):.2f} s, held out {held.mean():.1%}")
    print(f"ratio of times  {middle:.2f} (quartiles {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    main(parser.parse_args().rounds)
