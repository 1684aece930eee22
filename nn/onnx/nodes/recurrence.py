"""Recurrent node types: LSTM, GRU and RNN, of one direction or two."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import functional as F
from ...functional.recurrent import Cell, Gru, Lstm, Rnn, recurrent
from .arithmetic import hard_sigmoid
from .values import array, refuse

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": F.relu, "tanh": np.tanh, "sigmoid": F.sigmoid, "hardsigmoid": hard_sigmoid, "softsign": F.softsign,
    "softplus": F.softplus, "elu": F.elu,
    "leakyrelu": lambda x, alpha=0.01: F.leaky_relu(x, negative_slope=alpha),
    "thresholdedrelu": lambda x, alpha=1.0: np.where(x > alpha, x, 0.0),
    "affine": lambda x, alpha=1.0, beta=0.0: x * alpha + beta,
    "scaledtanh": lambda x, alpha=1.0, beta=1.0: np.tanh(x * beta) * alpha,
}  # fmt: skip
_ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # our blocks of rows, as numbers of ONNX's
_USUAL = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}


def _rows(kind: str, weight: Any) -> Any:
    """The rows of a weight or bias in the order of our cells."""
    size = np.shape(weight)[0] // len(_ORDERS[kind])
    blocks = [weight[i * size : (i + 1) * size] for i in _ORDERS[kind]]
    return np.concatenate(blocks) if len(blocks) > 1 else weight


def _layer(
    kind: str,
    x: Any,
    weight: Any,
    states_weight: Any,
    bias: Any = None,
    sequence_lens: Any = None,
    initial_h: Any = None,
    initial_c: Any = None,
    peepholes: Any = None,
    activations: Sequence[str] = (),
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
    linear_before_reset: int = 0,
    output_sequence: int = 0,
    outputs: int = 1,
) -> tuple[Any, ...]:
    """Y (T, directions, n, size), Y_h and, of an LSTM, Y_c (directions, n, size); with `layout=1` n comes first."""
    if clip:
        refuse("has the attribute clip")
    if input_forget:
        refuse("has input_forget=1")
    x = np.swapaxes(x, 0, 1) if layout else x
    directions, size = np.shape(states_weight)[0], np.shape(states_weight)[-1]
    count = len(_USUAL[kind])
    names = [name.lower() for name in activations] or [*_USUAL[kind]] * directions
    lengths = None if sequence_lens is None else array(sequence_lens)
    if lengths is not None and (lengths == np.shape(x)[0]).all():
        lengths = None
    made = []
    for i in range(directions):
        functions = tuple(names[i * count : (i + 1) * count])
        given = [
            np.zeros((np.shape(x)[1], size), x.dtype) if state is None else state[:, i] if layout else state[i]
            for state in (initial_h, initial_c)[: 2 if kind == "LSTM" else 1]
        ]
        own = (x, weight[i], states_weight[i], None if bias is None else bias[i], given)
        backwards = direction == "reverse" or i == 1
        usual = functions == _USUAL[kind] or functions == ("relu",)
        if usual and peepholes is None and (kind != "GRU" or linear_before_reset) and lengths is None:
            made.append(_fused(kind, *own, functions == ("relu",), backwards))
        else:
            acts = _activations(functions, activation_alpha, activation_beta, i)
            holes = None if peepholes is None else peepholes[i]
            step = functools.partial(_STEPS[kind], acts, holes, bool(linear_before_reset))
            made.append(_stepwise(step, *own, lengths, backwards))
    y = np.stack([every for every, _ in made], axis=1)
    ends = [np.stack([last[k] for _, last in made]) for k in range(len(made[0][1]))]
    if layout:
        return np.transpose(y, (2, 0, 1, 3)), *(np.swapaxes(end, 0, 1) for end in ends)
    return y, *ends


def _fused(
    kind: str, x: Any, weight: Any, states_weight: Any, bias: Any, states: list[Any], relu: bool, backwards: bool
) -> tuple[Any, list[Any]]:
    """All steps by our op, whose rule is written out."""
    cell: Cell = Lstm() if kind == "LSTM" else Gru() if kind == "GRU" else Rnn(relu)
    rows = np.shape(weight)[0]
    biases = () if bias is None else (_rows(kind, bias[:rows]), _rows(kind, bias[rows:]))
    weights = _rows(kind, weight), _rows(kind, states_weight)
    made = recurrent(x, *weights, *biases, *states, cell=cell, reverse=backwards, counts=None)
    return made[0], [made[k][0 if backwards else -1] for k in range(cell.states)]


def _activations(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float], way: int) -> list[Any]:
    made = []
    for i, name in enumerate(names):
        if name not in _FUNCTIONS:
            refuse(f"has the activation {name!r}")
        place, given = way * len(names) + i, dict[str, float]()
        if name in ("hardsigmoid", "leakyrelu", "thresholdedrelu", "affine", "scaledtanh", "elu"):
            given |= {"alpha": alphas[place]} if place < len(alphas) else {}
        if name in ("hardsigmoid", "affine", "scaledtanh"):
            given |= {"beta": betas[place]} if place < len(betas) else {}
        made.append(functools.partial(_FUNCTIONS[name], **given) if given else _FUNCTIONS[name])
    return made


def _stepwise(
    step: Callable[..., list[Any]],
    x: Any,
    weight: Any,
    states_weight: Any,
    bias: Any,
    states: list[Any],
    lengths: Any,
    backwards: bool,
) -> tuple[Any, list[Any]]:
    """All steps, one by one: for forms of a node for which there is no fused op."""
    rows = np.shape(weight)[0]
    bias = np.zeros(2 * rows, x.dtype) if bias is None else bias
    steps, made = np.shape(x)[0], {}
    for t in reversed(range(steps)) if backwards else range(steps):
        new = step(x[t] @ weight.T + bias[:rows], states_weight, bias[rows:], *states)
        if lengths is None:
            states, made[t] = new, new[0]
        else:
            live = (t < lengths)[:, None]
            states = [np.where(live, own, old) for own, old in zip(new, states, strict=True)]
            made[t] = np.where(live, new[0], 0.0)
    return np.stack([made[t] for t in range(steps)]), states


def _lstm(acts: Any, holes: Any, _: bool, a: Any, weight: Any, bias: Any, h: Any, c: Any) -> list[Any]:
    f, g, k = acts
    i, o, forget, new = np.split(a + h @ weight.T + bias, 4, axis=-1)
    hole_i, hole_o, hole_f = (0.0, 0.0, 0.0) if holes is None else np.split(holes, 3)
    i, forget = f(i + hole_i * c), f(forget + hole_f * c)
    c = forget * c + i * g(new)
    return [f(o + hole_o * c) * k(c), c]


def _gru(acts: Any, _: Any, linear: bool, a: Any, weight: Any, bias: Any, h: Any) -> list[Any]:
    f, g = acts
    size = np.shape(h)[-1]
    a_z, a_r, a_n = np.split(a, 3, axis=-1)
    b_z, b_r = np.split(h @ weight[: 2 * size].T + bias[: 2 * size], 2, axis=-1)
    z, r = f(a_z + b_z), f(a_r + b_r)
    own, shift = weight[2 * size :].T, bias[2 * size :]
    new = g(a_n + r * (h @ own + shift)) if linear else g(a_n + (r * h) @ own + shift)
    return [(1.0 - z) * new + z * h]


def _rnn(acts: Any, _: Any, __: bool, a: Any, weight: Any, bias: Any, h: Any) -> list[Any]:
    return [acts[0](a + h @ weight.T + bias)]


_STEPS: dict[str, Any] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}

RECURRENCE: dict[str, Callable[..., Any]] = {kind: functools.partial(_layer, kind) for kind in _ORDERS}
