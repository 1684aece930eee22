"""Writing out a loop by machine: made for exactly n inputs, the function that every op is takes a sixth less time.

What one reads is its text in `differentiable`, for any number of inputs.  What runs is that text with these changes,
here for two; every call with another number of inputs goes to the function itself.

    def function(*inputs, **params):           def function(inputs0=ABSENT, inputs1=ABSENT, /, *more, **params):
        if len(inputs) != arity or odd:            if inputs1 is ABSENT or more or odd:
            ...                                        return itself(...)
        for i, x in enumerate(inputs):
            arrays.append(x.data)                  arrays0 = inputs0.data
                                                   arrays1 = inputs1.data
        data = forward(*arrays)                    data = forward(arrays0, arrays1)
"""

from __future__ import annotations

import linecache
import re
import textwrap
from collections.abc import Callable
from typing import Any

ABSENT: Any = object()

_HEAD = re.compile(r"def (\w+)\(\*inputs.*\n    if len\(inputs\) != arity or (.*):\n(?:        .*\n)+")
_LOOP = re.compile(r"    for i, x in enumerate\(inputs\):\n((?:        .*\n)+)")
_GUARD = """\
def {name}({given}, /, *more, **params):
    if inputs{last} is ABSENT or more or {odd}:
        return itself(*[x for x in ({inputs},) if x is not ABSENT], *more, **params)
"""
_makers: dict[tuple[Any, int], Any] = {}  # by the code of the function and the number of inputs


def unrolled(function: Callable[..., Any], n: int) -> Any:
    """The copy of `function` for n inputs; the function itself where its text is not at hand."""
    code = function.__code__
    if (code, n) not in _makers:
        last = max(line or 0 for _, _, line in code.co_lines())
        lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : last]
        if not lines:
            return function
        copy = textwrap.indent(_for_n_inputs(textwrap.dedent("".join(lines)), n), "    ")
        text = f"def make({', '.join(['itself', 'ABSENT', *code.co_freevars])}):\n{copy}    return {code.co_name}\n"
        name = f"<{function.__module__} for {n} inputs>"  # under which errors and debuggers find the lines
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        scope: dict[str, Any] = {}
        exec(compile(text, name, "exec"), function.__globals__, scope)
        _makers[code, n] = scope["make"]
    return _makers[code, n](function, ABSENT, *(cell.cell_contents for cell in function.__closure__ or ()))


def _for_n_inputs(text: str, n: int) -> str:
    def each(name: str, more: str = "") -> str:
        return ", ".join(f"{name}{k}{more}" for k in range(n))

    def head(match: re.Match[str]) -> str:
        name, odd = match.groups()
        return _GUARD.format(name=name, odd=odd, given=each("inputs", "=ABSENT"), inputs=each("inputs"), last=n - 1)

    def loop(match: re.Match[str]) -> str:
        body, written = textwrap.dedent(match[1]), ""
        for k in range(n):
            now = re.sub(r"(\w+)\.append\((.*)\)", rf"\g<1>{k} = \2", body)
            written += re.sub(r"\bi\b", str(k), re.sub(r"\bx\b", f"inputs{k}", now))
        return textwrap.indent(written, "    ")

    text = _LOOP.sub(loop, _HEAD.sub(head, text))
    text = re.sub(r" +(arrays|edges): .* = \[\]\n", "", text)
    text = re.sub(r"\*(arrays|edges)\b", lambda match: each(match[1]), text)
    return re.sub(r"(?<!\.)\b(inputs|arrays|edges)\b", lambda match: f"({each(match[1])},)", text)
