"""A program in the place of a function: when it may be run, what it is given, and where its results go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import chain, repeat
from operator import setitem
from sys import getrefcount
from typing import Any

import numpy as np

from ..graph import HOOKS, next_number
from ..mode import MODE
from ..tensor import USED, Tensor, set_all, tensor_of
from .pending import Pending, Scale
from .program import Changed, Program
from .surroundings import Surroundings, alike
from .tape import concrete
from .tracing import Pick, Run, Target

MISS = object()  # this program is not for this call
GONE = (KeyError, IndexError, AttributeError, ValueError)  # a name, an item or a cell that was watched is not there


def _alone() -> int:
    """What getrefcount says in a function like `look` of an object that nobody else holds; interpreters differ."""
    space: dict[str, Any] = {"getrefcount": getrefcount, "x": np.empty(0)}
    exec("def look():\n    return getrefcount(x)", space)
    count: int = space["look"]()
    return count


ALONE = _alone()


class Move:
    """An output that takes the place of a tensor's data, or of an item of an optimiser's state.

    `place` is where it is in [*slots, *what the program returns], `slot` the number of a slot whose array changes
    places with the old one, and `name` that of the old one in `look`.
    """

    def __init__(self, target: Target, place: int, slot: int | None) -> None:
        self.kind, self.owner, self.item = target.kind, target.place, target.item
        self.place, self.slot = place, slot
        self.name = None if target.old is None else f"d{target.old}"


class Plan:
    """A program of a function, for arguments and surroundings like those of the run that was traced.

    `look` is a function that is written for this plan: it compares all that the program depends on with what it was,
    by identity, and runs the program, or returns MISS.  Where something is another object for which the program is
    right all the same, `refresh` makes that object the one to compare with.
    """

    def __init__(self, program: Program, run: Run, around: Surroundings, leaves: Sequence[Any]) -> None:
        self.program, self.around, self.texts = program, around, run.texts
        self.build, self.picks, self.captured = run.build, run.picks, run.captured
        self.tape_inputs = [(name, None) for name, _ in run.tape.inputs]
        self.outlines = [(np.shape(v), getattr(v, "dtype", None)) for v in (concrete(x) for _, x in run.tape.inputs)]
        self.tensors, self.optimizers = list(around.tensors.values()), around.optimizers
        self.cleared = run.cleared
        self.recording = MODE.get().recording
        self.live = any(pick is Pick.ALIVE for pick in run.picks)
        self.single = len(run.picks) == 1 and isinstance(run.picks[0], Pick) and run.build([0]) == 0
        self.flat, self.shape = -1, Any  # how many arguments there are if none is nested; how they are nested
        self.lock = threading.Lock()
        self.leaves = list(leaves)
        self.scale = Scale()
        self.fresh = False  # whether a slot that may be written over was given a new array for the run under way
        self.stale = True  # whether gradients have to be put into their tensors after it
        self.space: dict[str, Any] = {
            "ndarray": np.ndarray, "getrefcount": getrefcount, "MODE": MODE, "HOOKS": HOOKS, "new": self._new,
            "renew": self._renew, "next_number": next_number, "program": program.run, "scale": self.scale, "plan": self,
            "MISS": MISS, "unhooked": self._unhooked, **around.space,
        }  # fmt: skip
        self.space |= {f"t{i}": t for i, t in enumerate(self.tensors)}
        self.space |= {f"o{i}": o for i, o in enumerate(self.optimizers)}
        self.space |= {f"a{i}": x for i, x in enumerate(leaves)}  # for `_value` while this is made
        self._sort(run)
        self.text = self._text()
        exec(compile(self.text, "<look>", "exec"), self.space)
        self.look = self.space["look"]
        self.held = {i: self._count(i) for i in self.pending}
        for i in range(len(leaves)):
            del self.space[f"a{i}"]
        del self.leaves

    def _sort(self, run: Run) -> None:
        """Where each output goes."""
        slots = self.program.slots
        self.results: list[int] = []
        self.factor: int | None = None
        self.moves: list[Move] = []
        self.grads: list[tuple[int, int]] = []
        pending: dict[int, int] = {}
        for target, (in_slot, k) in zip(run.targets, self.program.outputs, strict=True):
            place = k if in_slot else len(slots) + k
            if target.kind == "result":
                self.results.append(place)
            elif target.kind == "factor":
                self.factor = place
            elif target.kind == "grad":
                pending[target.place] = place
            else:
                swapped = in_slot and slots[k].over is None and target.old is not None
                self.moves.append(Move(target, place, k if swapped else None))
        self.moved = [move.owner for move in self.moves if move.kind == "data"]
        self.pending: dict[int, Pending] = {}
        self.loose = {k for k, slot in enumerate(slots) if slot.over is None}  # arrays that others may come to hold
        self.space |= {f"k{k}": slots[k].new() for k in self.loose}
        for i, place in pending.items():
            own = place in self.loose and place not in self.results and [*pending.values()].count(place) == 1
            if own:
                self._make_pending(i, self.space[f"k{place}"])
                self.loose.remove(place)
            else:
                self.grads.append((i, place))
        # with nothing but pending gradients and arrays that are written over, there is nothing to set after a run
        over = all(move.place < len(slots) and slots[move.place].over is not None for move in self.moves)
        self.quiet = over and not self.grads and not self.cleared

    def _make_pending(self, i: int, array: Any) -> None:
        self.pending[i] = self.space[f"g{i}"] = Pending(array, self.scale, USED if self.moved else 0)

    # ---- when it may be run

    def _text(self) -> str:
        """The text of `look`."""
        refs, space = self.around.refs, self.space
        conditions = [
            f"(mode := MODE.get()).recording is {self.recording}",
            "mode.observer is None",
            "(not HOOKS or unhooked())",
        ]
        for i, leaf in enumerate(self.leaves):
            conditions += self._like(f"a{i}", leaf)
        arrays = {id(place) for place in self.around.arrays.values()}
        self.watched = [place for place in self.around.places if id(place) not in arrays]
        for i, place in enumerate(self.watched):
            space[f"v{i}"] = place.get()
            conditions.append(f"{place.text} is v{i}")
        for place in self.around.arrays.values():
            conditions += self._like(place.text, place.get())
            if self.around.constant:
                content = f"b{len(space)}"
                space[content] = place.get().tobytes()
                conditions.append(f"{place.text}.tobytes() == {content}")
        for module in self.around.modules:
            if "_hooks" in vars(module):
                hooks = f"m{len(space)}"
                space[hooks] = vars(module)["_hooks"]
                conditions.append(f"not {hooks}")
        conditions += [f"len({name}) == {len(space[name])}" for name in self.around.holders]
        # whether some code asks for gradients: that of the function, or the optimisers and backward()
        gradients = "grad" in self.around.names or any(text.endswith(".grad.data") for text in self.texts_read())
        set_ = {*self.cleared, *(i for i, _ in self.grads)}
        self.without = [t.grad is None for t in self.tensors]
        for i, (ref, tensor) in enumerate(zip(refs, self.tensors, strict=True)):
            if ref[0] == "t":
                conditions.append(f"{ref}.requires_grad is {tensor.requires_grad}")
            if i in self.pending:
                own = f"{ref}.grad is g{i} and getrefcount(g{i}) == {ALONE + 2}"
                conditions.append(f"({own} or renew({i}, {ref}))")
            elif gradients or i in set_:
                conditions.append(f"({ref}.grad is None) is {self.without[i]}")
        for i, optimizer in enumerate(self.optimizers):
            conditions += [f"len(o{i}.state[{j}]) == {len(own)}" for j, own in enumerate(optimizer.state)]
        given, locals_ = [], []
        self.read: dict[str, str] = {}  # arrays that are compared by identity, and the texts that read them
        for k in self.program.inputs:
            text = self.texts[k]
            fixed = text[0] == "o" or (text[0] == "t" and not text.endswith(".grad.data"))
            if fixed and isinstance(self._value(text), np.ndarray):
                self.read[f"d{k}"] = text
                conditions.append(f"{text} is d{k}")
                space[f"d{k}"] = self._value(text)
            if text.endswith(".grad.data"):  # read before the program begins
                locals_.append(f"i{k} = {text}")
                text = f"i{k}"
            given.append(f"d{k}" if f"d{k}" in self.read else text)
        arguments = ", ".join(f"a{i}" for i in range(len(self.leaves)))
        tests = "\n        and ".join(conditions)
        lines = [f"def look({arguments}):", f"if not (\n        {tests}\n    ):", "    return MISS"]
        lines += locals_
        slots = [f"s{k}" for k in range(len(self.program.slots))]
        lines += [f"s{k} = {self._slot_text(k)}" for k in range(len(slots))]
        if self.moved:  # a stamp too many only refuses a graph
            lines.append(f"{' = '.join(f'{refs[i]}.stamp' for i in self.moved)} = next_number()")
        lines += ["scale.broken = True", f"returned = program({', '.join([*given, *slots])})", "scale.broken = False"]
        if self.factor is not None:
            lines.append(f"scale.factor = {self._found_text(self.factor)}")
        lines.append("scale.run += 1")
        lines.append(f"if {'plan.fresh or plan.stale' if self.quiet else True}:")
        lines.append(f"    plan.set([{', '.join(refs)}], [{', '.join([*slots, '*returned'])}])")
        lines.append(f"return [{', '.join(map(self._found_text, self.results))}]")
        return "\n    ".join(lines) + "\n"

    def _slot_text(self, k: int) -> str:
        """The array that a slot is given."""
        over = self.program.slots[k].over
        if over is None:
            return f"k{k} if getrefcount(k{k}) == {ALONE} else new({k})" if k in self.loose else f"k{k}"
        return (
            f"d{over} if getrefcount(d{over}) == {ALONE + 1} else new({k})" if f"d{over}" in self.read else f"new({k})"
        )

    def _found_text(self, place: int) -> str:
        count = len(self.program.slots)
        return f"s{place}" if place < count else f"returned[{place - count}]"

    def texts_read(self) -> list[str]:
        """The expressions of the inputs that the program reads."""
        return [self.texts[k] for k in self.program.inputs]

    def _like(self, text: str, x: Any) -> list[str]:
        """Conditions that x is as it was: an array of the same outline, or the same object or plain value."""
        name = f"c{len(self.space)}"
        self.space[name] = type(x)
        conditions = [f"{text}.__class__ is {name}"]
        if isinstance(x, Tensor):
            conditions += [f"{text}.requires_grad is {x.requires_grad}", f"({text}.node is None) is {x.node is None}"]
            k = next((k for k, t in enumerate(self.tensors) if t is x), None)
            if k is not None and self.around.refs[k] != text:  # one that the function also finds elsewhere
                return [*conditions, f"{text} is {self.around.refs[k]}"]
            text, x = f"{text}.data", x.data
        if isinstance(x, np.ndarray):
            self.space[f"{name}d"] = x.dtype
            return [
                *conditions,
                f"{text}.shape == {x.shape} and {text}.strides == {x.strides} and {text}.dtype == {name}d",
            ]
        self.space[f"{name}x"] = x
        plain = isinstance(x, int | float | complex | str | bytes)
        return [*conditions, f"({text} is {name}x{f' or {text} == {name}x' if plain else ''})"]

    def _value(self, text: str) -> Any:
        return eval(text, self.space)

    def values(self) -> list[Any]:
        """What the inputs besides the arguments are now."""
        return [None if text[0] == "a" else self._value(text) for text in self.texts]

    def refresh(self) -> bool:
        """Whether all that was compared by identity is something for which the program is right, if not the same."""
        try:
            news = {f"v{i}": place.get() for i, place in enumerate(self.watched)}
            news |= {name: self._value(text) for name, text in self.read.items()}
        except GONE:
            return False
        if not all(alike(value, self.space[name]) for name, value in news.items()):
            return False
        self.space |= news
        return True

    def _new(self, k: int) -> Any:
        """A new array for a slot whose own is held by others."""
        slot = self.program.slots[k]
        array = slot.new()
        if slot.over is None:
            self.space[f"k{k}"] = array
        else:
            self.fresh = True
        return array

    def _unhooked(self) -> bool:
        return not any(HOOKS.get(id(tensor)) for tensor in self.tensors)

    def _count(self, i: int) -> int:
        return getrefcount(self.pending[i])

    def _renew(self, i: int, tensor: Tensor) -> bool:
        """A gradient that others hold is theirs, as it is now, and the tensor has another one after the next run."""
        if (tensor.grad is None) is not self.without[i]:
            return False
        if self._count(i) - (tensor.grad is self.pending[i]) > self.held[i]:
            self.pending[i].settle()
            self._make_pending(i, self.pending[i].array)
        self.stale = True
        return True

    # ---- a run

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The results of the program for these leaves of the arguments, as a list; MISS if it is not for them.

        Raises Changed, before anything has happened, where the program asks for a truth value and finds another.
        """
        with self.lock:
            try:
                found = self.look(*leaves)
                if found is MISS and self.refresh():
                    found = self.look(*leaves)
            except GONE:
                if self.scale.broken:  # the program itself has begun
                    raise
                return MISS
            except Changed:
                self.scale.broken = self.fresh = False
                raise
            return found

    def set(self, tensors: Sequence[Tensor], found: Sequence[Any]) -> None:
        """Put the outputs, [*slots, *what the program returned], into their places."""
        self._move(tensors, found)
        if self.stale:
            set_all([tensors[i] for i in self.pending], "grad", [*self.pending.values()])
            self.stale = False
        for i, place in self.grads:
            tensors[i].grad = tensor_of(np.asarray(found[place]))
        for i in self.cleared:
            tensors[i].grad = None

    def _move(self, tensors: Sequence[Tensor], found: Sequence[Any]) -> None:
        """Set data and states, in one call of C: an interrupt leaves all of them as they were, or none."""
        owners, arrays, dicts, keys, items = [], [], [], [], []
        for move in self.moves:
            value = found[move.place]
            if move.kind == "data":
                owners.append(tensors[move.owner])
                arrays.append(np.asarray(value))
            else:
                j, key = move.item
                dicts.append(self.optimizers[move.owner].state[j])
                keys.append(key)
                items.append(np.asarray(value) if isinstance(value, np.generic) else value)
        data = map(setattr, owners, repeat("data"), arrays)
        deque(chain(data, map(setitem, dicts, keys, items)), maxlen=0)
        space = self.space
        for move in self.moves:
            if move.name in self.read:
                if move.slot is not None:
                    space[f"k{move.slot}"] = space[move.name]
                space[move.name] = np.asarray(found[move.place])
        self.fresh = False
