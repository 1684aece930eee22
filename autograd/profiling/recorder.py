"""Record a profile: one Span per call of an op or module, per backward pass and per step, nested as they ran."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from ..callsite import modules_running, name_within
from ..graph import Node
from ..mode import Observer
from ..tree import flatten

Path = tuple[str, ...]  # the names of the modules around something, outermost first


class Span:
    """A time span: `name` ran from `start` to `end` (nanoseconds), and spans within it took `inside` of that.

    `kind` is "op", "module", "backward" (a whole walk), "step" (of an optimiser) or "compiled"; `phase` is its pass,
    "forward", "backward" or "" for neither.  If `rules`, it is not a call but a run of an op's rules, or of the rules
    of a module's ops, in a walk; `origin` is then the call of that op, if it is known.  `modules` are the names of the
    modules around it, outermost first, and for a module also its own; `bytes` is the size of the result, and `shape`
    and `dtype` are those of an op's output.
    """

    __slots__ = (
        "bytes", "dtype", "end", "inside", "kind", "modules", "name", "origin", "phase", "rules", "shape", "start",
        "thread",
    )  # fmt: skip

    def __init__(self, name: str, kind: str, phase: str, modules: Path, thread: int) -> None:
        self.name, self.kind, self.phase, self.modules, self.thread = name, kind, phase, modules, thread
        self.start = self.end = self.inside = self.bytes = 0
        self.rules = False
        self.shape: tuple[int, ...] | None = None
        self.dtype: Any = None
        self.origin: Span | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.phase or self.kind} {(self.end - self.start) / 1e3:.1f} us>"


class _Thread(threading.local):
    """This thread's open spans and walks, innermost last, and the span that ended last."""

    def __init__(self) -> None:
        self.open: list[Span] = []
        self.walks: list[Walk | None] = []
        self.last: Span | None = None
        self.number = threading.get_native_id()


class Recorder(Observer):
    """The observer of a profile; it records while at least one block of the profile is `entered`."""

    times = True

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.threads: dict[int, str] = {}  # names of the threads seen
        self.entered = 0
        self.wall = 0  # nanoseconds inside the blocks; overlapping blocks count once
        self._since = 0
        self._lock = threading.Lock()
        self._here = _Thread()
        self._made: dict[int, Span] = {}  # {node number: span of the op that made the node}
        self._labels: dict[tuple[int, Path], tuple[Any, str]] = {}  # keeps the modules, so that no id is reused
        self._roots: dict[str, int] = {}
        self.kinds: dict[Path, str] = {}  # the classes of the modules

    def enter(self) -> None:
        """Enter a block."""
        with self._lock:
            self.threads[threading.get_native_id()] = threading.current_thread().name
            if not self.entered:
                self._since = perf_counter_ns()
            self.entered += 1

    @property
    def elapsed(self) -> int:
        """Nanoseconds inside the blocks so far."""
        with self._lock:
            return self.wall + (perf_counter_ns() - self._since if self.entered else 0)

    def leave(self) -> None:
        """Leave a block."""
        with self._lock:
            self.entered -= 1
            if not self.entered:
                self.wall += perf_counter_ns() - self._since

    # ---- spans

    def open_span(self, name: str, kind: str, phase: str = "forward", modules: Path | None = None) -> Span:
        """Open a span; by default its `modules` are those of the span around it."""
        here = self._here
        if here.open:
            around = here.open[-1]
            if modules is None:
                modules = around.modules
            if around.phase == "backward" and phase:
                phase = "backward"  # called by a rule
        span = Span(name, kind, phase, modules or (), here.number)
        here.open.append(span)
        span.start = perf_counter_ns()
        return span

    def end(self, span: Span) -> None:
        """Close a span, and any inside it that an interrupt left open."""
        span.end = perf_counter_ns()
        here = self._here
        while here.open and here.open.pop() is not span:
            pass
        if here.open:
            here.open[-1].inside += span.end - span.start
        elif span.thread not in self.threads:
            self.threads[span.thread] = threading.current_thread().name
        here.last = span
        self.spans.append(span)

    def begin_module(self, module: Any) -> Span:
        """Open the span of a module's call, under the name that the module around it uses."""
        around = self._here.open[-1].modules if self._here.open else ()
        with self._lock:  # two threads that call the module for the first time share its row
            known = self._labels.get((id(module), around))
            label = self._name(module, around) if known is None else known[1]
        return self.open_span(label, "module", modules=(*around, label))

    def _name(self, module: Any, around: Path) -> str:
        kind = type(module).__name__
        running = [m for m in modules_running() if m is not module] if around else []
        label = name_within(running[-1], module) if running else "?"
        anonymous = label == "?"
        if anonymous:
            label = kind
            if learns := next(iter(module.named_parameters()), None) is not None:  # two networks are two rows
                self._roots[kind] = count = self._roots.get(kind, 0) + 1
                label += f"#{count}" if count > 1 else ""
        if not anonymous or learns:  # do not keep a loss that is created again for every step
            self._labels[id(module), around] = module, label
        self.kinds[*around, label] = kind
        return label

    # ---- what ops, modules, optimisers and walks report

    def around(self, kind: str, owner: Any, function: Callable[..., Any]) -> Any:
        """Return `function` with its calls timed."""
        if not self.entered:
            return function

        def timed(*args: Any, **kwargs: Any) -> Any:
            data = None
            if kind == "module":
                span = self.begin_module(owner)
            else:
                span = self.open_span(_title(kind, owner), kind, "forward" if kind == "op" else "")
            try:
                data = function(*args, **kwargs)
                return data
            finally:
                self.end(span)
                if kind == "op":
                    _describe(span, data, args)
                elif kind == "compiled":
                    span.bytes = sum(getattr(getattr(x, "data", x), "nbytes", 0) for x in flatten(data)[0])

        return timed

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """Remember the span of the op that recorded `node`, for the backward pass."""
        last = self._here.last
        if self.entered and last is not None and last.name == node.op.name:
            self._made[node.number] = last

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        """Begin a walk."""
        self._here.walks.append(Walk(self) if self.entered else None)

    def backward(self, node: Node, gradient: Any) -> None:
        """Begin the span of the rules of `node`, which run next."""
        walk = self._here.walks[-1]
        if walk is not None:
            walk.leave()
            walk.enter(node)

    def finish(self) -> None:
        """End the walk, after its last node or after an error."""
        walk = self._here.walks.pop()
        if walk is not None:
            walk.finish()

    def origin_of(self, node: Any) -> Span | None:
        """Return the forward span of the op that made a node, if it ran inside this profile."""
        return self._made.get(node.number)


class Walk:
    """A backward pass as spans: modules, and ops inside them; each op lasts until the next one begins."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.modules = recorder, list[Span]()
        self.whole = recorder.open_span("backward", "backward", "backward")
        self.op: Span | None = None

    def leave(self) -> None:
        """End the current op: its rules have run and their results are summed."""
        if self.op is not None:
            self.recorder.end(self.op)
            self.op = None

    def enter(self, node: Node) -> None:
        """Begin the op of `node`, inside its modules."""
        origin = self.recorder.origin_of(node)
        path = () if origin is None else origin.modules
        while self.modules and self.modules[-1].modules != path[: len(self.modules)]:
            self.recorder.end(self.modules.pop())
        for i in range(len(self.modules), len(path)):
            self.modules.append(self.recorder.open_span(path[i], "module", "backward", path[: i + 1]))
            self.modules[-1].rules = True
        self.op = span = self.recorder.open_span(node.op.name, "op", "backward", path)
        span.rules = True
        span.bytes = sum(_nbytes(edge) for edge in node.edges or () if edge is not None)
        span.shape, span.dtype, span.origin = node.shape, node.dtype, origin

    def finish(self) -> None:
        """End all open spans of the walk."""
        self.leave()
        while self.modules:
            self.recorder.end(self.modules.pop())
        self.recorder.end(self.whole)


def _nbytes(edge: Any) -> int:
    """The size in bytes of the gradient sent along an edge."""
    return int(math.prod(edge.shape) * edge.dtype.itemsize)


def _title(kind: str, owner: Any) -> str:
    """The name of a row in the table."""
    if kind == "op":
        return str(owner.name)
    if kind == "step":
        return f"{type(owner).__name__}.step"
    name = getattr(owner, "__name__", "function")
    return name.strip("_") if kind == "outside" else f"{name} (compiled)"


def _describe(span: Span, data: Any, arrays: Sequence[Any]) -> None:
    """Note the shape, dtype and size of an op's output; a view of an input has a size of 0."""
    if data is not None:
        span.shape, span.dtype = getattr(data, "shape", ()), getattr(data, "dtype", None)
        owner = _owner(data)
        if not any(owner is _owner(array) for array in arrays):
            span.bytes = getattr(data, "nbytes", 0)


def _owner(array: Any) -> Any:
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array
