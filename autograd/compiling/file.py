"""A program as the text of a module that needs NumPy alone."""

from __future__ import annotations

import base64
import inspect
import io
from typing import Any

import numpy as np

from .blocks import run_blocks
from .calls import CompileError
from .plan import Plan
from .program import update
from .tracing import Pick

_HEAD = '''"""A program written by plaingrad; it needs NumPy alone."""

from __future__ import annotations

import base64
import io
import math
import operator
from collections import deque

import numpy as np


class Changed(ValueError):
    """The program is not for these values: a check that was made when it was written fails now."""
'''


def text_of_file(plan: Plan, name: str) -> str:
    """The module: the program, what it reads besides arguments as the dict `state`, and a function for both.

    Raises CompileError where the program calls what is not NumPy's, or holds what a file cannot.
    """
    program, constants = plan.program, plan.program.constants
    functions = [line for key, f in constants.functions.items() for line in _function_lines(key, f)]
    if others := [x for x in constants.arrays.values() if not isinstance(x, np.ndarray | np.generic | float)]:
        raise CompileError(f"this program holds {others[0]!r:.60}, which a file cannot")
    arguments = {text: name for text, (name, _) in zip(plan.texts, plan.tape_inputs, strict=True) if text[0] == "a"}
    arrays = {key: np.asarray(value) for key, value in constants.arrays.items()}
    numbers: dict[str, Any] = {}
    values = plan.values()
    given = []
    for k, key in zip(program.inputs, program.arguments, strict=True):
        if plan.texts[k] in arguments:
            given.append(arguments[plan.texts[k]])
        else:
            given.append(f"state[{key!r}]")
            table = arrays if isinstance(values[k], np.ndarray) else numbers
            table[f"state.{key}" if table is arrays else key] = values[k]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    held = base64.b64encode(buffer.getvalue()).decode("ascii")
    text = program.source.replace(f"def {program.name}(", f"def _{program.name}(")
    lines = [_HEAD]
    lines += [f"\n{inspect.getsource(f)}" for f in (run_blocks, update) if f"{f.__name__}(" in text]
    lines.append(f'\n_held = np.load(io.BytesIO(base64.b64decode("{held}")))')
    lines += [f'{key} = _held["{key}"]' for key in constants.arrays]
    lines += functions
    lines.append(f"state = {numbers!r}")
    lines.append('state.update((key[6:], _held[key]) for key in _held.files if key.startswith("state."))')
    lines += [f"{key} = {value}" for key, value in constants.prepared.items()]
    return "\n".join([*lines, f"\n\n{text}\n", _function(plan, name, arguments, given)]) + "\n"


# SciPy's distribution function of the normal numbers, which GELU needs; to the last digit but one, and slower.
_NDTR = """def {name}(x, out=None):
    found = np.asarray(np.frompyfunc(math.erfc, 1, 1)(x * -math.sqrt(0.5))).astype(x.dtype) * 0.5
    if out is None:
        return found
    out[...] = found
    return out
"""


def _function_lines(name: str, function: Any) -> list[str]:
    """How a function that is not NumPy's is made: one that draws from a generator, which goes on from where it is."""
    generator = getattr(function, "__self__", None)
    if isinstance(generator, np.random.Generator):
        bits = generator.bit_generator
        made = f"np.random.Generator(np.random.{type(bits).__name__}())"
        return [
            f"{name} = {made}",
            f"{name}.bit_generator.state = {bits.state!r}",
            f"{name} = {name}.{function.__name__}",
        ]
    if isinstance(function, np.ufunc) and function.__name__ == "ndtr":
        return [_NDTR.format(name=name)]
    said = getattr(function, "__qualname__", repr(function))
    raise CompileError(f"this program calls a function that is not NumPy's ({said}), so it cannot be a file")


def _function(plan: Plan, name: str, arguments: dict[str, str], given: list[str]) -> str:
    """The function that people call."""
    program = plan.program
    slots = [slot.text for slot in program.slots]
    outlines: dict[str, Any] = {
        arguments[text]: value for text, value in zip(plan.texts, plan.outlines, strict=True) if text in arguments
    }
    told = "; ".join(f"{key}: {dtype} {shape}" for key, (shape, dtype) in outlines.items())
    lines = [
        f"def {name}({', '.join(outlines)}):",
        f'    """{told or "No arguments"}; ValueError for anything else."""',
    ]
    for key, (shape, dtype) in outlines.items():
        lines.append(f"    if {key}.shape != {shape} or {key}.dtype != np.dtype({dtype.str!r}):")
        got = f"got {{{key}.shape}} and {{{key}.dtype}}"
        lines.append(f'        raise ValueError(f"{name} is for {key} of shape {shape} and {dtype}; {got}")')
    lines.append(f"    slots = [{', '.join(slots)}]")
    lines.append(f"    found = [*slots, *_{program.name}({', '.join([*given, '*slots'])})]")
    for move in plan.moves:
        if move.name is not None:
            key = (
                program.arguments[program.inputs.index(int(move.name[1:]))]
                if int(move.name[1:]) in program.inputs
                else ""
            )
            lines += [f"    state[{key!r}] = found[{move.place}]"] * bool(key)
    places = iter(plan.results)
    picks = [f"found[{next(places)}]" if isinstance(pick, Pick) else repr(pick) for pick in plan.picks]
    lines.append(f"    return {_written(plan.build(picks))}")
    return "\n".join(lines)


def _written(x: Any) -> str:
    """A nest of texts as the text of a nest."""
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key!r}: {_written(value)}' for key, value in x.items())}}}"
    if isinstance(x, list):
        return f"[{', '.join(map(_written, x))}]"
    if isinstance(x, tuple):
        return f"({''.join(f'{_written(item)}, ' for item in x)})"
    return str(x)
