"""The names of a state: n tensors have n names, or there is an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
from autograd import Tensor

PLAIN = ["a", "b", "weight", "items", "table", "\ufb01", "fi", "0", "x y", "_hidden"]
ODD = [*PLAIN, "", ".", ".a", "a.", "a.b", "a.weight", "0.weight", 0, 1, "1", True, "True", None, "None", ("a", 1)]


def recipes(keys):
    """Trees of tensors in modules, containers, lists, tuples and dicts, as data; "shared" is an earlier part."""
    names = st.sampled_from(keys)
    attributes = st.sampled_from([key for key in keys if isinstance(key, str) and key not in ("items", "table")])
    leaf = st.tuples(st.sampled_from(["parameter", "buffer"])) | st.tuples(st.just("shared"), st.integers(0, 5))

    def around(inner):
        held, rest = st.dictionaries(names, inner, max_size=3), st.dictionaries(attributes, inner, max_size=2)
        listed = st.lists(inner, max_size=3)
        return (
            st.tuples(st.sampled_from(["list", "tuple"]), listed)
            | st.tuples(st.just("dict"), held)
            | st.tuples(st.just("module"), rest)
            | st.tuples(st.just("ModuleDict"), held, rest)
            | st.tuples(st.sampled_from(["ModuleList", "Sequential"]), listed, rest)
        )

    return st.dictionaries(attributes, st.recursive(leaf, around, max_leaves=10), min_size=1, max_size=3)


class Built:
    """What a recipe makes: `paths` has every tensor and module with the path that it should have."""

    def __init__(self):
        self.parts, self.count, self.odd = [], 0, False

    def module(self, given, kind=nn.Module):
        """A module with these attributes, and the paths within it."""
        made, paths = kind(), []
        for name, recipe in given.items():
            value, inner = self.make(recipe)
            self.odd |= not name or "." in name
            setattr(made, name, value)
            paths += [((name, *path), thing) for path, thing in inner]
        return made, paths

    def items(self, given):
        """{key: module}, with a module around what is none, and the paths within it."""
        items, paths = {}, []
        for key, recipe in given:
            value, inner = self.make(recipe)
            if not isinstance(value, nn.Module):
                around = nn.Module()
                around.held = value
                value, inner = around, [((), around), *((("held", *path), thing) for path, thing in inner)]
            items[key] = value
            paths += [((str(key), *path), thing) for path, thing in inner]
        return items, paths

    def make(self, recipe):
        """The object and its [(path within it, tensor or module)]."""
        kind, *given = recipe
        if kind == "shared":
            if self.parts:
                return self.parts[given[0] % len(self.parts)]
            kind = "parameter"
        if kind in ("parameter", "buffer"):
            self.count += 1
            value = {"parameter": nn.Parameter, "buffer": nn.Buffer}[kind](np.full(2, float(self.count)))
            paths = [((), value)]
        elif kind in ("list", "tuple", "dict"):
            entries = given[0].items() if kind == "dict" else enumerate(given[0])
            made = {key: self.make(part) for key, part in entries}
            value = {key: thing for key, (thing, _) in made.items()}
            value = value if kind == "dict" else {"list": list, "tuple": tuple}[kind](value.values())
            paths = [((str(key), *path), thing) for key, (_, inner) in made.items() for path, thing in inner]
        else:
            entries, before = [], []
            if kind != "module":
                entries, before = self.items(given[0].items() if kind == "ModuleDict" else enumerate(given[0]))
                self.odd |= kind == "ModuleDict" and any(not isinstance(k, str) or not k or "." in k for k in entries)
                self.odd |= any(str(key) in given[1] for key in entries)
            make = {
                "module": nn.Module,
                "ModuleDict": lambda: nn.ModuleDict(entries),
                "ModuleList": lambda: nn.ModuleList(entries.values()),
                "Sequential": lambda: nn.Sequential(*entries.values()),
            }[kind]
            value, paths = self.module(given[-1], make)
            paths = [((), value), *before, *paths]
        self.parts.append((value, paths))
        return value, paths


def check_names(recipe, may_refuse):
    built, paths, answers = Built(), None, []
    try:
        model, paths = built.module(recipe)
    except (ValueError, TypeError):
        assert built.odd or may_refuse  # found while the tree was made
        return
    for ask in (model._state, lambda: [*model.named_parameters(), *model.named_buffers()], model.named_modules):
        try:  # each by itself is right, or raises
            answers.append(list(ask() if ask != model._state else ask().items()))
        except ValueError:
            assert built.odd or (may_refuse and clash(paths))
            answers.append(None)
    state, named, modules = answers
    things = {id(thing): thing for _, thing in paths if isinstance(thing, Tensor)}
    assert state is None or {id(tensor) for _, tensor in state} == things.keys()
    assert state is None or dict(state).keys() <= {".".join(path) for path, _ in paths}
    assert named is None or {id(tensor) for _, tensor in named} == things.keys()
    assert named is None or len(named) == len(dict(named)) == len(things)
    assert modules is None or len(dict(modules)) == len(modules) == len({id(module) for _, module in modules})
    if state is not None:
        before = model.state_dict()
        for tensor in things.values():
            tensor.assign(np.zeros(2))
        assert model.load_state_dict(before) == ([], [])
        assert {tensor.data[0] for tensor in things.values()} == {array[0] for array in before.values()}
        assert len({array[0] for array in before.values()}) == len(things)


def clash(paths):
    """Whether two things have one path."""
    found = {}
    return any(found.setdefault(".".join(path), thing) is not thing for path, thing in paths)


@settings(max_examples=200)
@given(given=recipes(ODD))
def test_every_tensor_has_a_name_of_its_own_or_there_is_an_error(given):
    check_names(given, may_refuse=True)


@settings(max_examples=150)
@given(given=recipes(["a", "b", "\ufb01", "fi", "x y"]))
def test_ordinary_names_are_never_refused(given):
    check_names(given, may_refuse=False)


def test_a_second_thing_of_one_name_is_an_error_on_the_line_that_sets_it():
    model, layer = nn.Module(), nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"'d\.1\.weight'.*rename one"):
        model.d = {1: nn.Linear(1, 1), "1": nn.Linear(1, 1)}
    with pytest.raises(ValueError, match=r"'d\.a\.b\.weight'"):
        model.d = {"a.b": nn.Linear(1, 1), "a": {"b": nn.Linear(1, 1)}}
    model.d = {1: layer, "1": layer}  # one tensor, one name
    assert len(model.state_dict()) == 2
    for name in ("a.b", ".a", ""):
        with pytest.raises(ValueError, match="no dot"):
            setattr(model, name, layer)
        with pytest.raises(ValueError, match="no dot"):
            model.register_buffer(name, np.ones(1))
        with pytest.raises(ValueError, match="no dot"):
            nn.ModuleDict({name: layer})
    with pytest.raises(TypeError, match="takes strings as keys; got 1, of int"):
        nn.ModuleDict({1: layer})
    table, row = nn.ModuleDict({"a": layer}), nn.Sequential(layer)
    for container, name in ((table, "a"), (row, "0")):
        with pytest.raises(ValueError, match=f"has an item named '{name}'"):
            setattr(container, name, nn.Linear(1, 1))
        assert len(container.state_dict()) == 2
    table.b, row.more = nn.Linear(1, 1), [nn.Linear(1, 1)]
    with pytest.raises(ValueError, match="has an attribute named 'b'"):
        table["b"] = layer
    assert len(table.state_dict()) == 4 == len(row.state_dict())
    setattr(row, "1", nn.Linear(1, 1))
    with pytest.raises(ValueError, match="an item and an attribute named '1'"):
        row.append(layer).parameters()


def test_items_named_as_what_every_module_has_stay_in_the_state():
    model = nn.ModuleDict({name: nn.Linear(1, 1) for name in ("training", "_hooks", "items", "table", "forward")})
    assert len(model.train().eval().state_dict()) == 10 == len(model.parameters())
    model.size = 3
    model["size"] = nn.Linear(1, 1)
    assert len(model.state_dict()) == 12


@pytest.mark.parametrize("make", [lambda: nn.Parameter(np.ones(1)), nn.ReLU, lambda: nn.Linear(1, 1)])
@pytest.mark.parametrize(("first", "second"), [({1: "x"}, {"1": "x"}), ({"a.b": "x"}, {"a": {"b": "x"}})])
def test_a_dict_that_changes_later_is_checked_when_names_are_asked_for(make, first, second):
    def filled(given):
        return {key: filled(value) if isinstance(value, dict) else make() for key, value in given.items()}

    model = nn.Module()
    model.parts = [{}]
    model.parts[0].update(filled(first) | filled(second))
    asked = (
        [lambda: [*model.named_modules()]] if make is nn.ReLU else [model.parameters, model.state_dict, model.buffers]
    )
    for ask in asked:
        with pytest.raises(ValueError, match=r"have the name 'parts\.0\.(1|a\.b)(\.weight)?'"):
            ask()
