"""Compare compiled functions with the same functions run eagerly, in training steps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nn
from autograd import Tensor, compile


def same(a, b):
    """Assert equality bit for bit, NaN included, and of dtypes."""
    a, b = (x.data if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    assert a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_array_equal(a, b)


def close(a, b):
    """Assert equality to a few last-place units of the largest number, NaN and infinity included, and of dtypes."""
    a, b = (x.data if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    assert a.dtype == b.dtype and a.shape == b.shape
    if a.dtype.kind not in "fc" or not a.size:
        np.testing.assert_array_equal(a, b)
        return
    finite = np.abs(np.where(np.isfinite(b), b, 0.0))
    ulp = np.finfo(a.dtype).eps
    np.testing.assert_allclose(a, b, rtol=64 * ulp, atol=64 * ulp * float(finite.max()))


MODES = pytest.mark.parametrize(("exact", "same"), [(True, same), (False, close)], ids=["exact", "fast"])


rng = np.random.default_rng(0)


X = rng.normal(size=(12, 4)).astype(np.float32)


Y = rng.integers(0, 3, 12)


def network(seed=0):
    nn.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def pair(make_optimizer=lambda p: nn.SGD(p, lr=0.1), grads=True, **options):
    """Two equal networks with a training step each, the first one compiled: (step, model, optimizer) twice.

    Gradients are kept, so that `agree` can compare them.
    """
    found = []
    for compiled in (True, False):
        model, loss_of = network(), nn.CrossEntropyLoss()
        optimizer = make_optimizer(model.parameters())

        def step(X, y, model=model, optimizer=optimizer, loss_of=loss_of):
            loss = loss_of(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        found.append((compile(step, grads=grads, **options) if compiled else step, model, optimizer))
    return found


def agree(a, b):
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        close(p, q)
        assert (p.grad is None) == (q.grad is None)
        if q.grad is not None:
            close(p.grad, q.grad)


ONE = np.ones(2)


def weight(value=(0.0, 0.0), **options):
    """A weight, its optimiser, and a step by which every element moves by -lr, compiled."""
    w = Tensor(np.array(value), requires_grad=True)
    optimizer = nn.SGD([w], **{"lr": 1.0, **options})

    @compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    return w, optimizer, step


def in_file(file, text, **arrays):
    """The value of `out` after `text` has run in a new process that imports `file` as `saved` and knows `arrays`."""
    np.savez(file.parent / "given.npz", **arrays)
    program = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]); import saved\n"
        f"globals().update(np.load(sys.argv[1] + '/given.npz'))\n{text}\nnp.savez(sys.argv[1] + '/out.npz', *out)\n"
        "assert not {'autograd', 'nn', 'graphviz'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", program, str(file.parent)], check=True)
    return list(np.load(file.parent / "out.npz").values())


def deep_network(dropout=0.0):
    nn.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 8), nn.LayerNorm(8),
        nn.GELU(), nn.Linear(8, 3),
    )  # fmt: skip
