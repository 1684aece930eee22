"""The surroundings of a compiled function: what changes is noticed at once or by the next audit, never later."""

from __future__ import annotations

import collections
import contextvars
import gc
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from autograd import AuditError, CompileError, Tensor, compile
from changes import CASES, text
from compiled_steps import close, same

ONE = np.ones(2)
DOCS = Path(__file__).parents[3] / "docs"


def outcomes(case, options=None, changed=True):
    """What three calls give after two calls and the change: results, or types of errors; and the function."""
    f, change = case()
    f = f if options is None else compile(f, **options)
    f(ONE), f(ONE)
    args = (change() if changed else None) or (ONE,)
    found = []
    for _ in range(3):
        try:
            found.append(f(*args))
        except Exception as error:
            found.append(type(error))
    return found, f


def agree(a, b):
    if isinstance(b, type):
        assert a is b
    else:
        assert not isinstance(a, type), a
        close(a, b)


@pytest.mark.parametrize(("case", "how"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_change_is_noticed_at_once_or_by_the_next_audit(case, how):
    run = lambda *args: contextvars.copy_context().run(outcomes, case, *args)
    with np.errstate(all="ignore"):
        unchanged, _ = run(None, False)
        changed, _ = run()
        audited, _ = run({})
        alone, g = run({"audit": False})
    with pytest.raises(AssertionError):  # it is a change
        for a, b in zip(unchanged, changed, strict=True):
            agree(a, b)
    if how == "audit":
        assert any(x is AuditError for x in audited[:2])
        return
    assert g.stats.eager == 0
    for a, b, c in zip(audited, alone, changed, strict=True):
        agree(a, c)
        agree(b, c)


def test_there_are_many_kinds_of_changes_and_a_page_lists_them():
    assert len({text(case) for case, _ in CASES}) == len(CASES) >= 70
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    assert (DOCS / "maintainers" / "compile_changes.md").read_text() == pages.changes(), "run python docs/make_pages.py"


def test_an_audit_that_fails_forgets_the_program():
    table = [2.0]
    g = compile(lambda x: x * table[0])
    g(ONE), g(ONE)
    table[0] = 5.0
    with pytest.raises(AuditError, match="differ in the result; something that it reads has changed"):
        for _ in range(2):
            g(ONE)
    for _ in range(3):
        same(g(ONE), ONE * 5)
    assert g.stats.compiles == 2


def test_forget_makes_a_new_program():
    table = [2.0]
    g = compile(lambda x: x * table[0])
    g(ONE), g(ONE)
    table[0] = 5.0
    g.forget()
    for _ in range(3):
        same(g(ONE), ONE * 5)


@pytest.mark.parametrize("name", ["site-packages/own_lab", "this"])
def test_a_name_of_another_file_is_a_constant_that_an_audit_finds_changed(tmp_path, monkeypatch, name):
    path = tmp_path / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("K = 2.0\ndef f(x): return x * K\n")
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    lab = __import__(path.stem)
    g = compile(lambda x: lab.f(x))
    g(ONE), g(ONE)
    lab.K = 5.0
    with pytest.raises(AuditError):
        for _ in range(2):
            g(ONE)
    own = compile(lab.f)  # whose global it is
    own(ONE), own(ONE)
    lab.K = 7.0
    same(own(ONE), ONE * 7)
    monkeypatch.delitem(sys.modules, path.stem)


def test_equal_values_make_no_new_program():
    scale, pair, nan = 2.5, (1, 2.5), float("nan")
    g = compile(lambda x: x * scale * pair[1] + nan)
    for _ in range(3):
        scale, pair, nan = float("2.5"), (1, float("2.5")), float("nan")
        g(ONE)
    assert g.stats.compiles == 1


def test_arrays_that_are_read_make_no_new_program():
    read = ONE
    inputs = compile(lambda x: x * read)
    for i in range(5):
        read = np.full(2, float(i))
        same(inputs(ONE), read)
    assert inputs.stats.compiles == 1


def test_a_name_that_is_not_set_yet_makes_no_program_per_call():
    def f(x):
        try:
            return x * late
        except NameError:
            return x

    if False:
        late = 1.0
    g = compile(f)
    for _ in range(4):
        same(g(ONE), ONE)
    assert g.stats.compiles == 1 and g.stats.eager == 0


def test_what_is_no_attribute_of_a_module_may_change():
    class Trainer:
        def __init__(self):
            self.scale, self.epoch, self.history = 2.0, 0, []

        @compile
        def step(self, x):
            return x * self.scale

    trainer = Trainer()
    for _ in range(5):
        trainer.epoch += 1
        trainer.history.append(trainer.step(ONE))
    assert Trainer.step.stats.compiles == 1


def test_names_of_attributes_are_no_globals():
    space = {"np": np, "exp": iter([])}  # an iterator, which is not what np.exp is
    exec("def f(x): return np.exp(x)", space)
    g = compile(space["f"])
    for _ in range(3):
        same(g(ONE), np.exp(ONE))
    assert g.stats.compiles == 1


def test_many_modules_and_tensors():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    step = compile(step)
    before = model[19].bias.data.copy()
    for _ in range(3):
        step(np.ones((1, 2), np.float32))
    close(model[19].bias, before - np.float32(0.3))
    w = [Tensor(1.0) for _ in range(2000)]
    g = compile(lambda x: w[1999] * x)
    for _ in range(3):
        same(g(ONE), ONE)


def test_a_state_that_is_emptied_begins_again():
    w = Tensor(ONE, requires_grad=True)
    optimizer = nn.SGD([w], lr=1.0, momentum=0.5)

    @compile(audit=False)
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    for steps in (3, 4):
        w.data = ONE.copy()
        optimizer.state[0].clear()
        for _ in range(steps):
            step(ONE)
        same(optimizer.state[0]["velocity"], ONE * (2 - 0.5 ** (steps - 1)))


# ---- arguments


def test_one_tensor_in_two_places():
    def f(w, v):
        (w * v).sum().backward()

    g = compile(f)
    w, v = (Tensor([1.0, 2.0], requires_grad=True) for _ in "ab")
    for _ in range(3):
        w.grad = v.grad = None
        g(w, v)
        same(w.grad, np.array([1.0, 2.0]))
    for _ in range(3):
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
    for given, gradient in ((v, 1.0), (w, 2.0), (v, 1.0)):
        for _ in range(3):
            w.grad = v.grad = None
            g(given)
            same(w.grad, np.array([1.0, 2.0]) * gradient)


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (0j, -0j), (1, True), (1, 1.0)])
def test_arguments_that_are_equal_and_not_the_same(a, b):
    def f(x, s):
        return np.copysign(x, np.real(s)), x.astype(int) * s

    g = compile(f, exact=True)
    for s in (a, a, b, b, a, b):
        for mine, theirs in zip(g(ONE, s), f(ONE, s), strict=True):
            same(mine, theirs)
    assert g.stats.compiles == 2


@pytest.mark.parametrize(
    "x",
    [
        np.ma.array([1.0, 2.0], mask=[0, 1]), np.array([[1.0]]).view(np.matrix), np.array([1.0, [2]], object),
        np.zeros(2, [("a", float)]),
    ],
    ids=["masked", "matrix", "object", "structured"],
)  # fmt: skip
def test_arrays_that_are_no_plain_arrays_of_numbers(x):
    g = compile(lambda x: x[:1])
    g(x)
    with pytest.raises(CompileError, match=r"argument 0 is a \w+ of .*; pass a plain array of numbers"):
        g(x)
    if type(x) is not np.ndarray:
        g = compile(lambda y: x + y)
        g(ONE)
        with pytest.raises(CompileError, match=r"x is a (MaskedArray|matrix); use a plain array"):
            g(ONE)


def test_results_are_dicts_of_the_type_that_the_function_makes():
    made = collections.defaultdict(list)
    f = lambda x: (collections.OrderedDict(b=x * 2, a=x), collections.defaultdict(list, a=x))
    g = compile(f)
    for _ in range(4):
        first, second = g(ONE)
        assert type(first) is collections.OrderedDict and [*first] == ["b", "a"]
        assert type(second) is type(made) and second["other"] == []
    given = compile(lambda d: d["other"] if "a" not in d else d["a"] * 2)
    for _ in range(4):
        same(given(collections.defaultdict(list, a=ONE)), ONE * 2)


def test_what_a_plan_holds_goes_with_it():
    class Model:
        def __init__(self):
            self.k = 2.0

        def __call__(self, x):
            return x * self.k

    model = Model()
    g = compile(model)
    g(ONE), g(ONE)
    assert g.stats.compiles == 1
    count = sys.getrefcount(model)
    del g
    gc.collect()
    assert sys.getrefcount(model) < count


def test_a_tensor_that_is_given_and_found_is_not_taken_for_another():
    w, v = (Tensor([1.0, 2.0], requires_grad=True) for _ in "ab")

    def f(x):
        (w * x).sum().backward()

    g = compile(f, audit=False)
    for given, gradient in ((w, 2.0), (v, 1.0), (w, 2.0)):
        for _ in range(3):
            w.grad = v.grad = None
            assert g(given) is None
            same(w.grad, np.array([1.0, 2.0]) * gradient)
