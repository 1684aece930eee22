"""One recorded call of a function: its variables, its output, and the walks back from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np

from .convention import CONVENTION, deliver
from .graph import Leaf
from .inputs import CONSTANTS
from .mode import MODE, enable_grad
from .ops.elementwise import positive
from .tensor import TENSORS, Tensor, as_tensor, differentiate, tensor_of
from .tree import flatten, leaves_of, mapped

Argnums = int | Sequence[int]

# True while a function is being differentiated: gradients taken inside it may have to be differentiable themselves.
_inside: ContextVar[bool] = ContextVar("autograd_inside", default=False)


def variable(arg: Any, name: Any) -> Tensor:
    """Give the argument its own node, so that nested gradients of one value stay separate."""
    kind = arg.__class__
    if kind in TENSORS and arg.node is not None:
        leaf = arg
    else:
        if kind is float or kind is int:
            leaf = tensor_of(np.array(arg, float))
        elif kind is np.ndarray and arg.dtype.kind == "f":
            leaf = tensor_of(arg)  # `positive` makes the copy
        else:
            leaf = tensor_of(as_tensor(arg).data)
            if leaf.dtype.kind not in "fc":
                raise TypeError(f"argument {name} is {leaf.dtype}, which has no gradient; pass a floating-point array")
        leaf.node = Leaf(leaf)
    copied: Tensor = positive(leaf)
    return copied


class Call:
    """One recorded call of a function: its variables, its output, and the walks back from it."""

    __slots__ = ("aux", "builds", "output", "recorded", "single", "variables")

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any, argnums: Argnums, has_aux: bool = False
    ) -> None:
        chosen = places(argnums, len(args))
        given = any(arg.__class__ not in CONSTANTS and _has_tensors(arg) for arg in args)
        inside = _inside.get()
        variables: list[Tensor] = []
        self.builds: list[tuple[int, Any]] = []
        self.single = argnums.__class__ is int
        inputs = list(args)
        token = _inside.set(True)
        mode = nullcontext() if MODE.get().recording else enable_grad()
        try:
            with mode:
                for i in chosen:
                    arg = args[i]
                    if arg.__class__ in CONSTANTS or arg.__class__ in TENSORS:
                        inputs[i] = variable(arg, i)
                        variables.append(inputs[i])
                        self.builds.append((1, None))
                    else:
                        leaves, build = flatten(arg)
                        mine = [variable(leaf, i) for leaf in leaves]
                        variables += mine
                        inputs[i] = build(mine)
                        self.builds.append((len(mine), build))
                result = function(*inputs, **kwargs)
        finally:
            _inside.reset(token)
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError("with has_aux=True the function must return a pair: its output, and anything else")
        self.variables = variables
        self.output: Any = result[0] if has_aux else result
        self.aux: Any = result[1] if has_aux else None
        # A call inside another, on plain arrays: its gradient is a constant, unless it reads a variable of the other.
        self.recorded = given or (inside and _reads_others(result, variables))

    def rebuild(self, found: Sequence[Any]) -> Any:
        """One array per variable, nested as the arguments were."""
        arguments, start = [], 0
        for count, build in self.builds:
            arguments.append(found[start] if build is None else build(found[start : start + count]))
            start += count
        return arguments[0] if self.single else tuple(arguments)

    def plain(self, value: Any) -> Any:
        """Convert Tensors in `value` to arrays and numbers, unless the caller passed Tensors."""
        if self.recorded or value.__class__ in CONSTANTS:
            return value
        return _array_of(value) if value.__class__ in TENSORS else mapped(value, _array_of)

    def back(self, outputs: Sequence[Any], cotangents: Sequence[Any], *, retain: bool, record: bool) -> list[Tensor]:
        """The gradients of the variables, given those of the outputs."""
        pairs = zip(outputs, cotangents, strict=True)
        seeds = summed((o, _seed(o, given)) for o, given in pairs if o.__class__ in TENSORS and o.node is not None)
        if CONVENTION.chosen == "conjugate":
            seeds = {output: _conjugate(seed) for output, seed in seeds.items()}
        return self.delivered(seeds, retain=retain, record=record)

    def delivered(self, seeds: dict[Tensor, Tensor], *, retain: bool, record: bool) -> list[Tensor]:
        """The gradients of the variables in the chosen convention, given those of the outputs in that of the walk."""
        found = self.walked(seeds, retain=retain, record=record)
        if any(v._data.dtype.kind == "c" for v in self.variables):
            deliver(CONVENTION.chosen)
            if CONVENTION.chosen == "conjugate":
                found = [_conjugate(g) for g in found]
        return found

    def walked(self, seeds: dict[Tensor, Tensor], *, retain: bool, record: bool) -> list[Tensor]:
        """The gradients of the variables as d/dx + i d/dy, given those of the outputs."""
        nodes = frozenset([v.node for v in self.variables if v.node])
        found = differentiate(seeds, wanted=nodes, retain_graph=retain, create_graph=record) if seeds else {}
        return [found[v.node] if v.node in found else tensor_of(np.zeros_like(v.data)) for v in self.variables]


def _conjugate(x: Tensor) -> Tensor:
    conjugate: Tensor = x.conj() if x._data.dtype.kind == "c" else x
    return conjugate


def places(argnums: Any, count: int) -> list[int]:
    """The chosen positions among `count` arguments.  Raises TypeError or ValueError for those that are not there."""
    if argnums == 0 and count and argnums.__class__ is int:
        return [0]
    if not isinstance(argnums, int) and not (
        isinstance(argnums, Sequence) and all(isinstance(i, int) for i in argnums)
    ):
        raise TypeError(f"argnums must be the index of an argument, or a tuple of indices; got {argnums!r}")
    chosen = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in chosen:
        if not -count <= i < count:
            raise TypeError(
                f"argnums names argument {i}, but the function was called with {count} positional arguments"
            )
    chosen = [i % count for i in chosen]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"argnums names an argument twice: {argnums}")
    return chosen


def summed(pairs: Iterable[tuple[Tensor, Tensor]]) -> dict[Tensor, Tensor]:
    """{tensor: the sum of its gradients}: one tensor may occur several times."""
    seeds: dict[Tensor, Tensor] = {}
    for tensor, seed in pairs:
        seeds[tensor] = seeds[tensor] + seed if tensor in seeds else seed
    return seeds


def _seed(output: Tensor, cotangent: Any) -> Tensor:
    """The cotangent of an output, checked."""
    seed = as_tensor(np.asarray(cotangent) if isinstance(cotangent, float | int) else cotangent)
    if seed.shape != output.shape:
        raise ValueError(f"a cotangent of shape {seed.shape} was given for an output of shape {output.shape}")
    if seed.dtype.kind == "c" and output.dtype.kind != "c":
        raise TypeError(f"a complex cotangent was given for an output of {output.dtype}")
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)


def _array_of(x: Any) -> Any:
    """The array or number of a Tensor; anything else unchanged."""
    if x.__class__ not in TENSORS:
        return x
    return x.data if x.data.shape else x.data[()]


def _has_tensors(tree: Any) -> bool:
    return tree.__class__ in TENSORS or any(leaf.__class__ in TENSORS for leaf in leaves_of(tree))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in leaves_of(tree) if leaf.__class__ in TENSORS)


def _reads_others(result: Any, variables: Sequence[Tensor]) -> bool:
    """Whether a Tensor in `result` depends on one that is none of the variables and older than these, or a leaf."""
    ours = {v.node for v in variables}
    first = min((v.node.number for v in variables if v.node), default=0)
    stack = [t.node for t in _tensors(result) if t.node is not None]
    seen: set[Any] = set()
    while stack:
        node = stack.pop()
        if node in seen or node in ours:
            continue
        if node.number < first or any(map(callable, node.params.values())):  # a custom backward pass may read anything
            return True
        seen.add(node)
        stack.extend(edge for edge in node.edges or () if edge is not None)
    return False
