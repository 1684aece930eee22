"""Sum the spans of a profile into rows, one per op or per module, and print them as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .recorder import Path, Span


@dataclass
class Row:
    """The totals of one op, module, optimiser or compiled function, in seconds and bytes.

    `forward` and `backward` are its times in the two passes.  For an op they are the time in its NumPy function, and
    the time in its rules and in summing their results, both without other ops called there; for a module both include
    the modules inside, and `self_time` does not.  `other` is time outside both passes: an optimiser's step or a
    compiled function.  `calls` counts calls of the op or module, and `backward_calls` how often its rules ran.
    `forward_bytes` is the size of the outputs (0 for a view); `backward_bytes` includes the gradients sent to inputs.
    """

    name: str
    kind: str
    calls: int = 0
    backward_calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    self_time: float = 0.0
    forward_bytes: int = 0
    backward_bytes: int = 0

    @property
    def time(self) -> float:
        """Total seconds."""
        return self.forward + self.backward + self.other

    @property
    def bytes(self) -> int:
        """Total bytes."""
        return self.forward_bytes + self.backward_bytes

    def add(self, span: Span, nanoseconds: int) -> None:
        """Add the time of a call, or of a run of the rules."""
        seconds = nanoseconds * 1e-9
        self.self_time += seconds
        self.calls += not span.rules
        self.backward_calls += span.rules
        if span.phase == "forward":
            self.forward += seconds
        elif span.phase == "backward":
            self.backward += seconds
        else:
            self.other += seconds

    def hold(self, span: Span) -> None:
        """Add the bytes of a span."""
        if span.phase == "backward":
            self.backward_bytes += span.bytes
        else:
            self.forward_bytes += span.bytes


def by_op(spans: Iterable[Span]) -> list[Row]:
    """Return a row per op, optimiser and compiled function."""
    rows: dict[tuple[str, str], Row] = {}
    for span in spans:
        if span.kind not in ("module", "backward"):
            row = rows.setdefault((span.kind, span.name), Row(span.name, span.kind))
            row.add(span, span.end - span.start - span.inside)
            row.hold(span)
    return list(rows.values())


def by_module(spans: Iterable[Span], kinds: Mapping[Path, str]) -> list[Row]:
    """Return a row per module, named by its path and its class: `Sequential.0 (Linear)`."""
    rows: dict[Path, Row] = {}
    for path, kind in kinds.items():
        rows[path] = Row(path[0] if len(path) == 1 else f"{'.'.join(path)} ({kind})", "module")
    for span in spans:
        if span.kind == "module":
            rows[span.modules].add(span, span.end - span.start)
        for i in range(len(span.modules)):
            rows[span.modules[: i + 1]].hold(span)
    for path, row in rows.items():
        if path[:-1] in rows:
            rows[path[:-1]].self_time -= row.time
    return list(rows.values())


_BEST_FIRST = ("time", "forward", "backward", "self_time", "calls", "bytes")
_COLUMNS = ("", "calls", "forward", "backward", "time", "share", "bytes forward", "bytes backward")


def ordered(rows: Sequence[Row], sort_by: str) -> list[Row]:
    """Sort the rows, largest first or by name.  Raises a ValueError that lists the valid keys."""
    if sort_by == "name":
        return sorted(rows, key=lambda row: row.name)
    if sort_by not in _BEST_FIRST:
        raise ValueError(f"sort_by is one of {', '.join((*_BEST_FIRST, 'name'))}; got {sort_by!r}")
    return sorted(rows, key=lambda row: -getattr(row, sort_by))


def text_of(rows: Sequence[Row], wall: float, by: str, row_limit: int | None) -> str:
    """Format the rows as a table; the share is of `wall`, the seconds inside the blocks."""
    modules = by == "module"
    head = (by, *_COLUMNS[1:5], *(["self"] if modules else []), *_COLUMNS[5:])
    lines = [head]
    for row in rows[:row_limit]:
        times = [row.forward, row.backward, row.time, *([row.self_time] if modules else [])]
        sizes = [row.forward_bytes, row.backward_bytes]
        share = f"{row.time / wall:.1%}" if wall else ""
        lines.append((row.name, f"{row.calls:,}", *_each(seconds, times), share, *_each(size, sizes)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
    left = len(rows) - len(lines) + 1
    return "\n".join(table + ([f"... and {left} more"] if left else []))


def _each(show: Callable[[float], str], numbers: Iterable[float]) -> list[str]:
    return [show(number) if number else "" for number in numbers]


def seconds(number: float) -> str:
    """Format seconds: `12.3 us`, `4.56 ms`, `7.89 s`."""
    if number < 1e-3:
        return f"{number * 1e6:.1f} us"
    return f"{number * 1e3:.2f} ms" if number < 1 else f"{number:.2f} s"


def size(count: float) -> str:
    """Format bytes: `512 B`, `1.2 KiB`, `3.4 MiB`, `5.6 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
