"""The order of a program's lines, the memory of every result, and the function that they become."""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, starmap
from typing import Any, NamedTuple

import numpy as np

from .blocks import LARGE, Block, BlockScope, Memory, making, run_blocks, scheduled
from .emit import FLAT, Constants, Scope, comment, identifier
from .program import (
    Input,
    Line,
    Number,
    Program,
    Value,
    drawing,
    has_out,
    instances,
    memory_of,
    needed,
    order_of,
    values_in,
)

run_through: Any = deque(maxlen=0).extend  # an iterator to its end, in C
END = 1 << 60  # after the last line


class Slot(NamedTuple):
    """An array of the state: a run is given one, to be written into.

    `over` is the number of the input that it may be, if no one else holds that array; it is then written last of all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    order: Any
    over: int | None = None

    def new(self) -> Any:
        """Such an array."""
        return np.empty(self.shape, self.dtype, self.order)


class Main(Scope):
    """The function that is the program.

    `replaces` has, for each output, its name and the number of the input that it replaces, or None for a result.
    """

    def __init__(
        self,
        program: Program,
        replaces: Sequence[tuple[str, int] | None],
        constants: Constants,
        exact: bool,
        threads: int,
    ) -> None:
        super().__init__(constants, Memory("b", constants.prepared))
        self.program, self.exact, self.threads = program, exact, threads
        self.blocks: list[str] = []
        self.count = 0
        self.numbers: dict[tuple[str, Any], str] = {}  # {the text and dtype of a number: the array that holds it}
        self._name_inputs()
        last = self._moves(replaces)
        self._choose_slots(replaces, last)
        checks = self._checks()
        apart = {id(line) for line in checks} | last.keys()
        later = scheduled([line for line in program.lines if id(line) not in apart], exact)
        moves = [line for line in program.lines if id(line) in last]
        self.last = self._last_uses([*checks, *later, *moves])
        self.dying: dict[int, list[int]] = {}
        for value, step in self.last.items():
            self.dying.setdefault(step, []).append(value)
        self.heading = self.update = ""
        lines = {id(line) for line in checks}
        for i, line in enumerate(checks):
            self._step(i, line, "# checks")
            self._guard(asked for asked in program.guards if asked[0] is line)
        self._guard(asked for asked in program.guards if id(asked[0]) not in lines)
        for i, item in enumerate(later, len(checks)):
            self._step(i, item)
        if moves:
            self._write_moves(moves)

    def _guard(self, guards: Iterable[tuple[Any, bool]]) -> None:
        """What stops a program that is for other values, before the next line that could fail for these."""
        for asked, answer in guards:
            self.lines.append(f"if {'not ' * answer}{self.text(asked)}: raise Changed")

    def _moves(self, replaces: Sequence[tuple[str, int] | None]) -> dict[int, int]:
        """{id of a line: number of an input}: sums and the like that come last, and may be written over that input."""
        inputs, users = self.program.inputs, self.program.users()
        held = [id(memory_of(x)) for x in self.program.outputs if isinstance(x, Value)]
        found: dict[int, int] = {}
        for line, replaced in zip(self.program.outputs, replaces, strict=True):
            if replaced is None or not isinstance(line, Line) or not isinstance(inputs[replaced[1]], Input):
                continue
            old = inputs[replaced[1]]
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
                found[id(line)] = replaced[1]
        over = {id(inputs[place]): key for key, place in found.items()}
        for line in self.program.lines:  # none may read what another has written over
            if id(line) in found and any(
                over.get(id(memory_of(x)), id(line)) != id(line) for x in values_in(line.args)
            ):
                del found[id(line)]
        return found

    def _write_moves(self, moves: Sequence[Line]) -> None:
        """`update` is the text of the arguments of the last call, which makes all moves."""
        self.lines.append(
            "# update: made by the caller in one call, so that an interrupt falls before or after all of it"
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
        checks = needed(self.program.lines, [asked for asked, _ in self.program.guards])
        drawn = drawing(checks)
        if drawn:  # what is drawn before is drawn before here, too
            every = drawing(self.program.lines)
            checks = needed(self.program.lines, [*checks, *every[: every.index(drawn[-1])]])
        return checks

    def _name_inputs(self) -> None:
        """The inputs that are read, and their names."""
        ends = [self.program.outputs, [asked for asked, _ in self.program.guards]]
        held = [*ends, *((line.args, line.kwargs) for line in self.program.lines)]
        read = {id(x) for x in values_in(held)}
        words = set(re.findall(r"\w+", " ".join(number.text for number in instances(held, Number))))
        self.inputs: list[int] = []
        self.arguments: list[str] = []
        for i, given in enumerate(self.program.inputs):
            name = given.name if isinstance(given, Input) else given.text
            self.names[id(given)] = name
            if id(given) in read or (isinstance(given, Number) and name in words):
                self.inputs.append(i)
                self.arguments.append(name)

    def _choose_slots(self, replaces: Sequence[tuple[str, int] | None], last: dict[int, int]) -> None:
        self.slots: dict[int, Slot] = {}
        taken = set(self.names.values())
        for value, replaced in zip(self.program.outputs, replaces, strict=True):
            line: Any = memory_of(value) if isinstance(value, Value) else None
            if replaced is not None and has_out(line) and line is value and id(line) not in self.slots:
                shape, dtype, order = line.like
                slot = Slot(identifier(replaced[0], taken), shape, dtype, order, last.get(id(line)))
                taken.add(slot.name)
                self.slots[id(line)] = slot

    def _last_uses(self, items: Sequence[Line | Block]) -> dict[int, int]:
        """After which item the memory of each result is free."""
        last: dict[int, int] = {}
        for i, item in enumerate(items):
            for line in item.lines if isinstance(item, Block) else [item]:
                for x in (line, *values_in((line.args, line.kwargs))):
                    last[id(x)] = last[id(memory_of(x))] = i
        for x in values_in((self.program.outputs, [asked for asked, _ in self.program.guards])):
            last[id(x)] = last[id(memory_of(x))] = END
        return last

    def _step(self, i: int, item: Line | Block, heading: str = "") -> None:
        first = item.lines[0] if isinstance(item, Block) else item
        heading = heading or comment(f"{first.phase}{': ' + first.module if first.module else ''}")
        if heading != self.heading:
            self.lines.append(heading)
        self.heading = heading
        if isinstance(item, Block):
            self._write_block(i, item)
        else:
            if (item.elementwise() and not self._keeps_apart(item)) or item.kind in ("put", "put_at"):
                # each element is read before it is written, so what dies here may be written over
                self.memory.release(self.dying.get(i, ()))
            self.write(item)
        self.memory.release(self.dying.get(i, ()))

    def _keeps_apart(self, line: Line) -> bool:
        """Whether bits depend on the memory of the result: NumPy has another loop for complex numbers that overlap."""
        return self.exact and line.dtype is not None and line.dtype.kind == "c"

    def _write_block(self, i: int, block: Block) -> None:
        """The call of a function that does a block, and what becomes of its sums."""
        count, size = block.rows()
        ends = [x for x in block.lines if x.shares is None and x.shape and self.last[id(x)] > i]
        sums = [x for x in block.lines if not x.shape and self.last[id(x)] > i]
        for line in ends:
            self.names[id(line)] = self.target(line, block=True)
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

    def target(self, line: Line, block: bool = False) -> str:
        if id(line) in self.slots:
            return self.slots[id(line)].name
        if not has_out(line):
            return ""
        if self.last[id(line)] == END:  # a result is the caller's: new memory, which NumPy makes if it can
            if not block and _lies_as_its_arguments(line):
                return ""
            name = self._new_name()
            self.lines.append(f"{name} = {making(*line.like)}")
            return name
        own = [self.fixed.get(id(memory_of(x)), "") for x in values_in(line.args)]
        self.fixed[id(line)] = self.memory.take(line, line.shape, line.order, own)
        return self.fixed[id(line)]

    def _new_name(self) -> str:
        self.count += 1
        return f"t{self.count - 1}"

    def give(self, line: Line, text: str, array: str = "") -> None:
        if text == array or id(line) in self.slots:
            if text != array:
                self.lines.append(text)
            self.names[id(line)] = array
            return
        name = self._new_name()
        self.lines.append(f"{name} = {text}")
        self.names[id(line)] = name

    def operand(self, line: Line, x: Any) -> str:
        alike = all(a.dtype == line.dtype for a in line.args if isinstance(a, Value))
        if not (isinstance(x, Number) and line.shape and line.dtype.kind == "f" and alike):
            return super().operand(line, x)
        key = x.text, line.dtype
        if key not in self.numbers:
            name = self.numbers[key] = f"n{len(self.numbers)}"
            self.constants.prepared[name] = making((), line.dtype, "C")
            self.lines.append(f"{name}[()] = {x.text}")
        return self.numbers[key]

    def view(self, x: Value, suffix: str, text: str) -> str:
        base = self.fixed.get(id(x))
        if base is None:
            return super().view(x, suffix, text)
        name = f"{base}_{suffix}"
        self.constants.prepared.setdefault(name, text.format(base))
        return name


def _lies_as_its_arguments(line: Line) -> bool:
    """Whether NumPy itself gives the result of a line the layout that it has in the function."""
    if line.kind in ("dot", "copy"):
        return line.order == "C" or line.kind == "copy"
    arrays = [x for x in instances((line.args, line.kwargs), (Value, np.ndarray)) if x.shape]
    orders = {x.order if isinstance(x, Value) else order_of(x) for x in arrays}
    return orders <= {line.order} and (line.order == "C" or all(x.shape == line.shape for x in arrays))


class Changed(Exception):
    """A truth value is another one in this run: the program is for other values."""


def update(
    functions: Sequence[Any],
    a: Sequence[Any],
    b: Sequence[Any],
    out: Sequence[Any],
    attributes: Sequence[Any] = (),
    items: Sequence[Any] = (),
) -> None:
    """`function(a, b, out)` for each, then `setattr` of the attributes and `setitem` of the items, in one call of C.

    An interrupt falls before or after all of it, not between.
    """
    todo: Iterator[Any] = map(operator.call, functions, a, b, out)
    if attributes or items:
        todo = chain(todo, starmap(setattr, attributes), starmap(operator.setitem, items))
    failed: Exception | None = None
    while True:
        try:
            run_through(todo)
            break
        except Exception as error:  # np.errstate(over="raise"), say: what raises is written, and the rest must be
            failed = failed or error
    if failed is not None:
        raise failed


class Executable:
    """`run(*inputs, *slots)` returns what else comes out; `inputs` are the numbers of the program's inputs it reads.

    If it `moves` something, it returns a pair: what else comes out, and the arguments of the `update` that ends it,
    which is left to the caller.  `outputs` has for each output of the program (True, the number of its slot) or (False,
    its place in what `run` returns).
    """

    def __init__(
        self, program: Program, name: str, replaces: Sequence[tuple[str, int] | None], exact: bool, threads: int
    ) -> None:
        self.name, self.constants, self.lines = name, Constants(), len(program.lines)
        main = Main(program, replaces, self.constants, exact, threads)
        self.inputs, self.slots = main.inputs, list(main.slots.values())
        numbers = {key: i for i, key in enumerate(main.slots)}
        returned = [x for x in program.outputs if id(x) not in numbers]
        places = iter(range(len(returned)))
        self.moves = bool(main.update)
        self.outputs = [(True, numbers[id(x)]) if id(x) in numbers else (False, next(places)) for x in program.outputs]
        arguments = [*main.arguments, *(slot.name for slot in self.slots)]
        found = f"[{', '.join(map(main.text, returned))}]"
        body = "\n    ".join([*main.lines, f"return {found}, {main.update}" if main.update else f"return {found}"])
        self.source = "\n\n".join([*main.blocks, f"def {name}({', '.join(arguments)}):\n    {body}\n"])
        prepared = "\n".join(f"{key} = {text}" for key, text in self.constants.prepared.items())
        space: dict[str, Any] = {"np": np, "Changed": Changed, "run_blocks": run_blocks}
        space |= self.constants.arrays | self.constants.functions
        exec(compile(f"{prepared}\n\n{self.source}", f"<compiled {name}>", "exec"), space)
        self.run = space[name]
