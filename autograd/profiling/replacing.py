"""What stands in for ops, modules, walks, steps and compiled functions while somebody profiles, and only then.

Nothing in the engine asks whether it is being profiled, so a program without a profile pays nothing.  The replacements
are the same for all threads; one that runs where no profile is open calls the original and does no more.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import tensor
from ..compiling import Compiled
from ..mode import MODE
from ..op import OPS, Op
from ..tree import flatten
from .recorder import Recorder, Span, Walk, recorders

Place = tuple[Any, str, Callable[[Any], Any]]  # an object, the attribute to replace, and what makes the replacement

_lock = threading.Lock()
_originals: dict[tuple[int, str], tuple[Any, str, Any]] = {}  # what to put back where; empty while nobody profiles
_users = 0


def install() -> None:
    """Replace what is there; what has come into being since an earlier call, too."""
    global _users
    with _lock:
        _users += 1
        try:
            for owner, attribute, wrap in _places():
                if (id(owner), attribute) not in _originals:
                    original = getattr(owner, attribute)
                    _originals[id(owner), attribute] = owner, attribute, original
                    setattr(owner, attribute, wrap(original))
        except BaseException:
            _release()
            raise


def uninstall() -> None:
    """The last to leave puts the originals back."""
    with _lock:
        _release()


def _release() -> None:
    global _users
    _users -= 1
    while not _users and _originals:
        key, (owner, attribute, original) = next(iter(_originals.items()))
        setattr(owner, attribute, original)
        del _originals[key]


def _places() -> Iterator[Place]:
    for op in OPS.values():
        if (cell := cell_of(op)) is not None:
            yield cell, "cell_contents", functools.partial(_op, op)
    yield tensor, "walk", _walk
    yield Compiled, "__call__", functools.partial(_method, begin=_begin_compiled, end=_end_compiled)
    nn: Any = sys.modules.get("nn")  # who has networks has imported it; the engine itself does not know it
    if hasattr(nn, "Module") and hasattr(nn, "Optimizer"):
        yield nn.Module, "__call__", functools.partial(_method, begin=Recorder.begin_module)
        for kind in _family(nn.Optimizer):
            if "step" in vars(kind):
                yield kind, "step", functools.partial(_method, begin=_begin_step)


def cell_of(op: Op) -> Any:
    """Where the public function of an op keeps the `forward` that it calls; None for functions written with ops."""
    names: tuple[str, ...] = getattr(getattr(op.function, "__code__", None), "co_freevars", ())
    cells = getattr(op.function, "__closure__", None) or ()
    return dict(zip(names, cells, strict=True)).get("forward") if op.rules else None


def _family(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


# ---- the replacements; none is called __call__ or step, for frames of that name are looked for in the stack


def _op(op: Op, forward: Callable[..., Any]) -> Callable[..., Any]:
    name = op.name

    def timed(*arrays: Any, **params: Any) -> Any:
        observer = MODE.get().observer
        if observer is None:
            return forward(*arrays, **params)
        if observer.__class__ is not Recorder:
            return _timed_by_several(name, forward, arrays, params)
        if not observer.entered:
            return forward(*arrays, **params)
        data = None
        span = observer.open_span(name, "op")
        try:
            data = forward(*arrays, **params)
        finally:
            observer.end(span)
            _describe(span, data, arrays)
        return data

    return timed


def _timed_by_several(name: str, forward: Callable[..., Any], arrays: Any, params: Any) -> Any:
    data = None
    spans = [(recorder, recorder.open_span(name, "op")) for recorder in recorders()]
    try:
        data = forward(*arrays, **params)
    finally:
        for recorder, span in reversed(spans):
            recorder.end(span)
            _describe(span, data, arrays)
    return data


def _describe(span: Span, data: Any, arrays: Any) -> None:
    """What the op made: an output that shares its memory with an input, a view, holds nothing of its own."""
    if data is not None:
        span.shape, span.dtype = getattr(data, "shape", ()), getattr(data, "dtype", None)
        owner = _owner(data)
        if not any(owner is _owner(array) for array in arrays):
            span.bytes = getattr(data, "nbytes", 0)


def _owner(array: Any) -> Any:
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


def _walk(walk: Callable[..., Any]) -> Callable[..., Any]:
    def timed(gradients: Any, *, visit: Callable[..., None] | None = None, **options: Any) -> Any:
        found = recorders()
        if not found:
            return walk(gradients, visit=visit, **options)
        walks: list[Walk] = []

        def turn(node: Any, gradient: Any) -> None:
            for each in reversed(walks):
                each.leave()
            if visit is not None:
                visit(node, gradient)  # what others do, a search for the first NaN for one, is nobody's rule
            for each in walks:
                each.enter(node)

        try:
            walks.extend(map(Walk, found))
            return walk(gradients, visit=turn, **options)
        finally:
            for each in reversed(walks):
                each.finish()

    return timed


def _method(
    method: Callable[..., Any],
    begin: Callable[[Recorder, Any], Span],
    end: Callable[[Span, Any], None] | None = None,
) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(owner: Any, *args: Any, **kwargs: Any) -> Any:
        spans = [(recorder, begin(recorder, owner)) for recorder in recorders()]
        try:
            result = method(owner, *args, **kwargs)
        finally:
            for recorder, span in reversed(spans):
                recorder.end(span)
        if end is not None:
            for _, span in spans:
                end(span, result)
        return result

    return timed


def _begin_step(recorder: Recorder, optimizer: Any) -> Span:
    return recorder.open_span(f"{type(optimizer).__name__}.step", "step", "")


def _begin_compiled(recorder: Recorder, compiled: Any) -> Span:
    return recorder.open_span(f"{getattr(compiled, '__name__', 'function')} (compiled)", "compiled", "")


def _end_compiled(span: Span, result: Any) -> None:
    span.bytes = sum(getattr(getattr(x, "data", x), "nbytes", 0) for x in flatten(result)[0])
