"""Effects that a program would not repeat are refused, with their line, and leave nothing behind."""

from __future__ import annotations

import random
import time
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile, detect_anomaly, no_grad
from compiled_steps import X, network, same

FACTOR = 2.0


# ---- what cannot be compiled


class Counter(nn.Module):
    def __init__(self):
        self.linear, self.count, self.seen = nn.Linear(4, 3), 0, []

    def forward(self, x):
        self.count += 1
        return self.linear(x)


def effects(kind):
    module, items, total, generator = Counter(), [], 0.0, np.random.default_rng(0)

    def f(x):
        nonlocal total
        global FACTOR
        if kind == "attribute":
            return module(x)
        y = module.linear(x)
        if kind == "list":
            items.append(y)
        if kind == "nonlocal":
            total = total + 1.0
        if kind == "global":
            FACTOR = FACTOR + 1.0
        if kind == "print":
            print("loss")
        if kind == "clock":
            time.perf_counter()
        if kind == "generator":
            return y + generator.normal()
        if kind == "random":
            return y * random.random()
        if kind == "file":
            Path(__file__).read_text()
        if kind == "log":
            import logging

            logging.getLogger("test").warning("step")
        if kind == "hook":
            y.register_hook(lambda g: g)
        if kind == "input":
            x += 1.0
        if kind == "view":
            z = x * 2.0
            row = z[0]
            row += 1.0
            return z
        if kind == "seed":
            return y + np.random.rand()
        return y

    return f


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("attribute", r"count is changed in the function, at test_refusals.py:\d+"),
        ("list", "items is changed in the function"),
        ("nonlocal", r"total is changed in the function, at test_refusals.py:\d+"),
        ("global", r"FACTOR is changed in the function, at test_refusals.py:\d+"),
        ("print", r"print\(\) is called, at test_refusals.py:\d+: print"),
        ("clock", r"time.perf_counter\(\) is called"),
        (
            "generator",
            r"a Generator, draws numbers in the function, at test_refusals.py:\d+.*; call it as autograd",
        ),
        ("random", "Random.random draws numbers"),
        ("file", "at test_refusals.py"),
        ("log", "at test_refusals.py"),
        ("hook", "a hook is registered, at test_refusals.py"),
        ("input", r"an array that was given is written into, at test_refusals.py:\d+: x \+= 1.0"),
        ("view", r"an array that has views is written into, at test_refusals.py:\d+: row \+= 1.0"),
        ("seed", "np.random draws numbers in the function"),
    ],
)
def test_effects_that_a_program_would_not_repeat_are_named(kind, text):
    f = effects(kind)
    inside = dict(zip(f.__code__.co_freevars, f.__closure__, strict=True))
    before = {k: v.cell_contents for k, v in inside.items()}
    x, factor = X.copy(), FACTOR
    with pytest.raises(CompileError, match=text):
        compile(f)(x)
    same(x, X)
    x = X.copy()
    assert factor == FACTOR and {k: v.cell_contents for k, v in inside.items()} == before
    assert before["items"] == [] and before["module"].count == 0
    g = compile(f, fallback=True)
    with pytest.warns(RuntimeWarning, match="f is not compiled"):
        g(Tensor(x, requires_grad=True) if kind == "hook" else x)


def test_a_parameter_that_cannot_be_found_is_named():
    model = network()
    hidden = weakref.ref(model)
    with no_grad(), pytest.raises(CompileError, match=r"a Tensor of shape .* takes part that was not found"):
        compile(lambda x: hidden()(x))(X)
    with pytest.raises(CompileError, match="a parameter takes part that was not found"):
        compile(lambda x: hidden()(x).sum())(X)


def test_random_numbers_are_not_drawn_again_for_a_gradient():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    with pytest.raises(CompileError, match="computed again with other numbers"):
        compile(model)(X)
    with no_grad():
        compile(model)(X)
    compile(model.eval())(X)


def test_hooks_are_not_forgotten():
    model = network()
    f = compile(lambda x: model(x).sum())
    with no_grad():
        f(X)
        seen = []
        handle = model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
        with pytest.raises(CompileError, match="Linear has hooks"):
            f(X)
        handle.remove()
        f(X)
        handle = model[0].weight.register_hook(lambda g: g)
        with pytest.raises(CompileError, match="a tensor has hooks"):
            f(X)
        handle.remove()
        f(X)


def test_functions_that_are_watched_run_as_they_are_written():
    f = compile(lambda x: np.log(x))
    f(np.ones(2))
    with detect_anomaly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(autograd.AnomalyError):
            f(Tensor(-np.ones(2), requires_grad=True))
    assert f.stats.eager == 1


def test_compiled_functions_inside_compiled_functions_are_part_of_them():
    inner = compile(lambda x: x * 2.0)
    outer = compile(lambda x: inner(x) + 1.0)
    x = np.arange(3.0)
    for _ in range(3):
        same(outer(x), x * 2 + 1)
    assert "np.multiply" in outer.source and inner.stats.compiles == 0
