"""`compile`: a function of arrays or Tensors, such as a whole training step, as a NumPy program run in its place."""

from __future__ import annotations

import functools
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import CONSTANTS
from ..graph import next_number
from ..mode import MODE, TAPE
from ..tensor import Tensor, set_all, tensor_of
from ..tree import flatten
from .program import Changed, Program
from .tape import CompileError, Number, Tape, Traced, identifier

CONSTANTS.add(Traced)  # type: ignore[arg-type]


@dataclass
class Stats:
    """How often a compiled function was called, compiled, and run as it is written; and how long compiling took."""

    calls: int = 0
    compiles: int = 0
    eager: int = 0
    seconds: float = 0.0


def compile(function: Any = None, *, exact: bool = True, fallback: bool = False, cache_size: int = 16) -> Any:
    """Make a NumPy program of `function`, and run that in its place.

    The first call with new shapes, dtypes, Python arguments or modes runs the function once, writes down every NumPy
    call of its forward pass, its backward pass and its optimiser's step, and makes a straight-line program of them.
    Later calls run the program: no graph, no Tensor, no dispatch.  Modules, optimisers and Tensors that the function
    uses are found in its arguments, closure and globals; their arrays are read and replaced as the function does it.

    The results are those of the function, bit for bit.  Where its Python code asks for the numbers in an array,
    CompileError names the line; with `fallback=True` the function is run as it is written instead, with a warning.
    At most `cache_size` programs are kept.  `step.source` is the last program, `step.save(path)` writes it as a module
    that needs NumPy alone, and `step.stats` counts.

    >>> @compile
    ... def f(x, y):
    ...     return (x * y + 1.0).sum()
    >>> f(np.arange(3.0), np.ones(3)), f(np.arange(3.0), np.zeros(3))
    (np.float64(6.0), np.float64(3.0))
    >>> f.stats.compiles
    1
    """
    if function is None:
        return functools.partial(compile, exact=exact, fallback=fallback, cache_size=cache_size)
    if not exact:
        raise ValueError("compiled programs are exact; there are no rewrites that change rounding yet")
    return Compiled(function, fallback, cache_size)


class Compiled:
    """A function and the programs that were made of it; see `compile`."""

    def __init__(self, function: Callable[..., Any], fallback: bool, cache_size: int) -> None:
        functools.update_wrapper(self, function)
        self.function, self.fallback, self.cache_size = function, fallback, cache_size
        self.programs: OrderedDict[Any, _Plan | None] = OrderedDict()
        self.stats = Stats()
        self.state: _State | None = None
        self.given: list[int] = []
        self.last: Program | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @property
    def source(self) -> str:
        """The text of the last program.  CompileError before the first."""
        return self._program().source

    def save(self, path: str | Path) -> Path:
        """Write the last program as a module that needs NumPy alone; see `Program.module`."""
        path = Path(path)
        path.write_text(self._program().module(), encoding="utf-8")
        return path

    def _program(self) -> Program:
        if self.last is None:
            raise CompileError("there is no program before the first call")
        return self.last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.stats.calls += 1
        leaves, build = flatten([list(args), dict(kwargs)])
        state = self.state
        objects = [id(x) for x in leaves if x.__class__ is not np.ndarray and not isinstance(x, int | float)]
        if state is None or self.given != objects or not state.holds(self.function):
            state, self.given = _State(self.function, leaves), objects
            self.state = state
        key = (*map(_key, leaves), state.key(), MODE.get().recording)
        if key in self.programs:
            self.programs.move_to_end(key)
            plan = self.programs[key]
            if plan is None:
                return self._eager(args, kwargs)
            try:
                return plan.run(leaves, state)
            except Changed:
                return self._eager(args, kwargs)
        start = time.perf_counter()
        try:
            plan, result = _trace(self.function, leaves, build, state)
        except CompileError as error:
            if not self.fallback:
                raise
            warnings.warn(f"{self.__name__} is not compiled: {error}", RuntimeWarning, stacklevel=2)  # type: ignore[attr-defined]
            self._keep(key, None)
            return self._eager(args, kwargs)
        self.stats.compiles += 1
        self.stats.seconds += time.perf_counter() - start
        self._keep(key, plan)
        self.last = plan.program
        return result

    def _keep(self, key: Any, plan: Any) -> None:
        self.programs[key] = plan
        while len(self.programs) > self.cache_size:
            self.programs.popitem(last=False)

    def _eager(self, args: Any, kwargs: Any) -> Any:
        self.stats.eager += 1
        return self.function(*args, **kwargs)


def _key(x: Any) -> Any:
    """What a program depends on in an argument: shape and dtype of an array, the value of anything else."""
    if isinstance(x, Tensor):
        return "tensor", x.shape, x.dtype, x.requires_grad, x.node is None, x.grad is None
    if isinstance(x, np.ndarray):
        return "array", x.shape, x.dtype
    try:
        hash(x)
    except TypeError:
        return "object", id(x)
    return type(x), x


class _State:
    """What a function reads and changes besides its arguments: leaf Tensors, and the optimisers' numbers and arrays."""

    def __init__(self, function: Any, leaves: list[Any]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.optimizers: list[Any] = []
        self.modules: list[Any] = []
        self.found = _named(function)
        seen: set[int] = set()
        for name, value in (*self.found, *((f"argument{i}", x) for i, x in enumerate(leaves))):
            self._look(name, value, seen)
        self.known = self.outline()

    def outline(self) -> Any:
        """What the search through modules and optimisers would find again, at the cost of a glance."""
        return [_ids(vars(module).values()) for module in self.modules], [_ids(o.params) for o in self.optimizers]

    def holds(self, function: Any) -> bool:
        """Whether the function's names stand for the same objects, and these have the same parts."""
        now = _named(function)
        same = len(now) == len(self.found) and all(a[1] is b[1] for a, b in zip(now, self.found, strict=True))
        return same and self.outline() == self.known

    def _look(self, name: str, value: Any, seen: set[int], depth: int = 0) -> None:
        if id(value) in seen or depth > 3:
            return
        if isinstance(value, Tensor):
            seen.add(id(value))
            if value.node is None:
                self.tensors[name] = value
        elif hasattr(value, "named_parameters") and hasattr(value, "modules") and not isinstance(value, type):
            seen.add(id(value))
            self.modules += value.modules()
            pairs = [*value.named_parameters(), *getattr(value, "named_buffers", lambda: ())()]
            for path, tensor in pairs:
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    self.tensors[path if path not in self.tensors else f"{name}.{path}"] = tensor
        elif hasattr(value, "groups") and hasattr(value, "state") and hasattr(value, "params"):
            seen.add(id(value))
            self.optimizers.append(value)
            for i, tensor in enumerate(value.params):
                self._look(f"parameter{i}", tensor, seen)
        elif isinstance(value, list | tuple) and len(value) < 1000:
            for i, item in enumerate(value):
                self._look(f"{name}.{i}", item, seen, depth + 1)
        elif isinstance(value, dict) and len(value) < 1000 and depth:
            for key, item in value.items():
                self._look(f"{name}.{key}", item, seen, depth + 1)

    def key(self) -> Any:
        """What a program depends on: modes, options, and the shapes and dtypes of what it reads."""
        tensors = [(t.data.dtype, t.data.shape, t.requires_grad, t.grad is None) for t in self.tensors.values()]
        modes = [module.training for module in self.modules]
        options = [
            tuple(v) if isinstance(v, list | tuple) else v
            for o in self.optimizers
            for g in o.groups
            for k, v in g.items()
            if k not in ("params", "lr")
        ]
        states = [tuple(map(len, o.state)) for o in self.optimizers]
        return id(self), tuple(tensors), tuple(modes), tuple(options), tuple(states)

    def values(self) -> list[Any]:
        """Arrays and numbers in the order in which `names` has them."""
        found: list[Any] = []
        for tensor in self.tensors.values():
            found.append(tensor.data)
            if tensor.grad is not None:
                found.append(tensor.grad.data)
        for optimizer in self.optimizers:
            found += [group["lr"] for group in optimizer.groups]
            found += [value for own in optimizer.state for value in own.values()]
        return found

    def names(self) -> list[str]:
        """A name for each of `values`."""
        found: list[str] = []
        for name, tensor in self.tensors.items():
            found.append(name)
            if tensor.grad is not None:
                found.append(f"{name}.grad")
        for i, optimizer in enumerate(self.optimizers):
            which = f"{i}" if len(self.optimizers) > 1 else ""
            found += [f"lr{which}{f'_{j}' if j else ''}" for j in range(len(optimizer.groups))]
            names = [self._name_of(p) for p in optimizer.params]
            found += [f"{key}{which}.{n}" for n, own in zip(names, optimizer.state, strict=True) for key in own]
        return found

    def _name_of(self, parameter: Tensor) -> str:
        return next((name for name, tensor in self.tensors.items() if tensor is parameter), "")


def _named(function: Any) -> list[tuple[str, Any]]:
    """What the names in the function's code stand for: closure, globals, and the object that it is a method of."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    found = [
        (name, cell.cell_contents) for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
    ]
    space = function.__globals__
    found += [(name, space[name]) for name in code.co_names if name in space]
    owner = getattr(function, "__self__", None)
    return found if owner is None else [*found, ("self", owner)]


def _ids(values: Any) -> list[Any]:
    """Whether objects are the same ones, and what is in lists and dicts, too."""
    return [
        [*map(id, x.values() if isinstance(x, dict) else x)] if isinstance(x, list | tuple | dict) else id(x)
        for x in values
    ]


class _Plan:
    """A program, and where its outputs go."""

    def __init__(self, program: Program, targets: list[Any], rebuild: Any, picks: list[Any]) -> None:
        self.program, self.targets, self.rebuild, self.picks = program, targets, rebuild, picks

    def run(self, leaves: list[Any], state: _State) -> Any:
        arrays = [x.data if isinstance(x, Tensor) else x for x in leaves if isinstance(x, Tensor | np.ndarray)]
        found = self.program.run(*arrays, *state.values())
        results = found[: len(self.picks)]
        self._set(state, found[len(self.picks) :])
        return self.rebuild(_shown(pick, value) for pick, value in zip(self.picks, results, strict=True))

    def _set(self, state: _State, values: list[Any]) -> None:
        """Replace the arrays of the state: parameters all at once, as an optimiser does."""
        tensors = list(state.tensors.values())
        leaves, arrays = [], []
        for (kind, place, key), value in zip(self.targets, values, strict=True):
            if kind == "data":
                leaves.append(tensors[place])
                arrays.append(_array(value))
            elif kind == "grad":
                tensors[place].grad = None if value is None else tensor_of(_array(value))
            else:
                state.optimizers[place].state[key[0]][key[1]] = value if key[2] else _array(value)
        for leaf, array in zip(leaves, arrays, strict=True):
            leaf._checked(array)
        if leaves:
            set_all(leaves, "stamp", [next_number()] * len(leaves))
            set_all(leaves, "data", arrays)


def _array(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else np.asarray(value)


def _shown(pick: str, value: Any) -> Any:
    return tensor_of(_array(value)) if pick == "tensor" else value


def _trace(function: Any, leaves: list[Any], build: Any, state: _State) -> tuple[_Plan, Any]:
    """Run the function once on traced arrays; the plan for later runs, and the result of this one."""
    tape = Tape()
    given: list[Any] = []
    originals = state.values()
    before = [(t, t.data, t.grad, t.stamp) for t in state.tensors.values()]
    kept = [([dict(own) for own in o.state], [g["lr"] for g in o.groups]) for o in state.optimizers]
    argument_names = _argument_names(function, len(leaves))
    places = {id(t): i for i, t in enumerate(state.tensors.values())}
    for x, name in zip(leaves, argument_names, strict=True):
        if isinstance(x, Tensor | np.ndarray):
            traced = tape.input(name, x.data if isinstance(x, Tensor) else x)
            given.append(
                _like(x, traced)
                if isinstance(x, Tensor) and id(x) not in places
                else x
                if isinstance(x, Tensor)
                else traced
            )
        else:
            given.append(x)
    inputs = [tape.input(name, value) for name, value in zip(state.names(), originals, strict=True)]
    token = TAPE.set(tape)
    try:
        _give(state, iter(inputs))
        args, kwargs = build(given)
        result = function(*args, **kwargs)
        outputs, rebuild = flatten(result)
        picks = ["tensor" if isinstance(x, Tensor) else "array" for x in outputs]
        wanted = [x.data if isinstance(x, Tensor) else x for x in outputs]
        targets, values = _changes(state, inputs, before)
    except BaseException:
        _restore(state, before, kept)
        raise
    finally:
        TAPE.reset(token)
    _restore(state, before, kept)
    names = [name for name, _ in tape.inputs]
    program = Program(tape, [*wanted, *values], identifier(getattr(function, "__name__", "step"), names))
    plan = _Plan(program, targets, rebuild, picks)
    plan._set(state, [_plain(value) for value in values])
    return plan, rebuild(_shown(pick, _plain(x)) for pick, x in zip(picks, wanted, strict=True))


def _like(x: Tensor, traced: Any) -> Tensor:
    made = tensor_of(traced)
    made.requires_grad, made.name = x.requires_grad, x.name
    return made


def _plain(x: Any) -> Any:
    return x.value if isinstance(x, Traced | Number) else x


def _give(state: _State, inputs: Any) -> None:
    """Put traced arrays and numbers in the place of the state's own."""
    for tensor in state.tensors.values():
        tensor.data = next(inputs)
        if tensor.grad is not None:
            tensor.grad = tensor_of(next(inputs))
    for optimizer in state.optimizers:
        for group in optimizer.groups:
            group["lr"] = next(inputs)
        optimizer.state = [{key: next(inputs) for key in own} for own in optimizer.state]


def _changes(state: _State, inputs: list[Any], before: Any) -> tuple[list[Any], list[Any]]:
    """What the run has changed in the state, as places and traced values."""
    known = {id(x) for x in inputs}
    targets: list[Any] = []
    values: list[Any] = []
    for i, (tensor, (_, _, grad, _)) in enumerate(zip(state.tensors.values(), before, strict=True)):
        if id(tensor.data) not in known:
            targets.append(("data", i, None))
            values.append(tensor.data)
        now = None if tensor.grad is None else tensor.grad.data
        if (now is None) != (grad is None) or (now is not None and id(now) not in known):
            targets.append(("grad", i, None))
            values.append(now)
    for i, optimizer in enumerate(state.optimizers):
        for j, own in enumerate(optimizer.state):
            for key, value in own.items():
                if id(value) not in known:
                    targets.append(("state", i, (j, key, not isinstance(value, Traced | np.ndarray))))
                    values.append(value)
    return targets, values


def _restore(state: _State, before: Any, kept: Any) -> None:
    for tensor, data, grad, stamp in before:
        tensor.data, tensor.grad, tensor.stamp = data, grad, stamp
    for optimizer, (own, rates) in zip(state.optimizers, kept, strict=True):
        optimizer.state = own
        for group, lr in zip(optimizer.groups, rates, strict=True):
            group["lr"] = lr


def _argument_names(function: Any, count: int) -> list[str]:
    code = getattr(function, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code else []
    return [names[i] if i < len(names) and len(names) >= count else f"argument{i}" for i in range(count)]
