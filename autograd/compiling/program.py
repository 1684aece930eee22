"""From a tape to a program: NumPy source, without what nobody needs and without computing anything twice."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .tape import Call, CompileError, Number, Tape, Traced

# Ufuncs and products that may write into an array that is given, and calls whose result shares memory with an input.
_VIEWS = {"transpose", "reshape", "swapaxes", "ravel", "squeeze", "diagonal", "view"}
_VIEW_FUNCTIONS = {
    np.reshape, np.transpose, np.swapaxes, np.broadcast_to, np.expand_dims, np.squeeze, np.moveaxis, np.ravel, np.real,
    np.imag, np.diagonal, np.flip,
}  # fmt: skip

_REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum", "prod": "multiply"}
_REDUCTIONS_BY_FUNCTION = {np.sum: "sum", np.max: "max", np.min: "min", np.prod: "prod"}


class Program:
    """Straight-line NumPy made from a tape: `source`, and `run(inputs)` which returns the outputs.

    Buffers for results that die within a run are made once and written into by `out=`; what leaves the program is new
    in every run.
    """

    def __init__(self, tape: Tape, outputs: Sequence[Any], name: str = "step") -> None:
        self.tape, self.outputs = tape, list(outputs)
        self.constants: dict[str, Any] = {}
        self.buffers: dict[str, Any] = {}
        self.opaque: dict[str, Any] = {}
        self.same: dict[Any, Any] = {}  # an earlier call with the same function and arguments
        self.name = name
        self.source = self._write()
        space: dict[str, Any] = {"np": np, "Changed": Changed, **self.constants, **self.buffers, **self.opaque}
        exec(compile(self.source, f"<compiled {name}>", "exec"), space)
        self.run = space[name]
        self.names.clear()
        self.same.clear()
        for call in tape.calls:  # the arrays of the run that was traced
            call.value, call.args, call.kwargs = None, (), {}
        self.inputs = [given for given, _ in tape.inputs]
        del self.tape, self.outputs

    # ---- which calls are needed, and which are made twice

    def _needed(self) -> list[Call]:
        """The calls that an output or a guard depends on, each computation once."""
        keys: dict[Any, Call] = {}
        for call in self.tape.calls:
            if call.kind != "opaque":
                key = self._key(call)
                self.same[call] = keys.setdefault(key, call)
        wanted: set[Call] = set()
        waiting = [*self.outputs, *(asked for _, asked, _ in self.tape.guards)]
        while waiting:
            x = waiting.pop()
            if isinstance(x, tuple | list):
                waiting += x
            elif isinstance(x, slice):
                waiting += [x.start, x.stop, x.step]
            elif isinstance(x, dict):
                waiting += x.values()
            elif isinstance(x, Traced):
                made = self._call_of(x)
                if made is not None and made not in wanted:
                    wanted.add(made)
                    waiting += [made.args, made.kwargs]
        random = [c for c in self.tape.calls if c.kind == "opaque" and not _traced_in(c.args) and c not in wanted]
        wanted.update(random)  # a generator is drawn from as often as in the function itself
        return [call for call in self.tape.calls if call in wanted]

    def _call_of(self, x: Traced) -> Call | None:
        origin = x.origin[0] if isinstance(x.origin, tuple) else x.origin
        return self.same.get(origin, origin) if isinstance(origin, Call) else None

    def _key(self, call: Call) -> Any:
        return call.kind, call.function, self._text_key(call.args), self._text_key(call.kwargs)

    def _text_key(self, x: Any) -> Any:
        if isinstance(x, Traced):
            call = self._call_of(x)
            return (
                "t",
                id(call) if call is not None else x.origin,
                x.origin[1] if isinstance(x.origin, tuple) else None,
            )
        if isinstance(x, Number):
            return "n", x.text
        if isinstance(x, tuple | list):
            return (type(x), *map(self._text_key, x))
        if isinstance(x, slice):
            return "s", self._text_key((x.start, x.stop, x.step))
        if isinstance(x, dict):
            return tuple((k, self._text_key(v)) for k, v in x.items())
        return ("c", type(x), x) if isinstance(x, int | float | str | bool | None) else ("i", id(x))

    # ---- the text

    def _write(self) -> str:
        calls = self._needed()
        self.names: dict[Any, str] = {}
        for i, call in enumerate(calls):
            self.names[call] = f"t{i}"
        last = self._last_uses(calls)
        self.free: dict[Any, list[str]] = {}
        self.held: dict[Call, str] = {}
        lines: list[str] = []
        heading = ("", "")
        guards: dict[int, list[tuple[Traced, bool]]] = {}
        for at, asked, answer in self.tape.guards:
            guards.setdefault(at, []).append((asked, answer))
        position = {call: i for i, call in enumerate(calls)}
        waiting = sorted(guards)
        for call in calls:
            while waiting and waiting[0] <= call.number:
                lines += self._guard_lines(guards[waiting.pop(0)])
            if (call.phase, call.module) != heading:
                heading = (call.phase, call.module)
                lines.append(f"    # {call.phase}{': ' + call.module if call.module else ''}")
            lines.append(f"    {self.names[call]} = {self._expression(call, last, position)}")
        for at in waiting:
            lines += self._guard_lines(guards[at])
        results = ", ".join(self._text(x) for x in self.outputs)
        arguments = ", ".join(name for name, _ in self.tape.inputs)
        body = "\n".join(lines)
        return f"def {self.name}({arguments}):\n{body}\n    return [{results}]\n"

    def _guard_lines(self, asked: list[tuple[Traced, bool]]) -> list[str]:
        return [f"    if bool({self._text(x)}) is not {answer}: raise Changed" for x, answer in asked]

    def _last_uses(self, calls: list[Call]) -> dict[Call, int]:
        """After which line the memory of a call's result is free: that of the last use of it, or of a view of it."""
        last: dict[Call, int] = {}
        for i, call in enumerate(calls):
            for x in _traced_in((call.args, call.kwargs)):
                for origin in self._memory(x):
                    last[origin] = i
        for x in [*_traced_in(self.outputs), *(asked for _, asked, _ in self.tape.guards)]:
            for origin in self._memory(x):
                last[origin] = len(calls)
        return last

    def _memory(self, x: Traced) -> list[Call]:
        """The call that made x, and those whose memory it may share."""
        found: list[Call] = []
        call = self._call_of(x)
        while call is not None:
            found.append(call)
            shared = call.kind == "item" or call.function in _VIEWS or (
                callable(call.function) and call.kind == "call" and _hashable(call.function) in _VIEW_FUNCTIONS
            )  # fmt: skip
            inner = _traced_in(call.args)
            call = self._call_of(inner[0]) if shared and inner else None
        return found

    def _expression(self, call: Call, last: dict[Call, int], position: dict[Call, int]) -> str:
        i = position[call]
        args = [self._text(a) for a in call.args]
        kwargs = [f"{key}={self._text(value)}" for key, value in call.kwargs.items()]
        if call.kind == "item":
            return f"{args[0]}[{self._index(call.args[1])}]"
        if reduction := self._reduction(call, args):
            self._let_go(i, last)
            return reduction
        if call.kind == "method":
            self._let_go(i, last)
            return f"{args[0]}.{call.function}({', '.join(args[1:] + kwargs)})"
        name = self._function(call)
        if (
            isinstance(call.function, np.ufunc)
            and not kwargs
            and isinstance(call.value, np.ndarray)
            and call.value.size > 1
        ):
            elementwise = call.function.signature is None
            if elementwise:  # an input that dies here may be written over
                self._let_go(i, last)
            buffer = self._buffer(call) if last.get(call, 0) <= len(position) - 1 else ""
            if not elementwise:
                self._let_go(i, last)
            if buffer:
                args.append(f"out={buffer}")
        else:
            self._let_go(i, last)
        return f"{name}({', '.join(args + kwargs)})"

    def _reduction(self, call: Call, args: list[str]) -> str:
        """A sum or an extreme as the ufunc's own `reduce`, which np.sum and x.sum() call in the end; "" for others."""
        name = call.function if call.kind == "method" else _REDUCTIONS_BY_FUNCTION.get(_hashable(call.function), "")
        ufunc = _REDUCTIONS.get(name)
        plain = len(args) == 1 and call.kwargs.keys() <= {"axis", "keepdims"} and isinstance(call.args[0], Traced)
        if ufunc is None or not plain:
            return ""
        given = {"axis": None} | call.kwargs
        return f"np.{ufunc}.reduce({args[0]}, {', '.join(f'{key}={self._text(x)}' for key, x in given.items())})"

    def _let_go(self, i: int, last: dict[Call, int]) -> None:
        """Buffers of results that nobody uses after line i may be written into."""
        for call in [c for c, _ in self.held.items() if last.get(c, 0) <= i]:
            buffer = self.held.pop(call)
            value = self.buffers[buffer]
            self.free.setdefault((value.shape, value.dtype), []).append(buffer)

    def _buffer(self, call: Call) -> str:
        value = call.value
        if not value.flags.c_contiguous:
            return ""
        free = self.free.get((value.shape, value.dtype), [])
        if free:
            name = free.pop()
        else:
            name = f"b{len(self.buffers)}"
            self.buffers[name] = np.empty(value.shape, value.dtype)
        self.held[call] = name
        return name

    def _function(self, call: Call) -> str:
        if call.kind == "opaque":
            name = f"f{len(self.opaque)}"
            self.opaque[name] = call.function
            return name
        function: Any = call.function
        owner = getattr(function, "__self__", None)
        if isinstance(owner, np.ufunc):
            return f"np.{owner.__name__}.{function.__name__}"
        called = getattr(function, "__name__", "")
        for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
            if getattr(module, called, None) is function:
                return f"{prefix}.{called}"
        name = f"f{len(self.opaque)}"
        self.opaque[name] = function
        return name

    def _text(self, x: Any) -> str:
        """How an argument is written."""
        if isinstance(x, Number):
            return x.text
        if isinstance(x, Traced):
            if isinstance(x.origin, tuple):
                return f"{self.names[self.same.get(x.origin[0], x.origin[0])]}[{x.origin[1]}]"
            return self.names[self._call_of(x)] if isinstance(x.origin, Call) else x.origin
        if isinstance(x, tuple):
            return f"({''.join(self._text(item) + ', ' for item in x)})"
        if isinstance(x, list):
            return f"[{', '.join(map(self._text, x))}]"
        if isinstance(x, slice):
            return f"slice({', '.join(map(self._text, (x.start, x.stop, x.step)))})"
        if isinstance(x, dict):
            return f"{{{', '.join(f'{k!r}: {self._text(v)}' for k, v in x.items())}}}"
        if isinstance(x, np.dtype):
            return f"np.dtype({x.str!r})"
        if x is None or isinstance(x, bool | int | str) or x is Ellipsis:
            return repr(x)
        if isinstance(x, float | complex) and not isinstance(x, np.generic) and np.isfinite(x):
            return repr(x)
        for name, value in self.constants.items():
            if value is x:
                return name
        name = f"c{len(self.constants)}"
        self.constants[name] = x
        return name

    def _index(self, index: Any) -> str:
        """An index as one writes it: `[:, 0]` and not `[(slice(None), 0)]`."""
        parts = index if isinstance(index, tuple) else (index,)
        said = []
        for part in parts:
            if isinstance(part, slice):
                start, stop, step = ("" if p is None else self._text(p) for p in (part.start, part.stop, part.step))
                said.append(f"{start}:{stop}" + (f":{step}" if step else ""))
            else:
                said.append("..." if part is Ellipsis else self._text(part))
        return ", ".join(said) + ("," if isinstance(index, tuple) and len(parts) < 2 else "")

    # ---- as a file

    def module(self) -> str:
        """The text of a module that needs NumPy alone.  CompileError where a call is the engine's own."""
        if self.opaque:
            names = ", ".join(getattr(f, "__qualname__", repr(f)) for f in self.opaque.values())
            raise CompileError(f"this program calls functions that are not NumPy's ({names}), so it cannot be a file")
        arrays = {name: np.asarray(value) for name, value in self.constants.items() if _kept(value)}
        if others := [value for value in self.constants.values() if not _kept(value)]:
            raise CompileError(f"this program holds {others[0]!r:.60}, which a file cannot")
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        held = base64.b64encode(buffer.getvalue()).decode("ascii")
        lines = ['"""A program written by plaingrad; it needs NumPy alone."""', "", "import base64", "import io", ""]
        lines += ["import numpy as np", "", "", "class Changed(Exception):"]
        lines += [
            '    """The program is for other values: a check that was made when it was written fails now."""',
            "",
            "",
        ]
        if arrays:
            lines.append(f'_held = np.load(io.BytesIO(base64.b64decode("{held}")))')
            lines += [f'{name} = _held["{name}"]' for name in arrays]
        lines += [f"{n} = np.empty({b.shape}, {b.dtype.str!r})" for n, b in self.buffers.items()]
        return "\n".join([*lines, "", "", self.source])


class Changed(Exception):
    """A truth value that Python code asked for is another one in this run."""


def _kept(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | float)


def _hashable(function: Any) -> Any:
    try:
        hash(function)
    except TypeError:
        return None
    return function


def _traced_in(x: Any) -> list[Traced]:
    """Every Traced in nested arguments."""
    if isinstance(x, Traced):
        return [x]
    if isinstance(x, slice):
        return _traced_in((x.start, x.stop, x.step))
    items = x.values() if isinstance(x, dict) else x if isinstance(x, tuple | list) else ()
    return [found for item in items for found in _traced_in(item)]
