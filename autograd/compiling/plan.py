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
from .calls import concrete
from .look import Look
from .pending import Pending, Scale
from .places import alike, same
from .program import Changed, Program
from .surroundings import Surroundings
from .tracing import Pick, Run, Target

MISS = object()  # this program is not for this call
GONE = (KeyError, IndexError, AttributeError, ValueError)  # a name, an item or a cell that was watched is not there


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
        self._sort(run)
        self.without = [t.grad is None for t in self.tensors]
        look = Look(self, leaves)
        self.text, self.watched, self.read = look.text, look.watched, look.read
        exec(compile(self.text, "<look>", "exec"), self.space)
        self.look = self.space["look"]
        self.held = {i: self._count(i) for i in self.pending}

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

    def values(self) -> list[Any]:
        """What the inputs besides the arguments are now."""
        return [None if text[0] == "a" else eval(text, self.space) for text in self.texts]

    def refresh(self) -> bool:
        """Whether all that was compared by identity is something for which the program is right, if not the same."""
        try:
            news = {f"v{i}": place.get() for i, place in enumerate(self.watched)}
            news |= {name: eval(text, self.space) for name, text in self.read.items()}
        except GONE:
            return False
        if not all((same if name[0] == "v" else alike)(value, self.space[name]) for name, value in news.items()):
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
