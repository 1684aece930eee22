"""The Hessian of Rosenbrock's function of twenty numbers, and the Jacobian of a network; float64.

Rosenbrock, "An automatic method for finding the greatest or least value of a function", 1960, summed over neighbours.
"""

import itertools

import numpy as np

from harness import Case, ways

COUNT, SIZES = 20, (32, 64, 64, 16)


def rosenbrock(x):
    """Rosenbrock's function, with operators only, so that it runs in every library."""
    a, b = x[:-1], x[1:]
    c, d = b - a * a, 1.0 - a
    return (100.0 * c * c + d * d).sum()


def point():
    return np.random.default_rng(0).uniform(-1.5, 1.5, COUNT)


def by_hand():
    x = point()
    i = np.arange(COUNT - 1)

    def step():
        a, b = x[:-1], x[1:]
        H = np.zeros((COUNT, COUNT))
        H[i, i] = 1200.0 * a * a - 400.0 * b + 2.0
        H[i + 1, i + 1] += 200.0
        H[i, i + 1] = H[i + 1, i] = -400.0 * a
        return H

    return step


def eager():
    import autograd

    x, second = point(), autograd.hessian(rosenbrock)
    return lambda: second(x)


def compiled():
    import autograd

    x, second = point(), autograd.compile(autograd.hessian(rosenbrock))
    return lambda: second(x)


def pytorch(wrap=lambda function: function):
    import torch

    x, second = torch.tensor(point()), wrap(torch.func.hessian(rosenbrock))
    return lambda: second(x)


def torch_compile():
    import torch

    return pytorch(torch.compile)


def jax_jit():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, second = jnp.array(point()), jax.jit(jax.hessian(rosenbrock))
    return lambda: second(x).block_until_ready()


def hips():
    import autograd

    x, second = point(), autograd.hessian(rosenbrock)
    return lambda: second(x)


# ---- the Jacobian of a network, at one input vector


def network():
    """Return an input vector, and pairs of weights (out, in) and biases (out,)."""
    rng = np.random.default_rng(0)
    pairs = itertools.pairwise(SIZES)
    return rng.standard_normal(SIZES[0]), [(rng.standard_normal((b, a)) * a**-0.5, np.full(b, 0.1)) for a, b in pairs]


def run(x, layers, tanh=np.tanh):
    """Return the output for one vector, or for many along a first axis."""
    for W, b in layers[:-1]:
        x = tanh(x @ W.T + b)
    W, b = layers[-1]
    return x @ W.T + b


def _jacobian_by_hand():
    x, layers = network()

    def step():
        h, J = x, np.eye(SIZES[0])
        for W, b in layers[:-1]:
            h = np.tanh(W @ h + b)
            J = (1 - h * h)[:, None] * (W @ J)
        return layers[-1][0] @ J

    return step


def _jacobian_eager(wrap=lambda function: function):
    import autograd

    x, layers = network()
    jacobian = wrap(autograd.jacobian(lambda x: run(x, layers), vectorize=True))
    return lambda: jacobian(x)


def _jacobian_compiled():
    import autograd

    return _jacobian_eager(autograd.compile)


def _jacobian_pytorch(wrap=lambda function: function):
    import torch

    x, layers = network()
    layers = [tuple(map(torch.tensor, pair)) for pair in layers]
    x, jacobian = torch.tensor(x), wrap(torch.func.jacrev(lambda x: run(x, layers, torch.tanh)))
    return lambda: jacobian(x)


def _jacobian_torch_compile():
    import torch

    return _jacobian_pytorch(torch.compile)


def _jacobian_jax():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, layers = network()
    layers = [tuple(map(jnp.array, pair)) for pair in layers]
    x, jacobian = jnp.array(x), jax.jit(jax.jacrev(lambda x: run(x, layers, jnp.tanh)))
    return lambda: jacobian(x).block_until_ready()


def _jacobian_mygrad():
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, layers = network()
    batch = mg.tensor(np.tile(x, (SIZES[-1], 1)))

    def step():
        run(batch, layers, mg.tanh).backward(np.eye(SIZES[-1]))
        return batch.grad

    return step


def _jacobian_hips():
    import autograd.numpy as anp

    import autograd

    x, layers = network()
    jacobian = autograd.jacobian(lambda x: run(x, layers, anp.tanh))
    return lambda: jacobian(x)


JACOBIANS = {
    "by_hand": _jacobian_by_hand,
    "eager": _jacobian_eager,
    "compiled": _jacobian_compiled,
    "pytorch": _jacobian_pytorch,
    "torch_compile": _jacobian_torch_compile,
    "jax_jit": _jacobian_jax,
    "mygrad": _jacobian_mygrad,
    "hips": _jacobian_hips,
}
GROUP = "Graphs and derivatives"
CASES = [
    Case(
        GROUP,
        f"Hessian of Rosenbrock, {COUNT} numbers",
        "by hand: the formula",
        ways(by_hand, eager, compiled, pytorch, torch_compile, jax_jit, hips),
        cannot={"mygrad": "has no second derivatives"},
    ),
    Case(
        GROUP,
        f"Jacobian of {'-'.join(map(str, SIZES))}",
        "tanh, one input vector; by hand: forward mode",
        JACOBIANS,
        notes={
            "eager": "jacobian(vectorize=True), one walk for a batch of copies",
            "mygrad": "has no jacobian(): one backward() for a batch of copies",
        },
    ),
]
