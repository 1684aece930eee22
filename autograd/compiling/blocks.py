"""Chains of elementwise lines, run block by block: what one line writes is in the cache when the next reads it."""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .emit import Constants, Writer
from .program import Line, Number, Value, values_in

BLOCK = 2**17  # bytes of each array in a block; some of them fit into the second-level cache together
LARGE = 2**20  # bytes of an array from which on blocks pay


class Block:
    """Lines over one shape, to be run together."""

    def __init__(self, first: Line) -> None:
        self.shape, self.order = first.shape, first.order
        self.lines: list[Line] = []
        self.members: set[int] = set()

    def takes(self, line: Line, exact: bool) -> bool:
        """Whether a line can be one of the block's; it then is."""
        if line.kind == "reduce":  # the sum of all elements, added up block by block
            x = line.args[0]
            fits = line.shape == () and line.function is np.add and not exact
            fits = fits and id(x) in self.members and x.shape == self.shape
        elif line.is_method("view") and line.shape == self.shape:
            fits = self.reads(line) and line.dtype.itemsize == line.args[0].dtype.itemsize
        else:
            fits = line.elementwise() and line.shape == self.shape and line.order == self.order
            fits = fits and not any(isinstance(x, np.ndarray) and x.ndim for x in line.args)
            for x in values_in(line.args) if fits else ():
                if id(x) not in self.members and x.shape:  # not by rows it runs through as it lies, or not at all
                    alike = x.shape == self.shape and x.order == self.order
                    fits = fits and (x.ndim <= len(self.shape) if self.order == "C" else alike)
        if fits:
            self.lines.append(line)
            self.members.add(id(line))
        return bool(fits)

    def reads(self, line: Line) -> bool:
        """Whether a line reads what is computed here."""
        return any(id(x) in self.members for x in line.reads)

    def measure(self) -> None:
        """Find, once the block has all its lines, how it is cut: `count` elements or rows, `size` of them at a time."""
        found = {id(x): x for line in self.lines for x in values_in(line.args) if id(x) not in self.members}
        self.given: list[Value] = [*found.values()]  # the arrays from outside
        self.large = max(line.nbytes for line in self.lines) >= LARGE
        widest = max(line.dtype.itemsize for line in self.lines)
        # If all arrays have the full shape or one element, they can be run through as they lie.
        self.flat = all(not x.shape or (x.shape == self.shape and x.order == self.order) for x in self.given)
        row = 1 if self.flat else int(np.prod(self.shape[1:]))
        self.count = int(np.prod(self.shape)) if self.flat else self.shape[0]
        self.size = max(1, BLOCK // (row * widest))

    def cuts(self, x: Value) -> bool:
        """Whether a block takes its own rows of x, and not all of it."""
        rows = x.ndim == len(self.shape) and x.shape[:1] == self.shape[:1] != (1,)
        return x.ndim > 0 and (self.flat or rows)


def scheduled(lines: Sequence[Line], exact: bool) -> list[Line | Block]:
    """The lines in an order in which they can be run, large chains of them as Blocks."""
    done: list[Line | Block] = []
    blocks: list[Block] = []  # those that may still get lines

    def close(block: Block) -> None:
        blocks.remove(block)
        block.measure()
        done.extend([block] if len(block.lines) > 1 else block.lines)

    for line in lines:
        home = next((block for block in blocks if block.takes(line, exact)), None)
        for block in [b for b in blocks if b is not home and b.reads(line)]:
            close(block)
        if home is None and line.shape is not None and line.nbytes >= LARGE and line.order:
            fresh = Block(line)
            if fresh.takes(line, exact):
                home = fresh
                blocks.append(fresh)
        if home is None:
            done.append(line)
    for block in list(blocks):
        close(block)
    return done


class BlockWriter(Writer):
    """`function(name)` is the text: arrays x0, x1, ... are read, o0, o1, ... written, s0, s1, ... are scratch.

    `ends` are the lines whose arrays others need, `sums` those whose sum over all blocks they do.
    """

    def __init__(self, constants: Constants, exact: bool, block: Block, ends: list[Line], sums: list[Line]) -> None:
        super().__init__(constants, exact, {id(line): f"o{i}" for i, line in enumerate(ends)}, "s")
        self.block, self.sums = block, sums
        self.numbers: dict[str, str] = {}  # {the text of a number that is given: its name here}
        self.names |= {id(x): f"x{i}" for i, x in enumerate(block.given)}
        self.live([[line] for line in block.lines], [*ends, *sums])
        for i, line in enumerate(block.lines):
            self.step(i, line)

    def outline(self, line: Line) -> tuple[Any, Any, str]:
        shape = (self.block.size,) if self.block.flat else (self.block.size, *self.block.shape[1:])
        return shape, line.dtype, "C"

    def number(self, number: Number, dtype: Any = None) -> str:
        return self.numbers.setdefault(number.text, f"n{len(self.numbers)}")

    def function(self, name: str) -> str:
        """The text of the function."""
        outs, made, given = [*self.outs.values()], [*self.made.values()], [self.names[id(x)] for x in self.block.given]
        lines = [f"def {name}({', '.join(['i', 'j', *given, *outs, *self.numbers.values(), *made])}):"]
        lines.append(f'"""{"Elements" if self.block.flat else "Rows"} i to j."""')
        cut = [x for x, value in zip(given, self.block.given, strict=True) if self.block.cuts(value)] + outs
        lines += [f"{', '.join(cut)} = {', '.join(f'{x}[i:j]' for x in cut)}"] if cut else []
        lines += [f"{', '.join(made)} = {', '.join(f'{x}[: j - i]' for x in made)}"] if made else []
        lines += self.lines
        if self.sums:
            lines.append(f"return [{', '.join(self.names[id(line)] for line in self.sums)}]")
        return "\n    ".join(lines)


def run_blocks(
    body: Callable[..., Any], count: int, size: int, arrays: Sequence[Any], scratch: Sequence[Sequence[Any]]
) -> list[Any]:
    """Run `body(i, j, *arrays, *scratch)` for rows i to j of all blocks; what it returns, in order.

    With more than one set of scratch arrays, as many threads share the blocks.
    """
    starts = range(0, count, size)
    results: list[Any] = [None] * len(starts)
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for k in range(first, len(starts), len(scratch)):
                results[k] = body(starts[k], min(starts[k] + size, count), *arrays, *scratch[first])
        except BaseException as error:
            errors.append(error)

    others = []
    for k in range(1, len(scratch)):
        try:
            others.append(pool().submit(contextvars.copy_context().run, work, k))
        except RuntimeError:  # the interpreter is about to exit
            work(k)
    work(0)
    for other in others:
        while not other.done():  # an interrupt must not leave a thread behind that goes on writing
            try:
                other.result()
            except BaseException as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return results


def aligned(size: int) -> Any:
    """Memory of so many bytes that begins with a line of the cache, of 64 bytes: that of np.empty begins with any 16.

    A chain of 1,000,000 elements takes 1.5% less time so.
    """
    memory = np.empty(size + 64, np.uint8)
    return memory[-memory.ctypes.data % 64 :][:size]


@functools.cache
def pool() -> Any:
    """The threads that blocks are run on: made when they are first needed, and again in a process that was forked."""
    from concurrent.futures import ThreadPoolExecutor

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=pool.cache_clear)
    return ThreadPoolExecutor(os.cpu_count(), "blocks")
