"""Compiled programs with arrays that are not in C order: sums round as they do in the function itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nn
from autograd import Tensor, compile
from autograd.compiling.program import Line, order_of
from autograd.compiling.schedule import Main
from compiled import differences
from programs import Program
from samples import CALLS, IDS, closed

pytestmark = pytest.mark.slow

LAYOUTS = {
    "columns": np.asfortranarray,
    "neither": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim < 3 else x.swapaxes(0, 1).copy().swapaxes(0, 1),
}


def leaves(arrays):
    """Tensors with the memory layout of the arrays."""
    made = [Tensor(x, requires_grad=True) for x in arrays]
    for leaf, x in zip(made, arrays, strict=True):
        leaf.data = x
    return made


def has_order(x):
    """Whether more than one memory layout is possible."""
    return x.size and sum(n > 1 for n in x.shape) > 1


@pytest.fixture
def seen(monkeypatch):
    """For every line of compiled programs: "", or how its memory layout differs from the traced run."""
    said = []
    step = Main._step

    def look(x, line):
        x = np.asarray(x)
        differs = has_order(x) and order_of(x) != line.order
        said.append(f"{line.kind} {line.function}: {order_of(x)!r} and not {line.order!r}" if differs else "")

    def and_look(self, i, item, heading=""):
        step(self, i, item, heading)
        if isinstance(item, Line) and item.shape is not None:
            name = self.constants.name_of(lambda x: look(x, item), self.constants.functions, "f")
            self.lines.append(f"{name}({self.names[id(item)]})")

    monkeypatch.setattr(Main, "_step", and_look)
    return said


def both(function):
    def run(*given):
        out = function(*given)
        if isinstance(out, Tensor) and out.requires_grad:
            out.backward(np.cos(np.arange(out.size)).astype(out.dtype).reshape(out.shape))
        return out

    return run


def check(function, arrays):
    compiled = compile(function, exact=True)
    ours, theirs = leaves(arrays), leaves(arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            results = [compiled(*ours), function(*theirs)]
            for pair in [results, *((a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))]:
                a, b = (np.asarray(x.data if isinstance(x, Tensor) else x) for x in pair)
                np.testing.assert_array_equal(a, b)
                assert not has_order(b) or order_of(a) == order_of(b)
            for leaf in (*ours, *theirs):
                leaf.grad = None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_every_op_on_arrays_in_another_layout(name, i, layout, seen):
    function, arrays = closed(name, i)
    if not any(has_order(x) for x in arrays):
        pytest.skip("no input can lie in memory in another way")
    check(both(function), [LAYOUTS[layout](x) if x.ndim else x for x in arrays])
    assert not any(seen)


RNG = np.random.default_rng(0)
SUMS = {
    "what is left of a sum lies as the array did": lambda x: np.exp(x - x.max(axis=-1, keepdims=True)).sum(),
    "and so if axes are gone": lambda x: np.sin(x.sum(axis=1)).sum(),
    "a mean over two axes": lambda x: ((x - x.mean(axis=(0, 2), keepdims=True)) ** 2).sum(),
    "zeros in place of what is below 0": lambda x: np.sum(nn.functional.relu(x) * 1.1),
    "a copy in rows": lambda x: np.sum(x.copy() * np.sin(x)),
    "a transpose": lambda x: np.sum(np.exp(x.T) * 0.3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_many_numbers(name, layout, seen):
    check(both(SUMS[name]), [LAYOUTS[layout](RNG.normal(size=(9, 8, 7)))])
    assert seen and not any(seen)


def test_what_numpy_gives_as_a_view_is_added_to_as_a_view(seen):
    weight, factors = RNG.normal(size=(4, 3, 5)), RNG.normal(size=(2, 3))

    def function(x, y):
        return np.sum(x * factors) + (np.einsum("ai,oij,j->ao", x, weight, y, optimize=True) * 1.1).sum()

    check(both(function), [RNG.normal(size=(2, 3)), RNG.normal(size=5)])
    assert seen and not any(seen)


@pytest.mark.parametrize("exact", [True, False])
def test_products_with_constants_may_be_laid_out_either_way(exact):
    tall = RNG.normal(size=(40, 3))

    def function(x):
        return np.sum(np.tanh(np.dot(np.sin(x), np.arange(6.0).reshape(3, 2) / 6)), axis=1)

    compiled = compile(function, exact=exact)
    for _ in range(3):
        np.testing.assert_allclose(compiled(tall), function(tall), rtol=1e-14 * (not exact))


@pytest.mark.parametrize("seed", [26, 230, 405, 553, 2080, 2430, 3920, 5012, 5181])
def test_random_programs_that_compiled_programs_differed_from(seed):
    assert not any(differences(Program(seed)))
