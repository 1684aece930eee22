"""L-BFGS: quasi-Newton steps from the last few gradients (Nocedal 1980), with a strong Wolfe line search."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from autograd import assign_all

from .optimizer import Optimizer

__all__ = ["LBFGS"]


class Point(NamedTuple):
    """A point of a line search: the step length, the loss and gradient there, and the slope along the direction."""

    t: float
    f: float
    g: Any
    slope: float


class LBFGS(Optimizer):
    """Limited-memory BFGS; `step(closure)` calls `closure`, which computes the loss and its gradients, several times.

    Arguments, defaults and steps are PyTorch's: `max_iter` directions per step, at most `max_eval` calls of the closure
    (by default 5/4 `max_iter`), `history_size` remembered pairs, and `line_search_fn` None or "strong_wolfe".  It takes
    only one group.  After an error or an interrupt the parameters are as they were before the step.

    >>> from autograd import Tensor
    >>> w = Tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 2 * np.array([1.0, 10.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> before = optimizer.step(closure)
    >>> bool(np.allclose(w.data, 1))
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn is None or 'strong_wolfe'; got {line_search_fn!r}")
        super().__init__(
            params, lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size,
            line_search_fn=line_search_fn,
        )  # fmt: skip
        self.memory: dict[str, Any] = {"n_iter": 0, "old_y": [], "old_s": []}

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Refuse a second group."""
        if self.groups:
            raise ValueError("LBFGS moves all parameters together, so it takes only one group")
        super().add_param_group(group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` directions; return the loss before the step.  TypeError without a closure."""
        if closure is None:
            raise TypeError("LBFGS.step(closure) needs a function that recomputes the loss and its gradients")
        start, memory = [p.data for p in self.params], self.memory
        self.memory = {**memory, "old_y": [*memory["old_y"]], "old_s": [*memory["old_s"]]}
        try:
            return self._step(closure)
        except BaseException:
            assign_all(self.params, start)
            self.memory = memory
            raise

    def _step(self, closure: Callable[[], Any]) -> Any:
        options, memory = self.groups[0], self.memory
        first = closure()
        if not hasattr(first, "item"):
            raise TypeError(
                f"the closure of LBFGS returns the loss, a Tensor; this one returned {type(first).__name__}"
            )
        if all(p.grad is None for p in self.params):
            raise ValueError("the closure of LBFGS must call zero_grad() and backward(); this one left no gradients")
        f, g = float(first.item()), self._gradient()
        calls, n = 1, 0
        if np.abs(g).max() <= options["tolerance_grad"]:
            return first
        while n < options["max_iter"]:
            n += 1
            memory["n_iter"] += 1
            d = self._direction(g)
            t = min(1.0, 1.0 / float(np.abs(g).sum())) * options["lr"] if memory["n_iter"] == 1 else options["lr"]
            slope, before = float(g @ d), f
            memory["g"] = g
            if slope > -options["tolerance_change"]:
                break
            if options["line_search_fn"] is None:
                self._move(self._flat(), t, d)
                if n != options["max_iter"]:
                    f, g = float(closure().item()), self._gradient()
                    calls += 1
            else:
                start = self._flat()
                look = functools.partial(self._at, closure, start, d)
                tries = options["max_eval"] - calls
                found, used = strong_wolfe(look, Point(0.0, f, g, slope), t, d, tries=tries)
                t, f, g, calls = found.t, found.f, found.g, calls + used
                self._move(start, t, d)
            memory["d"], memory["t"] = d, t
            if (
                calls >= options["max_eval"]
                or np.abs(g).max() <= options["tolerance_grad"]
                or np.abs(d * t).max() <= options["tolerance_change"]
                or abs(f - before) < options["tolerance_change"]
            ):
                break
        return first

    def _direction(self, g: Any) -> Any:
        """Minus the inverse Hessian, estimated from the remembered pairs, times the gradient: two-loop recursion."""
        memory, size = self.memory, self.groups[0]["history_size"]
        if memory["n_iter"] == 1:
            memory["scale"] = 1.0
            return -g
        y, s = g - memory["g"], memory["d"] * memory["t"]
        ys = float(y @ s)
        if ys > 1e-10:
            memory["old_y"], memory["old_s"] = [*memory["old_y"], y][-size:], [*memory["old_s"], s][-size:]
            memory["scale"] = ys / float(y @ y)
        pairs = [(y, s, 1.0 / float(y @ s)) for y, s in zip(memory["old_y"], memory["old_s"], strict=True)]
        q, shares = -g, []
        for y, s, rho in reversed(pairs):
            share = float(s @ q) * rho
            q = q - share * y
            shares.append(share)
        r = q * memory["scale"]
        for (y, s, rho), share in zip(pairs, reversed(shares), strict=True):
            r = r + s * (share - float(y @ r) * rho)
        return r

    def _flat(self) -> Any:
        return np.concatenate([_reals(p.data) for p in self.params])

    def _gradient(self) -> Any:
        parts = [np.zeros_like(p.data) if p.grad is None else p.grad.data for p in self.params]
        return np.concatenate([_reals(part) for part in parts])

    def _move(self, start: Any, t: float, d: Any) -> None:
        """Set all parameters to start + t d."""
        flat = start + t * d
        sizes = [_size(p) for p in self.params]
        parts = [flat[end - size : end] for end, size in zip(np.cumsum(sizes), sizes, strict=True)]
        news = [
            part.astype(p.data.real.dtype).view(p.dtype).reshape(p.shape)
            for p, part in zip(self.params, parts, strict=True)
        ]
        assign_all(self.params, news)

    def _at(self, closure: Callable[[], Any], start: Any, d: Any, t: float) -> Point:
        self._move(start, t, d)
        f, g = float(closure().item()), self._gradient()
        return Point(t, f, g, float(g @ d))

    def update(self, w: Any, g: Any, state: Any, group: Any) -> Any:
        """Unused: all parameters move together, and none has a state of its own."""
        return w, state

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"memory": dict(self.memory)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        memory = state.get("memory") if isinstance(state, Mapping) else None
        if not isinstance(memory, Mapping) or not {"n_iter", "old_y", "old_s"} <= memory.keys():
            raise ValueError('this is not a state of LBFGS: its "memory" is missing')
        size = sum(map(_size, self.params))
        for array in (*memory["old_y"], *memory["old_s"]):
            if np.shape(array) != (size,):
                raise ValueError(f"this state has {np.size(array)} numbers, but the optimiser moves {size}")
        super().load_state_dict(state)
        self.memory = dict(memory)


def _reals(array: Any) -> Any:
    """All numbers of an array in a row: complex ones as their parts, and float16 in float32."""
    row = np.ravel(array)
    return row.astype(np.float32) if row.dtype == np.float16 else row.view(row.real.dtype)


def _size(p: Any) -> int:
    return int(p.size) * (2 if p.dtype.kind == "c" else 1)


def strong_wolfe(
    look: Callable[[float], Point], origin: Point, t: float, d: Any, c1: float = 1e-4, c2: float = 0.9, *, tries: int
) -> tuple[Point, int]:
    """Find a point along `d` with enough decrease and a small slope; return it and the number of calls of `look`.

    After `tries` points, return the best so far.

    Bracketing and zooming follow Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, with the
    cubic steps and safeguards of M. Schmidt's minFunc, as in PyTorch.
    """
    longest = float(np.abs(d).max())
    last, now = origin, look(t)
    used, steps, done, bracket = 1, 0, False, [origin, now]  # a bracket that `tries` cut short
    while steps < tries:
        if now.f > origin.f + c1 * now.t * origin.slope or (steps > 1 and now.f >= last.f):
            bracket = [last, now]
            break
        if abs(now.slope) <= -c2 * origin.slope:
            bracket, done = [now, now], True
            break
        if now.slope >= 0:
            bracket = [last, now]
            break
        t = cubic(last, now, (now.t + 0.01 * (now.t - last.t), now.t * 10))
        last, now = now, look(t)
        used, steps = used + 1, steps + 1
        bracket = [origin, now]

    low, stuck = (0 if bracket[0].f <= bracket[1].f else 1), False
    while not done and steps < tries:
        ends = [p.t for p in bracket]
        left, right = min(ends), max(ends)
        if (right - left) * longest < 1e-9:
            break
        t = cubic(bracket[0], bracket[1])
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # too near an end: allowed once, then moved inwards
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        now = look(t)
        used, steps = used + 1, steps + 1
        if now.f > origin.f + c1 * t * origin.slope or now.f >= bracket[low].f:
            bracket[1 - low] = now
            low = 0 if bracket[0].f <= bracket[1].f else 1
        else:
            if abs(now.slope) <= -c2 * origin.slope:
                done = True
            elif now.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = now
    return bracket[low], used


def cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The minimum of the cubic through two points with their slopes, within `bounds` or between the points."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if a.t <= b.t:
        least = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    else:
        least = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
    return min(max(least, low), high)
