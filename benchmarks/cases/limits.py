"""Lower bounds for any NumPy program on this machine: the parts of the other cases that cannot be omitted.

For a network these are its matrix products; for the elementwise chain, its four functions and its memory traffic; for
small arrays, the cost of a call.
"""

import itertools

import numpy as np

from harness import Case

from .chain import BLOCK
from .chain import problem as numbers
from .mlp import CASES as NETWORKS
from .mlp import problem as network

CALLS = 1000


def products(sizes, batch):
    """The matrix products of one step, forward and backward, into preallocated arrays."""
    X, _, W, _ = network(sizes, batch)
    inputs = [X, *(np.random.default_rng(0).standard_normal((batch, n), np.float32) for n in sizes[1:])]
    outputs = [np.empty_like(a) for a in inputs]
    gradients, transposed = [np.empty_like(w) for w in W], [w.T for w in W]

    def step():
        for i in range(len(W)):
            np.dot(inputs[i], transposed[i], out=outputs[i + 1])
        for i in reversed(range(len(W))):
            np.dot(inputs[i + 1].T, inputs[i], out=gradients[i])
            if i:
                np.dot(inputs[i + 1], W[i], out=outputs[i])
        return outputs[-1]

    return step


def _operations(sizes, batch):
    """Count multiplications and additions: three products per layer, and two in the first."""
    pairs = list(itertools.pairwise(sizes))
    return sum(2 * batch * a * b * (3 if i else 2) for i, (a, b) in enumerate(pairs))


def square(n):
    a, b, out = *np.random.default_rng(0).standard_normal((2, n, n), np.float32), np.empty((n, n), np.float32)
    return lambda: np.dot(a, b, out=out)


def through_memory(count):
    """Read each array that the chain reads, and write each that it writes, once."""
    x, y = numbers(count)
    gx, gy = np.zeros_like(x), np.zeros_like(y)

    def step():
        np.copyto(gx, x)
        np.copyto(gy, y)
        return gx

    return step


def functions(count):
    """Compute exp, sin, cos and tanh in blocks that stay in the cache."""
    x, y = numbers(count)
    out = np.empty(min(BLOCK, count), np.float32)

    def step():
        for start in range(0, count, BLOCK):
            a, b = x[start : start + BLOCK], y[start : start + BLOCK]
            o = out[: len(a)]
            np.exp(a, out=o)
            np.sin(b, out=o)
            np.cos(b, out=o)
            np.tanh(a, out=o)
        return out

    return step


def calls(function):
    """Repeat the same call."""
    a, b, out = np.ones((4, 4)), np.ones((4, 4)), np.empty((4, 4))

    def step():
        for _ in range(CALLS):
            function(a, b, out)
        return out

    return step


GROUP = "The machine's limits"
CASES = [
    Case(GROUP, f"products of {case.name}", f"{_operations(*case.args) / 1e6:,.2f} million operations",
         {"limit": products}, case.args)
    for case in NETWORKS if case.group == "One SGD step"
]  # fmt: skip
CASES += [
    Case(GROUP, "a product of 1024x1024 and 1024x1024", "2,147 million operations", {"limit": square}, (1024,)),
    Case(GROUP, "memory, 1,000,000", "the chain's arrays, read or written once", {"limit": through_memory}, (10**6,)),
    Case(GROUP, "memory, 4,000,000", "64 MB", {"limit": through_memory}, (4 * 10**6,)),
    Case(GROUP, "functions, 1,000,000", "exp, sin, cos, tanh", {"limit": functions}, (10**6,)),
    Case(GROUP, "functions, 4,000,000", "the same", {"limit": functions}, (4 * 10**6,)),
    Case(GROUP, "a call", "np.add of 4x4 arrays into a third", {"limit": calls}, (np.add,), per=CALLS),
    Case(GROUP, "a call of dot", "np.dot of 4x4 arrays into a third", {"limit": calls}, (np.dot,), per=CALLS),
]
