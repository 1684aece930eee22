"""Side effects happen in the first two calls and in audits only; an audit finds what they change."""

from __future__ import annotations

import collections
import contextvars
import cProfile
import datetime
import itertools
import queue
import random
import sys
import threading
import types
import warnings

import numpy as np
import pytest

import autograd
import nn
from autograd import AuditError, compile
from compiled_steps import same

ONE = np.ones(2)


# ---- when they happen


def test_prints_come_from_the_first_two_calls_and_from_audits(capsys):
    def f(x):
        print("here")
        return x * 2

    g = compile(f)
    for i in range(1, 18):
        g(ONE)
        shown = capsys.readouterr().out
        audited = i in (3, 4, 8, 16)
        assert shown == ("here\n" if i <= 2 or audited else ""), i
    assert g.stats.audits == 4


@pytest.mark.parametrize(("audit", "count"), [(False, 2), ("always", 7)])
def test_without_audits_they_happen_twice_and_with_audits_in_every_call(audit, count):
    calls = []

    def f(x):
        calls.append(1)
        return x * 2

    g = compile(f, audit=audit)
    for _ in range(6):
        same(g(ONE), ONE * 2)
    assert len(calls) == count  # the second call traces the function, and is audited, too


def array_in_a_tuple_that_is_written_into():
    c = (np.zeros(1),)

    def f(x):
        c[0][0] += 1
        return x * 2

    return f, lambda: c[0][0]


def set_that_grows():
    c = set()

    def f(x):
        c.add(len(c))
        return x

    return f, lambda: len(c)


def list_that_grows():
    c = []

    def f(x):
        c.append(x)
        return x

    return f, lambda: len(c)


def deque_that_grows():
    c = collections.deque()

    def f(x):
        c.append(1)
        return x

    return f, lambda: len(c)


def attribute_of_a_function():
    def f(x):
        f.calls = getattr(f, "calls", 0) + 1
        return x

    return f, lambda: f.calls


def attribute_of_an_object():
    c = types.SimpleNamespace(k=0)

    def f(x):
        c.k += 1
        return x

    return f, lambda: c.k


def attribute_of_a_type():
    class Counting:
        count = 0

        def __call__(self, x):
            type(self).count += 1
            return x

    f = Counting()
    return lambda x: f(x), lambda: Counting.count


def queue_that_grows():
    c = queue.SimpleQueue()

    def f(x):
        c.put(1)
        return x

    return f, c.qsize


def global_of_a_helper():
    space = {"count": 0}
    exec("def f(x):\n    global count\n    count += 1\n    return x", space)
    f = space["f"]
    return lambda x: f(x), lambda: space["count"]


def iterator():
    c = itertools.count()

    def f(x):
        next(c)
        return x

    return f, lambda: int(repr(c)[6:-1])


EFFECTS = [
    array_in_a_tuple_that_is_written_into, set_that_grows, list_that_grows, deque_that_grows,
    attribute_of_a_function, attribute_of_an_object, attribute_of_a_type, queue_that_grows, global_of_a_helper,
    iterator,
]  # fmt: skip


@pytest.mark.parametrize("case", EFFECTS, ids=lambda case: case.__name__)
def test_what_does_not_matter_for_the_result_changes_in_these_calls(case):
    f, count = case()
    g = compile(f)
    found = []
    for _ in range(8):
        g(ONE)
        found.append(count())
    assert found == [1, 2, 3, 4, 4, 4, 4, 5] and g.stats.compiles == 1


def test_arrays_that_a_traced_run_has_left_behind_can_be_read():
    seen, losses = [], []
    w = autograd.Tensor(ONE, requires_grad=True)

    def f(x):
        y = (w * x).sum()
        seen.append(y.data)
        losses.append(y)
        y.backward()
        return y

    g = compile(f)
    for i in range(4):
        g(ONE * i)
    assert [float(x) for x in seen] == [0.0, 2.0, 4.0, 6.0]
    assert [float(x.data + 1) for x in losses] == [1.0, 3.0, 5.0, 7.0]


# ---- when the result depends on them


def counting(c, take):
    def f(x):
        c.append(1)
        return x * take(c)

    return f


VARIABLE = contextvars.ContextVar("variable", default=2.0)
LOCAL = threading.local()
LEGACY = np.random.RandomState(0)
BITS = np.random.PCG64(0)
MINE = np.random.default_rng(0)
LOADER = nn.DataLoader(nn.TensorDataset(np.arange(8.0)), 4, shuffle=True)
OWN_LOADER = nn.DataLoader(nn.TensorDataset(np.arange(8.0)), 4, shuffle=True, generator=np.random.default_rng(0))
BATCHES = iter([1.0, 2.0, 3.0, 4.0])
COUNT = itertools.count()
DEPENDING = {
    "list": counting([], len),
    "deque": counting(collections.deque(), len),
    "iterator": lambda x: x * next(BATCHES),
    "count": lambda x: x * next(COUNT),
    "legacy generator": lambda x: x * LEGACY.normal(),
    "generator": lambda x: x * MINE.normal(),
    "bit generator": lambda x: x * (BITS.random_raw() % 1000),
    "loader": lambda x: [x[:1] * b for (b,) in OWN_LOADER],
    "loader of nn": lambda x: [x[:1] * b for (b,) in LOADER],
    "clock": lambda x: x * (datetime.datetime.now().timestamp() % 100),
}


@pytest.mark.parametrize("f", DEPENDING.values(), ids=DEPENDING)
def test_what_is_another_value_in_every_call_is_found_by_the_first_audit(f):
    g = compile(f)
    with pytest.raises(AuditError, match=r"the program and the function as written differ in result|in the result"):
        for _ in range(4):
            g(ONE)
    h = compile(lambda x: (x * random.random(), 1), fallback=True)
    h(ONE), h(ONE)
    with pytest.warns(RuntimeWarning, match="is not compiled"):
        h(ONE)


@pytest.mark.parametrize("draw", [np.random.rand, np.random.randn, random.random], ids=["rand", "randn", "random"])
def test_random_numbers_of_numpy_and_python_are_named(draw):
    g = compile(lambda x: x * draw())
    g(ONE), g(ONE)
    with pytest.raises(AuditError, match=r"the function draws random numbers.*: draw them by autograd.outside"):
        g(ONE)


# ---- what is allowed


def test_numbers_that_are_drawn_and_not_used_are_drawn():
    mine, theirs = (np.random.default_rng(0) for _ in "ab")

    def f(x):
        autograd.outside(mine.normal, 0.0, 1.0, 1)
        return x * 2

    g = compile(f)
    for _ in range(9):
        g(ONE)
        theirs.normal(0.0, 1.0, 1)
    assert mine.normal() == theirs.normal()


def test_numbers_of_numpys_own_generator_are_drawn_in_every_call():
    f = lambda x: x * autograd.outside(np.random.normal, 0.0, 1.0, 2)
    g, state = compile(f), np.random.get_state()
    mine = [g(ONE) for _ in range(9)]
    np.random.set_state(state)
    for x in mine:
        same(x, f(ONE))


def test_generators_may_be_made_in_the_function():
    f = lambda x: x * np.random.default_rng(0).normal()
    g = compile(f)
    for _ in range(4):
        same(g(ONE), f(ONE))


def test_libraries_may_change_the_settings_of_numpy():
    matrix, table = np.eye(2), np.array([1.0, np.nan])
    f = lambda x: (np.linalg.inv(matrix) @ x, np.nanmean(table) * x)
    g = compile(f)
    for _ in range(4):
        for a, b in zip(g(ONE), f(ONE), strict=True):
            same(a, b)


def test_settings_of_numpy_around_the_call_hold_in_the_program():
    g = compile(lambda x: 1.0 / x)
    for _ in range(3):
        g(ONE)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        g(ONE * 0)
    with np.errstate(divide="ignore"):
        same(g(ONE * 0), np.full(2, np.inf))


def test_errors_of_the_function_as_written_come_from_audits():
    @np.errstate(divide="raise")
    def f(x):
        return 1.0 / x

    g = compile(f, audit="always")
    g(ONE), g(ONE)
    with warnings.catch_warnings(), pytest.raises(FloatingPointError):
        warnings.simplefilter("ignore")
        g(ONE * 0)
    same(g(ONE), ONE)


def test_what_is_read_around_a_function_is_a_constant(monkeypatch):
    monkeypatch.setenv("SCALE", "2.0")
    LOCAL.k = 2.0

    def f(x):
        import os

        return x * float(os.environ["SCALE"]) * VARIABLE.get() * LOCAL.k * eval("1.0") * globals()["ONE"]

    g = compile(f)
    for _ in range(4):
        same(g(ONE), ONE * 8)
    assert g.stats.compiles == 1
    monkeypatch.setenv("SCALE", "3.0")
    with pytest.raises(AuditError):
        for _ in range(4):
            g(ONE)


def test_warnings_and_blocks_of_them_are_compiled():
    def f(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.warn("here", stacklevel=1)
        return x * 2

    g = compile(f)
    for _ in range(4):
        same(g(ONE), ONE * 2)
    assert g.stats.compiles == 1


def test_a_module_that_the_function_imports_first(tmp_path, monkeypatch):
    (tmp_path / "imported_late.py").write_text("K = 2.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def f(x):
        import imported_late

        return x * imported_late.K

    g = compile(f)
    for _ in range(3):
        same(g(ONE), ONE * 2)
    sys.modules["imported_late"].K = 5.0
    with pytest.raises(AuditError):
        g(ONE)
    same(g(ONE), ONE * 5)
    del sys.modules["imported_late"]


def test_a_step_that_is_profiled_is_compiled_all_the_same():
    profile, g = cProfile.Profile(), compile(lambda x: x * 2.0)
    profile.enable()
    try:
        for _ in range(3):
            found = g(np.ones(2))
    finally:
        profile.disable()
    np.testing.assert_array_equal(found, [2.0, 2.0])
    assert profile.getstats() and g.stats.compiles == 1
