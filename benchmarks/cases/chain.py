"""The cost per element: value and gradient of sum(exp(-x x) sin(y) + tanh(x y)) for long float32 vectors x and y."""

import numpy as np

from harness import Case, ways

BLOCK = 16_384


def problem(count):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(count, np.float32) for _ in range(2)]


def by_hand(count):
    x, y = problem(count)

    def step():
        e, s, t = np.exp(-x * x), np.sin(y), np.tanh(x * y)
        u = 1 - t * t
        return (e * s + t).sum(), -2 * x * e * s + u * y, e * np.cos(y) + u * x

    return step


def tuned(count):
    """The same in blocks that stay in the cache, with every array preallocated."""
    X, Y = problem(count)
    gx, gy = np.empty_like(X), np.empty_like(Y)
    size = min(BLOCK, count)
    e_, s_, t_, u_, v_ = np.empty((5, size), np.float32)

    def step():
        total = np.float32(0)
        for start in range(0, count, size):
            x, y, a, b = (z[start : start + size] for z in (X, Y, gx, gy))
            n = len(x)
            e, s, t, u, v = e_[:n], s_[:n], t_[:n], u_[:n], v_[:n]
            np.multiply(x, x, out=e)
            np.negative(e, out=e)
            np.exp(e, out=e)
            np.sin(y, out=s)
            np.multiply(x, y, out=t)
            np.tanh(t, out=t)
            np.multiply(e, s, out=v)
            total += np.add.reduce(np.add(v, t, out=u))
            np.multiply(t, t, out=u)
            np.subtract(1, u, out=u)
            np.multiply(v, x, out=v)
            np.multiply(v, -2, out=v)
            np.multiply(u, y, out=a)
            np.add(a, v, out=a)
            np.cos(y, out=b)
            np.multiply(b, e, out=b)
            np.multiply(u, x, out=u)
            np.add(b, u, out=b)
        return total, gx, gy

    return step


def function(x, y, np=np):
    """The differentiated function, in a library with NumPy's names."""
    return (np.exp(-x * x) * np.sin(y) + np.tanh(x * y)).sum()


def eager(count, wrap=lambda both: both):
    import autograd

    x, y = problem(count)
    both = wrap(autograd.value_and_grad(function, (0, 1)))
    return lambda: both(x, y)


def compiled(count):
    import autograd

    return eager(count, autograd.compile)


def pytorch(count):
    import torch

    x, y = (torch.tensor(a, requires_grad=True) for a in problem(count))

    def step():
        value = function(x, y, torch)
        return value.detach(), torch.autograd.grad(value, (x, y))

    return step


def torch_compile(count):
    import torch

    x, y = (torch.tensor(a) for a in problem(count))
    both = torch.compile(torch.func.grad_and_value(lambda x, y: function(x, y, torch), argnums=(0, 1)))

    def step():
        gradients, value = both(x, y)
        return value, gradients

    return step


def jax_jit(count):
    import functools

    import jax
    import jax.numpy as jnp

    x, y = map(jnp.array, problem(count))
    both = jax.jit(jax.value_and_grad(functools.partial(function, np=jnp), (0, 1)))
    return lambda: jax.block_until_ready(both(x, y))


def mygrad(count):
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, y = map(mg.tensor, problem(count))

    def step():
        value = function(x, y, mg)
        value.backward()
        return value.item(), x.grad, y.grad

    return step


def hips(count):
    import autograd.numpy as anp

    import autograd

    x, y = problem(count)
    both = autograd.value_and_grad(lambda z: function(*z, anp))
    return lambda: both((x, y))


CHAINS = ways(by_hand, tuned, eager, compiled, pytorch, torch_compile, jax_jit, mygrad, hips)
ABOUT = "value and gradient of sum(exp(-x x) sin(y) + tanh(x y))"
COUNTS = 10_000, 1_000_000, 4_000_000
CASES = [Case("Elementwise chain", f"chain of {count:,}", "", CHAINS, (count,)) for count in COUNTS]
CASES.append(Case("Default threads", "chain of 4,000,000, default threads", ABOUT, CHAINS, (4_000_000,), pinned=False))
