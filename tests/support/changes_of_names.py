"""Changes of arguments, of the function's own names and of the functions that it calls."""

from __future__ import annotations

import functools
import sys
import types

import numpy as np

from autograd import Tensor, no_grad
from change_cases import ONE, in_space, registry

CASES, guard, audit = registry()


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
    return lambda x, k=None: x * getattr(k, "k", 3.0), lambda: (ONE, types.SimpleNamespace(k=5.0))


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
