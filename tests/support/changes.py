"""Functions and what changes around them: each case returns a function, and another that changes what it reads."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import functools
import operator
import sys
import types

import numpy as np

import nn
from autograd import no_grad


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
    lab = sys.modules["module_of_a_test"] = types.ModuleType("module_of_a_test")
    lab.K = 2.0

    def f(x):
        import module_of_a_test

        return x * module_of_a_test.K

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


def functions_by_type():
    @functools.singledispatch
    def f(x):
        return x

    return lambda x: x * f(2.0), lambda: f.register(float)(lambda x: 5.0)


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
    polynomial_of_numpy, class_of_a_module, dict_of_a_module, functions_by_type,
    object_that_has_every_attribute,
]  # fmt: skip
