"""What a compiled function finds around it: where that changes it is compiled anew, and what cannot be watched is
refused."""

from __future__ import annotations

import collections
import contextvars
import ctypes
import dataclasses
import datetime
import functools
import gc
import itertools
import operator
import os
import queue
import re
import sys
import threading
import types
import warnings

import numpy as np
import pytest
from test_compile import same

import autograd
import nn
from autograd import CompileError, Tensor, compile, no_grad

ONE = np.ones(2)


class Options:
    k = 2.0

    def __init__(self, k=2.0):
        self.k, self._items = k, {"k": k}

    def __getitem__(self, key):
        return self._items[key]

    def __iter__(self):
        return iter(self._items.values())

    @property
    def half(self):
        return self._items["k"] / 2

    @classmethod
    def of_class(cls):
        return cls.k

    def method(self, by=1.0):
        return self.k * by


class Slots:
    __slots__ = ("k",)

    def __init__(self):
        self.k = 2.0


@dataclasses.dataclass
class Data:
    k: float = 2.0


class OwnDict(dict):
    pass


class Base:
    k = 2.0


class OtherBase:
    k = 5.0


def scaled(x, k=2.0, *, by=1.0):
    return x * k * by


# ---- what may change.  Each case returns the function, and what changes something around it.


def tuple_of_arrays():
    pair = (np.ones(2), 1)

    def change():
        nonlocal pair
        pair = (np.full(2, 5.0), 1)

    return lambda x: x * pair[0], change


def array_in_a_tuple():
    pair = (np.ones(2), 1)
    return lambda x: x * pair[0], lambda: pair[0].fill(5.0)


def default_array():
    table = np.ones(2)
    return lambda x, table=table: x * (table * 2), lambda: table.fill(5.0)


def partial_array():
    f = functools.partial(lambda table, x: x * table, np.ones(2))
    return lambda x: f(x), lambda: f.args[0].fill(5.0)


def partial_option():
    f = functools.partial(scaled, k=2.0)
    return lambda x: f(x), lambda: f.keywords.update(k=5.0)


def strings():
    names = np.array(["a", "b"])
    return lambda x: x * 2 if names[0] == "a" else x, lambda: names.__setitem__(0, "b")


def attribute_by_its_name():
    c = Options()
    return lambda x: x * getattr(c, "k"), lambda: setattr(c, "k", 5.0)  # noqa: B009


def attribute_by_a_variable():
    c, name = Options(), "k"
    return lambda x: x * getattr(c, name), lambda: setattr(c, "k", 5.0)


def attrgetter():
    c, get = Options(), operator.attrgetter("_items")
    return lambda x: x * get(c)["k"], lambda: c._items.update(k=5.0)


def methodcaller():
    c, call = Options(), operator.methodcaller("method", by=3.0)
    return lambda x: x * call(c), lambda: setattr(c, "k", 5.0)


def all_attributes():
    c = Data()
    return lambda x: x * dataclasses.asdict(c)["k"], lambda: setattr(c, "k", 5.0)


def item_of_an_object():
    c = Options()
    return lambda x: x * c["k"], lambda: c._items.update(k=5.0)


def iteration_of_an_object():
    c = Options()
    return lambda x: x * sum(c), lambda: c._items.update(other=5.0)


def property_of_an_object():
    c = Options()
    return lambda x: x * c.half, lambda: c._items.update(k=5.0)


def attribute_of_a_class():
    kind = type("Kind", (Options,), {"k": 3.0})
    return lambda x: x * kind.of_class(), lambda: setattr(kind, "k", 5.0)


def attribute_that_a_subclass_gains():
    kind = type("Kind", (Base,), {})
    b = kind()
    return lambda x: x * b.k, lambda: setattr(kind, "k", 5.0)


def attribute_that_an_object_gains():
    b = Base()
    return lambda x: x * b.k, lambda: setattr(b, "k", 5.0)


def class_of_an_object():
    b = Base()
    return lambda x: x * b.k, lambda: setattr(b, "__class__", OtherBase)


def bases_of_a_class():
    kind = type("Kind", (Base,), {})
    b = kind()
    return lambda x: x * b.k, lambda: setattr(kind, "__bases__", (OtherBase,))


def dict_of_an_object():
    b = Options()
    return lambda x: x * b.k, lambda: setattr(b, "__dict__", {"k": 5.0})


def attribute_of_a_metaclass():
    meta = type("Meta", (type,), {"k": 2.0, "__getitem__": lambda cls, i: cls.k})
    kind = meta("Kind", (), {})
    return lambda x: x * kind[0], lambda: setattr(meta, "k", 5.0)


def attribute_of_a_dict():
    d = OwnDict(a=2.0)
    d.k = 2.0
    return lambda x: x * d.k * d["a"], lambda: setattr(d, "k", 5.0)


def slot():
    s = Slots()
    return lambda x: x * s.k, lambda: setattr(s, "k", 5.0)


def item_of_a_set():
    s = {1}
    return lambda x: x * 2 if 2 in s else x, lambda: s.add(2)


def key_that_is_a_tuple():
    d = {("a", 1): 2.0}
    return lambda x: x * d["a", 1], lambda: d.update({("a", 1): 5.0})


def order_of_a_dict():
    layers = {"a": lambda x: x + 1, "b": lambda x: x * 3}

    def f(x):
        for layer in layers.values():
            x = layer(x)
        return x

    return f, lambda: layers.update(a=layers.pop("a"))


def long_list():
    table = list(range(2000))
    return lambda x: x * table[7], lambda: table.__setitem__(7, 50)


def value_of_a_long_dict():
    table = dict.fromkeys(range(2000), 1.0)
    return lambda x: x * table[7], lambda: table.__setitem__(7, 50)


def defaults():
    def inner(x, k=2.0):
        return x * k

    return lambda x: inner(x), lambda: setattr(inner, "__defaults__", (5.0,))


def keyword_defaults():
    def inner(x, *, k=2.0):
        return x * k

    return lambda x: inner(x), lambda: inner.__kwdefaults__.update(k=5.0)


def code():
    def inner(x):
        return x

    return lambda x: inner(x), lambda: setattr(inner, "__code__", (lambda x: x * 5.0).__code__)


def attribute_that_a_function_gains():
    def f(x):
        return x * getattr(f, "k", 2.0)

    return f, lambda: setattr(f, "k", 5.0)


def name_that_is_set_later():
    def f(x):
        try:
            return x * late
        except NameError:
            return x

    def change():
        nonlocal late
        late = 5.0

    if False:
        late = 1.0
    return f, change


def builtin_that_is_hidden():
    space = {}
    exec("def f(x): return x * abs(-2.0)", space)
    return space["f"], lambda: space.update(abs=lambda x: 5.0)


def negative_zero():
    s = 0.0

    def change():
        nonlocal s
        s = -0.0

    return lambda x: np.copysign(x, s), change


def module_that_is_imported_inside():
    lab = sys.modules["lab_of_a_test"] = types.ModuleType("lab_of_a_test")
    lab.K = 2.0

    def f(x):
        import lab_of_a_test

        return x * lab_of_a_test.K

    return f, lambda: setattr(lab, "K", 5.0)


def user_dict():
    u = collections.UserDict(k=2.0)
    return lambda x: x * u["k"], lambda: u.update(k=5.0)


def chain_of_dicts():
    u = collections.ChainMap({"a": 1.0}, {"k": 2.0})
    return lambda x: x * u["k"], lambda: u.maps[1].update(k=5.0)


def view_of_a_dict():
    d = {"k": 2.0}
    u = types.MappingProxyType(d)
    return lambda x: x * u["k"], lambda: d.update(k=5.0)


def ordered_dict():
    d = collections.OrderedDict(a=1.0, b=2.0)

    def f(x):
        for k in d.values():
            x = x * k + 1
        return x

    return f, lambda: d.move_to_end("a")


def memory():
    b = bytearray(b"\x01\x02")
    return lambda x: x * b[0], lambda: b.__setitem__(0, 5)


def number_of_c():
    c = ctypes.c_double(2.0)
    return lambda x: x * c.value, lambda: setattr(c, "value", 5.0)


def polynomial_of_numpy():
    p = np.poly1d([1.0, 2.0])
    return lambda x: x * p(2.0), lambda: p.coeffs.__setitem__(0, 5.0)


def class_of_a_module():
    m = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    return no_grad(lambda x: m(x)), lambda: setattr(m[1], "__class__", nn.Tanh)


def dict_of_a_module():
    m = nn.Sequential(nn.Linear(2, 2))
    return no_grad(lambda x: m(x)), lambda: setattr(m[0], "__dict__", vars(nn.Linear(2, 2)))


def object_that_has_every_attribute():
    class Config(dict):
        __getattr__ = dict.get

    c = Config(k=2.0)
    return lambda x: x * c.k, lambda: c.update(k=5.0)


CASES = [
    tuple_of_arrays, array_in_a_tuple, default_array, partial_array, partial_option, strings, attribute_by_its_name,
    attribute_by_a_variable, attrgetter, methodcaller, all_attributes, item_of_an_object, iteration_of_an_object,
    property_of_an_object, attribute_of_a_class, attribute_that_a_subclass_gains, attribute_that_an_object_gains,
    class_of_an_object, bases_of_a_class, dict_of_an_object, attribute_of_a_metaclass, attribute_of_a_dict, slot,
    item_of_a_set, key_that_is_a_tuple, order_of_a_dict, long_list, value_of_a_long_dict, defaults, keyword_defaults,
    code, attribute_that_a_function_gains, name_that_is_set_later, builtin_that_is_hidden, negative_zero,
    module_that_is_imported_inside, user_dict, chain_of_dicts, view_of_a_dict, ordered_dict, memory, number_of_c,
    polynomial_of_numpy, class_of_a_module, dict_of_a_module, object_that_has_every_attribute,
]  # fmt: skip


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
    autograd.compiling.names.is_library.cache_clear()
    lab = __import__(path.stem)
    g = compile(lambda x: lab.f(x))
    g(ONE)
    lab.K = 5.0
    same(g(ONE), ONE * 5)
    monkeypatch.delitem(sys.modules, path.stem)
    autograd.compiling.names.is_library.cache_clear()


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
    text = r"is no (plain array|array of numbers), at test_compiled_surroundings.py:\d+.*; use "
    with pytest.raises(CompileError, match=r"argument 0, an? .*" + text):
        compile(lambda x: x * 2)(x)
    with pytest.raises(CompileError, match=r"x, an? .*" + text):
        compile(lambda y: x * y)(ONE)


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
    c = Options()

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


def test_libraries_may_change_the_settings_of_numpy():
    matrix, table = np.eye(2), np.array([1.0, np.nan])
    f = lambda x: (np.linalg.inv(matrix) @ x, np.nanmean(table) * x)
    g = compile(f)
    for _ in range(2):
        for a, b in zip(g(ONE), f(ONE), strict=True):
            same(a, b)


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
