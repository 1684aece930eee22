"""`compile`: a function of arrays or Tensors, such as a whole training step, as a NumPy program run in its place."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..mode import MODE, TAPE
from ..tensor import Tensor
from ..tree import flatten
from .calls import CompileError, identifier
from .canonical import at_places, canonical, in_range, simpler, spread, worded
from .draws import Draw
from .file import File
from .lines import Draft, Line, draft_of, drawing
from .outcome import apart, apply
from .places import SMALL
from .plan import MISS, Plan
from .program import Changed, Program
from .results import Rerun
from .rewrites import Scaling, corners, cut_at_zero, faster, laid_out
from .surroundings import Surroundings
from .tracing import Pick, Run, Target, run_traced

_TRACING = threading.RLock()  # while a function is traced, the arrays of its tensors are not their own
REMEMBERED = 1000  # calls that cannot be compiled


@dataclass
class Stats:
    """How often a compiled function was called, compiled, and run as it is written; and how long compiling took."""

    calls: int = 0
    compiles: int = 0
    eager: int = 0
    seconds: float = 0.0


def compile(
    function: Any = None,
    *,
    exact: bool = False,
    fallback: bool = False,
    cache_size: int = 16,
    threads: int | None = None,
) -> Any:
    """Make a NumPy program of `function`, and run that in its place.

    The first call with new shapes, dtypes, Python arguments or modes runs the function once, writes down every NumPy
    call of its forward pass, its backward pass and its optimiser's step, and makes a straight-line program of them.
    Later calls run the program: no graph, no Tensor, no dispatch.  Modules, optimisers, Tensors and arrays that the
    function uses are found in its arguments, closure and globals, and are read and replaced as the function does it.

    The results are those of the function to a few units in the last place; with `exact=True` bit for bit, without the
    rewrites that change rounding.  Where its Python code asks for the numbers in an array, or does something that a
    program would not do again, CompileError names the line; with `fallback=True` the function is run as it is written
    instead, with a warning.  At most `cache_size` programs are kept.  Long chains over arrays of a megabyte and more
    run on `threads` threads (by default as many as there are cores for this process).  `step.source` is the last
    program, `step.save(path)` writes it as a module that needs NumPy alone, and `step.stats` counts.

    >>> @compile
    ... def f(x, y):
    ...     return (x * y + 1.0).sum()
    >>> f(np.arange(3.0), np.ones(3)), f(np.arange(3.0), np.zeros(3))
    (np.float64(6.0), np.float64(3.0))
    >>> f.stats.compiles
    1
    """
    if function is None:
        return functools.partial(compile, exact=exact, fallback=fallback, cache_size=cache_size, threads=threads)
    if not callable(function):
        raise TypeError(f"compile takes a function; got {function!r:.60}")
    if cache_size < 1:
        raise ValueError(f"cache_size is how many programs are kept, at least 1; got {cache_size!r}")
    return Compiled(function, exact, fallback, cache_size, threads or _cores())


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Bound(functools.partial[Any]):
    """A compiled method of one object; it has the `source`, `stats` and `save` of the function."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)


class Compiled:
    """A function and the programs that were made of it; see `compile`."""

    def __init__(self, function: Any, exact: bool, fallback: bool, cache_size: int, threads: int) -> None:
        functools.update_wrapper(self, function)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.function, self.exact, self.fallback = function, exact, fallback
        self.cache_size, self.threads = cache_size, threads
        self._forget()

    def _forget(self) -> None:
        self.plans: list[Plan] = []  # the one that was used last is the first
        self.refused: dict[Any, None] = {}  # calls that cannot be compiled, and are made as the function is written
        self.flags: set[str] = set()  # of modules, set by a run that was traced
        self.stats = Stats()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A function of a module is pickled by its name, another one as what it is made of; programs are not."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {key: x for key, x in vars(self).items() if key not in ("plans", "refused", "flags", "stats")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else Bound(self, instance)

    @property
    def source(self) -> str:
        """The text of the program that ran last.  CompileError before the first."""
        return self._last().program.source

    def save(self, path: str | Path) -> Path:
        """Write the program that ran last, with all that it reads, as a module that needs NumPy alone.

        The module has a function of this one's name, which takes the arrays that this one takes; parameters and what an
        optimiser remembers are in its dict `state`, and change as they do here.
        """
        path = Path(path)
        path.write_text(File(self._last(), identifier(self.name)).text, encoding="utf-8")
        return path

    def _last(self) -> Plan:
        if not self.plans:
            raise CompileError("there is no program before the first call")
        return self.plans[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        observer = MODE.get().observer
        call = self._call if observer is None else observer.around("compiled", self, self._call)
        return call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        self.stats.calls += 1
        plans = self.plans
        if plans and plans[0].nest == len(args) and not kwargs and TAPE.get() is None:
            found = self._run(plans[0], args, args, kwargs)
            if found is not MISS:
                return found
        leaves, build = flatten([list(args), kwargs])
        if TAPE.get() is not None or MODE.get().observer is not None:
            return self._as_written(args, kwargs)  # part of another function that is compiled; or somebody watches
        found = self._look_up(leaves, args, kwargs)
        if found is MISS:
            with _TRACING:
                found = self._look_up(leaves, args, kwargs)  # another thread may have been first
                if found is MISS:
                    found = self._compile(leaves, build, args, kwargs)
        return found

    def _look_up(self, leaves: list[Any], args: Any, kwargs: Any) -> Any:
        """The result of the program that is for these arguments; MISS if there is none."""
        nest = _nest(args, kwargs)
        for plan in self.plans:
            if plan.nest == nest:
                found = self._run(plan, leaves, args, kwargs)
                if found is not MISS:
                    self.plans = [plan, *(p for p in self.plans if p is not plan)]
                    return found
        return MISS

    def _run(self, plan: Plan, leaves: Sequence[Any], args: Any, kwargs: Any) -> Any:
        try:
            again = Rerun(plan, self.function, args, kwargs, self.exact) if plan.results.live else None
            found = plan(leaves)
        except Changed:
            return self._as_written(args, kwargs)
        return found if found is MISS else plan.results.of(found, again, args, kwargs)

    def _as_written(self, args: Any, kwargs: Any) -> Any:
        self.stats.eager += 1
        return self.function(*args, **kwargs)

    def _compile(self, leaves: list[Any], build: Any, args: Any, kwargs: Any) -> Any:
        """Run the function once and make a program of that run; the result of the run."""
        key = (MODE.get().recording, *map(_key, leaves))
        if key in self.refused:
            return self._as_written(args, kwargs)
        start = time.perf_counter()
        try:
            run, around = self._traced(leaves, build)
            plan = self._plan(run, around, leaves, _nest(args, kwargs))
        except CompileError as error:
            self._refuse(key, error)
            return self._as_written(args, kwargs)
        if twice := set(run.flags) & self.flags:
            self._refuse(
                key, CompileError(f"{', '.join(twice)} is changed in every run: a program would not do it again")
            )
        again = Rerun(plan, self.function, args, kwargs, self.exact) if plan.results.live else None
        found = apply(run, around, leaves)
        self.flags |= set(run.flags)
        if not run.flags:
            self.stats.compiles += 1
            self.stats.seconds += time.perf_counter() - start
            self.plans = [plan, *self.plans][: self.cache_size]
        return plan.results.of(found, again, args, kwargs)

    def _refuse(self, key: Any, error: CompileError) -> None:
        """Raise the error, or warn of it and remember that such calls are made as the function is written."""
        if not self.fallback:
            raise error
        warnings.warn(f"{self.name} is not compiled: {error}", RuntimeWarning, stacklevel=4)
        if len(self.refused) >= REMEMBERED:
            del self.refused[next(iter(self.refused))]
        self.refused[key] = None

    def _traced(self, leaves: list[Any], build: Any) -> tuple[Run, Surroundings]:
        """A traced run.  Arrays that are no arguments are inputs, or constants if Python asks for their numbers."""
        around = Surroundings(self.function, leaves)
        try:
            return self._run_traced(around, leaves, build), around
        except (CompileError, TypeError):
            if not around.arrays or sum(place.get().nbytes for place in around.arrays.values()) > SMALL:
                raise
        around = Surroundings(self.function, leaves)
        around.constant = True
        return self._run_traced(around, leaves, build), around

    def _run_traced(self, around: Surroundings, leaves: list[Any], build: Any) -> Run:
        draws = [Draw(generator) for _, generator in (*around.generators, ("np.random", np.random.mtrand._rand))]
        try:
            return run_traced(self.function, leaves, build, around)
        except (CompileError, TypeError):
            for draw in draws:
                draw.put_back()
            raise

    def _plan(self, run: Run, around: Surroundings, leaves: list[Any], nest: Any) -> Plan:
        try:
            return self._plan_of(run, around, leaves, nest)
        except CompileError:
            run.tape.draw_nothing()
            raise

    def _plan_of(self, run: Run, around: Surroundings, leaves: list[Any], nest: Any) -> Plan:
        draft, targets, names = _draft(run, self.exact)
        if any(pick is Pick.ALIVE for pick in run.picks) and drawing(draft.lines):
            raise CompileError(
                "numbers are drawn at random, and the result is to be differentiated outside of the function, where it "
                "would be computed again with other numbers; call backward() inside"
            )
        run = run._replace(targets=targets)
        name = identifier(self.name, [x for x, _ in run.tape.inputs])
        program = Program(draft, name, names, [t.old for t in targets], exact=self.exact, threads=self.threads)
        return Plan(program, run, around, leaves, nest)


def _draft(run: Run, exact: bool) -> tuple[Draft, list[Target], list[str]]:
    """The lines of a run after all passes, where the outputs go, and names for them."""
    outputs, targets = list(run.outputs), list(run.targets)
    draft = draft_of(run.tape, outputs, canonical)
    draft = draft.remade(lambda new, line, old: simpler(new, line, old, draft.outputs, exact))
    if not exact:
        draft = draft.remade(faster)
        found = corners(draft)
        draft = draft.remade(lambda new, line, old: cut_at_zero(new, line, old, found))
        scaling = Scaling(draft, {i for i, target in enumerate(targets) if target.kind == "grad"})
        if scaling.factor is not None:
            draft = draft.remade(scaling)
            draft.outputs.append(scaling.factor)
            draft.guards.append((scaling.factor, True))  # by a factor of 0 nothing can be scaled back
            targets.append(Target("factor"))
        draft = laid_out(draft.remade(_same))
    known = in_range(draft)
    draft = draft.remade(lambda new, line, old: at_places(new, line, old, known))
    draft = draft.remade(worded).remade(spread)
    apart(draft, run)
    return draft, targets, [target.name for target in targets]


def _same(draft: Draft, line: Line, _old: Line) -> Any:
    return draft.again(line)


def _nest(args: Any, kwargs: Any) -> Any:
    """How the arguments of a call are nested: how many there are, if none is."""
    if kwargs or any(isinstance(x, dict | list | tuple) for x in args):
        return _kinds(args), _kinds(kwargs)
    return len(args)


def _kinds(x: Any) -> Any:
    if isinstance(x, dict):
        return type(x), *((key, _kinds(value)) for key, value in x.items())
    return (type(x), *map(_kinds, x)) if isinstance(x, list | tuple) else None


def _key(x: Any) -> Any:
    """What it depends on in an argument whether a call can be compiled."""
    if isinstance(x, Tensor | np.ndarray):
        return type(x), x.shape, x.dtype
    try:
        hash(x)
    except TypeError:
        return type(x), id(x)
    return type(x), x
