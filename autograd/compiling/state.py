"""What takes part in a run besides its arguments: seen while the function runs, held as a flat list, put back."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Sequence
from itertools import chain, starmap
from typing import Any, NamedTuple

import numpy as np

from ..graph import Leaf
from ..mode import Switch
from ..tensor import Tensor, tensor_of
from ..tree import flatten
from .emit import identifier
from .observe import Watcher, alike, functions_in, is_array, names_in, same
from .program import CompileError, Number
from .schedule import run_through
from .trace import Draw, Tape, Traced


class State:
    """What took part in the first run of a signature.

    `tensors` are leaves by name; those that are arguments are `given`, {name: number of the argument}.  `names` are the
    closure cells and globals that the function's own code reads, `modules` those that were called, with their
    attributes, and `optimizers` those that stepped.  Arrays in the `names` are read in every call, or constants (if not
    `arrays`, because Python code depends on their numbers).
    """

    arrays = True

    def __init__(self, function: Any, seen: Watcher, leaves: Sequence[Any], results: Sequence[Any]) -> None:
        self.tensors: dict[str, Any] = {}
        self.given: dict[str, int] = {}
        self.places: dict[int, str] = {}  # {number of an argument: its tensor}
        self.modules, self.optimizers = [*seen.modules.values()], [*seen.optimizers.values()]
        self.functions = [*functions_in(function)]
        self.names = [*names_in(self.functions)]
        new = {id(x) for x in results if isinstance(x, Tensor)} - {id(x) for x in leaves}
        for i, x in enumerate(leaves):
            if isinstance(x, Tensor) and x.node.__class__ is Leaf:
                name = self._add(f"argument{i}", x)
                if name not in self.places.values():
                    self.given[name] = i
                self.places[i] = name
        for module in self.modules:
            for name, x in (*module.named_parameters(), *module.named_buffers()):
                self._find(name, x)
        for optimizer in self.optimizers:
            for x in optimizer.params:
                self._find("parameter", x)
        for place in self.names:
            if isinstance(x := place.get(), Tensor) and x.is_leaf:
                self._find(place.name, x)
        for ref in seen.leaves.values():
            if (x := ref()) is not None and id(x) not in new and not any(x is leaf for leaf in leaves):
                self._add(x.name or "tensor", x)
        self.tensors.update(dict.fromkeys(self.given))  # each call has its own
        self.taken = self.values()

    def _find(self, name: str, x: Tensor) -> None:
        self.given.pop(self._add(name, x), None)  # an argument that is also found is this very tensor

    def _add(self, name: str, x: Tensor) -> str:
        for known, tensor in self.tensors.items():
            if tensor is x:
                return known
        while name in self.tensors:
            name += "_"
        self.tensors[name] = x
        return name

    def refs(self) -> list[str]:
        """How a program's call reads each tensor: an argument, or a tensor that it holds."""
        return [f"a{self.given[name]}" if name in self.given else f"t{i}" for i, name in enumerate(self.tensors)]

    def of(self, leaves: Sequence[Any]) -> list[Tensor]:
        """The tensors of a call with these arguments."""
        return [leaves[self.given[name]] if name in self.given else x for name, x in self.tensors.items()]

    def requires_grad(self, target: Any, leaves: Sequence[Any]) -> bool:
        """Whether this output is the new value of a tensor that requires a gradient."""
        return target.kind == "data" and bool(self.of(leaves)[target.place].requires_grad)

    def name_texts(self) -> list[str]:
        """How a program's call reads each name."""
        return [f"n{i}{place.text}" for i, place in enumerate(self.names)]

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether arguments are one tensor, or one that is found, where they were, and only there."""
        tensors = dict(zip(self.tensors, self.of(leaves), strict=True))
        alone = len({id(x) for x in tensors.values()}) == len(tensors)
        return alone and all(leaves[i] is tensors[name] for i, name in self.places.items())

    # ---- what makes another program

    def values(self) -> list[Any]:
        """What the function's names, its defaults and the attributes of its modules are now."""
        found = [place.get() for place in self.names]
        for f in self.functions:
            found += [f.__defaults__, f.__kwdefaults__]
        for module in self.modules:
            found.append(type(module))
            found += [x for pair in vars(module).items() for x in pair]
        return found

    def holds(self) -> bool:
        """Whether all this is as it was, but for the numbers in arrays."""
        now = self.values()
        if not alike(now, self.taken):
            return False
        self.taken = now
        return True


# ---- a traced run


class Target(NamedTuple):
    """Where an output goes: "result", or "data", "grad" or "state" (`item` is its parameter and key) of a `place`.

    `old` is the number of the input that the output replaces.
    """

    kind: str
    name: str
    place: int = 0
    item: Any = None
    old: int | None = None


class Run(NamedTuple):
    """What a traced run leaves: its tape, the texts that read its inputs, and its outputs with their targets.

    `picks` has, for each leaf of the result, an Output, a Recall or the value that it is; `alive` are the
    outputs (by their numbers) with a graph, `captured` the tensors at the ends of these graphs.
    """

    tape: Tape
    texts: list[str]
    given: list[Any]  # the inputs themselves
    outputs: list[Any]
    targets: list[Target]
    cleared: list[int]
    build: Callable[[Any], Any]
    picks: list[Any]
    alive: list[int]
    live: list[int]  # the same, by their numbers among the leaves of the result
    captured: list[int]
    without: list[int]  # tensors that had no gradient, and got one


class Recall(NamedTuple):
    """Text that reads a part of the result after a run."""

    text: str


class Output(NamedTuple):
    """A part of the result that is an output, or a Tensor of one."""

    tensor: bool


_MARKS = ("grad", "stamp", "began", "added")
_CONSTANTS = (int, float, complex, str, bytes, bool, type(None), type, np.dtype, type(Ellipsis), types.FunctionType)


class World:
    """Everything in a State as it is now, to be replaced by traced arrays, and put back."""

    def __init__(self, state: State, leaves: Sequence[Any]) -> None:
        self.state, self.leaves, self.tensors = state, leaves, state.of(leaves)
        self.before = [(t, t._data, t.node, *_marks(t)) for t in self.tensors]
        self.optimizers = [
            (o, o.state, [dict(own) for own in o.state], o.used, [g["lr"] for g in o.groups]) for o in state.optimizers
        ]
        self.names = [(place, place.get()) for place in state.names]

    def put_back(self) -> None:
        """Put everything back as it was, in one call of C: an interrupt falls before or after all of it."""
        attributes: list[Any] = []
        items: list[Any] = []
        calls: list[Any] = []
        for tensor, data, node, leaf, marks in self.before:
            attributes += [(tensor, "_data", data), (tensor, "node", node)]
            attributes += [(leaf, name, value) for name, value in zip(_MARKS, marks, strict=False)]
        for optimizer, states, own, used, rates in self.optimizers:
            attributes += [(optimizer, "state", states), (optimizer, "used", used)]
            calls += [call for held, x in zip(states, own, strict=True) for call in ((held.clear,), (held.update, x))]
            items += [(group, "lr", rate) for group, rate in zip(optimizer.groups, rates, strict=True)]
        run_through(
            chain(starmap(setattr, attributes), starmap(operator.setitem, items), starmap(operator.call, calls))
        )


def _marks(tensor: Tensor) -> tuple[Any, tuple[Any, ...]]:
    leaf = tensor._leaf
    return leaf, () if leaf is None else tuple(getattr(leaf, name) for name in _MARKS)


class Trace(World):
    """A World of traced arrays; `texts` are the expressions that read the inputs of the tape, in order."""

    def __init__(self, state: State, leaves: Sequence[Any], arrays: bool) -> None:
        super().__init__(state, leaves)
        self.tape, self.texts, self.refs = Tape(), [""][:0], state.refs()
        self.inputs: dict[int, int] = {}  # {id of a traced input: its number}
        self.held: list[Any] = []
        self.modules = [(module, dict(vars(module))) for module in state.modules]
        self.arrays = arrays  # whether arrays in the function's names are inputs, or constants
        self.likes: list[Tensor] = []  # arguments that are results of ops, or have no gradient

    def _add(self, name: str, text: str, value: Any) -> Any:
        name = identifier(name, self.tape.names)
        self.tape.names.add(name)
        made = self.tape.input(name, value)
        self.inputs[id(made)] = len(self.texts)
        self.held.append(made)
        self.texts.append(text)
        return made

    def install(self, names: Sequence[str]) -> list[Any]:
        """Put traced arrays in the place of all; return the arguments of the run."""
        state, given = self.state, []
        known = {id(t) for t in self.tensors}
        for i, (x, name) in enumerate(zip(self.leaves, names, strict=True)):
            if isinstance(x, Tensor) and id(x) not in known:
                given.append(_like(x, self._add(name, f"a{i}._data", x.data)))
                self.likes.append(given[-1])
            else:
                given.append(self._add(name, f"a{i}", x) if is_array(x) else x)
        for name, ref, tensor in zip(state.tensors, self.refs, self.tensors, strict=True):
            gradient = tensor.grad
            tensor._data = self._add(name, f"{ref}._data", tensor._data)
            if gradient is not None:
                tensor._leaf.grad = tensor_of(self._add(f"{name}.grad", f"{ref}.grad._data", gradient.data))
        found = {id(t): name for name, t in zip(state.tensors, self.tensors, strict=True)}
        for i, optimizer in enumerate(state.optimizers):
            which = str(i) if len(state.optimizers) > 1 else ""
            for j, group in enumerate(optimizer.groups):
                name = f"lr{which}" + (f"_{j}" if j else "")
                group["lr"] = self._add(name, f"g{i}_{j}['lr']", group["lr"])
            names = [found[id(p)] for p in optimizer.params]
            optimizer.state = [
                {k: self._add(f"{k}{which}.{n}", f"o{i}.state[{j}][{k!r}]", x) for k, x in own.items()}
                for j, (n, own) in enumerate(zip(names, optimizer.state, strict=True))
            ]
        texts = state.name_texts()
        for i, (place, value) in enumerate(self.names):
            if self.arrays and is_array(value) and isinstance(value, np.ndarray):
                place.set(self._add(place.name, texts[i], value))
        return given

    def run(self, function: Any, build: Any, names: Sequence[str]) -> Run:
        """Run the function on traced arrays; everything is put back."""
        draws = [Draw(np.random.mtrand._rand)]
        failed = True
        try:
            args, kwargs = build(self.install(names))
            attributes = self.state.values()
            with Switch(observer=Watcher(self.tape)):
                result = function(*args, **kwargs)
            self._raise_first()
            found = self._outcome(*flatten(result), attributes)
            failed = False
            return found
        except Exception:  # the function may have made another error of a refusal
            self._raise_first()
            raise
        finally:
            self.tape.closed = True
            self.put_back()
            for place, value in self.names:
                if value is not place and place.get() is not value:
                    place.set(value)
            for module, own in self.modules:
                if not alike([*vars(module).values()], [*own.values()], ()):
                    vars(module).clear()
                    vars(module).update(own)
            for draw in (*self.tape.drawn.values(), *(draws if failed else ())):
                draw.put_back()  # what else is drawn is not put back: an audit then finds other numbers

    def _raise_first(self) -> None:
        if self.tape.errors:
            raise self.tape.errors[0]

    # ---- what the run has left

    def _outcome(self, found: list[Any], build: Any, attributes: list[Any]) -> Run:
        self._must_not_change(attributes)
        outputs: list[Any] = []
        targets: list[Target] = []
        picks: list[Any] = []
        alive, places, live = [], [], []
        own = {id(t): ref for t, ref in zip(self.tensors, self.refs, strict=True)}
        gradients = {id(t.grad): ref for t, ref in zip(self.tensors, self.refs, strict=True) if t.grad is not None}
        for x in map(self.tape.own, found):
            if id(x) in own or id(x) in gradients:
                picks.append(Recall(own.get(id(x)) or f"{gradients[id(x)]}.grad"))
            elif isinstance(x, Tensor):
                if x.node is not None and x.node.kept is not None:
                    alive.append(len(outputs))
                    places.append(len(picks))
                    live.append(x.node)
                picks.append(Output(tensor=True))
                outputs.append(x._data)
            elif isinstance(x, Traced | Number | np.ndarray | np.generic):
                picks.append(Output(tensor=False))
                outputs.append(x)
            elif isinstance(x, _CONSTANTS) or any(x is y for y in (*self.leaves, *attributes, *self.state.modules)):
                picks.append(x)
            else:
                raise CompileError(
                    f"a {type(x).__name__} is returned; return arrays, Tensors and numbers in lists, tuples and dicts"
                )
        targets += [Target("result", "result") for _ in outputs]
        cleared, without = [], []
        for i, (name, ref, before) in enumerate(zip(self.state.tensors, self.refs, self.before, strict=True)):
            tensor, grad = before[0], (before[4] or (None,))[0]
            if not self._as_given(tensor._data, f"{ref}._data"):
                targets.append(Target("data", f"new.{name}", i, None, self.texts.index(f"{ref}._data")))
                outputs.append(tensor._data)
            now = tensor.grad
            if now is None:
                cleared += [i] if grad is not None else []
            elif not self._as_given(now._data, f"{ref}.grad._data"):
                targets.append(Target("grad", f"grad.{name}", i))
                outputs.append(now._data)
                without += [i] if grad is None else []
        for i, optimizer in enumerate(self.state.optimizers):
            for j, state in enumerate(optimizer.state):
                for key, value in state.items():
                    text = f"o{i}.state[{j}][{key!r}]"
                    if not self._as_given(value, text):
                        old = self.texts.index(text) if text in self.texts else None
                        targets.append(Target("state", f"new.{key}.{j}", i, (j, key), old))
                        outputs.append(value)
        leaves = _ends(live)
        captured = [i for i, t in enumerate(self.tensors) if t.node is not None and id(t.node) in leaves]
        return Run(
            self.tape, self.texts, self.held, outputs, targets, cleared, build, picks, alive, places, captured, without
        )

    def _as_given(self, value: Any, text: str) -> bool:
        number = self.inputs.get(id(value))
        return number is not None and self.texts[number] == text

    def _must_not_change(self, attributes: list[Any]) -> None:
        """Refuse what the function changes in every call and a program would not."""
        for optimizer in self.state.optimizers:
            for group in optimizer.groups:
                if id(group["lr"]) not in self.inputs:
                    raise CompileError("the learning rate is changed in the function; step a schedule outside of it")
        for before in self.before:
            if before[0].node is not before[2]:
                raise CompileError("requires_grad of a parameter is changed in the function; do so outside of it")
        if any(x.grad is not None for x in self.likes):
            raise CompileError(
                "the gradient of an argument goes on beyond the function, for it is the result of an op; call "
                "backward() outside of the function that is compiled, or pass a leaf"
            )
        count = len(self.names)
        for place, text, (_, value) in zip(self.state.names, self.state.name_texts(), self.names, strict=True):
            if not (self._as_given(place.get(), text) or same(place.get(), value, arrays=False)):
                raise CompileError(f"{place.name} is changed in the function; a program would not do it again")
        for module, own in self.modules:
            for name in own | vars(module):
                if not same(vars(module).get(name, self), own.get(name, self), arrays=False):
                    what = f"{type(module).__name__}.{name}"
                    raise CompileError(f"{what} is changed in the function; a program would not do it again")
        if not alike(self.state.values()[count:], attributes[count:], ()):
            raise CompileError("a default or a class is changed in the function; a program would not do it again")


def _like(x: Tensor, traced: Any) -> Tensor:
    made = tensor_of(traced)
    made.requires_grad, made.name = x.requires_grad, x.name
    return made


def _ends(nodes: list[Any]) -> set[int]:
    """The ids of the leaves that graphs lead to."""
    waiting, seen = list(nodes), set()
    while waiting:
        edge = waiting.pop()
        if id(edge) not in seen:
            seen.add(id(edge))
            waiting += [e for e in edge.edges or () if e is not None]
    return seen
