"""What PyTorch computes, recorded in `recorded.json` so that the suite compares with it where PyTorch is not installed.

`python tests/support/recorded.py` (with the extra `oracle`) rewrites the file; a test checks that it is still
PyTorch's.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from schedules import mixture, rates_of

FILE = Path(__file__).with_suffix(".json")
STEPS = 12
MIXTURES = 40
START = [[1.0, -2.0, 0.5], [[0.3, -0.1], [2.0, 1.0]]]
MATRICES: list[Any] = [[[1.0, -2.0], [0.5, 0.7], [-1.0, 0.2]], [[0.3, -0.1], [2.0, 1.0]]]
REAL = {"Adafactor", "Muon"}  # they move no complex weights
COMPLEX_START: list[Any] = [[1.0 - 1j, -2.0 + 0.5j, 0.5j], [[0.3 + 1j, -0.1], [2.0 - 2j, 1.0 + 0.1j]]]
OPTIMISERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.2, "betas": (0.5, 0.6), "amsgrad": True, "eps": 1e-2}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.1, "eps": 1e-2}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-2}),
    ("Adadelta", {"lr": 1.0, "rho": 0.8, "weight_decay": 0.1, "eps": 1e-3}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "eps": 1e-2}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-2, "maximize": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.5, 0.7), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.5), "weight_decay": 0.1, "eps": 1e-2}),
    ("Rprop", {"lr": 0.3, "etas": (0.3, 1.5), "step_sizes": (0.04, 0.4)}),
    ("Rprop", {"lr": 0.3, "maximize": True}),
    ("ASGD", {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 0.05}),
    ("Adafactor", {"lr": 0.05, "d": 50.0, "eps": (0.3, 1e-3)}),
    (
        "Adafactor",
        {"lr": 0.7, "beta2_decay": -0.5, "eps": (0.1, 0.8), "d": 1.2, "weight_decay": 0.1, "maximize": True},
    ),
    ("Muon", {"lr": 0.05}),
    ("Muon", {"lr": 0.05, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 2, "momentum": 0.5}),
    ("Muon", {"lr": 0.5, "adjust_lr_fn": "original", "ns_coefficients": (1.5, -0.5, 0.1), "ns_steps": 3, "eps": 0.5}),
]
STATES = {  # whose names are PyTorch's
    "NAdam": ("step", "mu_product", "exp_avg", "exp_avg_sq"),
    "RAdam": ("step", "exp_avg", "exp_avg_sq"),
    "Adamax": ("step", "exp_avg", "exp_inf"),
    "Rprop": ("step", "prev", "step_size"),
    "ASGD": ("step", "eta", "ax"),
    "Adafactor": ("step", "row_var", "col_var", "variance"),
    "Muon": ("momentum_buffer",),
}
COMPLEX_OPTIMISERS = [row for row in OPTIMISERS if row[0] not in REAL]
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 4}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 7}),
    ("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12, "pct_start": 0.5, "div_factor": 5.0, "final_div_factor": 10.0}),
    (
        "OneCycleLR",
        {"max_lr": [0.5], "epochs": 4, "steps_per_epoch": 3, "three_phase": True, "anneal_strategy": "linear"},
    ),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12, "three_phase": True, "pct_start": 0.4, "base_momentum": [0.3]}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "step_size_down": 2, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": [0.1], "max_lr": [0.5], "step_size_up": 2, "mode": "exp_range", "gamma": 0.8}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "base_momentum": 0.2, "max_momentum": 0.7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    ("PolynomialLR", {"total_iters": 6, "power": 2.0}),
    ("PolynomialLR", {"total_iters": 4}),
]
METRICS = [5.0, 4.0, 4.0, 3.99999, 4.0, 4.0, 4.0, 6.0, 7.0, 3.0, 3.0, 3.0, 3.0, 3.0, 8.0, 8.0, 8.0, 8.0, 8.0, 2.9998]
METRICS += [2.9, 2.9, 2.9, 2.9, 2.65, 2.65, 2.5, 2.0, -1.0, -1.00005, -1.00005, -1.0, -1.0, -1.0, -0.99995, -0.9, -1.1]
METRICS += [8.0005, 8.001, 8.001, 8.5, 8.5, 8.5, 9.2, 9.2, 11.5, 11.5, 11.5, 11.5]
PLATEAUS: list[dict[str, Any]] = [
    {"mode": mode, "factor": 0.5, "patience": 2, "cooldown": cooldown, "min_lr": 0.01, "threshold": threshold}
    for mode in ("min", "max")
    for cooldown, threshold in ((0, 1e-4), (1, 0.1), (3, 0.0), (0, 0.05))
]


def start_of(name: str) -> Any:
    """Where an optimiser begins: Muon moves matrices only, and Adafactor treats rows and columns differently."""
    return {"Muon": MATRICES, "Adafactor": [START[0], MATRICES[0]]}.get(name, START)


@contextlib.contextmanager
def in_float64(torch: Any) -> Iterator[None]:
    """PyTorch with the numbers of its states and Muon's iteration in float64, not in float32 and bfloat16."""
    before, narrow = torch.get_default_dtype(), torch.Tensor.bfloat16
    torch.set_default_dtype(torch.float64)
    torch.Tensor.bfloat16 = torch.Tensor.clone
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        torch.Tensor.bfloat16 = narrow


def loss(a: Any, b: Any) -> Any:
    """A loss of arrays, Tensors or torch's tensors: curved, and different in every direction."""
    return (a * a * a * a).sum() * 0.1 + (a * a).sum() + ((b - 0.7) * (b - 0.7)).sum() * 2 + (b[0] * a[0]).sum() * 0.3


def complex_loss(a: Any, b: Any) -> Any:
    """A real loss of complex parameters, not the same in every direction of the plane."""
    return loss(a.real, b.real) + 0.5 * loss(a.imag * 1.5, b.imag) + (a.real * a.imag).sum() * 0.2


def trajectory(library: Any, params: list[Any], name: str, options: dict[str, Any]) -> list[list[float]]:
    """All numbers of all parameters after each step of the library's optimiser, and at last those of its state."""
    optimizer = getattr(library, name)(params, **options)
    sign = -1 if options.get("maximize") else 1
    rows = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        measure = complex_loss if "complex" in str(params[0].dtype) else loss
        (measure(*params) * sign).backward()
        optimizer.step()
        rows.append(_numbers([p.detach() for p in params]))
    if name in STATES:
        states = optimizer.state if isinstance(optimizer.state, list) else [optimizer.state[p] for p in params]
        rows.append(_numbers([state[key] for state in states for key in STATES[name] if key in state]))
    return rows


def _numbers(arrays: list[Any]) -> list[float]:
    """The numbers of arrays, tensors and numbers in a row, complex ones as two."""
    numbers = [z for a in arrays for z in (a.reshape(-1).tolist() if hasattr(a, "reshape") else [a])]
    return [float(x) for z in numbers for x in ((z.real, z.imag) if isinstance(z, complex) else (z,))]


def rates(optimizer: Any, schedule: Any, groups: Any, metrics: Any = None) -> list[float]:
    """The learning rate of every epoch."""
    found = []
    for epoch in range(11 if metrics is None else len(metrics)):
        found += [float(groups[0]["lr"]), float(groups[0]["momentum"])]
        with warnings.catch_warnings():  # nothing moves, but PyTorch requires a step before that of the schedule
            warnings.filterwarnings("ignore", r"step\(\) found no gradient")
            optimizer.step()
        schedule.step(*([] if metrics is None else [metrics[epoch]]))
    return found


def record() -> dict[str, Any]:
    """Everything, from PyTorch."""
    import torch

    def zero() -> Any:
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)

    def scheduled(name: str, options: dict[str, Any]) -> list[float]:
        made = zero()
        return rates(made, getattr(torch.optim.lr_scheduler, name)(made, **options), made.param_groups)

    def plateau(options: dict[str, Any]) -> list[float]:
        made = zero()
        return rates(
            made, torch.optim.lr_scheduler.ReduceLROnPlateau(made, **options), made.param_groups, metrics=METRICS
        )

    def complex_start(_name: str) -> list[Any]:
        return [torch.tensor(x, dtype=torch.complex128, requires_grad=True) for x in COMPLEX_START]

    def start(name: str) -> list[Any]:
        return [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start_of(name)]

    def moved(start: Callable[[str], list[Any]], rows: list[Any]) -> list[Any]:
        with in_float64(torch):
            return [trajectory(torch.optim, start(name), name, options) for name, options in rows]

    def defaults(kind: Any) -> dict[str, Any]:
        arguments = inspect.signature(kind).parameters.values()
        return {a.name: a.default for a in arguments if isinstance(a.default, float | int | tuple | str)}

    names = sorted({name for name, _ in OPTIMISERS})
    others = sorted({name for name, _ in SCHEDULES} | {"ReduceLROnPlateau", "LambdaLR", "MultiplicativeLR"})
    return {
        "torch": torch.__version__,
        "defaults": {
            **{name: defaults(getattr(torch.optim, name)) for name in names},
            **{name: defaults(getattr(torch.optim.lr_scheduler, name)) for name in others},
        },
        "optimisers": moved(start, OPTIMISERS),
        "schedules": [scheduled(*row) for row in SCHEDULES],
        "plateaus": [plateau(options) for options in PLATEAUS],
        "mixtures": [
            rates_of(torch.optim, torch.optim.lr_scheduler, lambda: torch.zeros(1, requires_grad=True), mixture(seed))
            for seed in range(MIXTURES)
        ],
        "complex": moved(complex_start, COMPLEX_OPTIMISERS),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), indent=None).replace("]], ", "]],\n").replace("], [", "],\n[") + "\n")
