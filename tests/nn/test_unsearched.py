"""Parameters are found wherever a module holds them, or an error says that they are not."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import types
from typing import Any, NamedTuple

import numpy as np
import pytest

import nn
from autograd import Tensor

HELD = {"module": lambda: nn.Linear(1, 1), "tensor": lambda: Tensor(np.ones(2), requires_grad=True)}


def filled(value):
    array = np.empty(1, object)
    array[0] = value
    return array


class Pair(NamedTuple):
    a: Any
    b: Any


FOUND = {
    "itself": lambda x: x,
    "list": lambda x: [1, x],
    "tuple": lambda x: (x, "text"),
    "named tuple": lambda x: Pair(x, 1),
    "dict": lambda x: {"a": x},
    "defaultdict": lambda x: collections.defaultdict(list, a=x),
    "OrderedDict": lambda x: collections.OrderedDict(a=x),
    "deep": lambda x: [({"a": [[(x,)]]},)],
}


@dataclasses.dataclass
class Record:
    a: Any
    b: int = 1


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    a: Any


REFUSED = {
    "namespace": lambda x: types.SimpleNamespace(a=x),
    "dataclass": Record,
    "dataclass with slots": Slotted,
    "partial of it": lambda x: functools.partial(x.sum if isinstance(x, Tensor) else x),
    "partial with it": lambda x: functools.partial(np.add, x),
    "partial with it by name": lambda x: functools.partial(np.add, x2=x),
    "partial of a partial": lambda x: functools.partial(functools.partial(max, x), key=abs),
    "method": lambda x: x.sum if isinstance(x, Tensor) else x.forward,
    "key": lambda x: {x: 1},
    "list in a namespace": lambda x: types.SimpleNamespace(a=[1, (x,)]),
    "dict in a dataclass": lambda x: Record({"a": {"b": x}}),
    "tuple in a set": lambda x: {(x,)},
    "namespace in a deque": lambda x: collections.deque([types.SimpleNamespace(a=x)]),
    "set": lambda x: {x},
    "frozenset": lambda x: frozenset([x]),
    "deque": lambda x: collections.deque([x]),
    "UserList": lambda x: collections.UserList([x]),
    "UserDict": lambda x: collections.UserDict(a=x),
    "read-only dict": lambda x: types.MappingProxyType({"a": x}),
    "values of a dict": lambda x: {"a": x}.values(),
    "items of a dict": lambda x: {"a": x}.items(),
    "array of objects": filled,
    "list iterator": lambda x: iter([x]),
    "tuple iterator": lambda x: iter((x,)),
    "reversed list": lambda x: reversed([x]),
    "iterator of values": lambda x: iter({"a": x}.values()),
    "iterator of items": lambda x: iter({"a": x}.items()),
    "generator": lambda x: (y for y in [x]),
    "map": lambda x: map(min, [(x,)]),
    "filter": lambda x: filter(None.__ne__, [x]),
    "zip": lambda x: zip([x], strict=True),
    "enumerate": lambda x: enumerate([x]),
    "reversed": lambda x: reversed(Pair(x, 1)),
    "chain": lambda x: itertools.chain([x]),
    "islice": lambda x: itertools.islice([x], 1),
    "starmap": lambda x: itertools.starmap(min, [(x,)]),
}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("kind", FOUND)
@pytest.mark.parametrize("outside", ["itself", "list", "dict"])
def test_what_is_searched_is_found(held, kind, outside):
    model, value = nn.Module(), HELD[held]()
    model.parts = FOUND[outside](FOUND[kind](value))
    expected = value.parameters() if held == "module" else [value]
    assert {*map(id, model.parameters())} == {*map(id, expected)}
    assert len(model.state_dict()) == len(expected)


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("outside", ["itself", "list", "dict"])
def test_what_is_not_searched_is_an_error(held, kind, outside):
    model = nn.Module()
    with pytest.raises(
        TypeError, match=r"Module\.parts(\.[1a])? (holds modules or Tensors (in|as)|is) .*(list|function)"
    ):
        model.parts = FOUND[outside](REFUSED[kind](HELD[held]()))
        model.parameters()
    model.parts = None  # after the error the module is as before
    assert model.state_dict() == {}


def test_an_iterator_is_an_error_on_the_line_that_sets_it():
    model = nn.Module()
    with pytest.raises(TypeError, match=r"Module\.layers is a generator.*store list\(\.\.\.\)"):
        model.layers = (nn.Linear(1, 1) for _ in range(3))
    model.layers = [nn.Linear(1, 1) for _ in range(3)]
    assert len(model.parameters()) == 6


PLAIN = [
    None, 1, "text", b"bytes", np.ones(2), np.array([None]), {1, 2}, collections.deque([1]), collections.UserDict(a=1),
    types.MappingProxyType({}), {"a": 1}.values(), Record, Record(1), Slotted("a"), types.SimpleNamespace(a=[1]),
    functools.partial(np.sum, axis=0), {1: 2}, "text".upper, range(3), len, itertools.count(), np.random.default_rng(0),
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_what_holds_no_parameters_is_left_alone(value):
    model = nn.Linear(1, 1)
    model.extra = value
    assert len(model.parameters()) == 2 and model.extra is value


def test_functions_of_what_is_found_anyway_are_left_alone():
    class Inner(nn.Module):
        def __init__(self, act):
            self.act = act

    class Outer(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(1, 1)]
            self.first, self.part = self.layers[0].forward, functools.partial(self.layers[0])
            self.scaled = functools.partial(np.multiply, self.layers[0].weight)
            self.own, self.inner, self.deep = self.act, Inner(self.act), [Inner(functools.partial(self.act, 1))]

        def act(self, x):
            return x

    model = Outer()
    assert len(model.parameters()) == 2 and model.inner.parameters() == []
    lost = nn.Linear(1, 1)
    model.other = lost.forward
    with pytest.raises(TypeError, match=r"Outer\.other is a function \(method\).*store the module or Tensor itself"):
        model.parameters()
    model.lost = lost
    assert len(model.parameters()) == 4


def test_slots_are_an_error_in_the_class_that_has_them():
    class Mixin:
        __slots__ = ("layer",)

    class Empty:
        __slots__ = ()

    class Plain(Empty, nn.Module):
        __slots__ = ()

    Plain()
    for names in (("layer",), "layer", ["layer", "other"]):
        with pytest.raises(TypeError, match=r"Slotted has __slots__ \(layer.*remove them"):
            type("Slotted", (nn.Module,), {"__slots__": names})
    with pytest.raises(TypeError, match=r"Mixed has __slots__ \(layer\)"):
        type("Mixed", (Mixin, nn.Module), {})
    with pytest.raises(TypeError, match="has __slots__"):

        @dataclasses.dataclass(slots=True)
        class Record(nn.Module):
            layer: nn.Linear
