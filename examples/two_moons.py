"""Learn the boundary between two half moons that no straight line can separate."""

import argparse
import sys
from pathlib import Path

import numpy as np

import nn


def moons(n, rng, noise=0.12):
    """Return points (n, 2) on two interlocking half circles, and the label of the half circle of each (n,)."""
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    across = np.where(y == 0, np.cos(angle), 1 - np.cos(angle))
    up = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle))
    return (np.stack([across, up], axis=1) + rng.normal(0, noise, (n, 2))).astype(np.float32), y


def main(out):
    rng = np.random.default_rng(0)
    X, y = moons(600, rng)
    held_X, held_y = moons(400, rng)
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
    line = nn.Linear(2, 2)  # for comparison: without a hidden layer
    accuracy = {}
    for name, network in (("a straight line", line), ("two hidden layers", model)):
        nn.fit(network, X, y, epochs=80, optimizer=nn.Adam(network.parameters(), lr=0.01), progress=sys.stderr.isatty())
        accuracy[name] = nn.evaluate(network, held_X, held_y, metrics=["accuracy"])["accuracy"]
        print(f"{name:18} classifies {accuracy[name]:.1%} of 400 new points correctly")

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit("the picture needs matplotlib: pip install 'plaingrad[plots]'") from error
    across, up = np.meshgrid(np.linspace(-1.6, 2.6, 200), np.linspace(-1.2, 1.7, 160))
    grid = np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for axes, (name, network) in zip(
        figure.subplots(1, 2), (("a straight line", line), ("two hidden layers", model)), strict=True
    ):
        p = nn.predict_proba(network, grid)[:, 1].reshape(across.shape)
        filled = axes.contourf(across, up, p, levels=np.linspace(0, 1, 11), cmap="PuOr", alpha=0.7)
        axes.contour(across, up, p, levels=[0.5], colors="black")
        for label, marker in ((0, "o"), (1, "^")):
            axes.scatter(
                *held_X[held_y == label].T, s=12, marker=marker, color="black" if label else "white", ec="black"
            )
        axes.set(title=f"{name}: {accuracy[name]:.1%}", aspect="equal")
    figure.colorbar(filled, ax=axes, label="probability of the second moon")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "two_moons.png", dpi=110)
    print(f"wrote the boundaries to {out / 'two_moons.png'}")
    return accuracy["two hidden layers"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    if main(parser.parse_args().out) < 0.97:
        raise SystemExit("the held-out accuracy is below 97%")
