"""Training steps of networks as people build them: an MLP with every usual part, and a transformer block; float32.

All begin with the same weights and get the same batch.  Dropout's mask is part of the batch: generators differ.
"""

import itertools
import math

import numpy as np

from harness import Case

LR, DECAY, BETAS, EPS = 1e-3, 0.01, (0.9, 0.999), 1e-8
SIZES, BATCH = (784, 512, 512, 10), 128
TIME, ROWS, WIDTH, HEADS = 64, 8, 128, 4
ROOT = math.sqrt(2 / math.pi)


def normal(*shape):
    """Return the same random numbers for the same shape, in float32."""
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def adamw(weights):
    """Return a function that moves weights in place by their gradients: AdamW by hand."""
    means, squares, count = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights], itertools.count(1)

    def move(gradients):
        t = next(count)
        for w, g, m, v in zip(weights, gradients, means, squares, strict=True):
            w *= 1 - LR * DECAY
            m += (1 - BETAS[0]) * (g - m)
            v += (1 - BETAS[1]) * (g * g - v)
            w -= LR / (1 - BETAS[0] ** t) * m / (np.sqrt(v / (1 - BETAS[1] ** t)) + EPS)

    return move


# ---- an MLP: linear, LayerNorm, GELU (by tanh) and dropout twice, a linear layer, and AdamW


def mlp_weights():
    pairs = list(itertools.pairwise(SIZES))
    return [normal(b, a) * np.float32(a**-0.5) for a, b in pairs], [normal(b) * np.float32(0.1) for _, b in pairs]


def mlp_batch():
    """Return inputs, labels, and a mask for each hidden layer, scaled by the share that it keeps."""
    rng = np.random.default_rng(0)
    masks = [(rng.random((BATCH, n)) < 0.9).astype(np.float32) / np.float32(0.9) for n in SIZES[1:-1]]
    return normal(BATCH, SIZES[0]), rng.integers(0, SIZES[-1], BATCH), masks


def mlp_by_hand():
    W, b = mlp_weights()
    scale, shift = [np.ones(n, np.float32) for n in SIZES[1:-1]], [np.zeros(n, np.float32) for n in SIZES[1:-1]]
    X, y, masks = mlp_batch()
    move, rows = adamw([*W, *b, *scale, *shift]), np.arange(BATCH)

    def step():
        h, kept = X, []
        for i, mask in enumerate(masks):
            z = h @ W[i].T + b[i]
            z -= z.mean(axis=1, keepdims=True)
            inverse = 1 / np.sqrt((z * z).mean(axis=1, keepdims=True) + 1e-5)
            z *= inverse
            n = z * scale[i] + shift[i]
            t = np.tanh(ROOT * (n + 0.044715 * n * n * n))
            kept.append((h, z, inverse, n, t))
            h = 0.5 * n * (1 + t) * mask
        z = h @ W[-1].T + b[-1]
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()
        g = p
        g[rows, y] -= 1
        g /= BATCH
        gW, gb, gscale, gshift = [g.T @ h], [g.sum(axis=0)], [], []
        for i in reversed(range(len(masks))):
            h, z, inverse, n, t = kept[i]
            g = (g @ W[i + 1]) * masks[i]
            g *= 0.5 * (1 + t) + 0.5 * n * (1 - t * t) * ROOT * (1 + 0.134145 * n * n)
            gscale.insert(0, (g * z).sum(axis=0))
            gshift.insert(0, g.sum(axis=0))
            g *= scale[i]
            g = inverse * (g - g.mean(axis=1, keepdims=True) - z * (g * z).mean(axis=1, keepdims=True))
            gW.insert(0, g.T @ h)
            gb.insert(0, g.sum(axis=0))
        move([*gW, *gb, *gscale, *gshift])
        return loss

    return step


def mlp_eager(wrap=lambda step: step):
    import nn

    linears = [nn.Linear(a, b) for a, b in itertools.pairwise(SIZES)]
    norms = [nn.LayerNorm(n) for n in SIZES[1:-1]]
    for layer, w, c in zip(linears, *mlp_weights(), strict=True):
        layer.weight.assign(w)
        layer.bias.assign(c)
    X, y, masks = mlp_batch()
    parts = nn.ModuleList([*linears, *norms])
    optimizer = nn.AdamW(parts.parameters(), lr=LR, weight_decay=DECAY)

    @wrap
    def step(h, y, masks):
        for linear, norm, mask in zip(linears, norms, masks, strict=False):
            h = nn.functional.gelu(norm(linear(h)), approximate="tanh") * mask
        loss = nn.functional.cross_entropy(linears[-1](h), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(X, y, masks).item()


def compiled(eager):
    """Return what makes a step that is compiled."""

    def made():
        import autograd

        return eager(autograd.compile)

    return made


def mlp_pytorch(wrap=lambda loss_of: loss_of):
    import torch

    linears = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(SIZES)]
    norms = [torch.nn.LayerNorm(n) for n in SIZES[1:-1]]
    for layer, w, c in zip(linears, *mlp_weights(), strict=True):
        layer.weight.data, layer.bias.data = torch.tensor(w), torch.tensor(c)
    X, y, masks = mlp_batch()
    X, y, masks = torch.tensor(X), torch.tensor(y), [torch.tensor(mask) for mask in masks]
    optimizer = torch.optim.AdamW(torch.nn.ModuleList([*linears, *norms]).parameters(), lr=LR, weight_decay=DECAY)

    @wrap
    def loss_of(h, y):
        for linear, norm, mask in zip(linears, norms, masks, strict=False):
            h = torch.nn.functional.gelu(norm(linear(h)), approximate="tanh") * mask
        return torch.nn.functional.cross_entropy(linears[-1](h), y)

    def step():
        loss = loss_of(X, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_compiled(pytorch):
    """Return what makes a step whose forward and backward passes are compiled."""

    def made():
        import torch

        return pytorch(torch.compile)

    return made


def mlp_jax():
    import jax
    import jax.numpy as jnp

    W, b = mlp_weights()
    ones = [np.ones(n, np.float32) for n in SIZES[1:-1]]
    weights = jax.tree.map(jnp.array, [W, b, ones, [np.zeros_like(one) for one in ones]])
    X, y, masks = jax.tree.map(jnp.array, mlp_batch())

    def loss_of(weights):
        W, b, scale, shift = weights
        h = X
        for i, mask in enumerate(masks):
            z = h @ W[i].T + b[i]
            z = (z - z.mean(1, keepdims=True)) / jnp.sqrt(z.var(1, keepdims=True) + 1e-5)
            h = jax.nn.gelu(z * scale[i] + shift[i]) * mask
        return -jnp.take_along_axis(jax.nn.log_softmax(h @ W[-1].T + b[-1]), y[:, None], axis=1).mean()

    @jax.jit
    def train(weights, means, squares, t):
        loss, gradients = jax.value_and_grad(loss_of)(weights)
        means = jax.tree.map(lambda m, g: m + (1 - BETAS[0]) * (g - m), means, gradients)
        squares = jax.tree.map(lambda v, g: v + (1 - BETAS[1]) * (g * g - v), squares, gradients)
        move = lambda w, m, v: (
            w * (1 - LR * DECAY) - LR / (1 - BETAS[0] ** t) * m / (jnp.sqrt(v / (1 - BETAS[1] ** t)) + EPS)
        )
        return jax.tree.map(move, weights, means, squares), means, squares, t + 1, loss

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [weights, zeros, zeros, 1.0]

    def step():
        *state[:], loss = train(*state)
        jax.block_until_ready(state[0])
        return float(loss)

    return step


# ---- a block of a transformer, with einsum: value and gradients of its mean square


def block_weights():
    scale = np.float32(WIDTH**-0.5)
    return [
        normal(*shape) * scale for shape in ((3, WIDTH, WIDTH), (WIDTH, WIDTH), (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH))
    ]


def block(xp, x, QKV, out, U, V):
    """Return the mean square of x (rows, time, width) after attention and two layers with a tanh GELU between."""
    q, k, v = (xp.einsum("btd,ed->bte", x, QKV[i]).reshape((ROWS, TIME, HEADS, -1)) for i in range(3))
    s = xp.exp(xp.einsum("bthd,bshd->bhts", q, k) * (WIDTH // HEADS) ** -0.5)  # scores are small
    p = s / s.sum(-1)[..., None]
    x = x + xp.einsum("btd,ed->bte", xp.einsum("bhts,bshd->bthd", p, v).reshape((ROWS, TIME, WIDTH)), out)
    z = xp.einsum("btd,ed->bte", x, U)
    h = 0.5 * z * (1 + xp.tanh(ROOT * (z + 0.044715 * z * z * z)))
    x = x + xp.einsum("btd,ed->bte", h, V)
    return (x * x).mean()


def block_by_hand():
    x, (QKV, out, U, V) = normal(ROWS, TIME, WIDTH), block_weights()
    flat = lambda a: a.reshape(ROWS * TIME, -1)
    split = lambda a: a.reshape(ROWS, TIME, HEADS, -1).transpose(0, 2, 1, 3)
    joined = lambda a: np.ascontiguousarray(a.transpose(0, 2, 1, 3)).reshape(ROWS * TIME, WIDTH)
    root = np.float32((WIDTH // HEADS) ** -0.5)

    def step():
        rows = flat(x)
        q, k, v = (split(rows @ W.T) for W in QKV)
        s = np.exp(q @ k.mT * root)
        p = s / s.sum(-1, keepdims=True)
        a = joined(p @ v)
        one = rows + a @ out.T
        z = one @ U.T
        t = np.tanh(ROOT * (z + 0.044715 * z * z * z))
        h = 0.5 * z * (1 + t)
        two = one + h @ V.T
        g = two * np.float32(2 / two.size)
        gV = g.T @ h
        inner = (g @ V) * (0.5 * (1 + t) + 0.5 * z * (1 - t * t) * ROOT * (1 + 0.134145 * z * z))
        gU = inner.T @ one
        g = g + inner @ U
        gO = g.T @ a
        ga = split(g @ out)
        gv, gp = p.mT @ ga, ga @ v.mT
        gs = p * (gp - (gp * p).sum(-1, keepdims=True)) * root
        parts = [joined(gs @ k), joined(gs.mT @ q), joined(gv)]
        return (two * two).mean(), np.stack([part.T @ rows for part in parts]), gO, gU, gV

    return step


def block_eager(wrap=lambda both: both):
    import autograd

    x, weights = normal(ROWS, TIME, WIDTH), block_weights()
    both = wrap(autograd.value_and_grad(lambda weights: block(np, x, *weights)))

    def step():
        value, gradients = both(weights)
        return [value, *gradients]

    return step


def block_pytorch(wrap=lambda both: both):
    import torch

    x, weights = torch.tensor(normal(ROWS, TIME, WIDTH)), [torch.tensor(w) for w in block_weights()]
    both = wrap(torch.func.grad_and_value(lambda weights: block(torch, x, *weights)))

    def step():
        gradients, value = both(weights)
        return [value, *gradients]

    return step


def block_jax():
    import jax

    x, weights = jax.numpy.array(normal(ROWS, TIME, WIDTH)), [jax.numpy.array(w) for w in block_weights()]
    both = jax.jit(jax.value_and_grad(lambda weights: block(jax.numpy, x, *weights)))

    def step():
        value, gradients = jax.block_until_ready(both(weights))
        return [value, *gradients]

    return step


def block_mygrad():
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, weights = normal(ROWS, TIME, WIDTH), [mg.tensor(w) for w in block_weights()]

    def step():
        value = block(mg, x, *weights)
        value.backward()
        return [value.item(), *(w.grad for w in weights)]

    return step


def block_hips():
    import autograd.numpy as anp

    from autograd import value_and_grad

    x, weights = normal(ROWS, TIME, WIDTH), block_weights()
    both = value_and_grad(lambda weights: block(anp, x, *weights))

    def step():
        value, gradients = both(weights)
        return [value, *gradients]

    return step


NO_LAYERS = dict.fromkeys(("mygrad", "hips"), "has no such layers")
CASES = [
    Case(
        "Networks",
        f"LayerNorm, GELU, dropout and AdamW in an MLP {'-'.join(map(str, SIZES))}, batch {BATCH}",
        "",
        {
            "by_hand": mlp_by_hand,
            "eager": mlp_eager,
            "compiled": compiled(mlp_eager),
            "pytorch": mlp_pytorch,
            "torch_compile": torch_compiled(mlp_pytorch),
            "jax_jit": mlp_jax,
        },
        cannot=NO_LAYERS,
        notes={"torch_compile": "its forward and backward pass"},
    ),
    Case(
        "Networks",
        "transformer block with einsum",
        f"{ROWS} rows of {TIME} tokens, width {WIDTH}, {HEADS} heads; value and gradients",
        {
            "by_hand": block_by_hand,
            "eager": block_eager,
            "compiled": compiled(block_eager),
            "pytorch": block_pytorch,
            "torch_compile": torch_compiled(block_pytorch),
            "jax_jit": block_jax,
            "mygrad": block_mygrad,
            "hips": block_hips,
        },
    ),
]
