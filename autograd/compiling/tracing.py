"""One run of a function on traced arrays, and what it has changed."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from ..callsite import line_of_caller
from ..graph import Leaf
from ..inputs import CONSTANTS
from ..mode import TAPE, Observer, Switch
from ..tensor import Tensor, tensor_of
from ..tree import flatten
from . import effects
from .calls import CompileError, Number, nested
from .pending import is_lost
from .surroundings import Surroundings
from .tape import Tape, Traced

_PLAIN = (int, float, complex, str, bytes, type(None), type, np.dtype, Enum, type(Ellipsis))

CONSTANTS.add(Traced)


class Target(NamedTuple):
    """Where an output goes: "result", "data" or "grad" of a tensor, "state" of an optimiser; "factor" is of the grads.

    `place` says which tensor or optimiser, `item` which parameter and key of a state, and `old` which of the tape's
    inputs the output stands in for.
    """

    kind: str
    place: int = 0
    item: Any = None
    old: int | None = None
    name: str = "result"


class Pick(Enum):
    """What one of a function's results is; what is no array stands for itself."""

    ARRAY = 0
    TENSOR = 1
    ALIVE = 2  # a tensor with a graph that can still be walked


class Gradient(NamedTuple):
    """A result that is the gradient of a tensor, by its number."""

    tensor: int


class Run(NamedTuple):
    """What a traced run has left: its tape, the expressions that read the inputs, and its outputs with their targets.

    `build` makes the function's result of the outputs whose target is "result"; `picks` says what each is.  `flags` are
    the places of modules' flags that the run has set, and that the next run will find set; `stepped`, whether an
    optimiser has used gradients.
    """

    tape: Tape
    texts: list[str]
    outputs: list[Any]
    targets: list[Target]
    cleared: list[int]  # tensors whose gradient was taken away
    build: Callable[[Any], Any]
    picks: list[Any]
    captured: list[int]  # tensors that the graphs of live results lead to
    flags: list[str]
    stepped: bool


class _Known(Observer):
    """Sees to it that no parameter takes part that was not found: its gradient would be lost."""

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        for x in inputs:
            if isinstance(x, Tensor) and x.node.__class__ is Leaf and not isinstance(x.data, Traced):
                raise CompileError(
                    f"a parameter takes part that was not found among the function's arguments and the names in its "
                    f"code, at {line_of_caller()}; pass it, or the module that has it, as an argument"
                )


def run_traced(function: Any, leaves: Sequence[Any], build: Any, around: Surroundings) -> Run:
    """Run the function once on traced arrays, and put everything back as it was.

    Raises CompileError for what a program of its NumPy calls would not do.
    """
    tape = Tape()
    try:
        run = _run(tape, function, leaves, build, around)
        _none_left(tape, run)
    except (CompileError, TypeError):
        tape.draw_nothing()  # whoever tries again, or runs the function as it is written, draws the same numbers
        raise
    finally:
        tape.closed = True
    return run


def _run(tape: Tape, function: Any, leaves: Sequence[Any], build: Any, around: Surroundings) -> Run:
    _refuse_hooks(around)
    world = World(tape, around)
    token = TAPE.set(tape)
    try:
        given = world.install(leaves, _argument_names(function, len(leaves)))
        args, kwargs = build(given)
        with effects.watched(tape, around), Switch(observer=_Known()):
            result = function(*args, **kwargs)
        _raise_first(tape)
        world.check()
        likes = [x for x, leaf in zip(given, leaves, strict=True) if isinstance(x, Tensor) and x is not leaf]
        if any(x.grad is not None for x in likes):
            raise CompileError(
                "the gradient of an argument goes on beyond the function, for it is the result of an op; call "
                "backward() outside of the function that is compiled, or pass a leaf"
            )
        _all_found(tape, world.known | {id(x) for x in likes} | {id(t.grad) for t in world.tensors})
        run = _outcome(world, *flatten(result))
    except Exception:  # the function may have made any other error of what was refused
        _raise_first(tape)
        raise
    finally:
        TAPE.reset(token)
        changed = world.put_back()
    return run._replace(flags=_flags(changed, around))


def _raise_first(tape: Tape) -> None:
    """What was refused stays refused, whatever the function has made of the error."""
    if tape.errors:
        raise tape.errors[0][0]


def _refuse_hooks(around: Surroundings) -> None:
    for module in around.modules:
        if vars(module).get("_hooks"):
            raise CompileError(f"{type(module).__name__} has hooks, which a program would not call")
    if any(tensor.node is not None and tensor.node.hooks for tensor in around.tensors.values()):
        raise CompileError("a tensor has hooks, which a program would not call")


def _flags(changed: Any, around: Surroundings) -> list[str]:
    """The flags of modules among what a run has changed; CompileError for anything else."""
    flags: list[str] = []
    for place, value in changed:
        if isinstance(value, bool) and any(vars(m) is place.holder for m in around.modules):
            place.set(value)  # eval(), or a module's own note that it has warned: the next run finds it so
            flags.append(place.text)
            continue
        line = around.line_that_sets(place.name)
        raise CompileError(f"{place.name} is changed in the function{line}; a program would not do it again")
    return flags


class World:
    """The tensors, optimisers and arrays that a function finds: traced while it runs, and put back after.

    `texts` are the expressions that read the inputs of the tape, in order.
    """

    def __init__(self, tape: Tape, around: Surroundings) -> None:
        self.tape, self.around = tape, around
        self.texts: list[str] = []
        self.tensors, self.optimizers = list(around.tensors.values()), around.optimizers
        self.before = [(t, t.data, t.grad, t.node, _marks(t._leaf)) for t in self.tensors]
        self.states = [([dict(own) for own in o.state], [g["lr"] for g in o.groups]) for o in self.optimizers]
        self.used = [optimizer.used for optimizer in self.optimizers]
        self.originals = [(place, place.get()) for place in around.arrays.values()]
        self.restore = around.keep()
        self.known = {id(t) for t in self.tensors}
        self.inputs: dict[int, int] = {}  # {id of a traced input: its place}
        self.placed: list[Any] = []
        self.rates: list[list[Any]] = []

    def _add(self, name: str, text: str, value: Any) -> Any:
        self.texts.append(text)
        return self.tape.input(name, value)

    def install(self, leaves: Sequence[Any], names: Sequence[str]) -> list[Any]:
        """Put traced arrays in the place of all; the arguments of the run."""
        around, given = self.around, []
        for i, (x, name) in enumerate(zip(leaves, names, strict=True)):
            if isinstance(x, Tensor):
                given.append(x if id(x) in self.known else _like(x, self._add(name, f"a{i}.data", x.data)))
            else:
                given.append(self._add(name, f"a{i}", x) if isinstance(x, np.ndarray) else x)
        for i, (name, tensor) in enumerate(around.tensors.items()):
            tensor._data = self._add(name, f"{around.refs[i]}.data", tensor.data)
            if tensor.grad is not None and not is_lost(tensor.grad):
                data = tensor.grad.data
                tensor._leaf.grad = tensor_of(self._add(f"{name}.grad", f"{around.refs[i]}.grad.data", data))
        for i, optimizer in enumerate(self.optimizers):
            self._install_optimizer(i, optimizer, str(i) if len(self.optimizers) > 1 else "")
        for name, place in around.arrays.items() if not around.constant else ():
            self.placed.append(self._add(name, place.text, place.get()))
            place.set(self.placed[-1])
        self.inputs = {id(x): i for i, (_, x) in enumerate(self.tape.inputs)}
        self.rates = [[group["lr"] for group in o.groups] for o in self.optimizers]
        return given

    def _install_optimizer(self, i: int, optimizer: Any, which: str) -> None:
        for j, group in enumerate(optimizer.groups):
            name = f"lr{which}" + (f"_{j}" if j else "")
            group["lr"] = self._add(name, f"o{i}.groups[{j}]['lr']", group["lr"])
        names = [next(n for n, t in self.around.tensors.items() if t is p) for p in optimizer.params]
        optimizer.state = [
            {key: self._add(f"{key}{which}.{name}", f"o{i}.state[{j}][{key!r}]", value) for key, value in own.items()}
            for j, (name, own) in enumerate(zip(names, optimizer.state, strict=True))
        ]

    def stepped(self) -> bool:
        """Whether an optimiser has used gradients."""
        return any(optimizer.used != used for optimizer, used in zip(self.optimizers, self.used, strict=True))

    def check(self) -> None:
        """Refuse what a program would not change."""
        for optimizer, own in zip(self.optimizers, self.rates, strict=True):
            if any(group["lr"] is not lr for group, lr in zip(optimizer.groups, own, strict=True)):
                line = self.around.line_that_sets("lr")
                raise CompileError(f"the learning rate is changed in the function{line}; step a schedule outside of it")
        for tensor, _, _, node, _ in self.before:
            if tensor.node is not node:
                line = self.around.line_that_sets("requires_grad")
                raise CompileError(
                    f"requires_grad of a parameter is changed in the function{line}; do so outside of it"
                )

    def put_back(self) -> list[Any]:
        """Put everything back as it was; what the run had changed besides."""
        for tensor, data, _, node, marks in self.before:
            tensor._data, tensor.node = data, node
            for name, value in marks.items():
                setattr(tensor._leaf, name, value)
        for optimizer, (own, values), used in zip(self.optimizers, self.states, self.used, strict=True):
            optimizer.state, optimizer.used = own, used
            for group, lr in zip(optimizer.groups, values, strict=True):
                group["lr"] = lr
        for (place, array), traced in zip(self.originals, self.placed, strict=False):
            if place.get() is traced:
                place.set(array)
        return self.restore()


def _none_left(tape: Tape, run: Run) -> None:
    """Refuse what has kept one of the function's arrays: it would keep that of the run that was traced."""
    own: set[int] = set()
    for x in (*run.outputs, *(given for _, given in tape.inputs)):
        while isinstance(x, Traced):
            own.add(id(x))
            x = x.owner

    def left() -> list[Any]:
        return [x for ref in tape.made if (x := ref()) is not None and id(x) not in own]

    if left():
        gc.collect()  # graphs that hold themselves
    for x in left():
        holders = [type(holder).__name__ for holder in gc.get_referrers(x) if not isinstance(holder, list)]
        raise CompileError(
            f"an array of shape {x.shape} is kept after the function has returned, by a {(*holders, 'list')[0]}: a "
            f"program would not keep it; return it"
        )


def _all_found(tape: Tape, known: set[int]) -> None:
    """See to it that no constant of the program is the value of a tensor, which may come to have another."""
    constants: dict[int, Any] = {}

    def look(x: Any) -> None:
        if isinstance(x, np.ndarray) and not isinstance(x, Traced) and x.dtype.kind in "fc":
            constants[id(x)] = x

    for call in tape.calls:
        nested((call.args, call.kwargs), look)
    for holder in gc.get_referrers(*constants.values()) if constants else ():
        if isinstance(holder, Tensor) and holder.is_leaf and id(holder) not in known:
            raise CompileError(
                f"a Tensor of shape {holder.shape} takes part that was not found among the function's arguments and "
                f"the names in its code; pass it, or the module that has it, as an argument"
            )


def _marks(node: Any) -> dict[str, Any]:
    """What a run may change of a leaf."""
    names = ("grad", "stamp", "began", "added") if node is not None else ()
    return {name: getattr(node, name) for name in names}


def _like(x: Tensor, traced: Any) -> Tensor:
    made = tensor_of(traced)
    made.requires_grad, made.name = x.requires_grad, x.name
    return made


def _outcome(world: World, found: list[Any], rebuild: Any) -> Run:
    """The outputs of a run: its results, and what it has put in the place of tensors' data, gradients and states."""
    tape, texts, around, before, inputs = world.tape, world.texts, world.around, world.before, world.inputs
    own = {id(t): t for t in around.tensors.values()}
    outputs: list[Any] = []
    targets: list[Target] = []
    picks: list[Any] = []
    alive: list[Any] = []
    gradients = {id(t.grad): i for i, t in enumerate(around.tensors.values()) if t.grad is not None}
    for x in found:
        if id(x) in gradients:
            picks.append(Gradient(gradients[id(x)]))
            continue
        if isinstance(x, Tensor) and id(x) not in own:
            live = x.node is not None and x.node.kept is not None
            alive += [x] * live
            picks.append(Pick.ALIVE if live else Pick.TENSOR)
            outputs.append(x.data)
        elif isinstance(x, Traced | Number | np.ndarray | np.generic):
            tape.check(x)
            picks.append(Pick.ARRAY)
            outputs.append(x)
        elif isinstance(x, _PLAIN) or id(x) in own or id(x) in around.seen:
            picks.append(x)  # a constant, or what was there before
            continue
        else:
            kind = type(x).__name__
            raise CompileError(f"a {kind} is returned; return arrays, Tensors and numbers in lists, tuples and dicts")
        targets.append(Target("result"))

    def as_given(value: Any, text: str) -> bool:
        place = inputs.get(id(value))
        return place is not None and texts[place] == text

    cleared = []
    for i, (name, (tensor, _, grad, _, _)) in enumerate(zip(around.tensors, before, strict=True)):
        if not as_given(tensor.data, f"{around.refs[i]}.data"):
            outputs.append(tensor.data)
            targets.append(Target("data", i, None, texts.index(f"{around.refs[i]}.data"), f"new.{name}"))
        if tensor.grad is None:
            if grad is not None:
                cleared.append(i)
        elif tensor.grad is not grad and not as_given(tensor.grad.data, f"{around.refs[i]}.grad.data"):
            outputs.append(tensor.grad.data)
            targets.append(Target("grad", i, None, None, f"grad.{name}"))
    for i, optimizer in enumerate(around.optimizers):
        for j, state in enumerate(optimizer.state):
            now = {key: f"o{i}.state[{j}][{key!r}]" for key in state}
            before_it = [text for text in texts if text.startswith(f"o{i}.state[{j}][")]
            if [*now.values()] == before_it and all(as_given(state[key], text) for key, text in now.items()):
                continue
            for key, text in now.items():  # all of it, for it is a new dict
                outputs.append(state[key])
                old = texts.index(text) if text in texts else None
                targets.append(Target("state", i, (j, key), old, f"new.{key}.{j}"))
    leaves = _leaves_behind(alive)
    captured = [i for i, tensor in enumerate(around.tensors.values()) if id(tensor.node) in leaves]
    return Run(tape, texts, outputs, targets, cleared, rebuild, picks, captured, [], world.stepped())


def _leaves_behind(alive: list[Any]) -> set[int]:
    """The leaves that graphs lead to."""
    waiting: list[Any] = [x.node for x in alive]
    seen: set[int] = set()
    while waiting:
        edge = waiting.pop()
        if id(edge) not in seen:
            seen.add(id(edge))
            waiting += [e for e in edge.edges or () if e is not None]
    return seen


def _argument_names(function: Any, count: int) -> list[str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code else []
    return [names[i] if i < len(names) and len(names) >= count else f"argument{i}" for i in range(count)]
