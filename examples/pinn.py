"""Solve a differential equation with a network: the loss contains its second derivative with respect to the input.

u'' + u' / 5 + 4 u = 0, u(0) = 1, u'(0) = 0, a damped oscillator.  The loss measures how far the network u(t) is from
satisfying the equation at given points (Lagaris et al. 1998; Raissi et al. 2019).  u' and u'' are gradients of the
network with respect to its input, and the loss is differentiated once more, with respect to the weights: third-order
derivatives in all.
"""

import argparse
from pathlib import Path

import numpy as np

import autograd
import nn
from autograd import Tensor

DAMPING, STIFFNESS, END = 0.2, 4.0, 6.0


def exact(t):
    """Return the exact solution of the damped oscillator."""
    rate = np.sqrt(STIFFNESS - DAMPING**2 / 4)
    return np.exp(-DAMPING * t / 2) * (np.cos(rate * t) + DAMPING / (2 * rate) * np.sin(rate * t))


def solution(model, t):
    """Return u(t), which satisfies the initial conditions for any network: u(0) = 1 and u'(0) = 0."""
    return 1 + t * t * model(t / END * 2 - 1)


def residual(model, t):
    """Return u'' + c u' + k u at the points t (n, 1)."""
    slope = autograd.elementwise_grad(lambda s: solution(model, s))
    return autograd.elementwise_grad(slope)(t) + DAMPING * slope(t) + STIFFNESS * solution(model, t)


def main(out):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1)).double()
    points = Tensor(np.linspace(0, END, 60)[:, None])
    optimizer = nn.LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=50, tolerance_change=1e-13)

    def closure():
        optimizer.zero_grad()
        loss = (residual(model, points) ** 2).mean()
        loss.backward()
        return loss

    between = np.linspace(0, END, 501)[:, None]
    for step in range(31):
        worst = np.abs(solution(model, between).data - exact(between)).max()
        if step % 6 == 0:
            loss = closure().item()
            print(f"after {step * 50:4} iterations: loss {loss:.1e}, largest error {worst:.1e}", flush=True)
        if step < 30:
            optimizer.step(closure)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit("the picture needs matplotlib: pip install 'plaingrad[plots]'") from error
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(between, exact(between), linewidth=5, alpha=0.35, label="exact")
    axes.plot(between, solution(model, between).data, "--", color="black", label="network")
    axes.plot(points.data, 0 * points.data, "|", color="grey", label="points of the loss")
    axes.set(xlabel="t", ylabel="u", title=f"damped oscillator; largest error {worst:.1e}")
    axes.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "pinn.png", dpi=110)
    print(f"wrote the solution to {out / 'pinn.png'}")
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    if main(parser.parse_args().out) > 1e-3:
        raise SystemExit("the error of the solution is above 0.001")
