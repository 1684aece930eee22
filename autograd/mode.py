"""Recording on or off (`no_grad`, `enable_grad`) and observers, per thread and per asyncio task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar, cast, overload

F = TypeVar("F", bound=Callable[..., Any])


class Observer:
    """Base class of observers: called for every op, every completed gradient, and every gradient cut off."""

    times = False  # whether it measures time; then it comes last, so that it does not time the others

    def around(self, kind: str, owner: Any, function: F) -> F:
        """Return the function to call instead of `function`, which is about to be called.

        `kind` is "op" or "module" for a forward, "step" for that of an optimiser, "compiled", or "outside" (see
        `outside`); `owner` is the Op, the module, the optimiser, the Compiled or the function.
        """
        return function

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """An op computed `data` from `arrays`, the arrays of its `inputs`, and was recorded as `node`."""

    def unrecorded(
        self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any], inputs: Sequence[Any]
    ) -> None:
        """An op computed `data` and was not recorded: no edge needs a gradient, or `no_grad` is active."""
        if any(edge is not None for edge in edges):
            self.cut(edges, "no_grad()")

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        """A walk begins, with a gradient for each of these Tensors."""

    def backward(self, node: Any, gradient: Any) -> None:
        """The gradient of `node` is complete; its rules run next."""

    def arrived(self, gradients: Mapping[Any, Any]) -> None:
        """A walk has delivered these gradients to its ends."""

    def finish(self) -> None:
        """A walk has ended, with or without an error."""

    def attribute(self) -> None:
        """An attribute of a module is about to change."""

    def cut(self, edges: Sequence[Any], how: str) -> None:
        """A result of these nodes and leaves sends no gradient back to them; `how` is the reason."""


class Several(Observer):
    """Nested observers, outermost first."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = sorted(observers, key=lambda observer: observer.times)

    def around(self, kind: str, owner: Any, function: F) -> F:
        for observer in reversed(self.observers):
            function = observer.around(kind, owner, function)
        return function

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        for observer in self.observers:
            observer.forward(node, data, arrays, inputs)

    def unrecorded(
        self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any], inputs: Sequence[Any]
    ) -> None:
        for observer in self.observers:
            observer.unrecorded(op, data, arrays, edges, inputs)

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        for observer in self.observers:
            observer.begin(seeds)

    def backward(self, node: Any, gradient: Any) -> None:
        for observer in self.observers:
            observer.backward(node, gradient)

    def arrived(self, gradients: Mapping[Any, Any]) -> None:
        for observer in self.observers:
            observer.arrived(gradients)

    def finish(self) -> None:
        for observer in reversed(self.observers):
            observer.finish()

    def attribute(self) -> None:
        for observer in self.observers:
            observer.attribute()

    def cut(self, edges: Sequence[Any], how: str) -> None:
        for observer in self.observers:
            observer.cut(edges, how)


class Mode:
    """Whether ops record, and the observer; `previous` is restored at the end of a `with` block."""

    __slots__ = ("observer", "previous", "recording")

    def __init__(self, recording: bool, observer: Any = None, previous: Mode | None = None) -> None:
        self.recording, self.observer, self.previous = recording, observer, previous


# A ContextVar is separate in every thread and every asyncio task, so no mode leaks from one to another.
MODE: ContextVar[Mode] = ContextVar("autograd_mode", default=Mode(True))  # noqa: B039 (never changed, only replaced)


def _with(outer: Any, inner: Any) -> Any:
    """The observer inside a block that adds `inner`, where `outer` is already active."""
    if outer is None or inner is None:
        return inner or outer
    watching = outer.observers if isinstance(outer, Several) else [outer]
    return outer if any(observer is inner for observer in watching) else Several([*watching, inner])


def current_mode() -> Mode:
    """The Mode of this thread or asyncio task: whether ops are `recording`, and the `observer`, or None.

    Code whose calls can be observed, such as a module's, asks the observer what to call; see `Observer.around`.

    >>> current_mode().recording, current_mode().observer
    (True, None)
    """
    return MODE.get()


class Switch:
    """A context manager and decorator that changes the mode; it has no state, so it can be nested and shared."""

    def __init__(self, recording: bool | None = None, observer: Any = None) -> None:
        self.recording, self.observer = recording, observer

    def __enter__(self) -> Switch:
        now = MODE.get()
        recording = now.recording if self.recording is None else self.recording
        MODE.set(Mode(recording, _with(now.observer, self.observer), now))
        return self

    def __exit__(self, *exc_info: object) -> None:
        MODE.set(MODE.get().previous or Mode(True))

    def __call__(self, function: F) -> F:
        if not inspect.isroutine(function):
            raise TypeError(f"no_grad and enable_grad decorate functions and methods; got {function!r:.50}")
        wrapper: Any
        if inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                generator = function(*args, **kwargs)
                resume: Callable[[], Any] = functools.partial(next, generator)
                try:
                    while True:
                        try:
                            with self:  # only while the generator runs: between its steps the caller's mode applies
                                item = resume()
                        except StopIteration as stop:
                            return stop.value
                        try:
                            resume = functools.partial(generator.send, (yield item))
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            resume = functools.partial(generator.throw, error)
                finally:
                    generator.close()

        elif inspect.isasyncgenfunction(function):
            raise TypeError("no_grad and enable_grad cannot decorate an async generator; use `with` inside its body")
        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return function(*args, **kwargs)

        return cast(F, functools.wraps(function)(wrapper))


@overload
def no_grad() -> Switch: ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: Any = None) -> Any:
    """Ops inside this block (or decorated function) record nothing; in this thread or asyncio task only.

    >>> from autograd import Tensor, enable_grad, no_grad
    >>> x = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    return Switch(False) if function is None else Switch(False)(function)


@overload
def enable_grad() -> Switch: ...
@overload
def enable_grad(function: F) -> F: ...
def enable_grad(function: Any = None) -> Any:
    """Ops inside this block (or decorated function) record again, within a `no_grad`.

    >>> from autograd import Tensor, enable_grad, no_grad
    >>> x = Tensor(3.0, requires_grad=True)
    >>> with no_grad(), enable_grad():
    ...     y = x * x
    >>> y.requires_grad
    True
    """
    return Switch(True) if function is None else Switch(True)(function)


def outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose result differs each time, such as one that draws random numbers.

    While a function is being compiled, the call itself is recorded, and every run repeats it.

    >>> import numpy as np
    >>> outside(np.random.default_rng(0).random, 2).shape
    (2,)
    """
    observer = MODE.get().observer
    return (function if observer is None else observer.around("outside", function, function))(*args)


def is_grad_enabled() -> bool:
    """Whether ops record in this thread or asyncio task.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return MODE.get().recording
