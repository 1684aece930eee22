"""Where the outputs of a program go, and what is changed when it has run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph import next_number
from ..tensor import Tensor, tensor_of
from ..updating import set_all
from .calls import concrete
from .lines import Draft, Line, Value
from .memory import memory_of
from .program import Program, update
from .surroundings import Surroundings
from .tape import Traced
from .tracing import Run


class Outcome:
    """Where each output goes; a place is one in [*slots, *what the program returns].

    `data` and `grads` have the place for the number of a tensor, `states` for each changed state of an optimiser,
    (optimiser, parameter), those of its items.  `olds` says which input an output stands in for, by its place.
    `pending` are those of the gradients that stay in an array which is theirs alone, `factor` the place of what they
    have been multiplied by.  `once` says whether more is changed than buffers: a run must not be made twice.
    """

    def __init__(self, program: Program, run: Run, tensors: Sequence[Tensor]) -> None:
        self.slots = program.slots
        self.results: list[int] = []
        self.factor: int | None = None
        self.data: dict[int, int] = {}
        self.grads: dict[int, int] = {}
        self.states: dict[tuple[int, int], dict[str, int]] = {}
        self.olds: dict[int, int | None] = {}
        for target, (in_slot, k) in zip(run.targets, program.outputs, strict=True):
            place = k if in_slot else len(self.slots) + k
            if target.kind == "result":
                self.results.append(place)
            elif target.kind == "factor":
                self.factor = place
            elif target.kind == "state":
                j, key = target.item
                self.states.setdefault((target.place, j), {})[key] = place
                self.olds[place] = target.old
            elif target.kind == "data":
                self.data[target.place] = place
                self.olds[place] = target.old
            else:
                self.grads[target.place] = place
        self.cleared, self.stepped = run.cleared, run.stepped
        weights = any(tensors[i].requires_grad for i in self.data)
        self.once = weights or bool(self.grads or self.states or self.cleared)
        alone = {k for k in program.memory if program.memory.count(k) == 1}
        self.pending = {i: place for i, place in self.grads.items() if self.is_loose(place) and place in alone}

    def is_loose(self, place: int) -> bool:
        """Whether an output lies in an array of the plan's, and not over that of an input."""
        return place < len(self.slots) and self.slots[place].over is None

    def is_over(self, place: int) -> bool:
        """Whether an output may be written over the array that it stands in for."""
        return place < len(self.slots) and self.slots[place].over is not None

    def kept(self) -> list[int]:
        """The slots of arrays that are the plan's, until somebody else holds them."""
        return [k for k in range(len(self.slots)) if self.is_loose(k) and k not in self.pending.values()]


def apply(run: Run, around: Surroundings, leaves: Sequence[Any]) -> list[Any]:
    """Put what a traced run computed into the places that the function would have put it; the results.

    All of it in one call of C: after an interrupt all is as it was, or all is changed.
    """
    tensors, optimizers = around.tensors_of(leaves), around.optimizers
    own = _Owned(run)
    values = [own(x, target.kind) for x, target in zip(run.outputs, run.targets, strict=True)]
    changes: list[tuple[Any, str, Any]] = []
    states: dict[int, list[Any]] = {}
    number = next_number()  # of the gradients; those that are used are older than the step that uses them
    for target, value in zip(run.targets, values, strict=True):
        if target.kind == "data":
            changes.append((tensors[target.place], "_data", value))
        elif target.kind == "grad":
            leaf = tensors[target.place]._leaf
            changes += [(leaf, "grad", tensor_of(value)), (leaf, "added", number)]
            if leaf.grad is None:
                changes.append((leaf, "began", number))
        elif target.kind == "state":
            j, key = target.item
            if target.place not in states:
                states[target.place] = list(optimizers[target.place].state)
            if states[target.place][j] is optimizers[target.place].state[j]:
                states[target.place][j] = {}
            states[target.place][j][key] = value
    changes += [(optimizers[i], "state", state) for i, state in states.items()]
    changes += [(tensors[i]._leaf, "grad", None) for i in run.cleared]
    if run.stepped:
        changes += [(optimizer, "used", next_number()) for optimizer in optimizers]
    moved = [tensors[t.place].node for t in run.targets if t.kind == "data" and tensors[t.place].node is not None]
    set_all(moved, "stamp", [next_number()] * len(moved))  # a stamp too many only refuses a graph
    update((), (), (), (), changes)
    return [x for x, target in zip(values, run.targets, strict=True) if target.kind == "result"]


class _Owned:
    """The values of a traced run: the arrays that the function made, and copies of the program's constants."""

    def __init__(self, run: Run) -> None:
        self.arrays = {id(x.value): x.value for x in run.outputs if isinstance(x, Traced)}

    def __call__(self, x: Any, kind: str) -> Any:
        value = concrete(x)
        if isinstance(value, np.generic):
            return value if kind == "result" else np.array(value)
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in self.arrays:
            self.arrays[id(value)] = np.array(value, order="K")
        return self.arrays[id(value)]


def apart(draft: Draft, run: Run) -> None:
    """Copy an output that shares memory with a constant, or with an input or another output where it did not when the
    function ran: lines that compute the same are one line, but two results are two arrays.
    """
    values = [concrete(x) for x in run.outputs]
    inputs = [concrete(x) for _, x in run.tape.inputs]
    seen: dict[int, list[Any]] = {}  # {id of memory: the arrays of the run that lie in it here}
    for x, value in zip(draft.inputs, inputs, strict=True):
        seen.setdefault(id(x), []).append(value)
    for i, (x, value) in enumerate(zip(draft.outputs, values, strict=False)):
        if isinstance(x, np.ndarray):
            draft.outputs[i] = _copied(draft, x)
        elif isinstance(x, Value) and isinstance(value, np.ndarray):
            others = seen.setdefault(id(memory_of(x)), [])
            if any(not np.may_share_memory(value, other) for other in others):
                draft.outputs[i] = _copied(draft, x)
            else:
                others.append(value)


def _copied(draft: Draft, x: Any) -> Line:
    like = (x.shape, x.dtype, getattr(x, "order", "") or ("F" if x.shape and _is_fortran(x) else "C"))
    line = Line("copy", np.copy, (x, "K"), {}, ("forward", ""), like)
    draft.lines.append(line)
    return line


def _is_fortran(x: Any) -> bool:
    flags = getattr(x, "flags", None)
    return flags is not None and bool(flags.f_contiguous and not flags.c_contiguous)
