"""Chains over large arrays, which run block by block and on several threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from autograd import Tensor, compile
from compiled_steps import in_file, same

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)


# ---- large arrays


def chain(x, y):
    return np.exp(-x * x) * np.sin(y) + np.tanh(x * y) * (x > 0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("shapes", "dtype"),
    [
        (((300_001,), (300_001,)), np.float32),
        (((700, 500), (500,)), np.float32),
        (((700, 500), (700, 1)), np.float64),
        (((500, 700), (1, 1)), np.float64),
        (((40, 30, 300), (30, 1)), np.float64),
        (((400_000, 2), (400_000, 2)), np.float32),
    ],
)
def test_chains_over_large_arrays(shapes, dtype, exact, threads):
    x, y = (rng.normal(size=shape).astype(dtype) for shape in shapes)

    def f(x, y):
        a, b = (Tensor(v, requires_grad=True) for v in (x, y))
        out = chain(a, b)
        loss = (out * out).sum()
        loss.backward()
        return out, loss, a.grad, b.grad

    compiled = compile(f, exact=exact, threads=threads)
    for given in ((x, y), (np.asfortranarray(x), y), (x[::-1], y)):
        for _ in range(3):
            for a, b in zip(compiled(*given), f(*given), strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype
                scale = float(np.abs(b.data).max())
                tolerance = 0.0 if exact else 1e-5 if dtype == np.float32 else 1e-12
                np.testing.assert_allclose(a.data, b.data, rtol=tolerance, atol=tolerance * scale)
        assert "run_blocks" in compiled.source


def test_errors_and_interrupts_in_threads_come_out():
    f = compile(lambda x: np.log(x * 2.0) + 1.0, threads=2)
    x = np.ones(300_000)
    f(x), f(x)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        f(-x)
    same(f(x), np.log(x * 2.0) + 1.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_threads_are_there_after_a_fork_and_while_the_interpreter_exits():
    program = """
import atexit, os, numpy as np
from autograd import compile
f, x = compile(lambda x: np.exp(-x * x) + 1.0, threads=3), np.linspace(0.0, 1.0, 300_000)
expected = np.exp(-x * x) + 1.0
check = lambda: print(np.array_equal(f(x), expected), flush=True)
atexit.register(check)
check(), check(), check()
child = os.fork()
check()
if child:
    os.waitpid(child, 0)
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.replace("\n", "") == "True" * 7, run.stderr  # two processes write, and lines may mix


def test_chains_in_a_file(tmp_path):
    x, y = rng.normal(size=(2, 300_000))
    f = compile(lambda x, y: (chain(x, y), chain(y, x).sum()), threads=2)
    f(x, y), f(x, y)
    file = f.save(tmp_path / "saved.py")
    for a, b in zip(in_file(file, "out = saved._lambda_(x, y)", x=x, y=y), f(x, y), strict=True):
        same(a, b)
