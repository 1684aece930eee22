"""Side effects of a function are undone and refused, with the line that has them."""

from __future__ import annotations

import collections
import contextvars
import cProfile
import datetime
import itertools
import os
import queue
import re
import sys
import threading
import types
import warnings

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, compile
from compiled_steps import same

ONE = np.ones(2)


# ---- what is refused


def counter_array():
    c = np.zeros(1)

    def f(x):
        c[0] += 1
        return x * 2

    return f, c, "c is changed in the function"


def array_in_a_tuple_that_is_written_into():
    c = (np.zeros(1),)

    def f(x):
        c[0][0] += 1
        return x * 2

    return f, c, "c.0 is changed in the function"


def set_that_grows():
    c = set()

    def f(x):
        c.add(len(c))
        return x

    return f, c, "c is changed in the function"


def deque_that_grows():
    c = collections.deque([1])

    def f(x):
        c.append(1)
        return x

    return f, c, "c is changed in the function"


def list_that_is_turned_round():
    c = [1.0, 2.0]

    def f(x):
        c.reverse()
        return x

    return f, c, "c.0 is changed in the function"


def dict_that_is_filled_by_looking():
    c = collections.defaultdict(lambda: 2.0)
    return lambda x: x * c["k"], c, "k is changed in the function"


def dict_in_another_order():
    c = collections.OrderedDict(a=1, b=2)

    def f(x):
        c.move_to_end("a")
        return x

    return f, c, "c is changed in the function"


def attribute_of_a_function():
    def f(x):
        f.calls = getattr(f, "calls", 0) + 1
        return x

    return f, vars(f), "calls is changed in the function"


def attribute_of_an_object():
    c = types.SimpleNamespace(k=1.0)

    def f(x):
        c.k += 1.0
        return x

    return f, vars(c), "k is changed in the function"


def attribute_of_a_type():
    class Counting:
        count = 0

        def __call__(self, x):
            type(self).count += 1
            return x

    f = Counting()
    return lambda x: f(x), [Counting.count], "count is changed in the function"


def queue_that_grows():
    c = queue.Queue()

    def f(x):
        c.put(1)
        return x

    return f, c.queue, "is changed in the function"


def new_global():
    space = {}
    exec("def f(x):\n    global new\n    new = 1\n    return x", space)
    return space["f"], {"new": "new" in space}, "new is changed in the function"


CHANGES = [
    counter_array, array_in_a_tuple_that_is_written_into, set_that_grows, deque_that_grows, list_that_is_turned_round,
    dict_that_is_filled_by_looking, dict_in_another_order, attribute_of_a_function, attribute_of_an_object,
    attribute_of_a_type, queue_that_grows, new_global,
]  # fmt: skip


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: case.__name__)
def test_what_a_function_changes_is_put_back_and_refused(case):
    f, held, text = case()
    before = repr(held)
    with pytest.raises(CompileError, match=text + r", at .*:\d+.*; a program would not do it again"):
        compile(f)(ONE)
    assert repr(held) == before
    g = compile(f, fallback=True)
    with pytest.warns(RuntimeWarning, match="is not compiled"):
        g(ONE)


def in_a_block(block):
    def f(x):
        with block():
            return x * 1.0

    return f


def warning(x):
    warnings.warn("here", stacklevel=1)
    return x


VARIABLE = contextvars.ContextVar("variable", default=2.0)
LOCAL = threading.local()
LOCAL.k = 2.0
LEGACY = np.random.RandomState(0)
BITS = np.random.PCG64(0)
LOADER = nn.DataLoader(nn.TensorDataset(np.arange(4.0)), 2, shuffle=True)
OWN_LOADER = nn.DataLoader(nn.TensorDataset(np.arange(4.0)), 2, shuffle=True, generator=np.random.default_rng(0))
SIMPLE = queue.SimpleQueue()
BATCHES = iter([1.0, 2.0, 3.0])
COUNT = itertools.count()
LONG = [np.ones(2)] * 2000
LARGE = (np.ones(100_000),)
REFUSED = {
    "iterator": (lambda x: x * next(BATCHES), "BATCHES, a list_iterator, is used up as it is read"),
    "count": (lambda x: x * next(COUNT), "COUNT, a count, is used up as it is read"),
    "legacy generator": (lambda x: x * LEGACY.normal(), "LEGACY, a RandomState, draws numbers in the function"),
    "bit generator": (lambda x: x * BITS.random_raw(), "BITS, a PCG64, draws numbers in the function"),
    "legacy numbers": (lambda x: x * np.random.randn(), "np.random draws numbers in the function"),
    "loader": (lambda x: [x * b for (b,) in OWN_LOADER], "generator, a Generator, draws numbers in the function"),
    "loader of nn": (lambda x: [x * b for (b,) in LOADER], "generator of nn, a Generator, draws numbers"),
    "environment": (lambda x: x * len(os.environ["PATH"]), "os.environ is read"),
    "getenv": (lambda x: x * len(os.getenv("PATH", "")), "os.environ is read"),
    "context": (lambda x: x * VARIABLE.get(), r"get\(\) of a context variable is called"),
    "clock": (lambda x: x * datetime.datetime.now().year, r"datetime.now\(\) reads a clock"),
    "warning": (warning, r"warn\(\) is called"),
    "errstate": (in_a_block(lambda: np.errstate(divide="raise")), "the settings of np.errstate are read or set"),
    "errstate of the function": (np.errstate(all="raise")(lambda x: x * 1), "the settings of np.errstate are"),
    "catch_warnings": (in_a_block(warnings.catch_warnings), "catch_warnings is entered"),
    "eval": (lambda x: x * eval("2.0"), r"eval\(\) is called"),
    "globals": (lambda x: x * globals()["ONE"], r"globals\(\) is called"),
    "queue": (lambda x: (SIMPLE.put(1), x), "_queue.put"),
    "thread": (lambda x: x * LOCAL.k, "LOCAL, whose attributes are other ones in each thread"),
    "long list of arrays": (lambda x: x * LONG[0], "LONG, a list of 2000 items, takes too long to compare"),
    "large array in a tuple": (lambda x: x * LARGE[0][0], "LARGE.0, an array of 800000 bytes"),
}


@pytest.mark.parametrize(("f", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_watched_is_refused_with_its_line(f, text):
    with pytest.raises(CompileError, match=text + r".*, at \S+\.py:\d+: .*; ") as caught:
        compile(f)(ONE)
    assert re.search("; (a program would|call|pass|make|do so)", str(caught.value))


def test_a_module_that_the_function_imports_first(tmp_path, monkeypatch):
    (tmp_path / "imported_late.py").write_text("K = 2.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def f(x):
        import imported_late

        return x * imported_late.K

    with pytest.raises(CompileError, match="imported_late is imported for the first time in the function, at "):
        compile(f)(ONE)
    g = compile(f)
    g(ONE)
    sys.modules["imported_late"].K = 5.0
    same(g(ONE), ONE * 5)
    del sys.modules["imported_late"]


# ---- what is allowed


def test_numbers_that_are_drawn_and_not_used_are_drawn():
    mine, theirs = (np.random.default_rng(0) for _ in "ab")

    def f(x):
        autograd.outside(mine.normal, 0.0, 1.0, 1)
        return x * 2

    g = compile(f)
    for _ in range(3):
        g(ONE)
        theirs.normal(0.0, 1.0, 1)
    assert mine.normal() == theirs.normal()


def test_generators_may_be_made_in_the_function():
    f = lambda x: x * np.random.default_rng(0).normal()
    same(compile(f)(ONE), f(ONE))


def test_libraries_may_change_the_settings_of_numpy():
    matrix, table = np.eye(2), np.array([1.0, np.nan])
    f = lambda x: (np.linalg.inv(matrix) @ x, np.nanmean(table) * x)
    g = compile(f)
    for _ in range(2):
        for a, b in zip(g(ONE), f(ONE), strict=True):
            same(a, b)


def test_a_step_that_is_profiled_is_compiled_all_the_same():
    profile = cProfile.Profile()
    profile.enable()
    try:
        found = compile(lambda x: x * 2.0)(np.ones(2))
    finally:
        profile.disable()
    np.testing.assert_array_equal(found, [2.0, 2.0])
    assert profile.getstats()
