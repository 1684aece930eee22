"""A program in the place of a function: when it may run, what it is given, and where its results go.

`call` is written for every plan: straight-line Python that compares by identity takes 20 ns per comparison, a loop over
the places five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from threading import Lock, get_ident
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..graph import Leaf, next_number
from ..mode import MODE
from ..tensor import Tensor, tensor_of
from ..tree import flatten
from ..updating import ATTRIBUTES
from .emit import Text, written
from .observe import alike, is_array, same
from .program import Number, empty
from .schedule import Changed, Main, update
from .state import Output, Trace, World

MISS: Any = object()  # this program is not for this call
GONE = (KeyError, IndexError, AttributeError, ValueError)  # a name, an item or a cell that is read is not there


def _count_alone() -> int:
    """What `getrefcount` finds for an array that its tensor and, twice, a plan hold; interpreters differ."""
    holder = SimpleNamespace(array=np.empty(0))
    _space, own = {"d0": holder.array}, [holder.array]
    return next(map(getrefcount, own))


ALONE = _count_alone()
SPARE = ALONE - 2  # in no tensor or space


def counts(arrays: Sequence[Any]) -> list[int]:
    """The reference counts of arrays; that of None is large."""
    return list(map(getrefcount, arrays))


class Plan:
    """A program for arguments and surroundings like those of the run that was traced."""

    def __init__(self, program: Main, run: Trace, nest: Any) -> None:
        self.program, self.state, self.nest = program, run.state, nest
        self.inputs = run.tape.program.inputs
        self.places = [x.place for x in self.inputs]  # how each input is read
        self.refs, self.tensors, state = run.refs, run.tensors, run.state
        self.recording = MODE.get().recording
        self.count, self.audit_at = 1, 3  # calls of this signature, and the next one that is audited
        self.lock, self.owner, self.running = Lock(), 0, False
        self.drawn = [draw.owner for draw in run.tape.drawn.values()]  # generators that the program draws from
        self.draws = run.draws
        self.changed = ATTRIBUTES.number  # that of the last change of a module's attribute
        self.taken, self.arrays = state.values(), set[int]()  # `arrays` are the numbers of the names that are inputs
        self.watched: list[tuple[str, Any]] = []  # names in the space, and how to read what they were
        self.kept = {x.place: x.text for x in run.outputs if x.kind == "grad"}
        self.own: list[Any] = [None for _ in program.slots]  # the arrays of the slots that this plan has made
        self.spares = [*self.own]
        self.space: dict[str, Any] = {
            "MODE": MODE, "MISS": MISS, "update": update, "next_number": next_number, "program": program.run,
            "plan": self, "getrefcount": getrefcount, "tensor_of": _tensor_of, "asarray": asarray,
            "ATTRIBUTES": ATTRIBUTES,
        }  # fmt: skip
        self.space |= {ref: t for ref, t in zip(self.refs, self.tensors, strict=True) if ref[0] == "t"}
        self.space |= {f"n{i}": name.holder for i, name in enumerate(state.names)}
        for i, optimizer in enumerate(state.optimizers):
            self.space |= {f"o{i}": optimizer} | {f"g{i}_{j}": group for j, group in enumerate(optimizer.groups)}
        exec(compile(self._text(run), "<call>", "exec"), self.space)
        # The reference count at which a slot may be the array of the last run, because nobody else has it; 0 if never.
        ours = [slot.over and f"d{slot.old}" in self.space for slot in program.slots]
        self.alone = [SPARE if s.old is None else ALONE * over for s, over in zip(program.slots, ours, strict=True)]
        self.outputs, self.picks, self.build, self.loop = run.outputs, run.picks, run.build, run.tape.loop
        for output in run.outputs:
            output.value = None
        self.tensors = [*state.tensors.values()]  # an argument is another one in the next call
        self.call = self.space["call"]

    # ---- the text of `call`

    def _text(self, run: Trace) -> str:
        arguments = {f"a{i}": x for i, x in enumerate(run.leaves)}
        inputs = [self._input(k, arguments) for k in self.program.inputs]
        tests = "\n        and ".join([*self._conditions(run), *filter(None, inputs)])
        lines = [f"def call({', '.join(arguments)}):", f"if not (\n        {tests}\n    ):", "    return MISS"]
        slots = [f"s{k}" for k in range(len(self.own))]
        if slots:
            lines.append("in_place = list(map(getrefcount, plan.own)) == plan.alone")
            lines.append(f"{_row(slots)} = outs = plan.own if in_place else plan.memory()")
        lines.append(f"plan.running = {' = '.join(['number', *self._stamps(run)])} = next_number()")
        given = [self.places[k] for k in self.program.inputs]
        lines.append(f"found{', last' if self.program.moves else ''} = program({', '.join([*given, *slots])})")
        moved, changes = self._changes(run)
        last = "*last" if self.program.moves else "(), (), (), ()"
        if slots:
            lines.append(f"update({last}, ({_row(changes)}) if in_place else ({_row([*moved, *changes])}))")
            lines.append("if not in_place: plan.adopt_all(outs)")
        elif moved or changes:
            lines.append(f"update({last}, ({_row([*moved, *changes])}))")
        return "\n    ".join([*lines, f"return {self._result(run)}"]) + "\n"

    def _name(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self.space)}"
        self.space[name] = value
        return name

    def _leaf(self, i: int) -> str:
        """The text of the leaf of a tensor."""
        if self.refs[i][0] == "t":
            self.space[f"l{i}"] = self.tensors[i]._leaf
            return f"l{i}"
        return f"{self.refs[i]}._leaf"

    def _watch(self, text: str, value: Any) -> str:
        self.watched.append((self._name("v", value), text))
        return f"{text} is {self.watched[-1][0]}"

    def _conditions(self, run: Trace) -> list[str]:
        """When the program is right without looking any further."""
        say = [f"(mode := MODE.get()).recording is {self.recording}", "mode.observer is None"]
        for i, leaf in enumerate(run.leaves):
            say += self._alike(f"a{i}", leaf)
        found = {id(t): ref for ref, t in zip(self.refs, self.tensors, strict=True)}
        if self.state.places:  # two leaves are one where they were one, and two where they were two
            refs = {i: found[id(run.leaves[i])] for i in self.state.places}
            say += [f"a{i} is {ref}" for i, ref in refs.items() if ref != f"a{i}"]
            say.append(f"len({{{', '.join(f'id({ref})' for ref in self.refs)}}}) == {len(self.refs)}")
        same_names = ["ATTRIBUTES.number == plan.changed"]
        for i, name in enumerate(self.state.names):
            value, text = name.get(), f"n{i}{name.text}"
            if text in self.places:
                self.arrays.add(i)
            else:
                same_names.append(self._watch(f"plan.state.names[{i}].get()" if value is name else text, value))
        for f in self.state.functions:
            held = self._name("f", f)
            same_names += [self._watch(f"{held}.{x}", getattr(f, x)) for x in ("__defaults__", "__kwdefaults__")]
        say.append(f"({' and '.join(same_names)} or plan.renew())")
        for i, optimizer in enumerate(self.state.optimizers):
            say.append(f"len(o{i}.groups) == {len(optimizer.groups)} and len(o{i}.params) == {len(optimizer.params)}")
            for j, group in enumerate(optimizer.groups):
                say.append(f"o{i}.groups[{j}] is g{i}_{j} and len(g{i}_{j}['params']) == {len(group['params'])}")
                say += [f"g{i}_{j}[{key!r}] is {self._name('v', x)}" for key, x in group.items() if key != "lr"]
        stepped = {id(p) for optimizer in self.state.optimizers for p in optimizer.params}
        for i, (ref, tensor) in enumerate(zip(self.refs, self.tensors, strict=True)):
            if ref[0] == "t":
                say.append(f"{ref}.node is {self._leaf(i) if tensor.requires_grad else None}")
            gains = id(tensor) in stepped or (self.recording and tensor.node.__class__ is Leaf)
            if i in run.without or (tensor.grad is None and gains):  # the function would read a gradient
                say.append(f"{ref}.grad is None")
        states = [x for x in run.outputs if x.kind == "state" and x.old is None]
        return say + [f"{x.item[1]!r} not in o{x.place}.state[{x.item[0]}]" for x in states]

    def _alike(self, text: str, x: Any) -> list[str]:
        """That an argument is as it was: an array of the same outline, or the same object or plain value."""
        say = [f"type({text}) is {self._name('c', type(x))}"]
        if isinstance(x, Tensor):
            say.append(f"type({text}.node) is {self._name('c', type(x.node))}")
            text, x = f"{text}._data", x.data
        if is_array(x):
            dtype = self._name("c", x.dtype)
            layout = f" and {text}.strides == {x.strides}" if isinstance(x, np.ndarray) else ""
            return [*say, f"{text}.shape == {x.shape}{layout}", f"({text}.dtype is {dtype} or {text}.dtype == {dtype})"]
        name = self._name("c", x)
        equal = ""
        if type(x) in (float, complex):
            equal = f" or repr({text}) == {repr(x)!r}"  # -0.0 is not 0.0
        elif isinstance(x, int | str | bytes):
            equal = f" or {text} == {name}"
        return [*say, f"({text} is {name}{equal})"]

    def _input(self, k: int, arguments: dict[str, Any]) -> str:
        """That an input of the state is the array of the last run, or one like it."""
        text = self.places[k]
        if text.removesuffix("._data") in arguments:
            return ""
        value = eval(text, self.space | arguments)
        if not isinstance(value, np.ndarray):
            return f"{text}.__class__ is {self._name('c', type(value))}"
        self.space[f"d{k}"] = value
        return f"({text} is d{k} or plan.adopt({k}, {text}))"

    def _stamps(self, run: Trace) -> list[str]:
        """What is given the number of a run; one too many, after an interrupt, only refuses a graph."""
        moved = [x.place for x in run.outputs if x.kind == "data" and self.tensors[x.place]._leaf is not None]
        found = [f"{self._leaf(i)}.stamp" for i in moved]
        found += [f"o{i}.used" for i in range(len(self.state.optimizers))]
        for i in self.kept:
            found += [f"{self._leaf(i)}.added", *([f"{self._leaf(i)}.began"] * (i in run.begun))]
        return found

    def _changes(self, run: Trace) -> tuple[list[str], list[str]]:
        """The attributes to set after a run: those that are only if slots were not written in place, and the others."""
        moved, changes = list[str](), list[str]()
        states: dict[Any, str] = {}
        for x in run.outputs:
            array = f"asarray({x.text})"
            if x.kind == "data":
                (moved if x.text[0] == "s" else changes).append(f"({self.refs[x.place]}, '_data', {array})")
            elif x.kind == "state":  # a number stays one, an array without axes does not become one
                states[x.place, x.item] = x.text if isinstance(x.value, Number) else array
        for i in sorted({i for i, _ in run.items}):
            texts = []
            for j in range(len(self.state.optimizers[i].state)):
                items = {key: states.get((i, (j, key)), place) for key, place in run.items.get((i, j), {}).items()}
                new = "".join(f"{key!r}: {text}, " for key, text in items.items())
                texts.append(f"{{{new}}}" if items else f"o{i}.state[{j}]")
            changes.append(f"(o{i}, 'state', [{', '.join(texts)}])")
        changes += [f"({self._leaf(i)}, 'grad', tensor_of({text}))" for i, text in self.kept.items()]
        cleared = [f"({self._leaf(i)}, 'grad', None)" for i in run.cleared]
        if cleared and all(self.refs[i][0] == "t" for i in run.cleared):  # made once
            name = self._name("k", eval(f"({_row(cleared)})", self.space))
            gone = " is ".join([f"{self._leaf(i)}.grad" for i in run.cleared])
            cleared = [f"*(() if {gone} is None else {name})"]
        return moved, changes + cleared

    def _result(self, run: Trace) -> str:
        """The text of the function's result."""
        parts = []
        for pick in run.picks:
            if isinstance(pick, Output | Text):
                parts.append(f"tensor_of({pick.text})" if isinstance(pick, Output) and pick.item else pick.text)
            else:
                parts.append(self._name("p", pick))
        tree = run.build([Text(part) for part in parts])
        try:
            if plain(tree):
                compile(text := written(tree), "<result>", "eval")
                return text
        except (SyntaxError, MemoryError, RecursionError):
            pass  # nested too deeply for Python to read
        self.space["build"] = run.build
        return f"build([{', '.join(parts)}])"

    def results(self, world: World, found: Any) -> dict[tuple[str, int], Any]:
        """{(what it is, number of a tensor): value} for all that a run has computed."""
        leaves = flatten(found)[0]
        results = {(f"result {i}" if len(leaves) > 1 else "the result", i): x for i, x in enumerate(leaves)}
        return results | world.results(self.kept)

    # ---- what `call` asks

    def renew(self) -> bool:
        """Whether all that was compared by identity is something for which the program is right, if not the same."""
        changed = ATTRIBUTES.number
        now = self.state.values()
        if not alike(now, self.taken, self.arrays):
            return False
        self.taken = now
        self.space |= {name: eval(text, self.space) for name, text in self.watched}
        self.changed = changed
        return True

    def adopt(self, k: int, array: Any) -> bool:
        """Whether the program can go on with another array for an input of the state."""
        if not same(array, self.space[f"d{k}"]):
            return False
        self.own = [None if slot.old == k else own for slot, own in zip(self.program.slots, self.own, strict=True)]
        self.space[f"d{k}"] = array
        return True

    def memory(self) -> list[Any]:
        """The arrays that a run writes: those of the state or spare ones if only the plan holds them, else new ones.

        Only arrays that the plan has made itself are written over, so never one that was given.
        """
        slots, own, spares = self.program.slots, self.own, self.spares
        found = zip(slots, self.alone, own, counts(own), spares, counts(spares), strict=True)
        return [a if n == alone else b if m == SPARE else empty(*slot.like) for slot, alone, a, n, b, m in found]

    def adopt_all(self, outs: list[Any]) -> None:
        """Remember the arrays of the state, which the plan has made.

        If an interrupt prevents this, they are not its own, and those that it takes for spare ones are held by others.
        """
        names = [f"d{slot.old}" for slot in self.program.slots]
        self.spares = [None if alone else own for alone, own in zip(self.alone, self.own, strict=True)]
        self.space |= {name: out for name, out in zip(names, outs, strict=True) if name in self.space}
        self.own = outs

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The result of the program for these leaves of the arguments; MISS if it is not for them.

        Raises Changed, before anything has happened, where a truth value is another one, or where a run of it is under
        way in this thread (which a signal handler has interrupted).
        """
        if self.lock.locked() and self.owner == get_ident():
            raise Changed
        with self.lock:
            self.owner = get_ident()
            try:
                found = self.call(*leaves)
            except GONE:
                if self.running:
                    raise
                return MISS
            finally:
                self.running = False
            self.count += found is not MISS
            return found


def _row(parts: Sequence[str]) -> str:
    return "".join(f"{part}, " for part in parts)


def asarray(x: Any) -> Any:
    """An output as an array."""
    return x if isinstance(x, np.ndarray) else np.asarray(x)


def _tensor_of(x: Any) -> Tensor:
    return tensor_of(asarray(x))


def plain(tree: Any) -> bool:
    """Whether a nest of texts is of tuples, lists and dicts themselves, not of types made from these."""
    if type(tree) is dict:
        return all(type(key) in (str, int) for key in tree) and all(map(plain, tree.values()))
    return all(map(plain, tree)) if type(tree) in (tuple, list) else type(tree) is Text
