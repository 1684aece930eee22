"""A program as the text of a module that needs NumPy alone."""

from __future__ import annotations

import base64
import inspect
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from .blocks import aligned, pool, run_blocks
from .emit import Text, making, written
from .plan import Plan
from .program import CompileError, Input, literal
from .schedule import update
from .state import Output

_HEAD = '''"""A program written by plaingrad; it needs NumPy alone."""

from __future__ import annotations

import base64, contextvars, functools, io, math, operator, os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, starmap
from typing import Any

import numpy as np

run_through = deque(maxlen=0).extend  # an iterator to its end, in C


class Changed(ValueError):
    """The program is not for these values: a check that was made when it was written fails now."""
'''

# SciPy's distribution function of the normal numbers, which GELU needs; to the last digit but one, and slower.
_NDTR = """def {name}(x, out=None):
    return np.multiply(np.asarray(np.frompyfunc(math.erfc, 1, 1)(x * -math.sqrt(0.5))).astype(x.dtype), 0.5, out=out)
"""


class File:
    """`text` is the module: the program, what it reads besides arguments as the dict `state`, and a function for both.

    Raises CompileError where the program calls what is not NumPy's, or holds or changes what a file cannot.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.name = plan, name
        self.names = [x.name if isinstance(x, Input) else x.text for x in plan.inputs]
        self.arrays: dict[str, Any] = {}
        moves = self._moves()
        read = sorted({*plan.program.inputs, *moves})
        self.arguments = [k for k in read if plan.places[k][0] == "a"]
        constants = list(self._constants())
        state = list(self._state([k for k in read if k not in self.arguments]))
        functions = list(self._functions())
        text = plan.program.source.replace(f"def {plan.program.name}(", "def program(")
        copied: list[Any] = [*[run_blocks, pool] * ("run_blocks(" in text), aligned, *[update] * plan.program.moves]
        sources = [f"\n{inspect.getsource(f)}" for f in copied]
        parts = [_HEAD, *sources, self._held(), *constants, *functions, *state, plan.program.prepared, f"\n\n{text}\n"]
        self.text = "\n".join([*parts, *self._function(moves)]) + "\n"

    def _moves(self) -> dict[int, str]:
        """{input: the text of the output that takes its place in the next run}."""
        plan = self.plan
        if any(".grad." in plan.places[k] for k in plan.program.inputs):
            raise CompileError("this program adds to gradients that were there; call zero_grad() in the function")
        moves = {}
        for output in plan.outputs:
            if output.kind in ("data", "state"):
                if output.old is None:
                    raise CompileError("this program makes an optimiser's state; call the function again, then save")
                if plan.places[output.old][0] == "a":
                    raise CompileError("this program moves a Tensor that is an argument, which a file cannot")
                moves[output.old] = output.text
        return moves

    # ---- what it holds

    def _constants(self) -> Iterator[str]:
        for key, value in self.plan.program.constants.arrays.items():
            if isinstance(value, float | complex) and not isinstance(value, np.generic):
                yield f"{key} = {literal(value)}"
                continue
            if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
                raise CompileError(f"this program holds {value!r:.60}, which a file cannot")
            self.arrays[key] = value
            yield f'{key} = held["{key}"]{"[()]" if isinstance(value, np.generic) else ""}'

    def _state(self, places: list[int]) -> Iterator[str]:
        numbers = {}
        for k in places:
            key, value = self.names[k], eval(self.plan.places[k], self.plan.space)
            if isinstance(value, np.ndarray | np.generic):
                self.arrays[f"state.{key}"] = value
            else:
                numbers[key] = value
        yield f"state = {{{', '.join(f'{key!r}: {literal(value)}' for key, value in numbers.items())}}}"
        yield 'state.update((key[6:], held[key]) for key in held.files if key.startswith("state."))'

    def _held(self) -> str:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self.arrays)
        text = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'\nheld = np.load(io.BytesIO(base64.b64decode("{text}")))'

    def _functions(self) -> Iterator[str]:
        """How the functions that are not NumPy's are made; those that draw from a generator go on from where it is."""
        generators: dict[int, str] = {}
        for name, function in self.plan.program.constants.functions.items():
            owner = getattr(function, "__self__", None)
            if isinstance(owner, np.random.Generator):
                if id(owner) not in generators:
                    made = generators[id(owner)] = f"g{len(generators)}"
                    bits = owner.bit_generator
                    yield f"{made} = np.random.Generator(np.random.{type(bits).__name__}())"
                    yield f"{made}.bit_generator.state = {written(bits.state)}"
                yield f"{name} = {generators[id(owner)]}.{function.__name__}"
            elif isinstance(function, np.ufunc) and function.__name__ == "ndtr":
                yield _NDTR.format(name=name)
            else:
                said = getattr(function, "__qualname__", repr(function))
                raise CompileError(f"this program calls what is not NumPy's ({said}), so it cannot be a file")

    # ---- the function that people call

    def _function(self, moves: dict[int, str]) -> Iterator[str]:
        plan, program, name = self.plan, self.plan.program, self.name
        outlines: dict[str, Any] = {self.names[k]: plan.inputs[k] for k in self.arguments}
        shown = "; ".join(f"{key}: {x.dtype} {x.shape}" for key, x in outlines.items())
        yield f"def {name}({', '.join(outlines)}):"
        yield f'    """{shown or "No arguments"}; ValueError for anything else."""'
        for key, x in outlines.items():
            yield f"    if {key}.shape != {x.shape} or {key}.dtype != np.dtype({x.dtype.str!r}):"
            got = f"got {{{key}.shape}} and {{{key}.dtype}}"
            yield f'        raise ValueError(f"{name} is for {key} of shape {x.shape} and {x.dtype}; {got}")'
        given = [self.names[k] if k in self.arguments else f"state[{self.names[k]!r}]" for k in program.inputs]
        slots = [f"s{k}" for k in range(len(program.slots))]
        for key, slot in zip(slots, program.slots, strict=True):
            yield f"    {key} = {making(*slot.like)}"
        yield f"    found{', last' if program.moves else ''} = program({', '.join([*given, *slots])})"
        if program.moves:
            yield "    update(*last)"
        for k, text in moves.items():
            yield f"    state[{self.names[k]!r}] = {text}"
        if any(isinstance(pick, Text) for pick in plan.picks):
            raise CompileError("the function returns one of its tensors, which a file cannot hold; return its data")
        yield f"    return {written(plan.build(Text(x.text) if isinstance(x, Output) else x for x in plan.picks))}"
