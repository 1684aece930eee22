"""The loop of a recurrent network, h = tanh(x_t U' + h W' + b), fifty times, and its gradients; float32."""

import numpy as np

from harness import Case, ways

STEPS, BATCH, INPUTS, HIDDEN = 50, 32, 16, 64


def problem():
    """Return the inputs (steps, batch, inputs), and U (hidden, inputs), W (hidden, hidden), b (hidden,)."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape, np.float32)
    parameters = [normal(HIDDEN, INPUTS) * np.float32(0.25), normal(HIDDEN, HIDDEN) * np.float32(0.1), normal(HIDDEN)]
    return normal(STEPS, BATCH, INPUTS), parameters


def loss_of(U, W, b, X, h, tanh):
    """Return the mean square of the last state, given the first state h (batch, hidden)."""
    for x in X:
        h = tanh(x @ U.T + h @ W.T + b)
    return (h * h).mean()


def by_hand():
    X, (U, W, b) = problem()

    def step():
        states = [np.zeros((BATCH, HIDDEN), np.float32)]
        for x in X:
            states.append(np.tanh(x @ U.T + states[-1] @ W.T + b))
        h = states[-1]
        g = h * np.float32(2 / h.size)
        gU, gW, gb = np.zeros_like(U), np.zeros_like(W), np.zeros_like(b)
        for t in reversed(range(STEPS)):
            h = states[t + 1]
            g = g * (1 - h * h)
            gU += g.T @ X[t]
            gW += g.T @ states[t]
            gb += g.sum(axis=0)
            g = g @ W
        return (states[-1] ** 2).mean(), gU, gW, gb

    return step


def eager(wrap=lambda both: both):
    import autograd

    X, parameters = problem()
    parameters = [autograd.Tensor(p, requires_grad=True) for p in parameters]
    h = np.zeros((BATCH, HIDDEN), np.float32)

    @wrap
    def both(U, W, b, X, h):
        U.grad = W.grad = b.grad = None
        value = loss_of(U, W, b, X, h, np.tanh)
        value.backward()
        return value, U.grad, W.grad, b.grad

    return lambda: both(*parameters, X, h)


def compiled():
    import autograd

    return eager(autograd.compile)


def pytorch():
    import torch

    X, parameters = problem()
    parameters = [torch.tensor(p, requires_grad=True) for p in parameters]
    X, h = torch.tensor(X), torch.zeros(BATCH, HIDDEN)

    def step():
        value = loss_of(*parameters, X, h, torch.tanh)
        return value.detach(), torch.autograd.grad(value, parameters)

    return step


def torch_compile():
    import torch

    X, parameters = problem()
    parameters = [torch.tensor(p) for p in parameters]
    X, h = torch.tensor(X), torch.zeros(BATCH, HIDDEN)
    function = lambda U, W, b, X, h: loss_of(U, W, b, X, h, torch.tanh)
    both = torch.compile(torch.func.grad_and_value(function, argnums=(0, 1, 2)))

    def step():
        gradients, value = both(*parameters, X, h)
        return value, gradients

    return step


def jax_jit():
    import jax
    import jax.numpy as jnp

    X, parameters = problem()
    parameters, X, h = [jnp.array(p) for p in parameters], jnp.array(X), jnp.zeros((BATCH, HIDDEN))

    def scanned(U, W, b, X, h):
        h, _ = jax.lax.scan(lambda h, x: (jnp.tanh(x @ U.T + h @ W.T + b), None), h, X)
        return (h * h).mean()

    both = jax.jit(jax.value_and_grad(scanned, (0, 1, 2)))
    return lambda: jax.block_until_ready(both(*parameters, X, h))


def mygrad():
    import mygrad as mg

    mg.turn_memory_guarding_off()
    X, parameters = problem()
    parameters = [mg.tensor(p) for p in parameters]
    h = np.zeros((BATCH, HIDDEN), np.float32)

    def step():
        value = loss_of(*parameters, X, h, mg.tanh)
        value.backward()
        return value.item(), [p.grad for p in parameters]

    return step


def hips():
    import autograd.numpy as anp

    from autograd import value_and_grad

    X, parameters = problem()
    h = np.zeros((BATCH, HIDDEN), np.float32)
    both = value_and_grad(lambda p: loss_of(*p, X, h, anp.tanh))
    return lambda: both(tuple(parameters))


CASES = [
    Case(
        "Graphs and derivatives",
        f"recurrent loop of {STEPS} steps",
        f"{INPUTS} inputs, {HIDDEN} states, batch {BATCH}",
        ways(by_hand, eager, compiled, pytorch, torch_compile, jax_jit, mygrad, hips),
        notes={"jax_jit": "as lax.scan, one compiled loop"},
    ),
]
