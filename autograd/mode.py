"""Recording on or off: `no_grad`, `enable_grad` and who watches, per thread and per asyncio task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar, cast, overload

F = TypeVar("F", bound=Callable[..., Any])


class Observer:
    """Who watches: told of every op, of every gradient that a walk completes, and where one is cut off."""

    times = False  # whether it measures; then it comes last, so that what others do is not in its time

    def around(self, kind: str, owner: Any, function: F) -> F:
        """What to call in the place of `function`, which is about to be called.

        It is the forward of an "op" or a "module", the "step" of an optimiser or a function that is "compiled";
        `owner` is the Op, the module, the optimiser or the Compiled.
        """
        return function

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        """An op made `data` from `arrays`, which those of `inputs` that are Tensors held, and left `node` behind."""

    def unrecorded(self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any]) -> None:
        """An op made `data` and left nothing behind: no edge needs a gradient, or `no_grad` holds."""
        if any(edge is not None for edge in edges):
            self.cut(edges, "no_grad()")

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        """A walk begins, with a gradient for each of these Tensors."""

    def backward(self, node: Any, gradient: Any) -> None:
        """The gradient of `node` is complete; its rules run next."""

    def arrived(self, gradients: Mapping[Any, Any]) -> None:
        """These are the gradients at the ends of a walk."""

    def finish(self) -> None:
        """A walk is over, or an error has ended it."""

    def cut(self, edges: Sequence[Any], how: str) -> None:
        """What was computed from these nodes and leaves sends nothing back to them, for the reason `how`."""


class Several(Observer):
    """Observers one inside the block of the other, outermost first."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = sorted(observers, key=lambda observer: observer.times)

    def around(self, kind: str, owner: Any, function: F) -> F:
        for observer in reversed(self.observers):
            function = observer.around(kind, owner, function)
        return function

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        for observer in self.observers:
            observer.forward(node, data, arrays, inputs)

    def unrecorded(self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any]) -> None:
        for observer in self.observers:
            observer.unrecorded(op, data, arrays, edges)

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

    def cut(self, edges: Sequence[Any], how: str) -> None:
        for observer in self.observers:
            observer.cut(edges, how)


class Mode:
    """Whether ops record, and who watches; `previous` is what leaving a `with` block returns to."""

    __slots__ = ("observer", "previous", "recording")

    def __init__(self, recording: bool, observer: Any = None, previous: Mode | None = None) -> None:
        self.recording, self.observer, self.previous = recording, observer, previous


# A ContextVar is separate in every thread and every asyncio task, so no mode leaks from one to another.
MODE: ContextVar[Mode] = ContextVar("autograd_mode", default=Mode(True))  # noqa: B039 (never changed, only replaced)


def _with(outer: Any, inner: Any) -> Any:
    """Who watches where `inner` has begun to, inside what `outer` watches."""
    if outer is None or inner is None:
        return inner or outer
    watching = outer.observers if isinstance(outer, Several) else [outer]
    return outer if any(observer is inner for observer in watching) else Several([*watching, inner])


def current_mode() -> Mode:
    """The Mode of this thread or asyncio task: whether ops are `recording`, and the `observer`, or None.

    Whoever makes calls that can be watched, of a module say, asks the observer what to call; see `Observer.around`.

    >>> current_mode().recording, current_mode().observer
    (True, None)
    """
    return MODE.get()


class Switch:
    """A context manager and decorator that changes the mode; keeps no state of its own, so it nests and is shared."""

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
                            with self:  # only while the generator runs: between its steps the caller's mode holds
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


TAPE: ContextVar[Any] = ContextVar("autograd_tape", default=None)  # what a function that is being compiled does


def outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose result is another one each time, a generator of random numbers for one.

    While a function is being compiled, the call itself is written down, and is made again in every run.

    >>> import numpy as np
    >>> outside(np.random.default_rng(0).random, 2).shape
    (2,)
    """
    tape = TAPE.get()
    return function(*args) if tape is None else tape.record("opaque", function, args, {})


def is_grad_enabled() -> bool:
    """Whether ops record in this thread or asyncio task.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return MODE.get().recording
