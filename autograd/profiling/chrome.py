"""A profile in Chrome's trace event format, which chrome://tracing and Perfetto show on a timeline.

Source: "Trace Event Format", Google, 2016.  Complete events (ph "X") have `ts` and `dur` in microseconds; those of one
`tid` nest by time.  Flow events ("s" to "f") are arrows, here from an op's forward slice to its backward slice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .recorder import Path, Span


def events(spans: Sequence[Span], threads: Mapping[int, str], kinds: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Return the trace events in order of time; a slice comes before those inside it."""
    pid = os.getpid()
    found = [_named("process_name", pid, 0, "autograd.profile")]
    found += [_named("thread_name", pid, thread, name) for thread, name in threads.items()]
    ordered = sorted(spans, key=lambda span: (span.start, -span.end))
    begin = ordered[0].start if ordered else 0
    for span in ordered:
        found.append(_slice(span, pid, begin, kinds))
    return found + list(_arrows(ordered, pid, begin))


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _slice(span: Span, pid: int, begin: int, kinds: Mapping[Path, str]) -> dict[str, Any]:
    name = span.name
    if span.kind == "module" and len(span.modules) > 1:
        name = f"{name} ({kinds[span.modules]})"
    if span.rules:
        name = f"{name} backward"
    about: dict[str, Any] = {"bytes": span.bytes} if span.bytes else {}
    if span.modules:
        about["module"] = ".".join(span.modules)
    if span.shape is not None:
        about["output"] = f"{span.dtype} {span.shape}"
    return {
        "ph": "X",
        "name": name,
        "cat": f"{span.kind} {span.phase}".strip() if span.kind != "backward" else "backward",
        "ts": (span.start - begin) / 1e3,
        "dur": (span.end - span.start) / 1e3,
        "pid": pid,
        "tid": span.thread,
        "args": about,
    }


def _arrows(spans: Sequence[Span], pid: int, begin: int) -> Iterator[dict[str, Any]]:
    for number, span in enumerate(spans):
        if span.origin is not None:
            for ph, end in (("s", span.origin), ("f", span)):
                yield {
                    "ph": ph,
                    "id": number,
                    "name": "forward to backward",
                    "cat": "gradient",
                    "ts": (end.start - begin) / 1e3,
                    "pid": pid,
                    "tid": end.thread,
                    **({"bp": "e"} if ph == "f" else {}),
                }
