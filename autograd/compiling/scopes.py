"""The straight line of a program: in which order its lines run, and which memory each result lies in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .block_scope import BlockScope
from .blocks import LARGE, Block, scheduled
from .calls import Number, identifier
from .lines import Draft, Input, Line, Value, drawing, needed, values_in
from .memory import Memory, aligned, has_out, making, memory_of
from .writing import FLAT, Constants, Scope, numbers_in

END = 1 << 60  # after the last line


class Slot(NamedTuple):
    """An array that leaves the program: every run is given one, to be written into.

    `over` is the place of the input that it may be, if nobody else holds that array: it is written last of all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    order: Any
    over: int | None = None

    @property
    def text(self) -> str:
        """How such an array is made."""
        return making("np.empty", self.shape, self.dtype, self.order)

    def new(self) -> Any:
        """Such an array."""
        return aligned(self.shape, self.dtype, self.order)


class Main(Scope):
    """The function that is the program."""

    def __init__(
        self,
        draft: Draft,
        names: Sequence[str],
        replaces: Sequence[int | None],
        constants: Constants,
        exact: bool,
        threads: int,
    ) -> None:
        super().__init__(constants, Memory("b", constants.prepared.__setitem__))
        self.draft, self.threads = draft, threads
        self.blocks: list[str] = []
        self.count = 0
        self.numbers: dict[tuple[str, Any], str] = {}  # {the text and dtype of a number: the array that it is put into}
        self._name_inputs()
        last = self._moves(replaces)
        self._choose_slots(names, last)
        checks = self._checks()
        apart = {id(line) for line in checks} | last.keys()
        later = scheduled([line for line in draft.lines if id(line) not in apart], exact)
        moves = [line for line in draft.lines if id(line) in last]
        self.last = self._last_uses([*checks, *later, *moves])
        self.heading = self.update = ""
        lines = {id(line) for line in checks}
        for i, line in enumerate(checks):
            self._step(i, line, "# checks")
            self._guard(asked for asked in draft.guards if asked[0] is line)
        self._guard(asked for asked in draft.guards if id(asked[0]) not in lines)
        for i, item in enumerate(later, len(checks)):
            self._step(i, item)
        if moves:
            self._write_moves(moves)

    def _guard(self, guards: Iterable[tuple[Any, bool]]) -> None:
        """What stops a program that is for other values, before the next line that could fail for these."""
        for asked, answer in guards:
            self.lines.append(f"if {'not ' * answer}{self.text(asked)}: raise Changed")

    def _moves(self, replaces: Sequence[int | None]) -> dict[int, int]:
        """{id of a line: place of an input}: sums and the like that come last, and may be written over that input."""
        inputs, users = self.draft.inputs, self.draft.users()
        held = [id(memory_of(x)) for x in self.draft.outputs if isinstance(x, Value)]
        found: dict[int, int] = {}
        for line, place in zip(self.draft.outputs, replaces, strict=True):
            if place is None or not isinstance(line, Line) or not isinstance(inputs[place], Input):
                continue
            old = inputs[place]
            large = line.size * line.dtype.itemsize >= LARGE
            chained = large and any(isinstance(x, Line) and x.elementwise() for x in line.args)
            if (
                line.is_call(np.add, np.subtract, np.multiply, np.divide)
                and line.like == old.like
                and has_out(line)
                and not chained
                and not users.get(id(line))
                and held.count(id(line)) == 1
                and id(old) not in held
            ):
                found[id(line)] = place
        over = {id(inputs[place]): key for key, place in found.items()}
        for line in self.draft.lines:  # none may read what another has written over
            if id(line) in found and any(
                over.get(id(memory_of(x)), id(line)) != id(line) for x in values_in(line.args)
            ):
                del found[id(line)]
        return found

    def _write_moves(self, moves: Sequence[Line]) -> None:
        """`update` is the text of the arguments of the last call, which makes all moves."""
        self.lines.append(
            "# update: made by the caller, in one call, so that an interrupt falls before or after all of it"
        )
        functions = ", ".join(f"np.{line.function.__name__}" for line in moves)
        self.constants.prepared["moves"] = f"({functions},)"
        a, b = (", ".join(self.text(line.args[k]) for line in moves) for k in (0, 1))
        for line in moves:
            self.names[id(line)] = self.slots[id(line)].name
        out = ", ".join(self.names[id(line)] for line in moves)
        self.update = f"(moves, ({a},), ({b},), ({out},))"

    def _checks(self) -> list[Line]:
        """The lines that the guards need, which come first, so that a run that fails has done nothing."""
        checks = needed(self.draft.lines, [asked for asked, _ in self.draft.guards])
        drawn = drawing(checks)
        if drawn:  # what is drawn before is drawn before here, too
            every = drawing(self.draft.lines)
            checks = needed(self.draft.lines, [*checks, *every[: every.index(drawn[-1])]])
        return checks

    def _name_inputs(self) -> None:
        """The inputs that are read, and their names."""
        ends = [self.draft.outputs, [asked for asked, _ in self.draft.guards]]
        held = [*ends, *((line.args, line.kwargs) for line in self.draft.lines)]
        read = {id(x) for x in values_in(held)}
        words = set(re.findall(r"\w+", " ".join(number.text for number in numbers_in(held))))
        self.inputs: list[int] = []
        self.arguments: list[str] = []
        for i, given in enumerate(self.draft.inputs):
            name = given.name if isinstance(given, Input) else given.text
            self.names[id(given)] = name
            if id(given) in read or (isinstance(given, Number) and name in words):
                self.inputs.append(i)
                self.arguments.append(name)

    def _choose_slots(self, names: Sequence[str], last: dict[int, int]) -> None:
        self.slots: dict[int, Slot] = {}
        taken = set(self.names.values())
        for value, wanted in zip(self.draft.outputs, names, strict=True):
            line: Any = memory_of(value) if isinstance(value, Value) else None
            if line is not None and has_out(line) and id(line) not in self.slots:
                slot = Slot(identifier(wanted, taken), line.shape, line.dtype, line.order, last.get(id(line)))
                taken.add(slot.name)
                self.slots[id(line)] = slot

    def _last_uses(self, items: Sequence[Line | Block]) -> dict[int, int]:
        """After which item the memory of each result is free."""
        last: dict[int, int] = {}
        for i, item in enumerate(items):
            for line in item.lines if isinstance(item, Block) else [item]:
                for x in (line, *values_in((line.args, line.kwargs))):
                    last[id(x)] = last[id(memory_of(x))] = i
        for x in values_in((self.draft.outputs, [asked for asked, _ in self.draft.guards])):
            last[id(x)] = last[id(memory_of(x))] = END
        return last

    def _step(self, i: int, item: Line | Block, heading: str = "") -> None:
        def dead(value: int) -> bool:
            return self.last.get(value, i) <= i

        first = item.lines[0] if isinstance(item, Block) else item
        heading = heading or f"# {first.phase}{': ' + first.module if first.module else ''}"
        if heading != self.heading:
            self.lines.append(heading)
        self.heading = heading
        if isinstance(item, Block):
            self._write_block(i, item)
        else:
            if item.elementwise() or item.kind in ("put", "put_at", "put_flat"):
                self.memory.let_go(dead)  # each element is read before it is written: what dies here is written over
            self.write(item)
        self.memory.let_go(dead)

    def _write_block(self, i: int, block: Block) -> None:
        """The call of a function that does a block, and what becomes of its sums."""
        count, size = block.rows()
        ends = [x for x in block.lines if x.shares is None and x.shape and self.last[id(x)] > i]
        sums = [x for x in block.lines if not x.shape and self.last[id(x)] > i]
        for line in ends:
            self.names[id(line)] = self.target(line)
        number = len(self.blocks)
        inner = BlockScope(self.constants, block, ends, sums)
        self.blocks.append(inner.function(number))
        sets = []
        for k in range(self.threads if block.nbytes() >= LARGE else 1):
            names = [f"{name}_{number}_{k}" for name in inner.scratch]
            self.constants.prepared |= dict(zip(names, inner.scratch.values(), strict=True))
            sets.append(f"[{', '.join(names)}]")
        self.constants.prepared[f"scratch{number}"] = f"[{', '.join(sets)}]"
        given = ", ".join([*(self._whole(x, block) for x in (*block.given(), *ends)), *inner.numbers])
        call = f"run_blocks(block{number}, {count}, {size}, [{given}], scratch{number})"
        self.lines.append(f"p{number} = {call}" if sums else call)
        for k, line in enumerate(sums):
            self.give(line, f"np.add.reduce([p[{k}] for p in p{number}])")
        for line in block.lines:
            if line.shares is not None and self.last[id(line)] > i:
                self.write(line)

    def _whole(self, x: Value, block: Block) -> str:
        """An array that is given to a block: flat, if the block takes all arrays as they lie."""
        flat = x.ndim > 1 and block.flat()
        return self.view(x, "flat", FLAT[x.order]) if flat else self.names[id(x)]

    # ---- what a Scope asks

    def target(self, line: Line) -> str:
        if id(line) in self.slots:
            return self.slots[id(line)].name
        if not has_out(line) or self.last[id(line)] == END:
            return ""
        own = [self.fixed.get(id(memory_of(x)), "") for x in values_in(line.args)]
        self.fixed[id(line)] = self.memory.take(line, line.shape, line.order, own)
        return self.fixed[id(line)]

    def give(self, line: Line, text: str, array: str = "") -> None:
        if text == array or id(line) in self.slots:
            if text != array:
                self.lines.append(text)
            self.names[id(line)] = array
            return
        name = f"t{self.count}"
        self.count += 1
        self.lines.append(f"{name} = {text}")
        self.names[id(line)] = name

    def operand(self, line: Line, x: Any) -> str:
        alike = all(a.dtype == line.dtype for a in line.args if isinstance(a, Value))
        if not (isinstance(x, Number) and line.shape and line.dtype.kind == "f" and alike):
            return super().operand(line, x)
        key = x.text, line.dtype
        if key not in self.numbers:
            name = self.numbers[key] = f"n{len(self.numbers)}"
            self.constants.prepared[name] = making("np.empty", (), line.dtype, "C")
            self.lines.append(f"{name}[()] = {x.text}")
        return self.numbers[key]

    def view(self, x: Value, suffix: str, text: str) -> str:
        base = self.fixed.get(id(x))
        if base is None:
            return super().view(x, suffix, text)
        name = f"{base}_{suffix}"
        self.constants.prepared.setdefault(name, text.format(base))
        return name
