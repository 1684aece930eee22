"""What takes part in a run besides its arguments: a flat list, to be compared, replaced by traced arrays, put back."""

from __future__ import annotations

import operator
import random
import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, starmap
from typing import Any, NoReturn

import numpy as np

from ..callsite import line_at
from ..graph import Leaf
from ..mode import Switch
from ..tensor import Tensor, tensor_of
from ..tree import flatten
from .emit import Text, identifier
from .observe import Draw, Watcher, alike, functions_in, is_array, names_in, same
from .program import CompileError, Input, Number
from .schedule import run_through
from .trace import Tape, Traced


class State:
    """What took part in the first run of a signature.

    `tensors` are leaves by name; those that are arguments are `given`, {name: number of the argument}.  `names` are the
    closure cells and globals that the function's own code reads, `modules` those that were called, with their
    attributes, and `optimizers` those that stepped.
    """

    def __init__(self, function: Any, seen: Watcher, leaves: Sequence[Any], results: Sequence[Any]) -> None:
        self.tensors: dict[str, Any] = {}
        self.given: dict[str, int] = {}
        self.places: dict[int, str] = {}  # {number of an argument: its tensor}
        self.known: dict[int, str] = {}  # {id of a tensor: its name}
        self.modules, self.optimizers = [*seen.modules.values()], [*seen.optimizers.values()]
        self.functions = [*functions_in(function)]
        self.names = [*names_in(self.functions)]
        new = {id(x) for x in results if isinstance(x, Tensor)} - {id(x) for x in leaves}
        for i, x in enumerate(leaves):
            if isinstance(x, Tensor) and x.node.__class__ is Leaf:
                if id(x) not in self.known:
                    self.given[self._add(f"argument{i}", x)] = i
                self.places[i] = self.known[id(x)]
        found = [pair for module in self.modules for pair in (*module.named_parameters(), *module.named_buffers())]
        found += [("parameter", x) for optimizer in self.optimizers for x in optimizer.params]
        found += [(name.name, x) for name in self.names if isinstance(x := name.get(), Tensor) and x.is_leaf]
        for name, x in found:  # an argument that is also found is this very tensor
            self.given.pop(self._add(name, x), None)
        arguments = {id(x) for x in leaves}
        for ref in seen.leaves.values():
            if (x := ref()) is not None and id(x) not in new | arguments:
                self._add(x.name or "tensor", x)
        self.tensors.update(dict.fromkeys(self.given))  # each call has its own
        # How a program's call reads each tensor: an argument, or a tensor that it holds.
        self.refs = [f"a{self.given[name]}" if name in self.given else f"t{i}" for i, name in enumerate(self.tensors)]
        self.taken = self.values()

    def _add(self, name: str, x: Tensor) -> str:
        if id(x) not in self.known:
            while name in self.tensors:
                name = f"{name}_{len(self.tensors)}"
            self.tensors[name], self.known[id(x)] = x, name
        return self.known[id(x)]

    def of(self, leaves: Sequence[Any]) -> list[Tensor]:
        """The tensors of a call with these arguments."""
        return [leaves[self.given[name]] if name in self.given else x for name, x in self.tensors.items()]

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Whether arguments are one tensor, or one that is found, where they were, and only there."""
        tensors = dict(zip(self.tensors, self.of(leaves), strict=True))
        alone = len({id(x) for x in tensors.values()}) == len(tensors)
        return alone and all(leaves[i] is tensors[name] for i, name in self.places.items())

    # ---- what makes another program

    def values(self) -> list[Any]:
        """What the function's names, its defaults and the attributes of its modules are now."""
        found = [name.get() for name in self.names]
        found += [x for f in self.functions for x in (f.__defaults__, f.__kwdefaults__)]
        for module in self.modules:
            found += [type(module), *(x for pair in vars(module).items() for x in pair)]
        return found

    def holds(self) -> bool:
        """Whether all this is as it was, but for the numbers in arrays."""
        before, self.taken = self.taken, self.values()
        return alike(self.taken, before)


class World:
    """The tensors and optimisers of a State, and the generators `drawn` from, as they are now, to be put back."""

    def __init__(self, state: State, leaves: Sequence[Any], drawn: Sequence[Any] = ()) -> None:
        self.state, self.tensors, self.generators = state, state.of(leaves), [Draw(x) for x in drawn]
        self.attributes = [(t, name, getattr(t, name)) for t in self.tensors for name in ("_data", "node")]
        ends = [t._leaf for t in self.tensors if t._leaf is not None]
        self.attributes += [(x, name, getattr(x, name)) for x in ends for name in ("grad", "stamp", "began", "added")]
        self.attributes += [(o, name, getattr(o, name)) for o in state.optimizers for name in ("state", "used")]
        self.dicts = [(held, dict(held)) for o in state.optimizers for held in (*o.state, *o.groups)]

    def put_back(self) -> None:
        """Put everything back as it was, in one call of C: an interrupt falls before or after all of it."""
        calls = [call for held, own in self.dicts for call in ((held.clear,), (held.update, own))]
        calls += [(draw.put_back,) for draw in self.generators]
        run_through(chain(starmap(setattr, self.attributes), starmap(operator.call, calls)))

    def results(self, kept: Collection[int]) -> dict[tuple[str, int], Any]:
        """{(what, number of a tensor): the arrays that a run may have moved}; with gradients of the `kept` ones."""
        found: dict[tuple[str, int], Any] = {}
        for i, (name, t) in enumerate(zip(self.state.tensors, self.tensors, strict=True)):
            found[f"the new value of {name}", i] = t._data
            if i in kept:
                found[f"the gradient of {name}", i] = None if t.grad is None else t.grad.data
        for o in self.state.optimizers:
            found |= {(f"{k} in the state of parameter {j}", 0): x for j, s in enumerate(o.state) for k, x in s.items()}
        return found


# ---- what an audit compares


def difference(mine: dict[Any, Any], theirs: dict[Any, Any], old: dict[Any, Any], given: list[Any], exact: bool) -> str:
    """The first output of a program that differs from that of the function as written beyond rounding; "" if none does.

    Rounding is measured beside each result, beside how far it has moved from the `old` state, and beside the largest
    number that was `given`: what cancels out may leave the last bit of that.
    """
    with np.errstate(all="ignore"):
        for key, x in theirs.items():
            if key not in mine or not _agree(mine[key], x, old.get(key), given, exact):
                return str(key[0])
    return "" if len(mine) == len(theirs) else "what an optimiser remembers"


def _agree(a: Any, b: Any, old: Any, given: list[Any], exact: bool) -> bool:
    if a is b:
        return True
    x, y = (v.data if isinstance(v, Tensor) else v for v in (a, b))
    if not all(isinstance(v, np.ndarray | np.generic | int | float | complex) for v in (x, y)):
        return type(a) is type(b) and (not isinstance(a, str | bytes) or a == b)
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind not in "fc" or not x.size:
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"))
    eps = float(np.finfo(x.dtype).eps)
    if _largest(x - y) <= 64 * eps * _largest(y) < np.inf:  # mostly so
        return True
    finite = np.isfinite(y)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    x, y = x[finite], y[finite]
    moved = y - old[finite] if isinstance(old, np.ndarray) and old.shape == finite.shape else y
    floats = [np.asarray(v) for v in given if isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "fc"]
    largest = max(1.0, *(_largest(v[np.isfinite(v)]) for v in (y, *floats)))
    return bool((np.abs(x - y) <= _largest(moved) * eps**0.5 + largest * 64 * eps).all())


def _largest(x: Any) -> float:
    return float(np.maximum.reduce(np.abs(x), axis=None, initial=0.0))


# ---- a traced run


@dataclass
class Output:
    """What a run computes: a "result", or the new "data", "grad" or "state" (`item`: parameter and key) of a `place`.

    `old` is the number of the input that it replaces, `text` how it is read after a run of the program.
    """

    kind: str
    value: Any
    name: str = "result"
    place: int = 0
    item: Any = None
    old: int | None = None
    text: str = ""


class Live(CompileError):
    """A result has a graph, whose backward pass only the function as written can provide."""


_CONSTANTS = (int, float, complex, str, bytes, bool, type(None), type, np.dtype, type(Ellipsis), types.FunctionType)


class Trace(World):
    """A World of traced arrays: `run` finds the program on its `tape`, the `outputs`, and what the result is built of.

    `picks` are the parts of the result: Outputs, Texts for what is read after the run, and constants.  `cleared` are
    the tensors whose gradient goes, `without` those that had none and got one, `begun` those with nothing of the old
    one; `items` are the keys of optimisers' new states, {(optimiser, parameter): {key: how it is read, if as it was}}.
    """

    def __init__(self, state: State, leaves: Sequence[Any]) -> None:
        super().__init__(state, leaves, (np.random.mtrand._rand, random))
        self.leaves, self.tape, self.refs = leaves, Tape(), state.refs
        self.names = [(name, name.get()) for name in state.names]
        self.modules = [(module, dict(vars(module))) for module in state.modules]
        self.before = [(t.node, t.grad, getattr(t._leaf, "began", 0)) for t in self.tensors]
        self.likes: list[Tensor] = []  # arguments that are results of ops, or have no gradient
        self.outputs, self.picks = list[Output](), list[Any]()
        self.cleared, self.without, self.begun = list[int](), list[int](), list[int]()
        self.items: dict[tuple[int, int], dict[str, str]] = {}
        self.draws = False  # whether it draws from the generators of NumPy or Python, which its program does not

    def _add(self, name: str, place: str, value: Any) -> Any:
        name = identifier(name, self.tape.names)
        self.tape.names.add(name)
        return self.tape.input(name, place, value)

    def install(self, names: Sequence[str]) -> list[Any]:
        """Put traced arrays in the place of all; return the arguments of the run."""
        state, given = self.state, []
        for i, (x, name) in enumerate(zip(self.leaves, names, strict=True)):
            if isinstance(x, Tensor) and i not in state.places:
                like = tensor_of(self._add(name, f"a{i}._data", x.data))
                like.requires_grad, like.name = x.requires_grad, x.name
                self.likes.append(like)
                given.append(like)
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
            optimizer.state = [
                {k: self._add(f"{k}{which}.{found[id(p)]}", f"o{i}.state[{j}][{k!r}]", x) for k, x in own.items()}
                for j, (p, own) in enumerate(zip(optimizer.params, optimizer.state, strict=True))
            ]
        for i, (place, value) in enumerate(self.names):
            if is_array(value) and isinstance(value, np.ndarray):
                place.set(self._add(place.name, f"n{i}{place.text}", value))
        return given

    def run(self, function: Any, build: Any, names: Sequence[str], keep: bool) -> None:
        """Run the function on traced arrays; everything is put back.  `keep`: used gradients are outputs, too."""
        try:
            args, kwargs = build(self.install(names))
            attributes = self.state.values()
            with Switch(observer=Watcher(self.tape)):
                result = function(*args, **kwargs)
            self.tape.raise_first()
            self._must_not_change(attributes)
            self._outcome(result, attributes, keep)
            self.draws = any(x.moved() for x in self.generators if id(x.owner) not in self.tape.drawn)
            self.generators = []  # what else is drawn is not put back: an audit then finds other numbers
        except Exception:  # the function may have made another error of a refusal
            self.tape.raise_first()
            raise
        finally:
            self.tape.closed = True
            self.generators = [*self.tape.drawn.values(), *self.generators]
            self.put_back()
            for name, value in self.names:
                if value is not name and name.get() is not value:
                    name.set(value)
            for module, own in self.modules:
                if not alike([*vars(module).values()], [*own.values()], ()):
                    vars(module).clear()
                    vars(module).update(own)

    # ---- what the run has left

    def _outcome(self, result: Any, attributes: list[Any], keep: bool) -> None:
        self._result(result, attributes)
        used = {_place(x) for line in self.tape.program.lines for x in line.reads}
        used |= {f"{pick.text}._data" for pick in self.picks if isinstance(pick, Text)}
        numbers = {_place(x): i for i, x in enumerate(self.tape.program.inputs)}
        for i, (name, ref, tensor) in enumerate(zip(self.state.tensors, self.refs, self.tensors, strict=True)):
            had, now, data, grad = self.before[i][1] is not None, tensor.grad, f"{ref}._data", f"{ref}.grad._data"
            if _place(tensor._data) != data:
                self.outputs.append(Output("data", tensor._data, f"new.{name}", i, old=numbers[data]))
            if now is None or _place(now._data) != grad:
                if now is not None and (keep or grad in used):
                    self.outputs.append(Output("grad", now._data, f"grad.{name}", i))
                elif had or now is not None:
                    self.cleared.append(i)
            if now is not None and not had:
                self.without.append(i)
            self.begun += [i] * (now is not None and tensor._leaf.began != self.before[i][2])
        for i, optimizer in enumerate(self.state.optimizers):
            for j, state in enumerate(optimizer.state):
                items = {key: f"o{i}.state[{j}][{key!r}]" for key in state}
                for key in (moved := [key for key, place in items.items() if _place(state[key]) != place]):
                    old = numbers.get(items[key])
                    self.outputs.append(Output("state", state[key], f"new.{key}.{j}", i, (j, key), old))
                if moved:
                    self.items[i, j] = items

    def _result(self, result: Any, attributes: list[Any]) -> None:
        """What the parts of the function's result are."""
        read = {
            id(x): text
            for t, ref in zip(self.tensors, self.refs, strict=True)
            for x, text in ((t.grad, f"{ref}.grad"), (t, ref))
            if x is not None
        }
        constants = {id(x) for x in (*self.leaves, *attributes, *self.state.modules)}
        found, self.build = flatten(result)
        for x in map(self.tape.own, found):
            if id(x) in read:
                self.picks.append(Text(read[id(x)]))
            elif isinstance(x, Tensor | Traced | Number | np.ndarray | np.generic):
                if isinstance(x, Tensor) and x.node is not None and x.node.kept is not None:
                    raise Live(
                        "its result has a graph, whose backward pass no program provides; call backward() inside, "
                        "compile value_and_grad(f), or call it under no_grad()"
                    )
                self.picks.append(Output("result", x._data if isinstance(x, Tensor) else x, item=isinstance(x, Tensor)))
                self.outputs.append(self.picks[-1])
            elif isinstance(x, _CONSTANTS) or id(x) in constants:
                self.picks.append(x)
            else:
                raise CompileError(
                    f"a {type(x).__name__} is returned; return arrays, Tensors and numbers in lists, tuples and dicts"
                )

    def _must_not_change(self, attributes: list[Any]) -> None:
        """Refuse what the function changes in every call and a program would not."""
        for i, optimizer in enumerate(self.state.optimizers):
            for j, group in enumerate(optimizer.groups):
                if _place(rate := group["lr"]) != f"g{i}_{j}['lr']":
                    self._changed("the learning rate", getattr(rate, "line", None), "step a schedule outside of it")
        for tensor, (node, *_) in zip(self.tensors, self.before, strict=True):
            if tensor.node is not node:
                self._changed("requires_grad of a parameter", advice="do so outside of it")
        if any(x.grad is not None for x in self.likes):
            raise CompileError(
                "the gradient of an argument goes on beyond the function, for it is the result of an op; call "
                "backward() outside of the function that is compiled, or pass a leaf"
            )
        for i, (name, value) in enumerate(self.names):
            now = name.get()
            if _place(now) != f"n{i}{name.text}" and not same(now, value, arrays=False):
                self._changed(name.name)
        for module, own in self.modules:
            for key in own | vars(module):
                if not same(vars(module).get(key, self), own.get(key, self), arrays=False):
                    lines = {*self.tape.attributes}
                    self._changed(f"{type(module).__name__}.{key}", lines.pop() if len(lines) == 1 else None)
        count = len(self.names)
        if not alike(self.state.values()[count:], attributes[count:], ()):
            self._changed("a default or a class")

    def _changed(self, what: str, line: Any = None, advice: str = "a program would not do it again") -> NoReturn:
        """Refuse a change, made at a line or, if that is not known, somewhere in the function."""
        code = next((f.__code__ for f in self.state.functions), None)
        line = line or (code and (code.co_filename, code.co_firstlineno))
        raise CompileError(f"{what} is changed in the function{(line and f', at {line_at(line)}') or ''}; {advice}")


def _place(x: Any) -> str:
    """How an input of the tape is read; "" for anything else."""
    x = x.at if isinstance(x, Traced) else x
    return x.place if isinstance(x, Input | Number) else ""
