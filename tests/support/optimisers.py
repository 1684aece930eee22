"""All optimisers with some of their options, for tests of what holds for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import nn
from autograd import Tensor

EVERY: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {"weight_decay": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"betas": (0.8, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {"weight_decay": 0.1}),
    ("Rprop", {}),
    ("ASGD", {"lambd": 0.01, "t0": 2}),
    ("Adafactor", {}),
    ("Adafactor", {"eps": (1e-6, 1e-2), "weight_decay": 0.1}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(EVERY)]
NAMES = sorted({name for name, _ in EVERY})
REAL = {"Adafactor", "Muon"}  # those that move no complex weights
every = pytest.mark.parametrize(("name", "options"), EVERY, ids=IDS)


def made(name: str, options: dict[str, Any], params: Iterable[Any], **more: Any) -> Any:
    """The optimiser of those parameters that it can move."""
    fitting = [p for p in params if isinstance(p, dict) or moves(name, p.shape, p.dtype)]
    return getattr(nn, name)(fitting, **{"lr": 0.01, **options, **more})


def moves(name: str, shape: tuple[int, ...] = (2, 2), dtype: Any = np.float64) -> bool:
    """Whether an optimiser can move a weight of this shape and dtype."""
    return not (name == "Muon" and len(shape) != 2) and not (name in REAL and np.dtype(dtype).kind == "c")


def must_move(name: str, shape: tuple[int, ...] = (2, 2), dtype: Any = np.float64) -> None:
    """Skip a test of a weight that the optimiser refuses."""
    if not moves(name, shape, dtype):
        pytest.skip(f"{name} refuses this weight")


# Options out of range, and words of the error; beside each an option at the very end of the range, if that is allowed.
WRONG: list[tuple[str, dict[str, Any], str, dict[str, Any] | None]] = [
    ("Rprop", {"etas": (1.5, 2.0)}, "etas are two factors", None),
    ("Rprop", {"etas": (1.0, 2.0)}, "etas are two factors", None),
    ("Rprop", {"etas": (0.5, 1.0)}, "etas are two factors", None),
    ("Rprop", {"etas": (0.0, 2.0)}, "etas are two factors", None),
    ("Rprop", {"etas": (0.5, 1.2, 2.0)}, "etas are two factors", {"etas": [0.5, 2.0]}),
    ("Rprop", {"etas": 0.5}, "etas are two factors", None),
    ("Rprop", {"step_sizes": (1.0, 0.5)}, "step_sizes are the smallest", {"step_sizes": [1.0, 1.0]}),
    ("Rprop", {"step_sizes": (-1.0, 0.5)}, "step_sizes are the smallest", {"step_sizes": (0.0, 1.0)}),
    ("Rprop", {"step_sizes": (0.0, 0.5, 1.0)}, "step_sizes are the smallest", None),
    ("Rprop", {"step_sizes": 1.0}, "step_sizes are the smallest", None),
    ("NAdam", {"momentum_decay": -1.0}, "momentum_decay must be at least 0", {"momentum_decay": 0.0}),
    ("ASGD", {"lambd": -1.0}, "lambd must be at least 0", {"lambd": 0.0, "alpha": 1.0}),
    ("Adafactor", {"eps": 1e-8}, "eps are two numbers", None),
    ("Adafactor", {"eps": (None, 1e-3, 1e-3)}, "eps are two numbers", None),
    ("Adafactor", {"eps": (None, -1.0)}, "eps are two numbers", {"eps": [0.0, 0.0]}),
    ("Adafactor", {"eps": (-0.5, 1.0)}, "eps are two numbers", None),
    ("Adafactor", {"d": 0.5}, "d must be at least 1", {"d": 1.0}),
    ("Adafactor", {"beta2_decay": 0.8}, "beta2_decay must be at most 0", {"beta2_decay": 0.0}),
    ("Muon", {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients are three numbers", {"ns_coefficients": [1, 2, 3]}),
    ("Muon", {"ns_coefficients": 1.0}, "ns_coefficients are three numbers", None),
    ("Muon", {"adjust_lr_fn": "adamw"}, "adjust_lr_fn is None, 'original' or", {"adjust_lr_fn": "original"}),
    ("Muon", {"ns_steps": 100}, "ns_steps must be at least 0 and below 100", {"ns_steps": 99}),
    ("Muon", {"ns_steps": -1}, "ns_steps must be at least 0 and below 100", {"ns_steps": 0}),
]


def check_refusals(library: Any, name: str) -> None:
    """Options and weights that this optimiser of the library refuses, and those just inside."""
    kind = getattr(library, name)
    for row, wrong, words, right in WRONG:
        if row == name:
            with pytest.raises(ValueError, match=words):
                kind([Tensor(np.ones((2, 2)), requires_grad=True)], **wrong)
            kind([Tensor(np.ones((2, 2)), requires_grad=True)], **(right or {}))
    with pytest.raises(ValueError, match="learning rate"):
        kind([Tensor(np.ones((2, 2)), requires_grad=True)], lr=-1.0)
    z = Tensor(np.ones((2, 2), complex), requires_grad=True)
    if name not in REAL:
        kind([z])
        return
    with pytest.raises(TypeError, match=f"{name} moves real weights; parameter 0 is complex128"):
        kind([z])
    for shape in ((), (3,), (2, 2, 2)) if name == "Muon" else ():
        with pytest.raises(ValueError, match=r"parameter 1 has shape .*: give it to another optimiser, such as AdamW"):
            kind([Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones(shape), requires_grad=True)])


def check_slim_weights(library: Any, name: str) -> None:
    """Axes of length 1, which a mean must not divide by more."""

    def step(w: Any, g: Any, **options: Any) -> tuple[Any, Any]:
        tensor = Tensor(np.array(w), requires_grad=True)
        tensor.grad = Tensor(np.array(g))
        optimizer = getattr(library, name)([tensor], **options)
        optimizer.step()
        return tensor.data, optimizer.state[0]

    if name == "Adafactor":
        _, state = step([[1.0, 2.0]], [[0.5, 0.5]])
        assert state["row_var"].tolist() == [[0.25]] and state["col_var"].tolist() == [[0.25, 0.25]]
        assert np.allclose(step([2.0], [0.5], lr=0.1)[0], 2 - 2 * 0.1)
    if name == "Muon":
        found, _ = step([[0.0], [0.0]], [[3.0], [4.0]], lr=0.1, ns_steps=0, weight_decay=0.0)
        assert np.allclose(found, np.array([[-0.6], [-0.8]]) * 0.1 * 2**0.5)


def check_states(library: Any, name: str) -> None:
    """A state is loaded if its arrays fit; float16 and empty weights have one as well."""
    check_slim_weights(library, name)
    for shape, dtype in (((3, 2), np.float64), ((2, 3, 4), np.float16), ((3, 2), np.float16), ((0, 2), np.float32)):
        if not moves(name, shape, dtype):
            continue
        w = Tensor(np.full(shape, 0.5).astype(dtype), requires_grad=True)
        optimizer = getattr(library, name)([w])
        for _ in range(2):
            w.grad = Tensor(np.full(shape, 1e-4).astype(dtype))
            with np.errstate(all="raise", under="ignore"):
                optimizer.step()
        state = optimizer.state_dict()
        optimizer.load_state_dict(state)
        assert w.dtype == dtype and np.isfinite(w.data).all()
        for key, value in state["state"][0].items():
            if np.ndim(value):
                assert value.dtype == (np.float32 if dtype == np.float16 and name != "SGD" else dtype)
                wrong = {**state["state"][0], key: np.ones((*np.shape(value), 1))}
                with pytest.raises(ValueError, match=f"{key} of parameter 0 has shape"):
                    optimizer.load_state_dict({**state, "state": [wrong]})
