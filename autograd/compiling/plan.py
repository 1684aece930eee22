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
from ..updating import ATTRIBUTES
from .emit import Text, written
from .observe import alike, is_array, same
from .program import Number
from .schedule import Changed, Executable, update
from .state import Output, Recall, Run, State

MISS: Any = object()  # this program is not for this call


def _count_alone() -> int:
    """What `getrefcount` finds for an array that its tensor and, three times, a plan hold; interpreters differ."""
    holder = SimpleNamespace(array=np.empty(0))
    _space, _outs, owned = {"d0": holder.array}, [holder.array], [holder.array]
    return next(map(getrefcount, owned))


ALONE = _count_alone()


class Plan:
    """A program for arguments and surroundings like those of the run that was traced.

    `inputs` are the texts that read what the program is given; `moved` the state that it replaces, by output.
    """

    def __init__(self, program: Executable, run: Run, state: State, leaves: Sequence[Any], nest: Any) -> None:
        self.program, self.run, self.state, self.nest, self.texts = program, run, state, nest, run.texts
        self.refs, self.tensors = state.refs(), state.of(leaves)
        self.recording = MODE.get().recording
        self.count, self.audit_at = 1, 3  # calls of this signature, and the next one that is audited
        self.lock, self.owner, self.running = Lock(), 0, False
        self.drawn = [draw.owner for draw in run.tape.drawn.values()]
        self.changed = ATTRIBUTES.number  # that of the last change of a module's attribute
        self.taken, self.arrays = state.values(), set[int]()  # `arrays` are the numbers of the names that are inputs
        self.watched: list[tuple[str, Any]] = []  # names in the space, and how to read what they were
        self.outputs = [f"s{k}" if slot else f"found[{k}]" for slot, k in program.outputs]
        self.kept = {t.place: x for t, x in zip(run.targets, self.outputs, strict=True) if t.kind == "grad"}
        self.space: dict[str, Any] = {
            "MODE": MODE, "MISS": MISS, "update": update, "next_number": next_number, "program": program.run,
            "plan": self, "getrefcount": getrefcount, "tensor_of": _tensor_of, "asarray": asarray,
            "ATTRIBUTES": ATTRIBUTES,
        }  # fmt: skip
        self.space |= {ref: t for ref, t in zip(self.refs, self.tensors, strict=True) if ref[0] == "t"}
        self.space |= {f"n{i}": place.holder for i, place in enumerate(state.names)}
        for i, optimizer in enumerate(state.optimizers):
            self.space |= {f"o{i}": optimizer} | {f"g{i}_{j}": group for j, group in enumerate(optimizer.groups)}
        exec(compile(self._text(leaves), "<call>", "exec"), self.space)
        self.run = run._replace(given=[], outputs=[])  # these hold the arrays that were traced
        self.tensors = list(state.tensors.values())  # an argument is another one in the next call
        self.leaves: Sequence[Any] = ()
        self.call = self.space["call"]
        slots = [(t, k) for t, (in_slot, k) in zip(run.targets, program.outputs, strict=True) if in_slot]
        self.slots = [target for target, _ in sorted(slots, key=lambda pair: pair[1])]  # where each slot goes
        self.spares: list[Any] = [None] * len(self.slots)
        self.replaced: list[Any] = []  # the next spares, if the run comes to its end
        self.owned: list[Any] = []  # arrays of the state that this plan has made, and the lists and dicts around them
        self.counts: list[int] = []  # their reference counts if nobody else holds them
        self.alone: list[int] | None = None  # these counts, if all that the program writes over is in `owned`
        self.outs: list[Any] = []

    # ---- the text of `call`

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

    def _conditions(self, leaves: Sequence[Any]) -> list[str]:
        """When the program is right without looking any further."""
        say = [f"(mode := MODE.get()).recording is {self.recording}", "mode.observer is None"]
        for i, leaf in enumerate(leaves):
            say += self._alike(f"a{i}", leaf)
        say += self._one_tensor_each(leaves)
        same_names = ["ATTRIBUTES.number == plan.changed"]
        for i, (place, text) in enumerate(zip(self.state.names, self.state.name_texts(), strict=True)):
            if text in self.texts:
                self.arrays.add(i)
                continue
            value = place.get()
            same_names.append(self._watch(f"plan.state.names[{i}].get()" if value is place else text, value))
        for f in self.state.functions:
            name = self._name("f", f)
            same_names += [self._watch(f"{name}.{x}", getattr(f, x)) for x in ("__defaults__", "__kwdefaults__")]
        say.append(f"({' and '.join(same_names)} or plan.renew())")
        for i, optimizer in enumerate(self.state.optimizers):
            say.append(f"len(o{i}.groups) == {len(optimizer.groups)} and len(o{i}.params) == {len(optimizer.params)}")
            for j, group in enumerate(optimizer.groups):
                say.append(f"o{i}.groups[{j}] is g{i}_{j} and len(g{i}_{j}['params']) == {len(group['params'])}")
                say += [f"g{i}_{j}[{key!r}] is {self._name('v', x)}" for key, x in group.items() if key != "lr"]
        for i, (ref, tensor) in enumerate(zip(self.refs, self.tensors, strict=True)):
            if ref[0] == "t":
                say.append(f"{ref}.node is {self._leaf(i) if tensor.requires_grad else None}")
            if i in self.run.without or (tensor.grad is None and self._may_gain(tensor)):
                say.append(f"{ref}.grad is None")
        for target in self.run.targets:
            if target.kind == "state" and target.old is None:
                say.append(f"{target.item[1]!r} not in o{target.place}.state[{target.item[0]}]")
        return say

    def _may_gain(self, tensor: Tensor) -> bool:
        """Whether a tensor without a gradient may have one in another call, and the function would read it."""
        stepped = any(tensor is p for optimizer in self.state.optimizers for p in optimizer.params)
        return stepped or (self.recording and tensor.node.__class__ is Leaf)

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

    def _one_tensor_each(self, leaves: Sequence[Any]) -> list[str]:
        """That two leaves are one where they were one, and two where they were two."""
        found = {id(t): ref for ref, t in zip(self.refs, self.tensors, strict=True)}
        say = []
        given = [(f"a{i}", x) for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.node.__class__ is Leaf]
        for name, x in given:
            if found[id(x)] != name:
                say.append(f"{name} is {found[id(x)]}")
        if given:
            every = ", ".join(f"id({ref})" for ref in self.refs)
            say.append(f"len({{{every}}}) == {len(self.refs)}")
        return say

    def _inputs(self) -> tuple[list[str], list[str]]:
        """How the program's inputs are read, and that arrays of the state are those of the last run."""
        given, say = [], []
        for k in self.program.inputs:
            text = self.texts[k]
            if text[0] == "a" and ".grad" not in text:
                given.append(text)
                continue
            value = eval(text, self.space | self._arguments)
            if isinstance(value, np.ndarray):
                self.space[f"d{k}"] = value
                say.append(f"({text} is d{k} or plan.adopt({k}, {text}))")
            else:
                say.append(f"{text}.__class__ is {self._name('c', type(value))}")
            given.append(text)
        return given, say

    def _text(self, leaves: Sequence[Any]) -> str:
        self._arguments = {f"a{i}": x for i, x in enumerate(leaves)}
        given, inputs = self._inputs()
        say = [*self._conditions(leaves), *inputs]
        attributes, items = self._changes()
        del self._arguments
        slots = [f"s{k}" for k in range(len(self.program.slots))]
        tests = "\n        and ".join(say)
        lines = [f"def call({', '.join(f'a{i}' for i in range(len(leaves)))}):"]
        lines += [f"if not (\n        {tests}\n    ):", "    return MISS"]
        if slots or items:
            lines.append("in_place = list(map(getrefcount, plan.owned)) == plan.alone")
        if slots:
            lines.append(f"{_row(slots)} = plan.outs if in_place else plan.memory()")
        lines.append(f"plan.running = {' = '.join(['number', *self._stamps()])} = next_number()")
        lines.append(f"found{', last' if self.program.moves else ''} = program({', '.join([*given, *slots])})")
        last = "*last" if self.program.moves else "(), (), (), ()"
        changes = f"({_row(attributes)})"
        if slots or items:
            lines.append(f"if in_place: update({last}, {changes}, ({_row(items)}))")
            every = ", ".join(self.outputs)
            lines.append(f"else: plan.move(({last.lstrip('*') if self.program.moves else last}), [{every}], {changes})")
        elif self.program.moves or attributes:
            lines.append(f"update({last}, {changes})")
        lines.append(f"return {self._result()}")
        return "\n    ".join(lines) + "\n"

    def _stamps(self) -> list[str]:
        """What is given the number of a run; one too many, after an interrupt, only refuses a graph."""
        moved = [t.place for t in self.run.targets if t.kind == "data" and self.tensors[t.place]._leaf is not None]
        found = [f"{self._leaf(i)}.stamp" for i in moved]
        found += [f"o{i}.used" for i in range(len(self.state.optimizers))]
        for i in self.kept:
            found += [f"{self._leaf(i)}.added", *([f"{self._leaf(i)}.began"] * (i in self.run.without))]
        return found

    def _changes(self) -> tuple[list[str], list[str]]:
        """What is set after every run besides the slots: attributes, and items of an optimiser's states."""
        attributes = [f"({self._leaf(i)}, 'grad', tensor_of({text}))" for i, text in self.kept.items()]
        cleared = [f"({self._leaf(i)}, 'grad', None)" for i in self.run.cleared]
        if cleared and all(self.refs[i][0] == "t" for i in self.run.cleared):  # made once
            name = self._name("k", eval(f"({_row(cleared)})", self.space))
            gone = " is ".join([f"{self._leaf(i)}.grad" for i in self.run.cleared])
            cleared = [f"*(() if {gone} is None else {name})"]
        attributes += cleared
        items = []
        for target, (in_slot, _), text in zip(self.run.targets, self.program.outputs, self.outputs, strict=True):
            if target.kind == "data" and not in_slot:
                attributes.append(f"({self.refs[target.place]}, '_data', asarray({text}))")
            elif target.kind == "state" and not in_slot:
                j, key = target.item
                items.append(f"(o{target.place}.state[{j}], {key!r}, {self._item(target, text)})")
        return attributes, items

    def _item(self, target: Any, text: str) -> str:
        """An item of a state: a number stays one, an array without axes does not become one."""
        output = self.run.outputs[self.run.targets.index(target)]
        return text if isinstance(output, Number) else f"asarray({text})"

    def _result(self) -> str:
        """The text of the function's result."""
        places = iter(self.outputs)
        parts = []
        for pick in self.run.picks:
            if isinstance(pick, Recall):
                parts.append(pick.text)
            elif isinstance(pick, Output):
                output = next(places)
                parts.append(f"tensor_of({output})" if pick.tensor else output)
            else:
                parts.append(self._name("p", pick))
        tree = self.run.build([Text(part) for part in parts])
        try:
            if plain(tree):
                compile(text := written(tree), "<result>", "eval")
                return text
        except (SyntaxError, MemoryError, RecursionError):
            pass  # nested too deeply for Python to read
        self.space["build"] = self.run.build
        return f"build([{', '.join(parts)}])"

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
        self.space[f"d{k}"] = array
        self.alone = None
        return True

    def memory(self) -> list[Any]:
        """The arrays that a run writes: those of the state that nobody else holds, else new ones.

        Only arrays that the plan has made itself are written over, so never one that was given.  Those of an optimiser
        are in dicts that others may hold, too.
        """
        counts = list(map(getrefcount, self.owned))
        alone = {id(x) for x, n, usual in zip(self.owned, counts, self.counts, strict=True) if n <= usual}
        outs, spares = [], self.spares
        self.spares, self.replaced = [None] * len(spares), [None] * len(spares)
        for k, (slot, target, spare) in enumerate(zip(self.program.slots, self.slots, spares, strict=True)):
            old = self.space.get(f"d{target.old}")
            ours = id(old) in alone and (target.kind == "data" or self._states(target) <= alone)
            if ours and slot.over is not None:
                outs.append(old)
            else:
                outs.append(slot.new() if spare is None else spare)
                self.replaced[k] = old if ours else None
        return outs

    def _states(self, target: Any) -> set[int]:
        """The ids of the list and the dict that an item of an optimiser's state is in."""
        states = self.state.optimizers[target.place].state
        return {id(states), id(states[target.item[0]])}

    def move(self, last: Any, outputs: Sequence[Any], attributes: Sequence[Any]) -> None:
        """Make the update of a run that has not written over all that it replaces, and own what is there now."""
        changes = list(attributes)
        states: dict[int, list[Any]] = {}
        for target, value in zip(self.run.targets, outputs, strict=True):
            if target.kind == "data":
                tensor = self.state.of(self.leaves)[target.place]
                changes.append((tensor, "_data", asarray(value)))
            elif target.kind == "state":
                j, key = target.item
                own = states.setdefault(target.place, list(self.state.optimizers[target.place].state))
                if own[j] is self.state.optimizers[target.place].state[j]:
                    own[j] = dict(own[j]) if target.old is not None else {}
                own[j][key] = value if isinstance(value, int | float) else asarray(value)
        changes += [(self.state.optimizers[i], "state", own) for i, own in states.items()]
        functions, a, b, out = last
        update(functions, a, b, out, changes)
        self.spares, self.replaced = self.replaced, []
        self._own(outputs, [x for i in states for x in (states[i], *states[i])])

    def _own(self, outputs: Sequence[Any], states: list[Any]) -> None:
        """Remember the arrays of the state, which are the plan's now, and how often they are held.

        After an interrupt the plan owns nothing.
        """
        self.alone, self.owned, self.counts = None, [], []
        owned: list[Any] = []
        counts: list[int] = []
        for target, (in_slot, _), value in zip(self.run.targets, self.program.outputs, outputs, strict=True):
            if target.kind in ("data", "state") and target.old is not None and isinstance(value, np.ndarray):
                self.space[f"d{target.old}"] = value
                if in_slot:
                    owned.append(value)
                    counts.append(ALONE)
        owned += states
        counts += [ALONE - 2] * len(states)  # in `owned`, but not in the space and `outs`
        over = all(slot.over is not None for slot in self.program.slots)
        self.outs = [self.space[f"d{target.old}"] for target in self.slots]
        self.owned, self.counts, self.alone = owned, counts, counts if over else None

    # ---- a run

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
                self.leaves = leaves
                found = self.call(*leaves)
            except GONE:
                if self.running:
                    raise
                return MISS
            finally:
                self.running, self.leaves = False, ()
            self.count += found is not MISS
            return found


GONE = (KeyError, IndexError, AttributeError, ValueError)  # a name, an item or a cell that is read is not there


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
