"""The function that does one block of a chain of lines."""

from __future__ import annotations

from collections.abc import Sequence

from .blocks import Block
from .calls import Number
from .lines import Line, values_in
from .memory import Memory, memory_of
from .writing import Constants, Scope


class BlockScope(Scope):
    """`function(number)` is the text: arrays x0, x1, ... are read, o0, o1, ... written, s0, s1, ... are scratch.

    `ends` are the lines whose arrays others need, `sums` those whose sum over all blocks they do.
    """

    def __init__(self, constants: Constants, block: Block, ends: Sequence[Line], sums: Sequence[Line]) -> None:
        self.scratch: dict[str, str] = {}
        super().__init__(constants, Memory("s", self.scratch.__setitem__))
        self.numbers: dict[str, str] = {}  # {the text of a number that is given: its name here}
        self.sums = sums
        self.flat = block.flat()
        _, size = block.rows()
        self.shape = (size,) if self.flat else (size, *block.shape[1:])
        self.outs = {id(line): f"o{i}" for i, line in enumerate(ends)}
        given = {id(x): f"x{i}" for i, x in enumerate(block.given())}
        self.names |= given
        self.arguments = [*given.values(), *self.outs.values()]
        cut = [given[id(x)] for x in block.given() if x.shape and (self.flat or block.sliced(x))]
        self.cut = [*cut, *self.outs.values()]
        last = {id(memory_of(x)): k for k, line in enumerate(block.lines) for x in (line, *values_in(line.args))}
        for k, line in enumerate(block.lines):
            self.memory.let_go({value for value, end in last.items() if end <= k}.__contains__)
            self.write(line)

    def function(self, number: int) -> str:
        """The text of the function."""
        names = [*self.arguments, *self.numbers.values(), *self.scratch]
        lines = [f"def block{number}(i, j, {', '.join(names)}):"]
        lines.append(f'"""{"Elements" if self.flat else "Rows"} i to j."""')
        if self.cut:
            lines.append(f"{', '.join(self.cut)} = {', '.join(f'{name}[i:j]' for name in self.cut)}")
        if self.scratch:
            lines.append(f"{', '.join(self.scratch)} = {', '.join(f'{name}[: j - i]' for name in self.scratch)}")
        lines += self.lines
        if self.sums:
            lines.append(f"return [{', '.join(self.names[id(line)] for line in self.sums)}]")
        return "\n    ".join(lines)

    def target(self, line: Line) -> str:
        if not line.shape:
            return ""
        if id(line) in self.outs:
            return self.outs[id(line)]
        own = [self.names.get(id(memory_of(x)), "") for x in values_in(line.args)]
        return self.memory.take(line, self.shape, "C", own)

    def give(self, line: Line, text: str, array: str = "") -> None:
        if not line.shape:  # a sum, to be made now, for its array is written over
            array = f"r{len(self.lines)}"
            text = f"{array} = {text}"
        self.names[id(line)] = array or text
        if array and text != array:
            self.lines.append(text)

    def number(self, number: Number) -> str:
        return self.numbers.setdefault(number.text, f"n{len(self.numbers)}")
