"""Graphs of unusual shape: a chain of a million ops, and two hundred branches of one leaf."""

import numpy as np

from harness import Case, ways

DEPTH, WIDTH = 500_000, 200
A, B = 1 - 1e-6, 1e-6


def deep(x, depth):
    """Repeat x times A plus B: two ops each."""
    for _ in range(depth):
        x = x * A + B
    return x


def _deep_by_hand(depth):
    x = np.float64(1.0)

    def step():
        y, g = deep(x, depth), np.float64(1.0)
        for _ in range(depth):
            g = g * A
        return y, g

    return step


def _deep_eager(depth):
    import autograd

    x = autograd.Tensor(1.0, requires_grad=True)

    def step():
        x.grad = None
        y = deep(x, depth)
        y.backward()
        return y.data, x.grad.data

    return step


def _deep_pytorch(depth):
    import torch

    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def step():
        x.grad = None
        y = deep(x, depth)
        y.backward()
        return y.detach(), x.grad

    return step


def _deep_jax(depth):
    import jax

    jax.config.update("jax_enable_x64", True)

    def function(x):
        return jax.lax.scan(lambda y, _: (y * A + B, None), x, None, length=depth)[0]

    both = jax.jit(jax.value_and_grad(function))
    return lambda: jax.block_until_ready(both(1.0))


def _deep_mygrad(depth):
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x = mg.tensor(1.0)

    def step():
        y = deep(x, depth)
        y.backward()
        return y.item(), x.grad

    return step


def _deep_hips(depth):
    from autograd import value_and_grad

    both = value_and_grad(lambda x: deep(x, depth))
    return lambda: both(1.0)


# ---- wide


def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal(100), rng.uniform(0.5, 1.5, WIDTH).tolist()


def wide(x, factors, tanh, stack):
    """Use one leaf many times."""
    return stack([tanh(x * c) for c in factors]).sum()


def by_hand():
    x, factors = problem()

    def step():
        values = [np.tanh(x * c) for c in factors]
        g = np.zeros_like(x)
        for t, c in zip(values, factors, strict=True):
            g += (1 - t * t) * c
        return np.stack(values).sum(), g

    return step


def eager(wrap=lambda both: both):
    import autograd

    x, factors = problem()
    x = autograd.Tensor(x, requires_grad=True)

    @wrap
    def both(x):
        x.grad = None
        value = wide(x, factors, np.tanh, np.stack)
        value.backward()
        return value, x.grad

    return lambda: both(x)


def compiled():
    import autograd

    return eager(autograd.compile)


def pytorch():
    import torch

    x, factors = problem()
    x = torch.tensor(x, requires_grad=True)

    def step():
        value = wide(x, factors, torch.tanh, torch.stack)
        return value.detach(), torch.autograd.grad(value, x)[0]

    return step


def jax_jit():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, factors = problem()
    x = jnp.array(x)
    both = jax.jit(jax.value_and_grad(lambda x: wide(x, factors, jnp.tanh, jnp.stack)))
    return lambda: jax.block_until_ready(both(x))


def torch_compile():
    import torch

    x, factors = problem()
    x = torch.tensor(x)
    both = torch.compile(torch.func.grad_and_value(lambda x: wide(x, factors, torch.tanh, torch.stack)))

    def step():
        gradient, value = both(x)
        return value, gradient

    return step


def mygrad():
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, factors = problem()
    x = mg.tensor(x)

    def step():
        value = wide(x, factors, mg.tanh, mg.stack)
        value.backward()
        return value.item(), x.grad

    return step


def hips():
    import autograd.numpy as anp

    from autograd import value_and_grad

    x, factors = problem()
    both = value_and_grad(lambda x: wide(x, factors, anp.tanh, anp.stack))
    return lambda: both(x)


UNROLLED = "writes every op as a line of its program, and a million lines take too long to compile"
DEEP = {
    "by_hand": _deep_by_hand,
    "eager": _deep_eager,
    "pytorch": _deep_pytorch,
    "jax_jit": _deep_jax,
    "mygrad": _deep_mygrad,
    "hips": _deep_hips,
}
CASES = [
    Case(
        "Graphs and derivatives",
        "a chain of 1,000,000 ops",
        "x a + b on one number, 500,000 times",
        DEEP,
        (DEPTH,),
        rounds=2,
        cannot={"compiled": UNROLLED, "torch_compile": UNROLLED},
        notes={"jax_jit": "as lax.scan, one compiled loop"},
    ),
    Case(
        "Graphs and derivatives",
        f"{WIDTH} branches of one leaf",
        "the sum of tanh(x c) for as many c, x of 100 numbers",
        ways(by_hand, eager, compiled, pytorch, torch_compile, jax_jit, mygrad, hips),
    ),
]
