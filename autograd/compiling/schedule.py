"""The order of a program's lines, where its results go, and the function that it becomes."""

from __future__ import annotations

import operator
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import chain, starmap
from typing import Any, NamedTuple

import numpy as np

from .blocks import LARGE, Block, BlockWriter, aligned, run_blocks, scheduled
from .emit import Constants, Writer, comment, identifier, making
from .program import Input, Line, Number, Program, Value, drawing, has_out, instances, needed, values_in

run_through: Any = deque(maxlen=0).extend  # an iterator to its end, in C


class Changed(Exception):
    """A truth value is another one in this run: the program is for other values."""


class Slot(NamedTuple):
    """An array that a run is given, to be written into: one of the state, or a large result.

    It takes the place of the input of number `old`; if it may be written `over` that, it is written last of all.
    """

    name: str
    like: tuple[Any, Any, Any]
    old: int | None
    over: bool


class Main(Writer):
    """The function that is the program: `run(*inputs, *slots)` returns what comes out besides the slots.

    If it `moves` something, it returns a pair: what else comes out, and the arguments of the `update` that ends it,
    which is left to the caller.  `inputs` are the numbers of the program's inputs that it reads, `prepared` is the text
    that makes its memory.  The `outputs` of the traced run say what they replace, and are told how they are read.
    """

    def __init__(self, name: str, program: Program, outputs: Sequence[Any], exact: bool, threads: int) -> None:
        super().__init__(Constants(), exact, {}, "b")
        self.name, self.program, self.threads = name, program, threads
        self.outputs = [*zip(program.outputs, outputs, strict=True)]
        self.blocks: list[str] = []
        self.heading = ""
        self.numbers: dict[tuple[str, Any], str] = {}  # {text and dtype of a number: the array that holds it}
        self._read()
        last = self._last_lines()
        slots = self._slots(last)
        moves = [line for line in program.lines if id(line) in last]
        self._write(moves)
        numbers, returned = {key: i for i, key in enumerate(slots)}, list[str]()
        for x, output in self.outputs:
            if id(x) in slots:
                output.text = f"s{numbers[id(x)]}"
            else:
                output.text = f"found[{len(returned)}]"
                returned.append(self.text(x))
        self.slots, self.moves, self.size = [*slots.values()], bool(moves), len(program.lines)
        found = f"[{', '.join(returned)}]" + (f", {self._update(moves)}" if moves else "")
        arguments = [self.names[id(program.inputs[i])] for i in self.inputs] + [slot.name for slot in self.slots]
        body = "\n    ".join([f"def {name}({', '.join(arguments)}):", *self.lines, f"return {found}\n"])
        self.source = "\n\n".join([*self.blocks, body])
        made = {"memory": f"aligned({self.top})"} | {name: text for text, name in self.made.items()}
        self.prepared = "\n".join(f"{key} = {text}" for key, text in (made | self.constants.prepared).items())
        space: dict[str, Any] = {"np": np, "Changed": Changed, "run_blocks": run_blocks, "aligned": aligned}
        space |= self.constants.arrays | self.constants.functions
        exec(compile(f"{self.prepared}\n\n{self.source}", f"<compiled {name}>", "exec"), space)
        self.run = space[name]
        del self.program, self.outputs, self.lines  # only the text is kept

    # ---- what is read, and where outputs go

    def _read(self) -> None:
        """Name the inputs, and find those that are read."""
        held = [self.program.ends(), *((line.args, line.kwargs) for line in self.program.lines)]
        read = {id(x) for x in values_in(held)}
        words = set(re.findall(r"\w+", " ".join(number.text for number in instances(held, Number))))
        self.inputs: list[int] = []
        for i, x in enumerate(self.program.inputs):
            self.names[id(x)] = x.name if isinstance(x, Input) else x.text
            if id(x) in read or (isinstance(x, Number) and x.text in words):
                self.inputs.append(i)

    def _last_lines(self) -> dict[int, int]:
        """{id of a line: number of an input}: sums and the like that come last, and may be written over that input."""
        inputs, read = self.program.inputs, {id(x) for line in self.program.lines for x in line.reads}
        held = Counter(id(x.memory) for x, _ in self.outputs if isinstance(x, Value))
        found: dict[int, int] = {}
        for line, output in self.outputs:
            if output.old is None or not isinstance(line, Line) or not isinstance(old := inputs[output.old], Input):
                continue
            chained = line.nbytes >= LARGE and any(isinstance(x, Line) and x.elementwise() for x in line.args)
            own = id(line) not in read and held[id(line)] == 1 and id(old) not in held
            arithmetic = line.is_call(np.add, np.subtract, np.multiply, np.divide) and has_out(line)
            if arithmetic and line.like == old.like and own and not chained:
                found[id(line)] = output.old
        over = {id(inputs[place]): key for key, place in found.items()}
        for line in self.program.lines:  # none may read what another has written over
            if id(line) in found and any(over.get(id(x.memory), id(line)) != id(line) for x in values_in(line.args)):
                del found[id(line)]
        return found

    def _slots(self, last: dict[int, int]) -> dict[int, Slot]:
        """{id of a line: the slot for its result}."""
        slots: dict[int, Slot] = {}
        taken = set(self.names.values())
        for line, output in self.outputs:
            takes = has_out(line) and (output.old is not None or (output.kind == "result" and line.nbytes >= LARGE))
            if takes and line.shares is None and id(line) not in slots:
                name = identifier(output.name, taken)
                slots[id(line)] = Slot(name, line.like, output.old, id(line) in last)
                taken.add(name)
        self.outs = {key: slot.name for key, slot in slots.items()}
        return slots

    # ---- the text

    def _write(self, moves: Sequence[Line]) -> None:
        """Write all lines but the `moves`: first those that the guards need, so that a run that fails did nothing."""
        asked = [asked for asked, _ in self.program.guards]
        checks = needed(self.program.lines, asked)
        if drawn := drawing(checks):  # what is drawn before is drawn before here, too
            every = drawing(self.program.lines)
            checks = needed(self.program.lines, [*checks, *every[: every.index(drawn[-1])]])
        apart = {id(line) for line in (*checks, *moves)}
        rest = scheduled([line for line in self.program.lines if id(line) not in apart], self.exact)
        items: list[Line | Block] = [*checks, *rest, *moves]
        lines = [item.lines if isinstance(item, Block) else [item] for item in items]
        self.live(lines, [self.program.outputs, asked])
        guards = {id(asked): (asked, answer) for asked, answer in self.program.guards}
        for i, line in enumerate(checks):
            self._step(i, line, "# checks")
            if id(line) in guards:
                self._guard(*guards.pop(id(line)))
        for guard in guards.values():  # of inputs
            self._guard(*guard)
        for i, item in enumerate(rest, len(checks)):
            self._step(i, item)

    def _guard(self, asked: Any, answer: bool) -> None:
        """What stops a program that is for other values, before the next line that could fail for these."""
        self.lines.append(f"if {'not ' * answer}{self.text(asked)}: raise Changed")

    def _step(self, i: int, item: Line | Block, heading: str = "") -> None:
        phase, module = (item.lines[0] if isinstance(item, Block) else item).place
        heading = heading or comment(f"{phase}{module and ': '}{module}")
        if heading != self.heading:
            self.lines.append(heading)
        self.heading = heading
        if isinstance(item, Block):
            self._write_block(i, item)
        else:
            self.step(i, item)

    def _write_block(self, i: int, block: Block) -> None:
        """The call of a function that does a block, and what becomes of its sums."""
        dying = set(self.dying.get(i, ()))
        left = [x for x in block.lines if id(x) not in dying]
        ends, sums = [x for x in left if x.shares is None and x.shape], [x for x in left if not x.shape]
        for line in ends:
            self.names[id(line)] = self.target(line)
        number = len(self.blocks)
        inner = BlockWriter(self.constants, self.exact, block, ends, sums)
        self.blocks.append(inner.function(f"block{number}"))
        sets = f"for memory in map(aligned, {[inner.top] * (self.threads if block.large else 1)})"
        self.constants.prepared[f"scratch{number}"] = f"[[{', '.join(inner.made)}] {sets}]"
        whole = [
            self.view(x, "flat", "{}.ravel('K')") if x.ndim > 1 and block.flat else self.names[id(x)]
            for x in (*block.given, *ends)
        ]
        given = ", ".join([*whole, *inner.numbers])
        call = f"run_blocks(block{number}, {block.count}, {block.size}, [{given}], scratch{number})"
        self.lines.append(f"p{number} = {call}" if sums else call)
        for k, line in enumerate(sums):
            self.give(line, f"np.add.reduce([p[{k}] for p in p{number}])")
        for line in left:
            if line.shares is not None:
                self.write(line)
        self.release(i)

    def _update(self, moves: Sequence[Line]) -> str:
        """The arguments of the last call, which makes all moves."""
        self.constants.prepared["moves"] = f"({''.join(f'np.{line.function.__name__}, ' for line in moves)})"
        self.lines.append("# update: made by the caller in one call, so that an interrupt is before or after all of it")
        rows = [[self.text(line.args[k]) for line in moves] for k in (0, 1)] + [[self.outs[id(x)] for x in moves]]
        return f"(moves, {', '.join('(' + ', '.join(row) + ',)' for row in rows)})"

    # ---- what a Writer asks

    def fresh(self, line: Line) -> str:
        if line.kind == "copy":
            return ""
        name = next(self.new_names)
        self.lines.append(f"{name} = {making(*line.like)}")
        return name

    def number(self, number: Number, dtype: Any = None) -> str:
        if dtype is None:
            return number.text
        name = self.numbers.get((number.text, dtype))
        if name is None:
            name = self.numbers[number.text, dtype] = f"n{len(self.numbers)}"
            self.constants.prepared[name] = making((), dtype, "C")
            self.lines.append(f"{name}[()] = {number.text}")
        return name

    def view(self, x: Value, suffix: str, text: str) -> str:
        base = self.fixed.get(id(x))
        if base is None:
            return super().view(x, suffix, text)
        self.constants.prepared.setdefault(f"{base}_{suffix}", text.format(base))
        return f"{base}_{suffix}"


def update(functions: Any, a: Any, b: Any, out: Any, attributes: Sequence[Any] = ()) -> None:
    """`function(a, b, out)` for each, then `setattr` of the attributes, in one call of C.

    An interrupt falls before or after all of it, not between.
    """
    todo: Iterator[Any] = map(operator.call, functions, a, b, out)
    if attributes:
        todo = chain(todo, starmap(setattr, attributes))
    failed: Exception | None = None
    while True:
        try:
            run_through(todo)
            break
        except Exception as error:  # np.errstate(over="raise"), say: what raises is written, and the rest must be
            failed = failed or error
    if failed is not None:
        raise failed
