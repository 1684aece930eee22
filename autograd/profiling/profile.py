"""`profile`, the context manager that measures time, calls and bytes, and its reports."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np

from ..files import write_whole
from ..mode import Switch
from .averages import Row, by_module, by_op, ordered, seconds, text_of
from .chrome import events
from .recorder import Recorder, Span


class profile(Switch):
    """Record the time, calls and bytes of every op and module in this block, forward and backward.

    `print(p)` shows a table of ops and one of modules, largest time first; `key_averages` returns the same as rows, and
    `export_chrome_trace` writes a file for chrome://tracing or Perfetto.  Optimiser steps and calls of compiled
    functions are rows too.  Like `no_grad`, it applies to this thread or asyncio task and to tasks created in the
    block, and is a `with` block or a decorator; other threads are measured where they enter the same profile.
    Entering a profile again adds to it.  Blocks nest, and errors pass through.  Without a profile nothing is slower.

    >>> from autograd import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> with profile() as p:
    ...     (np.exp(x) * x).sum().backward()
    >>> [(row.name, row.calls, row.forward_bytes) for row in p.key_averages(sort_by="name")]
    [('exp', 1, 16), ('multiply', 1, 16), ('sum', 1, 8)]
    """

    observer: Recorder

    def __init__(self) -> None:
        super().__init__(observer=Recorder())

    def __enter__(self) -> profile:
        self.observer.enter()
        super().__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self.observer.leave()

    @property
    def time(self) -> float:
        """Seconds inside the blocks; blocks that overlap, in several threads, count once."""
        return self.observer.elapsed * 1e-9

    def events(self) -> list[Span]:
        """Return all spans, in the order in which they ended."""
        return list(self.observer.spans)

    def key_averages(self, by: str = "op", sort_by: str = "time") -> list[Row]:
        """Return a `Row` per op, optimiser and compiled function, or with `by="module"` one per module.

        `sort_by` is "time", "forward", "backward", "self_time", "calls", "bytes" (largest first) or "name".
        """
        if by not in ("op", "module"):
            raise ValueError(f'by is "op" or "module"; got {by!r}')
        spans = self.events()
        return ordered(by_op(spans) if by == "op" else by_module(spans, dict(self.observer.kinds)), sort_by)

    def table(self, by: str = "op", sort_by: str = "time", row_limit: int | None = None) -> str:
        """Return the first `row_limit` rows of `key_averages` as text."""
        return text_of(self.key_averages(by, sort_by), self.time, by, row_limit)

    def __str__(self) -> str:
        rows = self.key_averages()
        if not rows:
            return "nothing was recorded: no op ran in a block of this profile, in the thread that entered it"
        parts = [self.table()]
        if self.observer.kinds:
            parts.append(self.table(by="module"))
        parts.append(_summary(rows, self.time))
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def export_chrome_trace(self, path: str | Path) -> Path:
        """Write threads, modules, ops and arrows to a file that chrome://tracing and ui.perfetto.dev open."""
        recorder = self.observer
        trace = {
            "traceEvents": events(self.events(), recorder.threads, recorder.kinds),
            "displayTimeUnit": "ms",
            "otherData": {"python": platform.python_version(), "numpy": np.__version__},
        }
        return write_whole(path, json.dumps(trace))


def _summary(rows: list[Row], time: float) -> str:
    parts = {
        "forward": sum(row.forward for row in rows),
        "backward": sum(row.backward for row in rows),
        "optimisers": sum(row.other for row in rows if row.kind == "step"),
        "compiled functions": sum(row.other for row in rows if row.kind == "compiled"),
    }
    told = ", ".join(f"{name} {part / time:.0%}" for name, part in parts.items() if part)
    rest = 1 - sum(parts.values()) / time
    if rest < 0:
        return f"{seconds(time)} in all, in which several threads ran: {told}"
    return f"{seconds(time)} in all: {told}; the other {rest:.0%} are Python, recording and the profile itself"
