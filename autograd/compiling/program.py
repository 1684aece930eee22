"""A program: straight-line NumPy source made of a draft, and the function that it is."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from .blocks import run_blocks
from .lines import Draft
from .scopes import Main
from .writing import Constants


class Changed(Exception):
    """A truth value that Python code asked for is another one in this run: the program is for other values."""


def update(functions: Sequence[Any], a: Sequence[Any], b: Sequence[Any], out: Sequence[Any]) -> None:
    """`function(a, b, out)` for each, in one call of C: an interrupt falls before or after all of them, not between."""
    todo = map(operator.call, functions, a, b, out)
    try:
        deque(todo, maxlen=0)
    except Exception:  # np.errstate(over="raise"), say: what raises has been written, and the rest must be
        while True:
            try:
                deque(todo, maxlen=0)
                break
            except Exception:
                continue
        raise


class Program:
    """`run(*inputs, *slots)` returns what else comes out; `inputs` are the places of those of the draft that are read.

    `slots` are the arrays that leave the program.  For each output of the draft, `outputs` has (True, the number of its
    slot) or (False, its place in what `run` returns).  `replaces` has for each output the place of the input that it
    will stand in for, or None.
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
        self.returned = len(returned)
        count = iter(range(self.returned))
        self.outputs = [(True, numbers[id(x)]) if id(x) in numbers else (False, next(count)) for x in draft.outputs]
        arguments = [*main.arguments, *(slot.name for slot in self.slots)]
        body = "\n    ".join([*main.lines, f"return [{', '.join(map(main.text, returned))}]"])
        self.source = "\n\n".join([*main.blocks, f"def {name}({', '.join(arguments)}):\n    {body}\n"])
        prepared = "\n".join(f"{key} = {text}" for key, text in self.constants.prepared.items())
        space: dict[str, Any] = {"np": np, "Changed": Changed, "run_blocks": run_blocks, "update": update}
        space |= self.constants.arrays | self.constants.functions
        exec(compile(f"{prepared}\n\n{self.source}", f"<compiled {name}>", "exec"), space)
        self.run = space[name]
