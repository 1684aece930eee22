"""Kinds of change between two calls of a compiled function, and how each is noticed.

A case returns a function of an array, and another that makes the change; what this returns, if anything, are the
arguments of later calls.  A case is noticed by a "guard", which looks in every call and makes another program (or by
the program itself, which reads an array, a weight or a learning rate anew), or by the next "audit".
"""

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
from autograd import Tensor, no_grad

CASES = []  # (case, how it is noticed)
ONE = np.ones(2)


def guard(case):
    CASES.append((case, "guard"))
    return case


def audit(case):
    CASES.append((case, "audit"))
    return case


def text(case):
    """The name of a case as words."""
    return case.__name__.replace("_", " ")


def in_space(code, **space):
    """The function f of a module with this code, and the module's names."""
    exec(code, space)
    return space["f"], space


# ---- arguments


def scaled(x, k=2.0):
    return x * k


@guard
def shape_of_an_argument():
    return lambda x: x * len(x), lambda: (np.ones(3),)


@guard
def dtype_of_an_argument():
    return lambda x: x / 3, lambda: (np.ones(2, np.float32),)


@guard
def layout_of_an_argument():
    return lambda x: x * x.strides[0], lambda: (np.ones(4)[::2],)


@guard
def python_number_that_is_given():
    return scaled, lambda: (ONE, 5.0)


@guard
def minus_zero_that_is_given():
    return lambda x, k=0.0: np.copysign(x, k), lambda: (ONE, -0.0)


@guard
def truth_value_in_the_place_of_a_number():
    return lambda x, k=1: x if k is True else x * 2, lambda: (ONE, True)


@guard
def string_that_is_given():
    return lambda x, kind="a": x if kind == "a" else x * 2, lambda: (ONE, "b")


@guard
def none_in_the_place_of_a_number():
    return lambda x, k=2.0: x if k is None else x * k, lambda: (ONE, None)


@guard
def length_of_a_list_that_is_given():
    return lambda x, more=(): x + len(more), lambda: (ONE, [1.0])


@guard
def key_of_a_dict_that_is_given():
    return lambda x, table={"a": 1}: x * sum(map(len, table)), lambda: (ONE, {"abc": 1})


@guard
def tensor_in_the_place_of_an_array():
    return lambda x: x * 2 if isinstance(x, Tensor) else x, lambda: (Tensor(ONE),)


class Money(float):
    rate = 1.0


def money(rate):
    made = Money(2.0)
    made.rate = rate
    return made


@guard
def number_of_another_type_that_is_given():
    return lambda x, k=2.0: x * getattr(k, "rate", 3.0), lambda: (ONE, money(5.0))


@guard
def object_that_is_given():
    return lambda x, k=None: x * getattr(k, "k", 3.0), lambda: (ONE, Options(5.0))


# ---- modes


@guard
def mode_of_gradients():
    w = Tensor(ONE, requires_grad=True)
    return lambda x: x * 2 if (w * x).requires_grad else x, lambda: no_grad().__enter__()


@guard
def errors_of_numpy():
    return lambda x: 1.0 / (x - 1.0), lambda: np.seterr(divide="raise") and None


# ---- the function's own names


@guard
def number_in_the_closure():
    k = 2.0

    def change():
        nonlocal k
        k = 5.0

    return lambda x: x * k, change


@guard
def minus_zero_in_the_closure():
    s = 0.0

    def change():
        nonlocal s
        s = -0.0

    return lambda x: np.copysign(x, s), change


@audit
def attribute_of_an_equal_number():
    k = money(2.0)

    def change():
        nonlocal k
        k = money(5.0)

    return lambda x: x * k.rate, change


@guard
def another_array_in_the_closure():
    table = np.ones(2)

    def change():
        nonlocal table
        table = np.full(2, 5.0)

    return lambda x: x * table, change


@guard
def array_in_the_closure_written_into():
    table = np.ones(2)
    return lambda x: x * table, lambda: table.fill(5.0)


@guard
def another_array_whose_numbers_code_depends_on():
    table = np.ones(2)

    def change():
        nonlocal table
        table = np.full(2, 5.0)

    return lambda x: x * float(table[0]), change


@audit
def array_whose_numbers_code_depends_on_written_into():
    table = np.ones(2)
    return lambda x: x * float(table[0]), lambda: table.fill(5.0)


@guard
def another_tuple_of_arrays():
    pair = (np.ones(2), 1)

    def change():
        nonlocal pair
        pair = (np.full(2, 5.0), 1)

    return lambda x: x * pair[0], change


@guard
def array_in_a_tuple_written_into():
    pair = (np.ones(2), 1)
    return lambda x: x * pair[0], lambda: pair[0].fill(5.0)


@audit
def array_in_a_tuple_of_which_another_is_made():
    pair = (np.ones(2), 1)
    return lambda x: x * (pair[0] * 2), lambda: pair[0].fill(5.0)


@guard
def another_list_in_the_closure():
    table = [2.0]

    def change():
        nonlocal table
        table = [5.0]

    return lambda x: x * table[0], change


@guard
def another_function_in_the_closure():
    inner = lambda x: x

    def change():
        nonlocal inner
        inner = lambda x: x * 5.0

    return lambda x: inner(x), change


@guard
def another_tensor_in_the_closure():
    w = Tensor(ONE)

    def change():
        nonlocal w
        w = Tensor(ONE * 5)

    return lambda x: (w * x).data, change


@guard
def name_of_the_closure_set_later():
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


@guard
def name_of_the_closure_deleted():
    k = 2.0

    def change():
        nonlocal k
        del k

    return lambda x: x * k, change


@guard
def global_number():
    f, space = in_space("def f(x): return x * k", k=2.0)
    return f, lambda: space.update(k=5.0)


@guard
def another_global_array():
    f, space = in_space("def f(x): return x * k", k=ONE)
    return f, lambda: space.update(k=ONE * 5)


@guard
def global_that_is_deleted():
    f, space = in_space("def f(x): return x * k", k=2.0)
    return f, lambda: space.pop("k") and None


@audit
def global_that_hides_a_builtin():
    f, space = in_space("def f(x): return x * abs(-2.0)")
    return f, lambda: space.update(abs=lambda x: 5.0)


@audit
def global_read_by_its_name():
    f, space = in_space("def f(x): return x * globals()['k']", k=2.0)
    return f, lambda: space.update(k=5.0)


@guard
def default_of_the_function():
    f = lambda x, k=2.0: x * k
    return f, lambda: setattr(f, "__defaults__", (5.0,))


@guard
def other_keyword_defaults_of_the_function():
    f = lambda x, *, k=2.0: x * k
    return f, lambda: setattr(f, "__kwdefaults__", {"k": 5.0})


@audit
def keyword_default_replaced_in_its_dict():
    f = lambda x, *, k=2.0: x * k
    return f, lambda: f.__kwdefaults__.update(k=5.0)


@guard
def another_array_as_a_default():
    inner = lambda x, table=ONE: x * table
    return inner, lambda: setattr(inner, "__defaults__", (ONE * 5,))


@audit
def attribute_of_the_function():
    f = lambda x: x * getattr(f, "k", 2.0)
    return f, lambda: setattr(f, "k", 5.0)


@audit
def code_of_the_function():
    f = lambda x: x
    return f, lambda: setattr(f, "__code__", (lambda x: x * 5.0).__code__)


# ---- functions that it calls


@audit
def global_of_a_helper():
    helper, space = in_space("def f(x): return x * k", k=2.0)
    return lambda x: helper(x), lambda: space.update(k=5.0)


@audit
def closure_of_a_helper():
    k = 2.0
    helper = lambda x: x * k

    def change():
        nonlocal k
        k = 5.0

    return lambda x: helper(x), change


@audit
def default_of_a_helper():
    inner = lambda x, k=2.0: x * k
    return lambda x: inner(x), lambda: setattr(inner, "__defaults__", (5.0,))


@audit
def code_of_a_helper():
    inner = lambda x: x
    return lambda x: inner(x), lambda: setattr(inner, "__code__", (lambda x: x * 5.0).__code__)


@audit
def option_of_a_partial():
    f = functools.partial(scaled, k=2.0)
    return lambda x: f(x), lambda: f.keywords.update(k=5.0)


@guard
def array_in_a_partial_written_into():
    f = functools.partial(lambda table, x: x * table, np.ones(2))
    return lambda x: f(x), lambda: f.args[0].fill(5.0)


@audit
def function_registered_for_a_type():
    @functools.singledispatch
    def f(x):
        return x

    return lambda x: x * f(2.0), lambda: f.register(float)(lambda x: 5.0) and None


@audit
def name_of_a_python_module():
    lab = types.ModuleType("lab")
    lab.K = 2.0
    return lambda x: x * lab.K, lambda: setattr(lab, "K", 5.0)


@audit
def name_of_a_python_module_imported_inside():
    lab = sys.modules["module_of_a_test"] = types.ModuleType("module_of_a_test")
    lab.K = 2.0

    def f(x):
        import module_of_a_test

        return x * module_of_a_test.K

    return f, lambda: setattr(sys.modules["module_of_a_test"], "K", 5.0)


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


# ---- modules


class Scale(nn.Module):
    factor = 3.0

    def __init__(self, *layers):
        self.k, self.table, self.options = 2.0, np.ones(2), {"k": 1.0}
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.k * self.table * self.options["k"] * self.factor


def linear(seed=0):
    nn.manual_seed(seed)
    return nn.Linear(2, 2)


def scale(change):
    m = Scale()
    return no_grad(lambda x: m(x)), lambda: change(m)


def network(change):
    m = nn.Sequential(linear(), nn.ReLU(), linear(1))
    return no_grad(lambda x: m(x)), lambda: change(m)


@guard
def training_flag():
    m = nn.Sequential(nn.BatchNorm1d(2))
    given = np.array([[1.0, 2.0], [5.0, 8.0]], np.float32)
    return no_grad(lambda x, rows=given: m(rows)), lambda: m.eval() and None


@guard
def attribute_of_a_module():
    return scale(lambda m: setattr(m, "k", 5.0))


@guard
def attribute_that_a_module_gains():
    return scale(lambda m: setattr(m, "factor", 5.0))


@guard
def attribute_that_a_module_loses():
    m = Scale()
    m.factor = 5.0
    return no_grad(lambda x: m(x)), lambda: delattr(m, "factor")


@audit
def attribute_set_in_the_dict_of_a_module():
    return scale(lambda m: vars(m).update(k=5.0))


@guard
def another_array_in_a_module_attribute():
    return scale(lambda m: setattr(m, "table", m.table * 5))


@audit
def array_of_a_module_attribute_written_into():
    m = Scale()
    m.forward = lambda x: x * (m.table * 2)
    return no_grad(lambda x: m(x)), lambda: m.table.fill(5.0)


@audit
def dict_of_options_in_a_module():
    return scale(lambda m: m.options.update(k=5.0))


@audit
def attribute_of_a_class_of_modules():
    kind = type("Kind", (Scale,), {})
    m = kind()
    return no_grad(lambda x: m(x)), lambda: setattr(kind, "factor", 5.0)


@guard
def forward_patched_on_a_module():
    return scale(lambda m: setattr(m, "forward", lambda x: x))


@audit
def forward_patched_on_a_class():
    kind = type("Kind", (Scale,), {})
    m = kind()
    return no_grad(lambda x: m(x)), lambda: setattr(kind, "forward", lambda self, x: x)


@guard
def class_of_a_module():
    return network(lambda m: setattr(m[1], "__class__", nn.Tanh))


@guard
def attributes_of_a_module_as_a_whole():
    return network(lambda m: setattr(m[0], "__dict__", vars(linear(2))))


@guard
def module_in_an_attribute():
    m = Scale(linear())
    return no_grad(lambda x: m(x)), lambda: setattr(m, "layers", (linear(2),))


@audit
def module_replaced_in_a_list():
    layers = [linear()]
    return no_grad(lambda x: layers[0](x)), lambda: layers.__setitem__(0, linear(2))


@audit
def module_replaced_in_a_sequence():
    return network(lambda m: m.__setitem__(1, nn.Tanh()))


@audit
def module_appended_to_a_sequence():
    return network(lambda m: m.items.append(linear(2)))


@guard
def items_of_a_sequence():
    return network(lambda m: setattr(m, "items", m.items[:1]))


@audit
def module_replaced_in_a_dict_of_modules():
    m = nn.ModuleDict({"a": linear()})
    return no_grad(lambda x: m["a"](x)), lambda: m.__setitem__("a", linear(2))


@guard
def parameter_of_a_module():
    return network(lambda m: setattr(m[0], "weight", nn.Parameter(m[0].weight.data * 2)))


@guard
def weights_tied():
    return network(lambda m: setattr(m[0], "weight", m[2].weight))


@guard
def weight_assigned():
    return network(lambda m: m[0].weight.assign(m[0].weight.data * 2) and None)


@guard
def weight_written_into():
    return network(lambda m: m[0].weight.data.fill(2.0))


@guard
def weights_loaded():
    return network(lambda m: m.load_state_dict({k: x * 2 for k, x in m.state_dict().items()}) and None)


@guard
def dtype_of_a_module():
    m = linear()
    return no_grad(lambda x: m(x.astype(np.float32))), lambda: m.double() and None


@guard
def buffer_of_a_module():
    m = Scale()
    m.register_buffer("table", ONE)
    return no_grad(lambda x: m(x)), lambda: m.register_buffer("table", ONE * 5)


@audit
def forward_hook_of_a_module():
    return network(lambda m: m[0].register_forward_hook(lambda module, inputs, output: output * 2) and None)


# ---- training steps


def training(change, make=lambda p: nn.SGD(p, lr=0.1, momentum=0.5), **options):
    m = nn.Sequential(linear(), nn.Tanh(), linear(1))
    optimizer = make(m.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = (m(x.astype(np.float32)) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.data

    return step, lambda: change(m, optimizer)


@guard
def frozen_parameter():
    return training(lambda m, o: setattr(m[0].weight, "requires_grad", False))


@guard
def weights_tied_in_a_step():
    return training(lambda m, o: setattr(m[0], "weight", m[2].weight))


@audit
def hook_of_a_parameter():
    return training(lambda m, o: m[0].weight.register_hook(lambda g: g * 2) and None)


@guard
def weights_loaded_into_a_step():
    return training(lambda m, o: m.load_state_dict({k: x * 2 for k, x in m.state_dict().items()}) and None)


@guard
def learning_rate():
    return training(lambda m, o: setattr(o, "lr", 0.01))


@guard
def learning_rate_of_a_group():
    return training(lambda m, o: o.groups[0].update(lr=0.01))


@guard
def learning_rate_that_is_a_whole_number():
    return training(lambda m, o: o.groups[0].update(lr=1))


@guard
def option_of_an_optimiser():
    return training(lambda m, o: o.groups[0].update(momentum=0.1))


@guard
def betas_of_an_optimiser():
    return training(lambda m, o: o.groups[0].update(betas=(0.5, 0.5)), lambda p: nn.Adam(p, lr=0.1))


@guard
def group_of_an_optimiser_replaced():
    return training(lambda m, o: o.groups.__setitem__(0, {**o.groups[0], "weight_decay": 0.5}))


@guard
def parameter_removed_from_a_group():
    def change(m, o):
        del o.groups[0]["params"][0], o.params[0], o.state[0]

    return training(change)


@audit
def parameter_replaced_in_a_group():
    def change(m, o):
        o.params[0] = o.groups[0]["params"][0] = Tensor(np.ones((2, 2), np.float32), requires_grad=True)

    return training(change)


@guard
def group_added():
    def change(m, o):
        o.groups[0]["params"].pop()
        o.groups.append({**o.groups[0], "params": [o.params[-1]], "lr": 0.01})

    return training(change)


@guard
def state_of_an_optimiser_loaded():
    def change(m, o):
        found = o.state_dict()
        found["state"] = [{k: x * 2 for k, x in own.items()} for own in found["state"]]
        o.load_state_dict(found)

    return training(change)


@guard
def state_of_an_optimiser_written_into():
    return training(lambda m, o: [x.fill(1.0) for own in o.state for x in own.values()] and None)


@guard
def state_of_an_optimiser_cleared():
    return training(lambda m, o: [own.clear() for own in o.state] and None)


@guard
def another_optimiser():
    m = linear()
    optimizer = nn.SGD(m.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (m(x.astype(np.float32)) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.data

    def change():
        nonlocal optimizer
        optimizer = nn.Adam(m.parameters(), lr=0.1)

    return step, change


@audit
def update_patched_on_an_optimiser():
    return training(lambda m, o: setattr(o, "update", lambda w, g, state, group: (w - g, state)))
