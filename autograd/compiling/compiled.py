"""`compile`: a function of arrays or Tensors, such as a whole training step, as a NumPy program run in its place."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import types
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_whole
from ..graph import Leaf
from ..libraries import only_numpys
from ..mode import MODE, Switch
from ..tensor import Tensor
from ..tree import flatten
from .emit import identifier
from .observe import Watcher, functions_in, is_array
from .plan import MISS, Plan
from .program import AuditError, CompileError
from .rewrites import rewritten
from .save import File
from .schedule import Changed, Main
from .state import Live, State, Trace, World, difference

_TRACING = threading.RLock()  # while a function is traced, its tensors hold traced arrays
REMEMBERED = 1000  # signatures


@dataclass
class Stats:
    """Counts of calls, compilations, calls run as written (the first of a signature not counted) and audits."""

    calls: int = 0
    compiles: int = 0
    eager: int = 0
    audits: int = 0
    seconds: float = 0.0


def compile(
    function: Any = None,
    *,
    exact: bool = False,
    fallback: bool = False,
    grads: bool | None = None,
    audit: bool | str = True,
    cache_size: int = 16,
    threads: int | None = None,
) -> Any:
    """Make a NumPy program of `function`, and run that in its place.

    The first call of a signature (shapes, dtypes and layouts of arrays, values of Python arguments, modes) runs the
    function as written.  The second writes down every NumPy call of its forward pass, backward pass and optimiser step,
    and makes a straight-line program of them; later calls run the program.  It reads arrays, parameters, buffers,
    optimiser states and learning rates again in every call; docs/compile.md lists what makes another program.  The
    rest is constant, so calls 3, 4, 8, 16, ... and then every 500th are audits: the program and the function as written
    both run, and AuditError names the first result that differs.  `audit=False` turns this off, `audit="always"`
    audits every call.

    Results agree to a few units in the last place; with `exact=True` bit for bit, without the rewrites that change
    rounding.  A function that cannot be compiled raises CompileError, which names the line; with `fallback=True` it
    runs as written, with a warning, as one does whose result has a graph.  Gradients that a step of an optimiser in the
    function has used are kept in `p.grad` only with `grads=True`.  At most `cache_size` programs are kept.  Long chains
    over arrays of a megabyte and more run on `threads` threads (default: the cores of this process).  `step.source` is
    the last program, `step.save(path)` writes it as a module that needs NumPy alone, `step.stats` counts,
    `step.forget()` starts again.

    >>> @compile
    ... def f(x, y):
    ...     return (x * y + 1.0).sum()
    >>> [float(f(np.arange(3.0), np.full(3, k))) for k in (1.0, 0.0, 2.0)]
    [6.0, 3.0, 9.0]
    >>> f.stats.compiles
    1
    """
    options = {**locals(), "threads": threads or _cores()}
    del options["function"]
    if function is None:
        return functools.partial(compile, **options)
    if not callable(function):
        raise TypeError(f"compile takes a function; got {function!r:.60}")
    if cache_size < 1:
        raise ValueError(f"cache_size is how many programs are kept, at least 1; got {cache_size!r}")
    return Compiled(function, **options)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Bound(functools.partial[Any]):
    """A compiled method of one object; it has the `source`, `stats` and `save` of the function."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)


class Compiled:
    """A function and the programs made of it; see `compile`."""

    exact: bool
    fallback: bool
    grads: bool | None
    audit: bool | str
    cache_size: int
    threads: int

    def __init__(self, function: Any, **options: Any) -> None:
        functools.update_wrapper(self, function, updated=())
        self.name = getattr(function, "__name__", type(function).__name__)
        self.function = function
        vars(self).update(options)
        self.forget()

    def forget(self) -> None:
        """Forget all programs; the next call is a first one."""
        self.plans: list[Plan] = []  # the one that was used last is the first
        self.seen: dict[Any, State] = {}  # {signature: what took part in its first call}
        self.refused: dict[Any, None] = {}  # signatures that run as written, the oldest first
        self.stats = Stats()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A function of a module is pickled by its name, another one as what it was made from; programs are not."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        options = {key: getattr(self, key) for key in Compiled.__annotations__}
        return name if found is self else (functools.partial(type(self), **options), (self.function,))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else Bound(self, instance)

    def __getattr__(self, name: str) -> Any:
        """What the function has, a module's parameters for example."""
        if name[:2] == "__" or "function" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        return getattr(self.function, name)

    @property
    def source(self) -> str:
        """The text of the program that ran last.  CompileError before there is one."""
        return self._last().program.source

    def save(self, path: str | Path) -> Path:
        """Write the program that ran last, with all that it reads, as a module that needs NumPy alone.

        The module has a function of this one's name, which takes the arrays that this one takes; parameters and the
        state of an optimiser are in its dict `state`, and change as they do here.
        """
        return write_whole(path, File(self._last(), identifier(self.name)).text)

    def _last(self) -> Plan:
        if not self.plans:
            raise CompileError("there is no program before the second call")
        return self.plans[0]

    # ---- a call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.stats.calls += 1
        observer = MODE.get().observer
        if observer is not None:  # it sees the ops: of another function that is compiled, for example
            self.stats.eager += 1
            return observer.around("compiled", self, self.function)(*args, **kwargs)
        plan = self.plans[0] if self.plans else None
        if plan is not None and plan.nest == len(args) and not kwargs:  # noqa: SIM102 (mypy reads it so)
            if (found := self._run(plan, args, args, kwargs)) is not MISS:
                return found
        leaves, build = flatten([list(args), kwargs])
        if (found := self._look_up(leaves, args, kwargs)) is MISS:
            with _TRACING:
                found = self._look_up(leaves, args, kwargs)  # another thread may have been first
                return self._first_or_second(leaves, build, args, kwargs) if found is MISS else found
        return found

    def _look_up(self, leaves: list[Any], args: Any, kwargs: Any) -> Any:
        """The result of the program for these arguments; MISS if there is none."""
        nest = _nest(args, kwargs)
        for plan in self.plans:
            if plan.nest == nest and (found := self._run(plan, leaves, args, kwargs)) is not MISS:
                self.plans = [plan, *(p for p in self.plans if p is not plan)]
                return found
        return MISS

    def _run(self, plan: Plan, leaves: Sequence[Any], args: Any, kwargs: Any) -> Any:
        try:
            if (plan.count + 1 >= plan.audit_at or self.audit == "always") and self.audit:
                return self._audited(plan, leaves, args, kwargs)
            return plan(leaves)
        except Changed:
            return self._as_written(args, kwargs)

    def _as_written(self, args: Any, kwargs: Any) -> Any:
        self.stats.eager += 1
        return self.function(*args, **kwargs)

    def _first_or_second(self, leaves: list[Any], build: Any, args: Any, kwargs: Any) -> Any:
        key = (MODE.get().recording, _nest(args, kwargs), *map(_key, leaves))
        if key in self.refused:
            return self._as_written(args, kwargs)
        state = self.seen.get(key)
        if state is None or not (state.fits(leaves) and state.holds()):
            seen = Watcher()
            with Switch(observer=seen):
                found = self.function(*args, **kwargs)
            only_numpys([*leaves, *(leaf() for leaf in seen.leaves.values())], CompileError)
            _remember(self.seen, key, State(self.function, seen, leaves, flatten(found)[0]))
            return found
        start = time.perf_counter()
        try:
            plan = self._plan(state, leaves, build, _nest(args, kwargs))
        except CompileError as error:
            if not (self.fallback or isinstance(error, Live)):
                raise
            self._refuse(key, error)
            return self._as_written(args, kwargs)
        except Exception:  # it is for the function as written to say what is wrong
            return self._as_written(args, kwargs)
        del self.seen[key]  # if the program does not fit any more, the next call is a first one again
        self.stats.compiles += 1
        self.stats.seconds += time.perf_counter() - start
        if plan.loop:
            warnings.warn(
                f"{self.name} is a program of {plan.program.size:,} lines, which took {self.stats.seconds:.1f} s to "
                f"compile, because a loop in it is written out, at {plan.loop}; compile the body of the loop instead",
                RuntimeWarning,
                stacklevel=3,
            )
        self.plans = [plan, *self.plans][: self.cache_size]
        found = self._run(plan, leaves, args, kwargs)
        return self._as_written(args, kwargs) if found is MISS else found

    def _refuse(self, key: Any, error: Exception) -> None:
        warnings.warn(f"{self.name} is not compiled: {error}", RuntimeWarning, stacklevel=4)
        _remember(self.refused, key, None)

    def _plan(self, state: State, leaves: list[Any], build: Any, nest: Any) -> Plan:
        for i, x in enumerate(leaves):
            if isinstance(x, np.ndarray) and (type(x) is not np.ndarray or x.dtype.kind not in "fciub"):
                raise CompileError(f"argument {i} is a {type(x).__name__} of {x.dtype}; pass a plain array of numbers")
        for held in state.names:
            if isinstance(x := held.get(), np.ndarray) and type(x) is not np.ndarray:
                raise CompileError(f"{held.name} is a {type(x).__name__}; use a plain array")
        keep = bool(self.grads) or (self.grads is None and not state.optimizers)
        run = Trace(state, leaves)
        run.run(self.function, build, _argument_names(self.function, len(leaves)), keep)
        name = identifier(self.name, run.tape.names)
        return Plan(Main(name, rewritten(run, self.exact), run.outputs, self.exact, self.threads), run, nest)

    def _audited(self, plan: Plan, leaves: Sequence[Any], args: Any, kwargs: Any) -> Any:
        """Run the program and the function as written from the same state; AuditError if they differ."""
        before = World(plan.state, leaves, plan.drawn)
        old = before.results(plan.kept)
        given = [x.data if isinstance(x, Tensor) else x for x in leaves] + [t._data for t in before.tensors]
        found = plan(leaves)  # in new memory, because `before` holds the old
        if found is MISS:
            return MISS
        plan.audit_at = 4 if plan.count < 4 else min(2 * plan.count, plan.count + 500)
        self.stats.audits += 1
        after, mine = World(plan.state, leaves), plan.results(before, found)
        before.put_back()
        written = self.function(*args, **kwargs)
        if not (differing := difference(mine, plan.results(before, written), old, given, self.exact)):
            after.put_back()
            return found
        self.plans = [p for p in self.plans if p is not plan]
        self.seen.clear()
        reason = (
            "the function draws random numbers, which its program does not: draw them by autograd.outside(draw, ...)"
            if plan.draws
            else "something that it reads has changed since it was compiled and is not among what every call looks at "
            "(docs/compile.md): pass it as an argument, or call forget() when it changes; if rounding alone is the "
            "reason, compile with exact=True"
        )
        error = AuditError(f"{self.name}: the program and the function as written differ in {differing}; {reason}")
        if not self.fallback:
            raise error
        self._refuse((MODE.get().recording, _nest(args, kwargs), *map(_key, leaves)), error)
        return written


def _remember(items: dict[Any, Any], key: Any, value: Any) -> None:
    """Set an item, and forget the oldest ones."""
    while len(items) >= REMEMBERED:
        del items[next(iter(items))]
    items[key] = value


def _nest(args: Any, kwargs: Any) -> Any:
    """How the arguments of a call are nested: their number, if none is."""
    if kwargs or any(isinstance(x, dict | list | tuple) for x in args):
        return _kinds(args), _kinds(kwargs)
    return len(args)


def _kinds(x: Any) -> Any:
    if isinstance(x, dict):
        return type(x), *((key, _kinds(value)) for key, value in x.items())
    return (type(x), *map(_kinds, x)) if isinstance(x, list | tuple) else None


def _key(x: Any) -> Any:
    """What makes another signature in an argument."""
    if isinstance(x, Tensor):
        return "tensor", type(x.node) is Leaf, x.node is None, x.shape, x.dtype, x.data.strides
    if is_array(x):
        return type(x), x.shape, x.dtype, getattr(x, "strides", None)
    try:
        hash(x)
    except TypeError:
        return type(x), id(x)
    return type(x), repr(x) if isinstance(x, float | complex) else x


def _argument_names(function: Any, count: int) -> list[str]:
    code = next((f.__code__ for f in functions_in(function)), None)
    names = code.co_varnames[isinstance(function, types.MethodType) : code.co_argcount] if code else ()
    return [*names[:count]] if len(names) >= count else [f"argument{i}" for i in range(count)]
