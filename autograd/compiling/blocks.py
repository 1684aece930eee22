"""Chains of elementwise lines, run block by block: what one line writes is in the cache when the next reads it."""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .emit import Constants, Scope
from .program import Line, Number, Value, memory_of, values_in

BLOCK = 2**17  # bytes of each array in a block; some of them fit into the second-level cache together
LARGE = 2**20  # bytes of an array from which on blocks pay


class Block:
    """Lines over one shape, to be run together: `ends` are those whose result others need, the last of them sums."""

    def __init__(self, shape: Any, order: str) -> None:
        self.shape, self.order = shape, order
        self.lines: list[Line] = []
        self.members: set[int] = set()

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.members.add(id(line))

    def reads(self, line: Line) -> bool:
        """Whether a line reads what is computed here."""
        return any(id(x) in self.members for x in values_in((line.args, line.kwargs)))

    def given(self) -> list[Value]:
        """The arrays from outside that are read here."""
        found = {id(x): x for line in self.lines for x in values_in(line.args) if id(x) not in self.members}
        return list(found.values())

    def flat(self) -> bool:
        """Whether all arrays have the full shape or one element, so that they can be run through as they lie."""
        return all(x.shape in (self.shape, ()) and (x.order == self.order or not x.shape) for x in self.given())

    def sliced(self, x: Value) -> bool:
        """Whether a block takes its own rows of x, and not all of it."""
        return x.ndim == len(self.shape) and x.shape[0] == self.shape[0] and self.shape[0] != 1

    def nbytes(self) -> int:
        """The size of the largest array."""
        return max(line.nbytes for line in self.lines)

    def rows(self) -> tuple[int, int]:
        """The length of what is cut into blocks, and that of a block."""
        widest = max(line.dtype.itemsize for line in self.lines)
        if self.flat():
            return int(np.prod(self.shape)), BLOCK // widest
        row = int(np.prod(self.shape[1:])) * widest
        return self.shape[0], max(1, BLOCK // row)


def scheduled(lines: Sequence[Line], exact: bool) -> list[Line | Block]:
    """The lines in an order in which they can be run, large chains of them as Blocks."""
    done: list[Line | Block] = []
    open_blocks: list[Block] = []

    def close(block: Block) -> None:
        open_blocks.remove(block)
        done.extend([block] if len(block.lines) > 1 else block.lines)

    for line in lines:
        home = next((b for b in open_blocks if _belongs(line, b, exact)), None)
        for block in [b for b in open_blocks if b is not home and b.reads(line)]:
            close(block)
        if home is None and line.shape is not None and line.size * line.dtype.itemsize >= LARGE and line.order:
            fresh = Block(line.shape, line.order)
            if _belongs(line, fresh, exact):
                home = fresh
                open_blocks.append(home)
        if home is None:
            done.append(line)
        else:
            home.add(line)
    for block in list(open_blocks):
        close(block)
    return done


def _belongs(line: Line, block: Block, exact: bool) -> bool:
    if line.kind == "reduce":  # the sum of all elements, added up block by block
        total = line.shape == () and line.function is np.add and not exact
        return total and id(line.args[0]) in block.members and line.args[0].shape == block.shape
    if line.is_method("view") and line.shape == block.shape:
        return block.reads(line) and line.dtype.itemsize == line.args[0].dtype.itemsize
    fits = line.elementwise() and line.shape == block.shape and line.order == block.order
    if not fits or any(isinstance(x, np.ndarray) and x.ndim for x in line.args):
        return False
    outer = [x for x in values_in(line.args) if id(x) not in block.members and x.shape]
    if block.order == "F":  # runs through as it lies, or not at all
        return all(x.shape == block.shape and x.order == "F" for x in outer)
    return all(x.ndim <= len(block.shape) for x in outer)


def making(shape: Any, dtype: Any, order: str) -> str:
    """The text that makes an array to be written into."""
    column = ", order='F'" if order == "F" and len(shape) > 1 else ""
    return f"np.empty({shape}, np.{np.dtype(dtype)}{column})"


class Memory:
    """Arrays that are made once, named `prefix` and a number, and used again when no line reads them any more."""

    def __init__(self, prefix: str, made: dict[str, str]) -> None:
        self.prefix, self.made = prefix, made  # {name: the text that makes it}
        self.count = 0
        self.free: dict[Any, dict[str, None]] = {}
        self.held: dict[int, tuple[Any, str]] = {}  # {id of a result: the kind of its array, and its name}

    def take(self, value: Value, shape: Any, order: str, wanted: Sequence[str] = ()) -> str:
        """An array of this shape for a result: one of the `wanted` if it is free, or another, or a new one."""
        key = shape, np.dtype(value.dtype), order
        free = self.free.setdefault(key, {})
        name = next((n for n in wanted if n in free), "") or (next(reversed(free)) if free else "")
        if name:
            del free[name]
        else:
            name = f"{self.prefix}{self.count}"
            self.count += 1
            self.made[name] = making(*key)
        self.held[id(value)] = key, name
        return name

    def release(self, values: Iterable[int]) -> None:
        """No line reads these results (by their ids) any more."""
        for value in values:
            if value in self.held:
                key, name = self.held.pop(value)
                self.free[key][name] = None


class BlockScope(Scope):
    """`function(number)` is the text: arrays x0, x1, ... are read, o0, o1, ... written, s0, s1, ... are scratch.

    `ends` are the lines whose arrays others need, `sums` those whose sum over all blocks they do.
    """

    def __init__(self, constants: Constants, block: Block, ends: Sequence[Line], sums: Sequence[Line]) -> None:
        self.scratch: dict[str, str] = {}
        super().__init__(constants, Memory("s", self.scratch))
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
        dying: dict[int, list[int]] = {}
        for value, end in last.items():
            dying.setdefault(end, []).append(value)
        for k, line in enumerate(block.lines):
            self.memory.release(dying.get(k - 1, ()) if line.dtype.kind == "c" else ())
            self.memory.release(dying.get(k, ()) if line.dtype.kind != "c" else ())
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
        name: str = self.memory.take(line, self.shape, "C", own)
        return name

    def give(self, line: Line, text: str, array: str = "") -> None:
        if not line.shape:  # a sum, to be made now, for its array is written over
            array = f"r{len(self.lines)}"
            text = f"{array} = {text}"
        self.names[id(line)] = array or text
        if array and text != array:
            self.lines.append(text)

    def number(self, number: Number) -> str:
        return self.numbers.setdefault(number.text, f"n{len(self.numbers)}")


def run_blocks(
    body: Callable[..., Any], count: int, size: int, arrays: Sequence[Any], scratch: Sequence[Sequence[Any]]
) -> list[Any]:
    """Run `body(i, j, *arrays, *scratch)` for rows i to j of all blocks; what it returns, in order.

    With more than one set of scratch arrays, as many threads share the blocks.
    """
    starts = range(0, count, size)
    if len(scratch) == 1:
        return [body(i, min(i + size, count), *arrays, *scratch[0]) for i in starts]
    results: list[Any] = [None] * len(starts)
    errors: list[BaseException] = []

    def work(first: int, own: Sequence[Any]) -> None:
        try:
            for k in range(first, len(starts), len(scratch)):
                results[k] = body(starts[k], min(starts[k] + size, count), *arrays, *own)
        except BaseException as error:
            errors.append(error)

    others = []
    for first, own in enumerate(scratch[1:], 1):
        try:
            others.append(pool().submit(contextvars.copy_context().run, work, first, own))
        except RuntimeError:  # the interpreter is about to exit
            work(first, own)
    work(0, scratch[0])
    for other in others:
        while not other.done():  # an interrupt must not leave a thread behind that goes on writing
            try:
                other.result()
            except BaseException as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return results


@functools.cache
def pool() -> Any:
    """The threads that blocks are run on: made when they are first needed, and again in a process that was forked."""
    from concurrent.futures import ThreadPoolExecutor

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=pool.cache_clear)
    return ThreadPoolExecutor(os.cpu_count(), "blocks")
