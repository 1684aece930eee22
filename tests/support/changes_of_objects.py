"""Changes of objects, lists and dicts that a function reads."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import operator
import types

import numpy as np

from change_cases import ONE, registry

CASES, guard, audit = registry()


# ---- objects


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

    def method(self, x):
        return x * self.k


class Slots:
    __slots__ = ("k",)

    def __init__(self):
        self.k = 2.0


class OwnDict(dict):
    pass


class Base:
    k = 2.0


class OtherBase:
    k = 5.0


@audit
def attribute_of_an_object():
    c = Options()
    return lambda x: x * c.k, lambda: setattr(c, "k", 5.0)


@audit
def attribute_of_the_object_of_a_method():
    c = Options()
    return c.method, lambda: setattr(c, "k", 5.0)


@audit
def attribute_read_by_a_variable():
    c, name = Options(), "k"
    return lambda x: x * getattr(c, name), lambda: setattr(c, "k", 5.0)


@audit
def attribute_read_by_attrgetter():
    c, get = Options(), operator.attrgetter("k")
    return lambda x: x * get(c), lambda: setattr(c, "k", 5.0)


@audit
def attribute_read_by_vars():
    c = Options()
    return lambda x: x * vars(c)["k"], lambda: setattr(c, "k", 5.0)


@audit
def attribute_of_a_dataclass_made_at_run_time():
    c = dataclasses.make_dataclass("Data", [("k", float)])(2.0)
    return lambda x: x * dataclasses.asdict(c)["k"], lambda: setattr(c, "k", 5.0)


@audit
def item_of_an_object():
    c = Options()
    return lambda x: x * c["k"], lambda: c._items.update(k=5.0)


@audit
def what_an_object_iterates_over():
    c = Options()
    return lambda x: x * sum(c), lambda: c._items.update(other=5.0)


@audit
def what_a_property_reads():
    c = Options()
    return lambda x: x * c.half, lambda: c._items.update(k=5.0)


@audit
def attribute_of_a_class():
    kind = type("Kind", (Options,), {"k": 3.0})
    return lambda x: x * kind.of_class(), lambda: setattr(kind, "k", 5.0)


@audit
def attribute_that_a_subclass_gains():
    kind = type("Kind", (Base,), {})
    b = kind()
    return lambda x: x * b.k, lambda: setattr(kind, "k", 5.0)


@audit
def attribute_that_an_object_gains():
    b = Base()
    return lambda x: x * b.k, lambda: setattr(b, "k", 5.0)


@audit
def method_of_a_class():
    kind = type("Kind", (Options,), {})
    c = kind()
    return lambda x: c.method(x), lambda: setattr(kind, "method", lambda self, x: x * 5.0)


@audit
def class_of_an_object():
    b = Base()
    return lambda x: x * b.k, lambda: setattr(b, "__class__", OtherBase)


@audit
def bases_of_a_class():
    kind = type("Kind", (Base,), {})
    b = kind()
    return lambda x: x * b.k, lambda: setattr(kind, "__bases__", (OtherBase,))


@audit
def attributes_of_an_object_as_a_whole():
    b = Options()
    return lambda x: x * b.k, lambda: setattr(b, "__dict__", {"k": 5.0})


@audit
def attribute_of_a_metaclass():
    meta = type("Meta", (type,), {"k": 2.0, "__getitem__": lambda cls, i: cls.k})
    kind = meta("Kind", (), {})
    return lambda x: x * kind[0], lambda: setattr(meta, "k", 5.0)


@audit
def slot_of_an_object():
    s = Slots()
    return lambda x: x * s.k, lambda: setattr(s, "k", 5.0)


@audit
def another_array_as_an_attribute():
    c = types.SimpleNamespace(table=ONE)
    return lambda x: x * c.table, lambda: setattr(c, "table", ONE * 5)


@guard
def array_of_an_attribute_written_into():
    c = types.SimpleNamespace(table=np.ones(2))
    return lambda x: x * c.table, lambda: c.table.fill(5.0)


@audit
def attribute_given_by_getattr():
    class Config(dict):
        __getattr__ = dict.get

    c = Config(k=2.0)
    return lambda x: x * c.k, lambda: c.update(k=5.0)


# ---- lists, dicts and the like


@audit
def item_of_a_list():
    table = list(range(2000))
    return lambda x: x * table[7], lambda: table.__setitem__(7, 50)


@audit
def another_array_in_a_list():
    table = [ONE]
    return lambda x: x * table[0], lambda: table.__setitem__(0, ONE * 5)


@audit
def value_of_a_dict():
    d = {("a", 1): 2.0}
    return lambda x: x * d["a", 1], lambda: d.update({("a", 1): 5.0})


@audit
def order_of_a_dict():
    layers = {"a": lambda x: x + 1, "b": lambda x: x * 3}

    def f(x):
        for layer in layers.values():
            x = layer(x)
        return x

    return f, lambda: layers.update(a=layers.pop("a"))


@audit
def order_of_an_ordered_dict():
    d = collections.OrderedDict(a=1.0, b=2.0)

    def f(x):
        for k in d.values():
            x = x * k + 1
        return x

    return f, lambda: d.move_to_end("a")


@audit
def attribute_of_a_dict():
    d = OwnDict(a=2.0)
    d.k = 2.0
    return lambda x: x * d.k * d["a"], lambda: setattr(d, "k", 5.0)


@audit
def item_of_a_set():
    s = {1}
    return lambda x: x * 2 if 2 in s else x, lambda: s.add(2)


@audit
def value_of_a_user_dict():
    u = collections.UserDict(k=2.0)
    return lambda x: x * u["k"], lambda: u.update(k=5.0)


@audit
def value_of_a_chain_of_dicts():
    u = collections.ChainMap({"a": 1.0}, {"k": 2.0})
    return lambda x: x * u["k"], lambda: u.maps[1].update(k=5.0)


@audit
def value_behind_a_view_of_a_dict():
    d = {"k": 2.0}
    u = types.MappingProxyType(d)
    return lambda x: x * u["k"], lambda: d.update(k=5.0)


@audit
def memory():
    b = bytearray(b"\x01\x02")
    return lambda x: x * b[0], lambda: b.__setitem__(0, 5)


@audit
def number_of_c():
    c = ctypes.c_double(2.0)
    return lambda x: x * c.value, lambda: setattr(c, "value", 5.0)


@audit
def array_of_strings():
    names = np.array(["a", "b"])
    return lambda x: x * 2 if names[0] == "a" else x, lambda: names.__setitem__(0, "b")


@audit
def polynomial_of_numpy():
    p = np.poly1d([1.0, 2.0])
    return lambda x: x * p(2.0), lambda: p.coeffs.__setitem__(0, 5.0)
