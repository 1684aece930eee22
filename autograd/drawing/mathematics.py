"""Show a derivative rule as mathematics, read from its source: `lambda g, _z, _x, y: g * y` becomes `g · w`."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Sequence
from typing import Any

_SIGNS = [(r"\*\* ?2\b", "²"), (r"\*\* ?3\b", "³"), (r" ?\*\* ?", "^"), (r" \* ", " · "), (r"\.T\b", "ᵀ")]


def mathematics(rule: Any, names: Sequence[str] = ()) -> str:
    """Return what `rule(g, out, *inputs)` computes, with its arguments renamed to `names` (of out and the inputs).

    A lambda is shown as its expression.  A `def` is shown as the backticked start of its docstring, or else as its
    first `return`.  Returns "" if there is no source.

    >>> mathematics(lambda g, _z, _x, y: g * y, ["z", "x", "w"])
    'g · w'
    """
    while isinstance(rule, functools.partial):
        rule = rule.func
    if not inspect.isfunction(rule):
        return ""
    code = rule.__code__
    arguments = code.co_varnames[1 : code.co_argcount]
    said = re.match(r"`([^`]+)`", rule.__doc__ or "")
    text = said[1] if said else _expression(rule)
    renamed = {a: _letter(b, a) for a, b in zip(arguments, names, strict=False)}
    text = re.sub(r"\b(np|math|F)\.", "", text)
    text = re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda m: renamed.get(m[0], m[0]), text)
    for pattern, sign in _SIGNS:
        text = re.sub(pattern, sign, text)
    return re.sub(r"\b_(?=[a-z])", "", text)


def _letter(name: str, otherwise: str) -> str:
    """Return a name that fits a formula (`weight` for `0.weight`) or a number; `otherwise` for any other name."""
    if re.fullmatch(r"-?[\d.]+", name):
        return name
    return name.rpartition(".")[2] if re.fullmatch(r"[^\W\d_][\w.]{0,40}|\d+\.[\w.]{1,40}", name) else otherwise


def _expression(rule: Any) -> str:
    """The source of a lambda's body, or of the first `return` of a function."""
    try:
        lines, _ = inspect.findsource(rule)
    except (OSError, TypeError):
        return ""
    if rule.__name__ != "<lambda>":
        first = rule.__code__.co_firstlineno - 1
        tree = ast.parse(inspect.cleandoc("\n" + "".join(inspect.getblock(lines[first:]))))
        found = next((n for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value is not None), None)
        return ast.unparse(found.value) if found is not None and found.value is not None else ""
    places = [p for p in rule.__code__.co_positions() if p[1] and p[3]]
    start = min((p[0] or 0, p[2] or 0) for p in places)
    end = max((p[1] or 0, p[3] or 0) for p in places)
    rows = [line.encode() for line in lines[start[0] - 1 : end[0]]]  # positions count bytes
    rows[-1] = rows[-1][: end[1]]
    rows[0] = rows[0][start[1] :]
    text = " ".join(row.decode().strip() for row in rows)
    try:
        return ast.unparse(ast.parse(text, mode="eval"))
    except SyntaxError:  # a bracket that opened before the first instruction
        return text
