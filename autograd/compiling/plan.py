"""A program in the place of a function: when it may be run, what it is given, and where its results go."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from threading import Lock, get_ident
from typing import Any

import numpy as np

from ..graph import next_number
from ..mode import MODE
from ..tensor import Tensor, tensor_of
from ..updating import set_all
from .calls import concrete
from .look import GRAD, KEPT, SEEN, Look
from .memory import is_aligned
from .outcome import Outcome
from .pending import LOST, Pending, Scale
from .places import alike, same
from .program import Changed, Program, update
from .results import GONE, Results
from .surroundings import Surroundings
from .tracing import Run

MISS = object()  # this program is not for this call


class Plan:
    """A program of a function, for arguments and surroundings like those of the run that was traced.

    `look` is a function that is written for this plan: it compares all that the program depends on with what it was,
    by identity, and runs the program, or returns MISS.  Where something is another object for which the program is
    right all the same, `refresh` makes that object the one to compare with.  `nest` is how the arguments are nested.
    """

    def __init__(self, program: Program, run: Run, around: Surroundings, leaves: Sequence[Any], nest: Any) -> None:
        self.program, self.around, self.texts, self.nest = program, around, run.texts, nest
        self.results = Results(run, around)
        self.names = [name for name, _ in run.tape.inputs]
        self.outlines = [(np.shape(v), getattr(v, "dtype", None)) for v in (concrete(x) for _, x in run.tape.inputs)]
        self.tensors, self.optimizers = list(around.tensors.values()), around.optimizers
        self.recording = MODE.get().recording
        self.outcome = Outcome(program, run, self.tensors)
        self.kept = self.outcome.kept()
        self.lock, self.owner = Lock(), 0  # the thread that has held the lock last
        self.scale = Scale()
        self.fresh = True  # whether the run under way has to give tensors and states something that was made anew
        self.others: list[Any] = []
        self.space = self._space()
        self.without = [t.grad is None for t in self.tensors]
        look = Look(self, leaves)
        self.text, self.watched, self.read = look.text, look.watched, look.read
        exec(compile(self.text, "<look>", "exec"), self.space)
        self.look = self.space["look"]
        read = [k in program.inputs and text[0] != "a" for k, text in enumerate(self.texts)]
        inputs = "".join(f"{text if is_read else None}, " for text, is_read in zip(self.texts, read, strict=True))
        self.inputs = eval(f"lambda: ({inputs})", self.space)  # what the program reads besides its arguments
        self.held = {i: self._count(i) for i in self.pending}
        self.hold()

    def _space(self) -> dict[str, Any]:
        """The names that `look` reads."""
        slots, out = self.program.slots, self.outcome
        self.pending: dict[int, Pending] = {}
        self.space = {
            "getrefcount": getrefcount, "MODE": MODE, "new": self._new, "renew": self._renew,
            "next_number": next_number, "program": self.program.run, "scale": self.scale, "plan": self, "MISS": MISS,
            "update": update, "asarray": np.asarray, "item": _item, "tensor_of": tensor_of,
            "hold": self.hold,
            **self.around.space,
        }  # fmt: skip
        self.space |= {f"t{i}": t for i, t in enumerate(self.tensors)}
        self.space |= {f"o{i}": o for i, o in enumerate(self.optimizers)}
        self.space |= {KEPT(k): slots[k].new() for k in self.kept}
        for i, place in out.pending.items():
            self.space[KEPT(place)] = slots[place].new()
            self._make_pending(i)
        return self.space

    def _make_pending(self, i: int) -> None:
        array = self.space[KEPT(self.outcome.pending[i])]
        self.pending[i] = self.space[GRAD(i)] = Pending(array, self.scale)

    # ---- when it may be run

    def refresh(self) -> bool:
        """Whether all that was compared by identity is something for which the program is right, if not the same."""
        try:
            seen = {SEEN(i): place.get() for i, place in enumerate(self.watched)}
            read = {name: eval(text, self.space) for name, text in self.read.items()}
        except GONE:
            return False
        if not all(same(value, self.space[name]) for name, value in seen.items()):
            return False
        if not all(alike(value, self.space[name]) for name, value in read.items()):
            return False
        self.others = [*self.others, *read.values()]  # first, for an interrupt could fall between these
        self.space |= seen | read
        self.hold()
        return True

    def watching(self) -> list[tuple[Any, Any]]:
        """The places that are watched, and what was there in the last run."""
        return [(place, self.space[SEEN(i)]) for i, place in enumerate(self.watched)]

    def hold(self) -> None:
        """Hold on to what may not be written over, so that it never seems to be held by nobody else.

        These are views, read-only arrays, and for the first run, which so moves the weights, all that `aligned` has not
        made.  It is called before that run and at its end; what somebody puts in the place of a weight after it, who
        may do so again and again, is written over as it is.
        """
        arrays = [self.space[name] for name in (*self.read, *map(KEPT, self.kept))]
        later = self.scale.run > 1
        self.others = [a for a in arrays if not (a.flags.writeable and (is_aligned(a) or (later and _owns(a))))]

    def _new(self, k: int) -> Any:
        """A new array for a slot whose own is held by others."""
        array = self.program.slots[k].new()
        if k in self.kept:
            old, self.space[KEPT(k)] = self.space[KEPT(k)], array
            self.others = [a for a in self.others if a is not old]  # which nobody reads again
        else:
            self.fresh = True
        return array

    def _count(self, i: int) -> int:
        return getrefcount(self.pending[i])

    def _renew(self, i: int, tensor: Tensor) -> bool:
        """A gradient that others hold is theirs, as it is now, and the tensor has another one after the next run."""
        if (tensor.grad is None) is not self.without[i]:
            return False
        if self.scale.broken:  # by an interrupt of what an interrupt is answered with
            self._lose_gradients(())
        pending = self.pending[i]
        if self._count(i) - 1 - (tensor.grad is pending) > self.held[i]:
            pending.settle()
            self.scale.settled = [p for p in self.scale.settled if p is not pending]
            self._make_pending(i)
        self.fresh = True
        return True

    # ---- a run

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The results of the program for these leaves of the arguments, as a list; MISS if it is not for them.

        Raises Changed, before anything has happened, where the program asks for a truth value and finds another, or
        where a run of it is under way in this thread: that of which a signal's handler has come in between.
        """
        if self.lock.locked() and self.owner == get_ident():
            raise Changed
        with self.lock:
            self.owner = get_ident()
            try:
                found = self.look(*leaves)
                if found is MISS and self.refresh():
                    found = self.look(*leaves)
            except Changed:
                self.scale.broken = False
                raise
            except BaseException as error:
                if self.scale.broken:  # the program itself has begun
                    self._lose_gradients(self.around.tensors_of(leaves))
                elif isinstance(error, GONE):
                    return MISS
                raise
            return found

    def _lose_gradients(self, tensors: Sequence[Tensor]) -> None:
        """After a run that was broken off: those who hold its gradients are told, and the next run makes others."""
        if tensors:
            set_all([tensors[i].node for i in self.pending], "grad", [*self.pending.values()])
        for i, pending in self.pending.items():
            if pending.scale is not None:
                pending.scale = LOST
            self._make_pending(i)
        self.scale.settled, self.fresh = [], True
        self.scale.broken = False


def _owns(x: Any) -> bool:
    """Whether an array owns its memory."""
    return type(x) is np.ndarray and bool(x.flags.owndata)


def _item(x: Any) -> Any:
    """An item of an optimiser's state."""
    return np.asarray(x) if isinstance(x, np.generic) else x
