"""The signatures of ops, which `help()` and tooltips show and the stubs contain."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .numpy_calls import signature

_HIDDEN = {"out", "subok", "overwrite_input"}  # without effect, or refused


class Shown(inspect.Signature):
    """The signature of an op, computed on access to keep the import fast."""

    __slots__ = ("_op",)

    def __init__(self, op: Any) -> None:
        super().__init__()
        self._op = op

    @property
    def parameters(self) -> Any:
        """The arguments by name."""
        return shown(self._op).parameters

    def replace(self, **changes: Any) -> Any:
        """A plain signature with these changes, as `inspect` makes for a bound method."""
        return shown(self._op).replace(**changes)

    __replace__ = replace

    def __reduce__(self) -> Any:
        return shown(self._op).__reduce__()


def shown(op: Any) -> inspect.Signature:
    """The signature of an op: NumPy's argument names, without those that the op refuses."""
    if isinstance(op.forward, np.ufunc) and op.call is None:
        return of_ufunc(len(op.rules))
    refused = _HIDDEN
    if op.call is not None or not (op.rules or op.every):
        given = list(inspect.signature(op.call or op.forward).parameters.values())
    else:
        more = {p.name: p for p in _keywords(op)}
        known = [
            p.replace(default=more[p.name].default) if p.name in more else p for p in signature(op).parameters.values()
        ]
        refused = refused | {p.name for p in known[len(op.rules) :]} - op.params - more.keys()
        placed = {p.name for p in known}
        given = [*known, *(p for p in more.values() if p.name not in placed)]
    bare: list[inspect.Parameter] = []
    after = False
    for p in given:
        if p.name in refused:
            after = True
        else:  # an argument after a refused one cannot be positional
            kind = p.KEYWORD_ONLY if after and p.kind is p.POSITIONAL_OR_KEYWORD else p.kind
            bare.append(p.replace(kind=kind, annotation=p.empty))
    return inspect.Signature(sorted(bare, key=lambda p: p.kind))


def of_ufunc(inputs: int) -> inspect.Signature:
    """The signature of every ufunc of so many inputs."""
    kinds = inspect.Parameter
    arrays = [kinds("x" if inputs == 1 else f"x{i + 1}", kinds.POSITIONAL_ONLY) for i in range(inputs)]
    keywords = [kinds(name, kinds.KEYWORD_ONLY, default=value) for name, value in (("where", True), ("dtype", None))]
    return inspect.Signature(arrays + keywords)


def _keywords(op: Any) -> list[inspect.Parameter]:
    """The keywords of an op, with the defaults in its rules and its `beyond`."""
    functions = [op.rules[0], *([op.beyond] if op.beyond else [])]
    found = [p for function in functions for p in inspect.signature(function).parameters.values()]
    return [p.replace(kind=p.KEYWORD_ONLY) for p in found if p.default is not p.empty]
