"""scipy.integrate.odeint with the adjoint derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.integrate

from ..core import defvjp_argnums, make_vjp, primitive
from ..misc.flatten import flatten

odeint = primitive(scipy.integrate.odeint)


def _pull(ans: Any, func: Callable[..., Any], y0: Any, t: Any, args: tuple[Any, ...] = (), **options: Any) -> Any:
    """Integrate y, the adjoint a with a' = -a df/dy, and the gradients of time and of the arguments, backwards.

    At each time the gradient of that row is added to a (Pontryagin; Chen et al., Neural Ordinary Differential
    Equations, 2018).
    """
    rows, size = np.shape(ans)
    flat, unflatten = flatten(args)

    def slope(y: Any, t: Any, flat: Any) -> Any:
        found = func(y, t, *unflatten(flat))
        return np.stack(list(found)) if isinstance(found, list | tuple) else found

    def backwards(state: Any, t: Any, flat: Any) -> Any:
        y, a = state[:size], state[size : 2 * size]
        pull, dy = make_vjp(lambda given: slope(*given), (y, t, flat))
        gy, gt, gflat = pull(a)
        return np.concatenate([dy, -gy, np.reshape(-gt, (1,)), -gflat])

    def pull(g: Any) -> tuple[Any, ...]:
        a, g_start, g_args = g[-1], np.zeros(1), np.zeros(np.shape(flat))
        times = []
        for i in range(rows - 1, 0, -1):
            moved = np.reshape(np.sum(slope(ans[i], t[i], flat) * g[i]), (1,))
            times.append(moved)
            start = np.concatenate([ans[i], a, g_start - moved, g_args])
            end = odeint(backwards, start, np.stack([t[i], t[i - 1]]), (flat,), **options)[1]
            a, g_start, g_args = end[size : 2 * size] + g[i - 1], end[2 * size : 2 * size + 1], end[2 * size + 1 :]
        times.append(g_start)
        return None, a, np.concatenate(times[::-1]), unflatten(g_args)

    return pull


def _maker(argnums: Any, ans: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
    pull = _pull(ans, *args, **kwargs)
    return lambda g: [pull(g)[i] for i in argnums]


defvjp_argnums(odeint, _maker)
