"""The overhead of an op, on 4x4 float64 arrays: value and gradient of two chains of 41 ops, and of ten ops of different
kinds, each with its own backward pass.
"""

import functools

import numpy as np

from harness import Case, ways

CHAINED = 20  # chains in one block of a profile


def problem():
    return np.random.default_rng(0).uniform(0.1, 0.9, (2, 4, 4))


def elementwise(x, w, np=np):
    """41 elementwise ops."""
    y = x
    for _ in range(10):
        y = y * w
        y = y + x
        y = np.tanh(y)
        y = y - w
    return y.sum()


def dense(x, w, np=np):
    """41 ops, as in a recurrent network."""
    y = x
    for _ in range(8):
        y = y @ w
        y = y + x
        y = np.tanh(y)
        y = y * w
        y = y - x
    return y.sum()


def _elementwise_by_hand(x, w):
    y, ys, ts = x, [], []
    for _ in range(10):
        ys.append(y)
        t = np.tanh(y * w + x)
        ts.append(t)
        y = t - w
    g, gx, gw = np.ones_like(y), 0.0, 0.0
    for y_in, t in zip(reversed(ys), reversed(ts), strict=True):
        gw = gw - g
        g = g * (1 - t * t)
        gx = gx + g
        gw = gw + g * y_in
        g = g * w
    return y.sum(), gx + g, gw


def _dense_by_hand(x, w):
    y, ys, ts = x, [], []
    for _ in range(8):
        ys.append(y)
        t = np.tanh(y @ w + x)
        ts.append(t)
        y = t * w - x
    g, gx, gw = np.ones_like(y), 0.0, 0.0
    for y_in, t in zip(reversed(ys), reversed(ts), strict=True):
        gx = gx - g
        gw = gw + g * t
        g = g * w * (1 - t * t)
        gx = gx + g
        gw = gw + y_in.T @ g
        g = g @ w.T
    return y.sum(), gx + g, gw


def by_hand(chain):
    x, w = problem()
    both = {elementwise: _elementwise_by_hand, dense: _dense_by_hand}[chain]
    return lambda: both(x, w)


def eager(chain, wrap=lambda both: both):
    from autograd import Tensor

    x, w = (Tensor(a, requires_grad=True) for a in problem())

    @wrap
    def both(x, w):
        x.grad = w.grad = None
        value = chain(x, w)
        value.backward()
        return value, x.grad, w.grad

    return lambda: both(x, w)


def compiled(chain):
    import autograd

    return eager(chain, autograd.compile)


def pytorch(chain):
    import torch

    x, w = (torch.tensor(a, requires_grad=True) for a in problem())

    def step():
        x.grad = w.grad = None
        value = chain(x, w, torch)
        value.backward()
        return value.detach(), x.grad, w.grad

    return step


def torch_compile(chain):
    import torch

    x, w = map(torch.tensor, problem())
    both = torch.compile(torch.func.grad_and_value(lambda x, w: chain(x, w, torch), argnums=(0, 1)))

    def step():
        (gx, gw), value = both(x, w)
        return value, gx, gw

    return step


def jax_jit(chain):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, w = map(jnp.array, problem())
    both = jax.jit(jax.value_and_grad(functools.partial(chain, np=jnp), (0, 1)))

    def step():
        value, (gx, gw) = jax.block_until_ready(both(x, w))
        return value, gx, gw

    return step


def mygrad(chain):
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, w = map(mg.tensor, problem())

    def step():
        value = chain(x, w, mg)
        value.backward()
        return value, x.grad, w.grad

    return step


def hips(chain):
    import autograd.numpy as anp

    import autograd

    x, w = problem()
    both = autograd.value_and_grad(lambda z: chain(*z, np=anp))
    return lambda: both((x, w))


# ---- ten ops


def _ten(np, maximum, concatenate):
    return [
        lambda x, w: x + w,
        lambda x, w: x * w,
        lambda x, w: np.exp(x),
        lambda x, w: np.tanh(x),
        lambda x, w: maximum(x, w),
        lambda x, w: x.sum(),
        lambda x, w: x @ w,
        lambda x, w: x[1:3],
        lambda x, w: x.reshape((2, 8)),
        lambda x, w: concatenate([x, w]),
    ]


def _slice_back(g, x):
    gx = np.zeros_like(x)
    gx[1:3] = g
    return gx


def _ten_by_hand():
    x, w = problem()
    back = [
        lambda g, y: (g, g),
        lambda g, y: (g * w, g * x),
        lambda g, y: (g * y,),
        lambda g, y: (g * (1 - y * y),),
        lambda g, y: (np.where(x >= w, g, 0), np.where(x < w, g, 0)),
        lambda g, y: (np.broadcast_to(g, x.shape),),
        lambda g, y: (g @ w.T, x.T @ g),
        lambda g, y: (_slice_back(g, x),),
        lambda g, y: (g.reshape(x.shape),),
        lambda g, y: (g[:4], g[4:]),
    ]
    pairs = list(zip(_ten(np, np.maximum, np.concatenate), back, strict=True))

    def step():
        found = []
        for op, rule in pairs:
            y = op(x, w)
            found += rule(np.ones(y.shape), y)
        return found

    return step


def _ten_backward(ops, x, w, ones):
    """The step of libraries whose Tensors have backward() and grad."""

    def step():
        found = []
        for op in ops:
            x.grad = w.grad = None
            y = op(x, w)
            y.backward(ones(y.shape))
            found += [t.grad for t in (x, w) if t.grad is not None]
        return found

    return step


def _ten_eager():
    import autograd

    x, w = (autograd.Tensor(a, requires_grad=True) for a in problem())
    return _ten_backward(_ten(autograd, autograd.maximum, autograd.concatenate), x, w, np.ones)


def _ten_pytorch():
    import torch

    x, w = (torch.tensor(a, requires_grad=True) for a in problem())
    ones = functools.partial(torch.ones, dtype=torch.float64)
    return _ten_backward(_ten(torch, torch.maximum, torch.cat), x, w, ones)


def _ten_jax():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, w = map(jnp.array, problem())
    ops = _ten(jnp, jnp.maximum, jnp.concatenate)

    def make(op, both):
        def rows(x, w):
            y, pull = jax.vjp(op, x, w)
            gradients = pull(jnp.ones(y.shape))
            return gradients if both else gradients[:1]

        return jax.jit(rows)

    uses_both = [True, True, False, False, True, False, True, False, False, True]
    calls = [make(op, both) for op, both in zip(ops, uses_both, strict=True)]

    def step():
        found = []
        for call in calls:
            found += jax.block_until_ready(call(x, w))
        return found

    return step


def _ten_mygrad():
    import mygrad as mg

    mg.turn_memory_guarding_off()
    x, w = map(mg.tensor, problem())
    ops = _ten(mg, mg.maximum, mg.concatenate)

    def step():
        found = []
        for op in ops:
            x.null_grad()
            w.null_grad()
            y = op(x, w)
            y.backward(np.ones(y.shape))
            found += [t.grad for t in (x, w) if t.grad is not None]
        return found

    return step


def _ten_hips():
    import autograd.numpy as anp

    from autograd import make_vjp

    x, w = problem()
    ops = _ten(anp, anp.maximum, anp.concatenate)
    uses_both = [True, True, False, False, True, False, True, False, False, True]

    def step():
        found = []
        for op, both in zip(ops, uses_both, strict=True):
            if both:
                pull, y = make_vjp(lambda z, op=op: op(*z))((x, w))
                found += pull(np.ones(y.shape))
            else:
                pull, y = make_vjp(lambda z, op=op: op(z, w))(x)
                found.append(pull(np.ones(np.shape(y))))
        return found

    return step


# ---- under a profile


def _several(context):
    step = eager(elementwise)

    def several():
        with context():
            for _ in range(CHAINED):
                found = step()
        return found

    return several


def _unprofiled():
    import contextlib

    return _several(contextlib.nullcontext)


def _profiled():
    import autograd

    return _several(autograd.profile)


CHAINS = ways(by_hand, eager, compiled, pytorch, torch_compile, jax_jit, mygrad, hips)
TEN = {
    "by_hand": _ten_by_hand,
    "eager": _ten_eager,
    "pytorch": _ten_pytorch,
    "jax_jit": _ten_jax,
    "mygrad": _ten_mygrad,
    "hips": _ten_hips,
}
GROUP = "Cost of an op"
CASES = [
    Case(GROUP, "elementwise chain, per op", "41 ops on 4x4 arrays", CHAINS, (elementwise,), per=41),
    Case(GROUP, "dense chain, per op", "41 ops on 4x4 arrays, 8 of them products", CHAINS, (dense,), per=41),
    Case(GROUP, "ten ops, per op", "add, multiply, exp, tanh, maximum, sum, matmul, slice, reshape, concatenate, each "
         "with a backward pass of its own", TEN, per=10,
         cannot=dict.fromkeys(["compiled", "torch_compile"], "compiles whole functions, not single ops")),
    Case("Profile", "elementwise chain under a profile, per op", f"{CHAINED} chains in a block of autograd.profile()",
         {"eager": _unprofiled, "profiled": _profiled}, per=41 * CHAINED),
]  # fmt: skip
