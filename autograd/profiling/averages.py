"""The spans of a profile added up: a row per op or per module, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .recorder import Path, Span


@dataclass
class Row:
    """What the calls of one op, module, optimiser or compiled function add up to; seconds and bytes.

    `forward` and `backward` are the times that it took of the two passes.  Of an op these are the time in its NumPy
    function, and that in its rules and in adding up what they return, without other ops that these call; of a module
    both include the modules inside, and `self_time` does not.  `other` is what is no pass: an optimiser's step, a
    compiled function.  `calls` are those of the op or module, `backward_calls` how often its rules had their turn.
    Bytes are those of outputs (a view holds none of its own), in backward also of the gradients sent to the inputs.
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
        """Seconds in all."""
        return self.forward + self.backward + self.other

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return self.forward_bytes + self.backward_bytes

    def add(self, span: Span, nanoseconds: int) -> None:
        """One more call, or turn of the rules."""
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
        """The bytes that it made."""
        if span.phase == "backward":
            self.backward_bytes += span.bytes
        else:
            self.forward_bytes += span.bytes


def by_op(spans: Iterable[Span]) -> list[Row]:
    """A row per op, optimiser and compiled function."""
    rows: dict[tuple[str, str], Row] = {}
    for span in spans:
        if span.kind not in ("module", "backward"):
            row = rows.setdefault((span.kind, span.name), Row(span.name, span.kind))
            row.add(span, span.end - span.start - span.inside)
            row.hold(span)
    return list(rows.values())


def by_module(spans: Iterable[Span], kinds: Mapping[Path, str]) -> list[Row]:
    """A row per module, named by its path and its class: `Sequential.0 (Linear)`."""
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
    """Largest first, or by name.  Raises ValueError that lists what can be sorted by."""
    if sort_by == "name":
        return sorted(rows, key=lambda row: row.name)
    if sort_by not in _BEST_FIRST:
        raise ValueError(f"sort_by is one of {', '.join((*_BEST_FIRST, 'name'))}; got {sort_by!r}")
    return sorted(rows, key=lambda row: -getattr(row, sort_by))


def text_of(rows: Sequence[Row], wall: float, by: str, row_limit: int | None) -> str:
    """The rows as a table; `share` is of the `wall` seconds that the blocks took."""
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
    """`12.3 us`, `4.56 ms`, `7.89 s`."""
    if number < 1e-3:
        return f"{number * 1e6:.1f} us"
    return f"{number * 1e3:.2f} ms" if number < 1 else f"{number:.2f} s"


def size(count: float) -> str:
    """`512 B`, `1.2 KiB`, `3.4 MiB`, `5.6 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
