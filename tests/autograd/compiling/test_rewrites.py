"""Every rewrite can be left out alone: programs without it compute the same."""

from __future__ import annotations

import re

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, compile
from autograd.compiling.program import order_of
from autograd.compiling.rewrites import RULES
from compiled_steps import X, Y, agree, close, pair
from programs import Program

SEEDS = range(12)


def results(function, leaves):
    out = function(*leaves)
    found = [out, *(leaf.grad for leaf in leaves)]
    for leaf in leaves:
        leaf.grad = None
    return found


@pytest.fixture(params=[*RULES, "none of those that change rounding"])
def rule(request, monkeypatch):
    for name, (rounds, _) in RULES.items():
        if name == request.param or (rounds and request.param not in RULES):
            monkeypatch.setitem(RULES, name, (rounds, lambda program, _: program))
    return request.param


@pytest.mark.parametrize("seed", SEEDS)
def test_programs_without_a_rewrite_compute_the_same(rule, seed):
    program = Program(seed, 30)

    def both(*leaves):
        out = program(*leaves)
        out.backward()
        return out

    compiled = compile(both, audit=False)
    for _ in range(4):
        leaves = [Tensor(x, requires_grad=True) for x in program.inputs]
        others = [Tensor(x, requires_grad=True) for x in program.inputs]
        for a, b in zip(results(compiled, leaves), results(both, others), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-9 * np.abs(b.data).max(initial=0.0))
    assert compiled.stats.compiles == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda p: nn.SGD(p, lr=0.1, momentum=0.9),
        lambda p: nn.SGD(p, lr=0.1),
        lambda p: nn.SGD(p, lr=0.1, weight_decay=0.1),
        nn.Adam,
    ],
)
def test_steps_without_a_rewrite_do_the_same(rule, make):
    (step, model, _), (eager, other, _) = pair(make)
    for _ in range(6):
        close(step(X, Y), eager(X, Y))
        agree(model, other)
    assert step.stats.compiles == 1 and step.stats.eager == 0


# ---- what one of them finds


def as_written(f, *arrays, exact=True):
    """The source of a program whose results are those of the function, bit for bit and as they lie if `exact`."""
    compiled = compile(f, exact=exact)
    for _ in range(4):
        for a, b in zip(compiled(*arrays), f(*arrays), strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape and (not exact or order_of(a) == order_of(b))
            np.testing.assert_allclose(a, b, rtol=0 if exact else 2e-6, atol=0 if exact else 2e-6)
    assert compiled.stats.compiles == 1
    return compiled.source


def laid(shape, axes, dtype=np.float64, seed=0):
    """An array whose axes lie in memory in this order."""
    x = np.random.default_rng(seed).normal(size=[shape[i] for i in axes]).astype(dtype)
    return x.transpose(np.argsort(axes))


LAYOUTS = [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 3, 1), (1, 0, 2, 3), (2, 3, 0, 1)]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("axes", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 1, 1), (8, 64, 16, 16)])
def test_arrays_of_every_layout_lie_in_memory_made_once(axes, shape, exact):
    def f(x, y):
        z = np.exp(x * 0.5) + y
        w = np.where(z > 1, z, -z) * x + np.tanh(y)
        return w, (w * w).sum(axis=(0, 2, 3)), np.maximum(w, 0.0).mean(axis=1), z.transpose(1, 0, 2, 3).copy("K")

    source = as_written(f, laid(shape, axes, np.float32), laid(shape, axes, np.float32, 1), exact=exact)
    assert "empty_like" not in source and "t0 = np.multiply" not in source


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1, -1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128, np.int64])
def test_means_and_variances_are_the_sums_that_numpy_makes(dtype, axis):
    def f(x):
        found = [g(x, axis=axis, keepdims=k) for g in (np.mean, np.var, np.std) for k in (False, True)]
        return [
            *found,
            x.var(axis=axis, ddof=1),
            x.std(axis, ddof=1),
            x.mean(axis),
            x - x.mean(axis=axis, keepdims=True),
        ]

    for axes in ((0, 1, 2), (2, 0, 1), (2, 1, 0)):
        source = as_written(f, (laid((4, 3, 5), axes) * 4).astype(dtype))
        assert ("var" in source) == (dtype not in (np.float32, np.float64))
        assert source.count("subtract") <= 1  # the distance from the mean is computed once


def test_products_and_sums_are_one_the_other_way_round_and_signs_go():
    x, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    source = as_written(lambda x, y: (x * y, y * x, x + y + 0.0, y + x, x + -y, x - -y, -y + x), x, y)
    assert source.count("np.multiply") == 1 and source.count("np.subtract") == 1 and "negative" not in source
    as_written(lambda x, y: (x * y, y * x, x.T * y.T, y.T * x.T), x, np.asfortranarray(y))


def test_stacks_of_matrices_are_multiplied_into_memory_made_once():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(4, 5, 3)), rng.normal(size=(3, 6)), rng.normal(size=(2, 4, 6, 1)).astype(np.float32)
    source = as_written(lambda x, y, z: (np.tanh(x @ y), (x @ y @ z).sum(axis=0), x @ y[::-1]), x, y, z)
    assert "np.matmul(x, y, b" in source and "np.matmul(b" in source


INDICES = [
    [0, 2, 1, 3],
    [slice(0, 3), slice(1, 4), 2, 2],
    [(..., 1), (0, slice(None, None, 2)), (slice(None, None, -1), 0), (None, 3)],
    [(0, 1), (0, 1), (2, -1), slice(2)],
    [[0, 0, 2], 1, (slice(None), [1, 0]), 2],
]


@pytest.mark.parametrize("indices", INDICES)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_gradients_of_parts_are_added_in_place(indices, exact, axes):
    """T parts of one array cost as much as one gradient of it: no array of its shape is made for each."""

    def f(x, h):
        x = Tensor(x, requires_grad=True)
        for part in indices * 3:
            h = np.tanh(h * 0.5 + x[part].sum() * x[part].mean())
        (h.sum() + (x[1] * x[2]).sum()).backward()
        return (x.grad.data,)

    source = as_written(f, laid((4, 5), axes), np.ones(3), exact=exact)
    if indices is not INDICES[-1]:  # an array names rows more than once
        assert len(re.findall(r"copyto\(b\d+, c\d+\)|order='K'|np\.zeros|f\d+\(", source)) <= 2


def test_an_array_to_which_a_part_was_added_stays_as_it_is():
    def f(x, v):
        y = np.tanh(x)
        z = autograd.add_at(y, 0, v)
        return z, y * 2, autograd.add_at(z, slice(1, 3), v), z + 1, autograd.add_at(x, (2, 1), v[0]), y[0] + v

    for exact in (True, False):
        as_written(lambda x, v: [y.data for y in f(Tensor(x), v)], laid((4, 5), (0, 1)), np.ones(5), exact=exact)


LOSSES = {
    "one class of several": lambda y: nn.functional.cross_entropy(y, np.array([0, 2, 1, 1])),
    "squares": lambda y: ((y - 1.0) ** 2).mean(),
    "sums, quotients and signs": lambda y: ((2.0 / (y * y + 1.0)).T - y.T.reshape(4, -1)[1:] @ y.T).sum(),
    "the largest": lambda y: np.maximum(y, 0.1).max(axis=0).sum() / 7.0,
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.1), (0.1, 0.7)])
def test_a_learning_rate_goes_into_what_the_gradients_come_from(loss, rates, keep):
    """And only there: gradients that are looked at are not multiplied, nor is what comes of other rates."""

    def run(wrap):
        rng = np.random.default_rng(1)
        weights = [Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((3, 5), (5,), (5, 3), (3,))]
        cut = len(weights) // len(rates)
        groups = [{"params": weights[i * cut : (i + 1) * cut], "lr": lr} for i, lr in enumerate(rates)]
        optimizer = nn.SGD(groups, lr=0.1)

        @wrap
        def step(x):
            optimizer.zero_grad()
            a, b, c, d = weights
            found = LOSSES[loss](nn.functional.relu(x @ a + b) @ c + d)
            found.backward()
            optimizer.step()
            return (found, weights[2].grad) if keep else found

        x, seen = rng.normal(size=(4, 3)), []
        for k in range(6):
            optimizer.groups[0]["lr"] = 0.1 / (k + 1)
            out = step(x)
            seen += [out[1].data.copy()] if keep else []
        return [*seen, *(w.data for w in weights)], step

    (mine, step), (theirs, _) = run(lambda f: compile(f, audit=False)), run(lambda f: f)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    if loss == "one class of several" and rates == (0.1,) and not keep:
        assert "update\n    n0" not in step.source  # nothing is left to be multiplied there
