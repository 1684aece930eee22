"""A program: straight-line NumPy source made of a draft, and the function that it is."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, starmap
from typing import Any

import numpy as np

from .blocks import run_blocks
from .lines import Draft, Value
from .memory import aligned, memory_of
from .scopes import Main
from .writing import Constants

run_through: Any = deque(maxlen=0).extend  # an iterator to its end, in C


class Changed(Exception):
    """A truth value that Python code asked for is another one in this run: the program is for other values."""


def update(
    functions: Sequence[Any], a: Sequence[Any], b: Sequence[Any], out: Sequence[Any], then: Sequence[Any] = ()
) -> None:
    """`function(a, b, out)` for each, and then `setattr(*x)` for each x of `then`, in one call of C.

    An interrupt falls before or after all of it, not between.
    """
    todo: Iterator[Any] = map(operator.call, functions, a, b, out)
    if then:
        todo = chain(todo, starmap(setattr, then))
    failed: Exception | None = None
    while True:
        try:
            run_through(todo)
            break
        except Exception as error:  # np.errstate(over="raise"), say: what raises is written, and the rest must be
            failed = failed or error
    if failed is not None:
        raise failed


class Program:
    """`run(*inputs, *slots)` returns what else comes out; `inputs` are the places of those of the draft that are read.

    If it `moves` something, it returns a pair: what else comes out, and the arguments of the `update` that ends it.
    That one is left to the caller, who may have other things to change in the same moment.
    `slots` are the arrays that leave the program.  For each output of the draft, `outputs` has (True, the number of its
    slot) or (False, its place in what `run` returns), `memory` the number of the slot in whose memory it lies, or None,
    and `replaces` the place of the input that it will stand in for, or None.
    """

    def __init__(
        self,
        draft: Draft,
        name: str,
        names: Sequence[str],
        replaces: Sequence[int | None],
        *,
        exact: bool,
        threads: int,
    ) -> None:
        self.name = name
        self.constants = Constants()
        main = Main(draft, names, replaces, self.constants, exact, threads)
        self.inputs, self.arguments, self.slots = main.inputs, main.arguments, list(main.slots.values())
        numbers = {key: i for i, key in enumerate(main.slots)}
        returned = [x for x in draft.outputs if id(x) not in numbers]
        self.returned, self.moves = len(returned), bool(main.update)
        count = iter(range(self.returned))
        self.outputs = [(True, numbers[id(x)]) if id(x) in numbers else (False, next(count)) for x in draft.outputs]
        self.memory = [numbers.get(id(memory_of(x))) if isinstance(x, Value) else None for x in draft.outputs]
        arguments = [*main.arguments, *(slot.name for slot in self.slots)]
        found = f"[{', '.join(map(main.text, returned))}]"
        body = "\n    ".join([*main.lines, f"return {found}, {main.update}" if main.update else f"return {found}"])
        self.source = "\n\n".join([*main.blocks, f"def {name}({', '.join(arguments)}):\n    {body}\n"])
        prepared = "\n".join(f"{key} = {text}" for key, text in self.constants.prepared.items())
        space: dict[str, Any] = {"np": np, "Changed": Changed, "run_blocks": run_blocks, "aligned": aligned}
        space |= self.constants.arrays | self.constants.functions
        exec(compile(f"{prepared}\n\n{self.source}", f"<compiled {name}>", "exec"), space)
        self.run = space[name]
