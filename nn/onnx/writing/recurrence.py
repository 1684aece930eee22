"""The op `recurrent` as LSTM, GRU or RNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...functional.recurrent import Gru, Lstm
from .writer import Step, Writer

_ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # ONNX's blocks of rows, as numbers of ours


def recurrent(w: Writer, s: Step) -> str:
    """Writes the node; `getitem` finds its results in `w.states`, since the op joins all of them in one array."""
    cell, reverse = s.params["cell"], s.params.get("reverse", False)
    if s.params.get("counts") is not None:
        raise s.refuse("reads packed sequences, of several lengths")
    kind = "LSTM" if isinstance(cell, Lstm) else "GRU" if isinstance(cell, Gru) else "RNN"
    biases = len(s) > 3 + cell.states
    first = w.constant(np.array([0], np.int64))
    inputs = [s.x(0), *(w.node("Unsqueeze", _rows(w, kind, s.x(i)), first) for i in (1, 2))]
    inputs.append(
        w.node("Unsqueeze", w.node("Concat", *(_rows(w, kind, s.x(i)) for i in (3, 4)), axis=0), first)
        if biases
        else ""
    )
    states = range(len(s) - cell.states, len(s))
    if any(_nonzero(s.own.inputs[i]) for i in states):
        inputs += ["", *(w.node("Unsqueeze", s.x(i), first) for i in states)]
    options: dict[str, Any] = {"hidden_size": int(s.shape[-1]), "direction": "reverse" if reverse else "forward"}
    if kind == "GRU":
        options["linear_before_reset"] = 1
    if getattr(cell, "relu", False):
        options["activations"] = ["Relu"]
    made = w.node(kind, *inputs, outputs=3 if kind == "LSTM" else 2, **options)
    every = w.node("Squeeze", made[0], w.constant(np.array([1], np.int64)))
    w.states[s.own.node] = {"h": every}
    if kind == "LSTM":
        w.states[s.own.node]["c"] = w.node("Squeeze", made[2], first), 0 if reverse else -1
    return ""


def _nonzero(x: Any) -> bool:
    return not isinstance(x, np.ndarray) or bool(x.any())


def _rows(w: Writer, kind: str, x: str) -> str:
    """The rows of a weight or bias in ONNX's order."""
    order = _ORDERS[kind]
    if len(order) == 1:
        return x
    parts = w.node("Split", x, outputs=len(order), axis=0)
    return str(w.node("Concat", *(parts[i] for i in order), axis=0))
