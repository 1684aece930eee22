"""The surroundings of a compiled function: it is compiled again when they change, and what cannot be watched is
refused."""

from __future__ import annotations

import collections
import gc
import sys

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile
from changes import CASES
from compiled_steps import same

ONE = np.ones(2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_changes_around_a_function_is_noticed(case):
    f, change = case()
    g = compile(f)
    g(ONE)
    same(g(ONE), f(ONE))
    before = f(ONE)
    assert g.stats.compiles == 1
    change()
    for _ in range(2):
        same(g(ONE), f(ONE))
    assert g.stats.eager == 0 and g.stats.compiles <= 2
    with pytest.raises(AssertionError):
        same(before, f(ONE))


@pytest.mark.parametrize("name", ["site-packages/own_lab", "this"])
def test_packages_that_are_installed_or_named_as_pythons_own_are_looked_through(tmp_path, monkeypatch, name):
    path = tmp_path / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("K = 2.0\ndef f(x): return x * K\n")
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    lab = __import__(path.stem)
    g = compile(lambda x: lab.f(x))
    g(ONE)
    lab.K = 5.0
    same(g(ONE), ONE * 5)
    monkeypatch.delitem(sys.modules, path.stem)


def test_equal_values_make_no_new_program():
    scale, pair, nan = 2.5, (1, 2.5), float("nan")
    g = compile(lambda x: x * scale * pair[1] + nan)
    g(ONE)
    scale, pair, nan = float("2.5"), (1, float("2.5")), float("nan")
    g(ONE)
    assert g.stats.compiles == 1


def test_what_the_code_does_not_name_may_change():
    class Trainer:
        def __init__(self):
            self.scale, self.epoch, self.history = 2.0, 0, []

        @compile
        def step(self, x):
            return x * self.scale

    trainer = Trainer()
    for _ in range(3):
        trainer.epoch += 1
        trainer.history.append(trainer.step(ONE))
    assert Trainer.step.stats.compiles == 1


def test_names_of_attributes_are_no_globals():
    space = {"np": np, "exp": iter([])}  # an iterator, which is not what np.exp is
    exec("def f(x): return np.exp(x)", space)
    same(compile(space["f"])(ONE), np.exp(ONE))


def test_long_lists_of_what_is_found_by_itself(monkeypatch):
    monkeypatch.setattr(autograd.compiling.watch, "MANY", 10)
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    compile(step)(np.ones((1, 2), np.float32))
    w = [Tensor(1.0) for _ in range(20)]
    same(compile(lambda x: w[19] * x)(ONE), ONE)


# ---- arguments


def test_one_tensor_in_two_places():
    def f(w, v):
        (w * v).sum().backward()

    g = compile(f)
    w, v = (Tensor([1.0, 2.0], requires_grad=True) for _ in "ab")
    g(w, v), g(w, v)
    w.grad = None
    g(w, w)
    same(w.grad, np.array([2.0, 4.0]))
    w.grad = v.grad = None
    g(w, v)
    same(w.grad, np.array([1.0, 2.0]))


def test_an_argument_that_is_also_found():
    w, v = (Tensor([1.0, 2.0], requires_grad=True) for _ in "ab")

    def f(x):
        (w * x).sum().backward()

    g = compile(f)
    g(v), g(v)
    w.grad = None
    g(w)
    same(w.grad, np.array([2.0, 4.0]))


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (0j, -0j), (1, True), (1, 1.0)])
def test_arguments_that_are_equal_and_not_the_same(a, b):
    def f(x, s):
        return np.copysign(x, np.real(s)), x.astype(int) * s

    g = compile(f, exact=True)
    g(ONE, a)
    for mine, theirs in zip(g(ONE, b), f(ONE, b), strict=True):
        same(mine, theirs)


@pytest.mark.parametrize(
    "x",
    [
        np.ma.array([1.0, 2.0], mask=[0, 1]), np.array([[1.0]]).view(np.matrix), np.array([1.0, [2]], object),
        np.zeros(2, [("a", float)]),
    ],
    ids=["masked", "matrix", "object", "structured"],
)  # fmt: skip
def test_arrays_that_are_no_plain_arrays_of_numbers(x):
    text = r"is no (plain array|array of numbers), at test_surroundings.py:\d+.*; use "
    with pytest.raises(CompileError, match=r"argument 0, an? .*" + text):
        compile(lambda x: x * 2)(x)
    with pytest.raises(CompileError, match=r"x, an? .*" + text):
        compile(lambda y: x * y)(ONE)


def test_results_are_dicts_of_the_type_that_the_function_makes():
    made = collections.defaultdict(list)
    f = lambda x: (collections.OrderedDict(b=x * 2, a=x), collections.defaultdict(list, a=x))
    g = compile(f)
    for _ in range(2):
        first, second = g(ONE)
        assert type(first) is collections.OrderedDict and [*first] == ["b", "a"]
        assert type(second) is type(made) and second["other"] == []
    given = compile(lambda d: d["other"] if "a" not in d else d["a"] * 2)
    same(given(collections.defaultdict(list, a=ONE)), ONE * 2)


def test_what_a_plan_holds_goes_with_it():
    class Model:
        def __init__(self):
            self.k = 2.0

        def __call__(self, x):
            return x * self.k

    model = Model()
    g = compile(model)
    g(ONE)
    count = sys.getrefcount(model)
    del g
    gc.collect()
    assert sys.getrefcount(model) < count
