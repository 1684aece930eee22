"""A few hundred planted errors in the walk and the optimisers, each noticed; `make mutants` plants them everywhere.

The mutated functions run here in place of the right ones, against a small set of checks, so this takes seconds.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import types

import numpy as np
import pytest

import autograd
import autograd.tensor
import nn
from autograd import GraphError, Tensor
from mutants import ROOT, Mutant, mutants, right
from optimisers import check_refusals, check_states
from recorded import (
    COMPLEX_OPTIMISERS,
    COMPLEX_START,
    FILE,
    METRICS,
    MIXTURES,
    OPTIMISERS,
    PLATEAUS,
    SCHEDULES,
    rates,
    start_of,
    trajectory,
)  # fmt: skip
from schedule_options import check_options
from schedules import check_what_schedules_keep_and_refuse, mixture, optimizer, rates_of

RECORDED = json.loads(FILE.read_text())


def functions(path: str, *names: str) -> list[Mutant]:
    """The errors that can be planted in these functions and classes of a file."""
    tree = ast.parse((ROOT / path).read_text())
    spans = [(n.lineno, n.end_lineno) for n in tree.body if getattr(n, "name", "") in names]
    return [m for m in mutants(path) if any(a <= m.line <= b for a, b in spans)]


def module(mutant: Mutant, package: str) -> types.ModuleType:
    made = types.ModuleType(f"{package}.mutant")
    made.__package__ = package
    exec(compile(mutant.text, mutant.path, "exec"), made.__dict__)
    return made


# ---- the walk


def leaf(*numbers):
    return Tensor(np.array(numbers), requires_grad=True, dtype=float)


def grads(y, *leaves, **options):
    for x in leaves:
        x.grad = None
    y.backward(**options)
    return [x.grad.data.tolist() for x in leaves]


def note(array, seen):
    seen.append(id(array))
    return array


def raises(kind, words, function):
    with pytest.raises(kind, match=words):
        function()


def check_walk():
    x, y, row = leaf(1.0, 2.0), leaf(3.0, 5.0), leaf(7.0)
    assert grads((x * y + row).sum(), x, y, row) == [[3, 5], [1, 2], [2]]  # broadcasting along an axis
    assert grads((np.ones((3, 1, 2)) * x * np.ones((4, 1))).sum(), x) == [[12, 12]]  # and along new ones
    total = x * x
    total = total + total * y + x * total + total  # a diamond; fan-in of several
    assert grads(total.sum(), x, y) == [[13.0, 40.0], [1.0, 4.0]]
    many = sum((x * float(i) for i in range(5)), start=x)
    assert grads(many.sum(), x) == [[11, 11]]
    kept = (x * y).sum()
    assert grads(kept, x, retain_graph=True) == [[3, 5]] and grads(kept, x) == [[3, 5]]
    assert kept.node.edges is None and kept.node.kept is None
    raises(GraphError, "already been walked", kept.backward)
    seed = np.ones(2)
    assert grads(x + y, x, y, gradient=seed) == [[1, 1], [1, 1]]
    assert not np.shares_memory(x.grad.data, y.grad.data) and seed.tolist() == [1, 1]
    first = x.grad
    (x + x).sum().backward()
    assert x.grad.data.tolist() == [3, 3] and first.data.tolist() == [1, 1]
    narrow = Tensor(np.float32([1, 2]), requires_grad=True)
    (narrow * np.array([1.0, 2.0])).sum().backward()
    assert narrow.grad.dtype == np.float32 and narrow.grad.tolist() == [1, 2]
    real, z = leaf(1.0, 2.0), np.array([1 + 2j, 3 - 1j])
    np.abs(real * z).sum().backward()
    assert real.grad.dtype == float and np.allclose(real.grad.data, np.abs(z))
    stale = (x * x).sum()
    fine = (x + 1.0).sum()
    partly = (x * 2.0 + y * x.detach()).sum()
    x.assign(x.data + 1)
    raises(GraphError, "replaced", stale.backward)
    assert grads(fine, x) == [[1, 1]] and grads(partly, x) == [[2, 2]]
    behind = x[:1].sum()
    x.assign(x.data)
    raises(GraphError, "replaced", behind.backward)
    g = autograd.grad(lambda t: (t**3 + t * y.data).sum())
    assert np.allclose(g(np.array([1.0, 2.0])), [6, 17])
    assert np.allclose(autograd.hessian(lambda t: (t**3).sum() * t[0])(np.array([1.0, 2.0])), [[12, 12], [12, 12]])
    assert autograd.grad(autograd.grad(lambda t: t**4))(2.0) == 48
    inner = x * y
    assert np.allclose(autograd.vjp(lambda t: t * t[0], np.array([2.0, 3.0]))[1](np.ones(2)), [7, 2])
    seen = []
    handles = [inner.register_hook(lambda g: seen.append(g.tolist())), x.register_hook(lambda g: g * 10)]
    assert grads((inner * 2.0).sum(), x) == [(20 * y.data).tolist()] and seen == [[2, 2]]
    for handle in handles:
        handle.remove()
    calls = []
    op = autograd.differentiable(
        lambda a, b: a * b,
        lambda g, _z, _a, b: calls.append("a") or g * b,
        lambda g, _z, a, _b: calls.append("b") or g * a,
        name="counted",
    )
    op(x, y.data).sum().backward()
    assert calls == ["a"]
    bad = autograd.differentiable(lambda a: a * 1.0, lambda g, _z, _a: BAD[0], name="bad")
    BAD[:] = [np.ones(3)]
    raises(GraphError, r"shape \(3,\) for an input of shape \(2,\)", bad(x).sum().backward)
    BAD[:] = [np.ones(())]
    raises(GraphError, r"shape \(\)", bad(x).sum().backward)
    BAD[:] = [5]
    raises(TypeError, "which is not an array", bad(x).sum().backward)
    BAD[:] = [np.ones((4, 2))]
    assert grads(bad(x).sum(), x) == [[4, 4]]
    fresh = []
    noted = autograd.differentiable(lambda a: a * 1.0, lambda g, _z, _a: note(g * 1.0, fresh), name="noted")
    assert grads((noted(x) + noted(x)).sum(), x) == [[2, 2]]
    assert id(x.grad.data) == fresh[0]  # the second gradient was added to the first, which has no other owner
    kinds = []
    typed = autograd.differentiable(lambda a: a * 1.0, lambda g, _z, _a: kinds.append(type(g)) or g, name="typed")
    assert grads(typed(x)[0], x) == [[1, 0]] and grads(x[1], x) == [[0, 1]]  # parts of an array become whole
    found = autograd.tensor.walk({x[1].node: np.ones(())})
    assert {*kinds, *map(type, found.values())} == {np.ndarray}
    a = leaf(1.0)
    long = a
    for _ in range(3000):
        long = long + a
    order = []

    class Watch(autograd.mode.Observer):
        def backward(self, node, gradient):
            order.append(node.number)

    with autograd.mode.Switch(observer=Watch()):
        assert grads(long, a) == [[3001]]
    assert order == sorted(order, reverse=True) and len(set(order)) == 3000
    u = x * 2.0
    v = u * 3.0
    deeper = (v * v).sum()
    found = autograd.tensor.differentiate({deeper: Tensor(1.0)}, wanted=frozenset({v.node}), retain_graph=True)
    assert list(found) == [v.node] and np.allclose(found[v.node].data, 2 * v.data)
    both = autograd.tensor.differentiate({deeper: Tensor(1.0)}, wanted=frozenset({v.node, u.node}), retain_graph=True)
    assert set(both) >= {v.node}
    other = (v * y).sum()  # a leaf besides the wanted node
    found = autograd.tensor.differentiate({other: Tensor(1.0)}, wanted=frozenset({v.node}), retain_graph=True)
    assert list(found) == [v.node] and np.allclose(found[v.node].data, y.data)
    wide = Tensor(np.ones((1, 5, 2)), requires_grad=True)
    assert grads((wide * np.ones((3, 5, 2))).sum(), wide) == [np.full((1, 5, 2), 3.0).tolist()]
    seeds = {u: Tensor([1.0, 1.0]), deeper: Tensor(1.0), v: Tensor([2.0, 2.0])}  # from several starts, in any order
    found = autograd.tensor.differentiate(seeds, retain_graph=True)
    assert list(found) == [x.node] and np.allclose(found[x.node].data, 2 + 6 * (2 + 2 * v.data))
    cube = Tensor(np.ones((3, 1, 2)), requires_grad=True)
    assert grads((cube * np.ones((3, 5, 2))).sum(), cube) == [np.full((3, 1, 2), 5.0).tolist()]
    phase = Tensor(np.complex64([1j]), requires_grad=True)
    (phase * np.array([2 + 1j])).backward(np.array([1.0]))
    assert phase.grad.dtype == np.complex64 and phase.grad.tolist() == [2 - 1j]
    number = Tensor(2.0, requires_grad=True)
    number.backward()
    assert number.grad.item() == 1
    for create_graph in (False, True):
        assert grads(number * number * number * number + number, number, create_graph=create_graph) == [33.0]
        assert grads(x + x + x + x + x, x, create_graph=create_graph, gradient=np.ones(2)) == [[5.0, 5.0]]
    itself = autograd.tensor.differentiate({v: Tensor(np.ones(2))}, wanted=frozenset({v.node}), retain_graph=True)
    assert itself[v.node].tolist() == [1, 1]
    found = autograd.tensor.differentiate(seeds)  # every node is walked once, when all gradients have arrived
    assert np.allclose(found[x.node].data, 2 + 6 * (2 + 2 * v.data))


BAD = [None]
WALK = functions("autograd/graph.py", "sum_to", "fit", "walk", "hooked", "_reads")
FILES = {
    "nn/optim/first_order.py": ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Rprop", "ASGD"),
    "nn/optim/moments.py": ("NAdam", "RAdam", "Adamax"),
    "nn/optim/matrices.py": ("Adafactor", "Muon"),
}
SCHEDULE_FILES = ("nn/optim/schedule.py", "nn/optim/cycles.py", "nn/optim/lr_scheduler.py")  # in order of import
SOURCES = {path: (ROOT / path).read_text().splitlines() for path in ("autograd/graph.py", *FILES, *SCHEDULE_FILES)}
# Errors without a visible effect, by the line and what was planted there; and why.
EQUIVALENT = {
    ("if extra > 0:", "extra >= 0"): "a sum over no axes is the array itself",
    ("gradients: Mapping[Any, Any], *, retain: bool = False", "True"): "differentiate() always says which",
    ("return gradient.astype(like.dtype, copy=False)", "True"): "a copy of an array that is discarded",
    ("oldest = 0 if wanted is None", "1"): "only a leaf is older than 1, and is skipped in both",
    ("if kept is None or edges is None:", "kept is None and edges is None"): "both are freed together",
    ("continue", "pass"): "the walk goes on to what cannot lead to a wanted node: the same result, later",
    ("if not edge.number and edge.stamp >", "edge.stamp >= -number"): "no two stamps and numbers are equal",
    ("owned.add(edge)", "pass"): "the sum is a new array instead of in place: the same result, later",
    ('new_state["largest"]', "np.maximum(square, state['largest'])"): "a maximum has no order",
    ("n = next(", "step < end"): "two phases meet there",
    ("height = past /", "past < self.size_up"): "rise and fall meet there",
    ("for group, rate in zip(optimizer.groups, low if", "last_epoch <= 0"): "a cycle sets the rate of its step at once",
    ("for group, rate in zip(optimizer.groups, low if", "1"): "the same",
    ("for group, rate in zip(optimizer.groups, low if", "low if not"): "the same, also in a copy",
    ("self.best, self.bad, self.resting = math.inf, 0, 0", "1"): "the first number is better than inf, which sets both",
    ("v = blend(", "blend(m"): "a product has no order",
    ("squares = rows * (columns / np.maximum(", "np.maximum(least"): "a maximum has no order",
    ("new = g / np.sqrt(np.maximum(", "np.maximum(least"): "a maximum has no order",
    ("scale = np.maximum(", "np.m"): "neither has a minimum",
    ("new *= scale / np.maximum(", "np.maximum(_root"): "a maximum has no order",
    ("x = x / np.maximum(", "np.maximum(eps"): "a maximum has no order",
    ("size = np.clip(", "np.clip(least"): "a maximum of the smaller has no order",
    ("rho = np.where(enough", "5.0"): "not used",
    ("wide = x.shape[0] <=", "x.shape[0] <"): "a square matrix can be transposed twice",
    ("wide = x.shape[0] <=", "1"): "a tall matrix takes longer, with the same result",
    ("share = 1 / np.maximum(", "np.maximum(1.0"): "a maximum has no order",
    ("mean = new - state.get(", "0.001"): "the first mean is the weight, for its share is 1",
    ('mean += state.get("ax"', "0.001"): "the same",
    ("old = state.get(key, 0.0)", "0.001"): "the first mean is that of the squares, for its share is 1",
    ("enough = np.greater(length", "5.0"): "no length is so near to 5",
    ("factor = (rho - 4)", "1.001"): "not used, for a mean so short never counts",
    ("if not isinstance(eps, tuple", "1"): "None is none of the numbers that are refused",
    ("largest = np.maximum(", "np.maximum(new"): "a maximum has no order",
    ("elementwise = True", "False"): "ranks then take the whole step, with the same result; tests/nn/parallel has it",
}


def harmless(mutant: Mutant) -> bool:
    line = SOURCES[mutant.path][mutant.line - 1].strip()
    return any(line.startswith(start) and mutant.after.startswith(after) for start, after in EQUIVALENT)


def described(mutant: Mutant) -> str:
    return f"{mutant.line}: {mutant.before}  ->  {mutant.after}"


@pytest.mark.slow
def test_what_is_called_harmless_is_still_planted():
    every = [m for path in SOURCES for m in mutants(path)]
    lines = {(SOURCES[m.path][m.line - 1].strip(), m.after) for m in every}
    for start, after in EQUIVALENT:
        assert any(line.startswith(start) and new.startswith(after) for line, new in lines), (start, after)


@pytest.mark.parametrize("mutant", [m for m in WALK if not harmless(m)], ids=described)
def test_an_error_in_the_walk_is_noticed(mutant, monkeypatch):
    wrong = module(mutant, "autograd")
    monkeypatch.setattr(autograd.tensor, "walk", wrong.walk)
    try:
        with pytest.raises(BaseException), np.errstate(all="ignore"):  # noqa: PT011, B017 (noticed, in whatever way)
            check_walk()
    finally:
        forget_ops()


def forget_ops():
    for name in ("counted", "bad", "noted", "typed"):
        autograd.OPS.pop(name, None)


def test_the_right_walk_passes():
    check_walk()
    forget_ops()


# ---- optimisers


def near(a, b):
    if np.ndim(a[0]):  # rows of several lengths
        assert [len(row) for row in a] == [len(row) for row in b]
        a, b = (np.concatenate(rows) for rows in (a, b))
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


HELPERS = ("moments", "orthogonal", "_mean", "_along", "_root_mean_square")
RULES = [mutant for path, names in FILES.items() for mutant in functions(path, *names, *HELPERS)]


def check_optimisers(library, path):
    for i, (name, options) in enumerate(OPTIMISERS):
        if name in FILES[path]:
            params = [Tensor(np.array(x), requires_grad=True) for x in start_of(name)]
            near(trajectory(library, params, name, options), RECORDED["optimisers"][i])
    for i, (name, options) in enumerate(COMPLEX_OPTIMISERS):
        if name in FILES[path]:
            params = [Tensor(np.array(x), requires_grad=True) for x in COMPLEX_START]
            near(trajectory(library, params, name, options), RECORDED["complex"][i])
    for name in FILES[path]:
        made = getattr(library, name)([Tensor(np.float32([[1, 2]]), requires_grad=True)])
        theirs = RECORDED["defaults"][name]
        for key, value in made.groups[0].items():
            given = theirs.get(key, value)
            assert key in ("params", "maximize", "decoupled_weight_decay") or value == (
                tuple(given) if isinstance(given, list) else given
            )
        check_refusals(library, name)
        made.params[0].grad = Tensor(np.float32([[0, 3]]))
        made.step()
        made.step()
        assert made.params[0].dtype == np.float32 and made.params[0].grad.tolist() == [[0, 3]]
        check_states(library, name)
    if path != "nn/optim/first_order.py":
        return
    for options in ({"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov"):
            library.SGD([Tensor(1.0, requires_grad=True)], nesterov=True, **options)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in RULES if not harmless(m)], ids=described)
def test_an_error_in_an_optimiser_is_noticed(mutant):
    with pytest.raises(BaseException), np.errstate(all="ignore"):  # noqa: PT011, B017 (noticed, in whatever way)
        check_optimisers(module(mutant, "nn.optim"), mutant.path)


SCHEDULED = [mutant for path in SCHEDULE_FILES for mutant in mutants(path)]


def schedules(mutant: Mutant) -> types.ModuleType:
    """The files of schedules, with this one in place of its own."""
    names = {path: path.removesuffix(".py").replace("/", ".") for path in SCHEDULE_FILES}
    before = {name: sys.modules[name] for name in names.values()}
    try:
        for path, name in names.items():
            made = types.ModuleType(name)
            made.__package__ = "nn.optim"
            sys.modules[name] = made
            text = mutant.text if path == mutant.path else right(path).text
            exec(compile(text, path, "exec"), made.__dict__)
        return made
    finally:
        sys.modules.update(before)


def check_schedules(library):
    for i, (name, options) in enumerate(SCHEDULES):
        made = optimizer()
        near(rates(made, getattr(library, name)(made, **options), made.groups), RECORDED["schedules"][i])
    for name in {name for name, _ in SCHEDULES} | {"ReduceLROnPlateau", "LambdaLR", "MultiplicativeLR"}:
        for argument in inspect.signature(getattr(library, name)).parameters.values():
            if argument.default is not argument.empty:
                assert argument.default == RECORDED["defaults"][name].get(argument.name, argument.default)
    for seed in range(MIXTURES):
        found = rates_of(nn.optim, library, lambda: Tensor(0.0, requires_grad=True), mixture(seed))
        near(found, RECORDED["mixtures"][seed])
    for i, options in enumerate(PLATEAUS):
        made = optimizer()
        near(rates(made, library.ReduceLROnPlateau(made, **options), made.groups, METRICS), RECORDED["plateaus"][i])
    check_what_schedules_keep_and_refuse(library)
    check_options(library)


def test_the_right_ones_pass():
    # rewritten like the files with errors: otherwise errors from the rewriting would count as noticed ones
    for path in FILES:
        check_optimisers(module(right(path), "nn.optim"), path)
    check_schedules(schedules(right("nn/optim/lr_scheduler.py")))


PLANTED = [m for m in SCHEDULED if not harmless(m)]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", PLANTED, ids=described)
def test_an_error_in_a_schedule_is_noticed(mutant):
    with pytest.raises(BaseException), np.errstate(all="ignore"):  # noqa: PT011, B017 (noticed, in whatever way)
        check_schedules(schedules(mutant))
