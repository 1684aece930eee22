"""What the page shows of a session, as plain dicts and lists for JSON."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import numpy as np

from autograd import Tensor, no_grad

from ..functional import softmax
from ..layers import Linear
from .data import DATA, make
from .session import SHARES, STAGES, Session
from .settings import ACTIVATIONS, BATCHES, DECAYS, MOST_LAYERS, MOST_NODES, NOISES, OPTIMIZERS, RATES, Settings

SPAN = 1.8  # the pictures show the plane from -SPAN to SPAN
GRID = 32  # points of a picture in each direction
_AXIS = np.linspace(-SPAN, SPAN, GRID, dtype=np.float32)
PLANE = np.stack(np.meshgrid(_AXIS, -_AXIS), axis=-1).reshape(-1, 2)  # row by row, from the top
CURVE = np.linspace(-4, 4, 65, dtype=np.float32)


def choices() -> dict[str, Any]:
    """Return what the page offers: settings with their values, and some points of every data set."""
    shown = {}
    for name, data in DATA.items():
        X, y, _, _ = make(name, noise=0.05)
        shown[name] = {
            "title": data.title, "inputs": data.inputs, "outputs": data.outputs, "classes": data.classes,
            "points": numbers(X[:90]), "labels": numbers(np.ravel(y)[:90]),
        }  # fmt: skip
    return {
        "data": shown,
        "activations": {name: numbers(kind()(Tensor(CURVE)).data) for name, kind in ACTIVATIONS.items()},
        "curve": numbers(CURVE),
        "optimizers": {name: title for name, (title, _, _) in OPTIMIZERS.items()},
        "rates": RATES, "batches": BATCHES, "decays": DECAYS, "noises": NOISES,
        "layers": MOST_LAYERS, "nodes": MOST_NODES, "span": SPAN, "grid": GRID, "stages": STAGES,
        "settings": asdict(Settings()),
    }  # fmt: skip


def frame(session: Session, since: int = 0) -> dict[str, Any]:
    """Return everything the page shows now, with the rows of the history from number `since` on."""
    inside, backward = session.stage != "update", session.stage == "backward"
    x = session.X[session.rows[:1]] if inside else session.held_X[session.followed :][:1]
    values = session.columns(x)
    plane = session.columns(PLANE)
    history = [{name: numbers(value) for name, value in row.items()} for row in session.history[since:]]
    return {
        "epoch": session.epoch, "batch": session.batch, "batches": session.batches, "stage": session.stage,
        "lr": session.optimizer.lr, "rate": session.rate, "finite": session.finite, "history": history,
        "rows": [int(i) for i in session.rows],
        "shown": _shown(session, inside),
        "columns": [
            {
                "sums": None if sums is None else numbers(sums[0]),
                "values": numbers(outputs[0]),
                "slopes": numbers(session.slopes[i - 1][0]) if backward and i else None,
                "planes": [_picture(column) for column in plane[i][1].T],
                "scales": numbers(np.abs(plane[i][1]).max(axis=0)),
            }
            for i, (sums, outputs) in enumerate(values)
        ],
        "weights": _weights(session),
        "along": _along(session),
        "outputs": _output_curves(values[-1][0][0]) if session.data.classes else None,
        "followed": session.followed,
    }  # fmt: skip


def points(session: Session) -> dict[str, Any]:
    """Return the samples of a session: they stay as they are."""
    return {
        "X": numbers(session.X), "y": numbers(np.ravel(session.y)),
        "heldX": numbers(session.held_X), "heldY": numbers(np.ravel(session.held_y)),
        "settings": asdict(session.settings),
    }  # fmt: skip


def _shown(session: Session, inside: bool) -> dict[str, Any]:
    """The label of the sample on the nodes, which is the followed one or, `inside` a batch, its first; and its loss."""
    y = session.y[session.rows] if inside else session.held_y[session.followed :]
    found = {"inside": inside, "y": numbers(np.ravel(y)[0])}
    if inside and session.stage != "forward":
        first = session.loss_of(session.sums[-1].data[:1], y[:1])
        found |= {"loss": numbers(first.item()), "meanLoss": numbers(session.loss.item())}
    return found


def _weights(session: Session) -> list[dict[str, Any]]:
    """Weights and biases of every layer, and what the last batch did to them: one dict for each layer."""
    moved: list[Any] = [None] * len(session.optimizer.params)
    if session.before:
        told = zip(session.before, session.gradients, session.rehearsed(), strict=True)
        moved = [{"old": w, "gradient": g, "rate": session.rate * g, "new": new} for w, g, new in told]
    layers = [layer for layer in session.model if isinstance(layer, Linear)]
    return [
        {
            "weight": numbers(layer.weight.data), "bias": numbers(layer.bias.data),  # type: ignore[union-attr]
            "moved": None if w is None else {name: [numbers(w[name]), numbers(b[name])] for name in w},
        }
        for layer, w, b in zip(layers, moved[::2], moved[1::2], strict=True)
    ]  # fmt: skip


def _along(session: Session) -> dict[str, Any] | None:
    """The loss of the last batch along its gradient, and along the optimiser's step, which is a share of 1."""
    if not session.before or session.stage in ("forward", "loss"):
        return None
    steps = [new - w for w, new in zip(session.before, session.rehearsed(), strict=True)]
    long = np.sqrt(sum(float(np.sum(d**2)) for d in steps))
    steep = np.sqrt(sum(float(np.sum(g**2)) for g in session.gradients))
    size = long / steep if steep else 0.0
    down = [-size * g for g in session.gradients]
    shares = np.union1d((SHARES * session.reach(down)).round(6), [0.0, 1.0])
    found = {"shares": numbers(shares), "gradient": numbers(session.along(down, shares))}
    if session.settings.optimizer != "sgd" or session.settings.decay:
        found["step"] = numbers(session.along(steps, shares))
    return found


def _output_curves(sums: Any) -> list[Any]:
    """How the probability of each output changes with its own weighted sum, the others held."""
    found = []
    with no_grad():
        for i in range(len(sums)):
            varied = np.tile(sums, (len(CURVE), 1))
            varied[:, i] = CURVE
            found.append(numbers(softmax(Tensor(varied), dim=-1).data[:, i]))
    return found


def _picture(values: Any) -> str:
    """The values of one node over the plane as bytes: 0 is minus the largest, 128 is zero, 255 is the largest."""
    size = float(np.abs(values).max())
    scaled = 127 * values / size if np.isfinite(size) and size > 0 else np.zeros_like(values)
    return base64.b64encode((128 + scaled).round().astype(np.uint8).tobytes()).decode("ascii")


def numbers(x: Any) -> Any:
    """Return numbers for JSON with six digits; None for those that are not finite, because JSON has no NaN."""
    if isinstance(x, np.ndarray | np.generic):
        x = x.tolist()
    if isinstance(x, float):
        return float(f"{x:.6g}") if np.isfinite(x) else None
    return [numbers(item) for item in x] if isinstance(x, list | tuple) else x
