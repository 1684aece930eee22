"""Relatives of Adam, which follow a mean of the gradients.  Names, arguments and trajectories are PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer, State, blend

__all__ = ["Adamax", "NAdam", "RAdam"]


def moments(g: Any, state: State, betas: tuple[float, float]) -> tuple[Any, Any, Any]:
    """The running means of the gradients and of their squares, and an array of that size to compute in."""
    new = g * (1 - betas[0])
    mean = blend(state.get("exp_avg"), betas[0], new)
    np.multiply(g, g, out=new)
    new *= 1 - betas[1]
    return mean, blend(state.get("exp_avg_sq"), betas[1], new), new


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step looks ahead, with the momentum of the next one; Dozat 2016.

    Momentum grows from betas[0] / 2 to betas[0], the slower the smaller `momentum_decay`.  With
    `decoupled_weight_decay`, weight decay shrinks the weights directly, as in AdamW.
    """

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        (b1, b2), lr, decay = group["betas"], group["lr"], group["momentum_decay"]
        t = state.get("step", 0) + 1
        mu, ahead = (b1 * (1 - 0.5 * 0.96 ** (n * decay)) for n in (t, t + 1))
        product = state.get("mu_product", 1.0) * mu
        mean, square, root = moments(g, state, (b1, b2))
        np.multiply(square, 1 / (1 - b2**t), out=root)
        np.sqrt(root, out=root)
        root += group["eps"]
        new = mean * (-lr * ahead / (1 - product * ahead))
        new += g * (-lr * (1 - mu) / (1 - product))
        new /= root
        new += w * (1 - lr * group["weight_decay"]) if group["decoupled_weight_decay"] else w
        return new, {"step": t, "mu_product": product, "exp_avg": mean, "exp_avg_sq": square}


class RAdam(Optimizer):
    """Adam that begins without the mean squares, which vary too much while they are means of few: Liu et al. 2020.

    With `decoupled_weight_decay`, weight decay shrinks the weights directly, as in AdamW.
    """

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        (b1, b2), lr = group["betas"], group["lr"]
        t = state.get("step", 0) + 1
        mean, square, new = moments(g, state, (b1, b2))
        most = 2 / (1 - b2) - 1
        length = most - 2 * t * b2**t / (1 - b2**t)  # of the mean of squares, as that of a simple moving average
        enough = np.greater(length, 5.0)  # a program must not branch on the number of the step
        rho = np.where(enough, length, 5.0)  # any other number would do
        factor = (rho - 4) * (rho - 2) * (most / ((most - 4) * (most - 2) or 1.0)) / rho * (1 - b2**t)
        np.sqrt(square, out=new)
        new += group["eps"]
        new = np.where(enough, new, 1.0)
        np.divide(mean, new, out=new)
        new *= np.where(enough, np.sqrt(np.abs(factor)), 1.0) * (-lr / (1 - b1**t))
        new += w * (1 - lr * group["weight_decay"]) if group["decoupled_weight_decay"] else w
        return new, {"step": t, "exp_avg": mean, "exp_avg_sq": square}


class Adamax(Optimizer):
    """Adam with the largest recent gradient, which fades by betas[1], instead of the root mean square.

    Kingma and Ba 2015, section 7.1.
    """

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        (b1, b2), t = group["betas"], state.get("step", 0) + 1
        new = g * (1 - b1)
        mean = blend(state.get("exp_avg"), b1, new)
        np.abs(g, out=new)
        new += group["eps"]
        largest = np.maximum(state["exp_inf"] * b2, new) if state else new.copy("K")
        np.divide(mean, largest, out=new)
        new *= -group["lr"] / (1 - b1**t)
        new += w
        return new, {"step": t, "exp_avg": mean, "exp_inf": largest}
