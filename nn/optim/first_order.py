"""Optimisers that move weights against their gradients.  Names, arguments and trajectories are PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Optimizer, State, blend

__all__ = ["ASGD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "RMSprop", "Rprop"]


class SGD(Optimizer):
    """Stochastic gradient descent: each parameter moves by -lr times its gradient, or times a running sum of gradients.

    With `momentum` m, v = m v + (1 - dampening) gradient and parameter -= lr v, as in PyTorch (Sutskever et al. 2013
    have lr inside v); with `nesterov`, gradient + m v replaces v.  Raises ValueError for rates out of range and
    TypeError for parameters that are not leaves.

    >>> from autograd import Tensor
    >>> w = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w.item()
    0.8
    """

    elementwise = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum and no dampening")
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        m = group["momentum"]
        if not m:
            new = g * -group["lr"]
        else:
            new = g * (1 - group["dampening"])
            v = blend(state["velocity"], m, new) if state else g.copy("K")
            if group["nesterov"]:
                np.multiply(v, m, out=new)
                new += g
            np.multiply(new if group["nesterov"] else v, -group["lr"], out=new)
            state = {"velocity": v}
        new += w
        return new, state


class Adam(Optimizer):
    """Steps of about lr in every parameter: the mean of recent gradients divided by the root of their mean square.

    Kingma and Ba 2015; `amsgrad` keeps the largest mean square (Reddi et al. 2018).  With `decoupled_weight_decay`,
    weight decay shrinks the weights directly, as in AdamW.
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
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        (b1, b2), lr = group["betas"], group["lr"]
        t = state.get("step", 0) + 1
        new = g * (1 - b1)  # the array of the new weight also holds the intermediate results
        mean = blend(state.get("mean"), b1, new)
        np.multiply(g, g, out=new)
        new *= 1 - b2
        square = blend(state.get("square"), b2, new)
        new_state = {"step": t, "mean": mean, "square": square}
        if group["amsgrad"]:
            new_state["largest"] = square = np.maximum(state["largest"], square) if state else square
        np.sqrt(square, out=new)
        scale = (1 - b2**t) ** 0.5  # of the root: mean / (root / scale + eps) is mean * scale / (root + eps * scale)
        new += group["eps"] * scale
        np.divide(mean, new, out=new)
        new *= -lr * scale / (1 - b1**t)
        new += w * (1 - lr * group["weight_decay"]) if group["decoupled_weight_decay"] else w
        return new, new_state


class AdamW(Adam):
    """Adam with a weight decay that shrinks the weights directly: Loshchilov and Hutter 2019."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


class RMSprop(Optimizer):
    """Steps along the gradient divided by the root of its recent mean square: Hinton's lecture 6e (2012).

    With `centered`, divided by the root of its variance (Graves 2013).
    """

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered,
            maximize=maximize,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        a, new = group["alpha"], g * g
        new *= 1 - a
        square = blend(state.get("square"), a, new)
        new_state = {"square": square}
        if group["centered"]:
            np.multiply(g, 1 - a, out=new)
            new_state["mean"] = mean = blend(state.get("mean"), a, new)
            np.multiply(mean, mean, out=new)
            square = np.subtract(square, new, out=new)
        np.sqrt(square, out=new)
        new += group["eps"]
        np.divide(g, new, out=new)
        if group["momentum"]:
            new_state["velocity"] = blend(state.get("velocity"), group["momentum"], new)
        np.multiply(new_state.get("velocity", new), -group["lr"], out=new)
        new += w
        return new, new_state


class Adagrad(Optimizer):
    """Steps along the gradient divided by the root of the sum of all its squares: Duchi, Hazan and Singer 2011."""

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize,
            initial_accumulator_value=initial_accumulator_value,
        )  # fmt: skip

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        t, new = state.get("step", 0) + 1, g * g
        total = new + state.get("sum", group["initial_accumulator_value"])
        np.sqrt(total, out=new)
        new += group["eps"]
        np.divide(g, new, out=new)
        new *= -group["lr"] / (1 + (t - 1) * group["lr_decay"])
        new += w
        return new, {"step": t, "sum": total}


class Adadelta(Optimizer):
    """Steps along the gradient divided by its recent size, times the recent size of the changes: Zeiler 2012."""

    elementwise = True
    by_parts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        rho, eps, moved = group["rho"], group["eps"], state.get("moved")
        new = g * g
        new *= 1 - rho
        square = blend(state.get("square"), rho, new)
        np.add(square, eps, out=new)
        np.sqrt(new, out=new)
        change = np.full_like(w, eps) if moved is None else moved + eps
        np.sqrt(change, out=change)
        change /= new
        change *= g
        np.multiply(change, -group["lr"], out=new)
        new += w
        change *= change
        change *= 1 - rho
        return new, {"square": square, "moved": blend(moved, rho, change)}


class Rprop(Optimizer):
    """Steps that depend on the sign of the gradient alone: Riedmiller and Braun 1993, without weight backtracking.

    Every number has a step size of its own, at first `lr`: it grows by the factor etas[1] while the sign stays, shrinks
    by etas[0] when the sign changes, in a step that leaves the number where it is, and stays within `step_sizes`.
    """

    elementwise = True
    by_parts = True
    others = (*Optimizer.others, "etas", "step_sizes")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def _check(self, options: Mapping[str, Any]) -> None:
        super()._check(options)
        etas, sizes = options["etas"], options["step_sizes"]
        if not isinstance(etas, tuple | list) or len(etas) != 2 or not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"etas are two factors, one between 0 and 1 and one above 1; got {etas!r}")
        if not isinstance(sizes, tuple | list) or len(sizes) != 2 or not 0 <= sizes[0] <= sizes[1]:
            raise ValueError(f"step_sizes are the smallest and the largest step; got {sizes!r}")

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        (down, up), (least, most) = group["etas"], group["step_sizes"]
        size = state["step_size"] if state else np.zeros_like(w) + group["lr"]
        turned = np.sign(g * state["prev"]) if state else np.zeros_like(g)
        size = np.clip(np.where(turned > 0, size * up, np.where(turned < 0, size * down, size)), least, most)
        g = np.where(turned < 0, 0.0, g)
        return w - np.sign(g) * size, {"step": state.get("step", 0) + 1, "prev": g, "step_size": size}


class ASGD(Optimizer):
    """Stochastic gradient descent with a falling rate, and the average of the weights: Polyak and Juditsky 1992.

    The rate of step t is lr / (1 + lambd lr t)**alpha, and each step also shrinks the weights by `lambd` times it.
    `state[i]["ax"]` is the mean of parameter i since step `t0`, for you to assign at the end.
    """

    elementwise = True
    by_parts = True
    shares = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        lambd, lr, t = group["lambd"], group["lr"], state.get("step", 0) + 1
        eta = state.get("eta", lr)
        new = w * (1 - lambd * eta)
        new -= g * eta
        share = 1 / np.maximum(t - 1 - group["t0"], 1.0)  # of the new weight in the mean; PyTorch's state has it as mu
        mean = new - state.get("ax", 0.0)
        mean *= share
        mean += state.get("ax", 0.0)
        return new, {"step": t, "eta": lr / (1 + lambd * lr * t) ** group["alpha"], "ax": mean}
