"""Chains of elementwise lines, run block by block: what one line writes is in the cache when the next reads it."""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .canonical import is_method
from .lines import Line, Value, values_in

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
    if is_method(line, "view") and line.shape == block.shape:
        return block.reads(line) and line.dtype.itemsize == line.args[0].dtype.itemsize
    fits = line.elementwise() and line.shape == block.shape and line.order == block.order
    if not fits or any(isinstance(x, np.ndarray) and x.ndim for x in line.args):
        return False
    outer = [x for x in values_in(line.args) if id(x) not in block.members and x.shape]
    if block.order == "F":  # runs through as it lies, or not at all
        return all(x.shape == block.shape and x.order == "F" for x in outer)
    return all(x.ndim <= len(block.shape) for x in outer)


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
