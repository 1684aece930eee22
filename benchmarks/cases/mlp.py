"""One SGD step of a multi-layer perceptron: float32, ReLU, softmax cross-entropy, and the loss as a number.

All begin with the same weights and use the same batch, so their losses agree step by step.
"""

import inspect
import itertools

import numpy as np

from harness import Case, ways

LR = 0.01
LARGE = (784, 1024, 1024, 1024, 10), 4096


def problem(sizes, batch):
    """Return inputs (batch, sizes[0]), labels (batch,), and initial weights (out, in) and biases (out,) per layer."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch, sizes[0]), np.float32)
    y = rng.integers(0, sizes[-1], batch)
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.standard_normal((b, a), np.float32) * np.float32(a**-0.5) for a, b in pairs]
    return X, y, weights, [np.zeros(b, np.float32) for _, b in pairs]


def by_hand(sizes, batch):
    """The forward and backward pass as usually written in NumPy."""
    X, y, W, b = problem(sizes, batch)
    rows = np.arange(batch)

    def step():
        activations = [X]
        for i in range(len(W)):
            z = activations[-1] @ W[i].T + b[i]
            activations.append(np.maximum(z, 0) if i < len(W) - 1 else z)
        z = activations[-1] - activations[-1].max(axis=1, keepdims=True)
        e = np.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        g = p
        g[rows, y] -= 1
        g /= batch
        for i in reversed(range(len(W))):
            gw, gb = g.T @ activations[i], g.sum(axis=0)
            if i:
                g = (g @ W[i]) * (activations[i] > 0)
            W[i] -= LR * gw
            b[i] -= LR * gb
        return loss

    return step


def tuned(sizes, batch):
    """The same with preallocated arrays; only a few columns of the batch's length are allocated."""
    X, y, W, b = problem(sizes, batch)
    rows, last = np.arange(batch), len(W) - 1
    activations = [X, *(np.empty((batch, n), np.float32) for n in sizes[1:])]
    grads = [None, *(np.empty((batch, n), np.float32) for n in sizes[1:])]
    masks = [None, *(np.empty((batch, n), bool) for n in sizes[1:])]
    gW, gb = [np.empty_like(w) for w in W], [np.empty_like(c) for c in b]
    column = np.empty((batch, 1), np.float32)

    def step():
        for i in range(len(W)):
            z = activations[i + 1]
            np.matmul(activations[i], W[i].T, out=z)
            np.add(z, b[i], out=z)
            if i < last:
                np.maximum(z, 0, out=z)
        p = activations[-1]
        np.amax(p, axis=1, keepdims=True, out=column)
        np.subtract(p, column, out=p)
        np.exp(p, out=p)
        np.sum(p, axis=1, keepdims=True, out=column)
        np.divide(p, column, out=p)
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        g = np.divide(p, batch, out=p)
        for i in range(last, -1, -1):
            np.matmul(g.T, activations[i], out=gW[i])
            np.sum(g, axis=0, out=gb[i])
            if i:
                np.matmul(g, W[i], out=grads[i])
                np.greater(activations[i], 0, out=masks[i])
                g = np.multiply(grads[i], masks[i], out=grads[i])
            np.multiply(gW[i], LR, out=gW[i])
            np.subtract(W[i], gW[i], out=W[i])
            np.multiply(gb[i], LR, out=gb[i])
            np.subtract(b[i], gb[i], out=b[i])
        return loss

    return step


def eager(sizes, batch, wrap=lambda step: step):
    import nn

    X, y, W, b = problem(sizes, batch)
    layers = []
    for w, c in zip(W, b, strict=True):
        layer = nn.Linear(w.shape[1], w.shape[0])
        layer.weight.assign(w)
        layer.bias.assign(c)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(model.parameters(), lr=LR)

    @wrap
    def step(X, y):
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(X, y).item()


def compiled(sizes, batch):
    import autograd

    return eager(sizes, batch, autograd.compile)


def compiled_anew(sizes, batch):
    """Compile the step again in each run, in the second call; the first one, which runs as written, moves nothing."""
    import autograd

    def wrap(step):
        optimizer = inspect.getclosurevars(step).nonlocals["optimizer"]

        def run(X, y):
            anew = autograd.compile(step)
            optimizer.lr = 0.0
            anew(X, y)
            optimizer.lr = LR
            return anew(X, y)

        return run

    return eager(sizes, batch, wrap)


def _torch_model(sizes, batch):
    import torch

    X, y, W, b = problem(sizes, batch)
    layers = []
    for w, c in zip(W, b, strict=True):
        layer = torch.nn.Linear(w.shape[1], w.shape[0])
        layer.weight.data, layer.bias.data = torch.tensor(w), torch.tensor(c)
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]), torch.tensor(X), torch.tensor(y)


def pytorch(sizes, batch):
    import torch

    model, X, y = _torch_model(sizes, batch)
    loss_of, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=LR)

    def step():
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_compile(sizes, batch, wrap=None):
    """The whole step as one compiled function; compiling model and optimiser separately took three times as long."""
    import torch

    model, X, y = _torch_model(sizes, batch)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    @(wrap or torch.compile)
    def train(parameters, X, y):
        def loss_of(parameters):
            return torch.nn.functional.cross_entropy(torch.func.functional_call(model, parameters, (X,)), y)

        gradients, loss = torch.func.grad_and_value(loss_of)(parameters)
        for name, p in parameters.items():
            p.sub_(gradients[name] * LR)
        return loss

    return lambda: train(parameters, X, y).item()


def torch_compiled_anew(sizes, batch):
    import torch

    torch._inductor.config.force_disable_caches = True

    def wrap(train):
        def anew(*args):
            torch.compiler.reset()
            return torch.compile(train)(*args)

        return anew

    return torch_compile(sizes, batch, wrap)


def jax_jit(sizes, batch, wrap=None):
    import jax
    import jax.numpy as jnp

    X, y, W, b = problem(sizes, batch)

    def loss_of(parameters, X, y):
        for w, c in parameters[:-1]:
            X = jax.nn.relu(X @ w.T + c)
        w, c = parameters[-1]
        logp = jax.nn.log_softmax(X @ w.T + c)
        return -jnp.take_along_axis(logp, y[:, None], axis=1).mean()

    @(wrap or (lambda train: jax.jit(train, donate_argnums=0)))
    def train(parameters, X, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, X, y)
        return jax.tree.map(lambda p, g: p - LR * g, parameters, gradients), loss

    state = [[(jnp.array(w), jnp.array(c)) for w, c in zip(W, b, strict=True)]]
    X, y = jnp.array(X), jnp.array(y)

    def step():
        state[0], loss = train(state[0], X, y)
        jax.block_until_ready(state[0])
        return float(loss)

    return step


def jax_compiled_anew(sizes, batch):
    import jax

    return jax_jit(sizes, batch, lambda train: lambda *args: jax.jit(lambda *a: train(*a), donate_argnums=0)(*args))


def mygrad(sizes, batch):
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    mg.turn_memory_guarding_off()  # as its documentation advises for speed
    X, y, W, b = problem(sizes, batch)
    parameters = [(mg.tensor(w), mg.tensor(c)) for w, c in zip(W, b, strict=True)]

    def step():
        z = X
        for w, c in parameters[:-1]:
            z = relu(mg.matmul(z, w.T) + c)
        w, c = parameters[-1]
        loss = softmax_crossentropy(mg.matmul(z, w.T) + c, y)
        loss.backward()
        for pair in parameters:
            for p in pair:
                p.data -= LR * p.grad
        return loss.item()

    return step


def hips(sizes, batch):
    import autograd.numpy as anp

    from autograd import value_and_grad

    X, y, W, b = problem(sizes, batch)
    rows = np.arange(batch)

    def loss_of(parameters):
        z = X
        for w, c in parameters[:-1]:
            z = anp.maximum(z @ w.T + c, 0)
        w, c = parameters[-1]
        z = z @ w.T + c
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[rows, y])

    both = value_and_grad(loss_of)
    parameters = list(zip(W, b, strict=True))

    def step():
        loss, gradients = both(parameters)
        for (w, c), (gw, gc) in zip(parameters, gradients, strict=True):
            w -= LR * gw
            c -= LR * gc
        return float(loss)

    return step


NETWORKS = ways(by_hand, tuned, eager, compiled, pytorch, torch_compile, jax_jit, mygrad, hips)

ANEW = {"compiled": compiled_anew, "torch_compile": torch_compiled_anew, "jax_jit": jax_compiled_anew}


def _case(sizes, batch, **options):
    name = f"{'-'.join(map(str, sizes))}, batch {batch}"
    if options.get("peak"):
        return Case("Memory", f"memory {name}", "peak of two SGD steps", NETWORKS, (sizes, batch), **options)
    if not options.get("pinned", True):
        return Case(
            "Default threads", f"mlp {name}, default threads", "one SGD step", NETWORKS, (sizes, batch), **options
        )
    return Case("One SGD step", f"mlp {name}", "", NETWORKS, (sizes, batch))


CASES = [
    _case((2, 16, 16, 2), 100),
    _case((784, 128, 10), 64),
    _case((784, 512, 512, 10), 256),
    _case((784, 512, 512, 10), 256, pinned=False),
    _case(*LARGE, peak=True),
    *(
        Case(
            "Compile time",
            f"compiling mlp {'-'.join(map(str, sizes))}, batch {batch}",
            "",
            ANEW,
            (sizes, batch),
            rounds=5,
        )
        for sizes, batch in (((2, 16, 16, 2), 100), ((784, 128, 10), 64), ((784, 512, 512, 10), 256))
    ),
]
