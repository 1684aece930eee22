"""Functions with their own backward pass: `custom_gradient` takes yours, `checkpoint` recomputes the values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .calls import variable
from .errors import GraphError
from .graph import Leaf
from .mode import enable_grad
from .op import differentiable
from .ops.register import CASES, Case
from .registry import zero
from .tensor import TENSORS, Tensor, as_tensor, differentiate, tensor_of
from .tree import flatten


def _gradients(g: Any, _out: Any, *inputs: Any, run: Any, pull: Callable[..., Sequence[Any]]) -> Callable[[int], Any]:
    """`pull(g)[i]`: the gradient that the function's own backward pass returns."""
    found = pull(g, *inputs)
    return lambda i: zero(inputs[i]) if found[i] is None else found[i]


# One op serves every such function: the function and its backward pass are params of the call.
_custom = differentiable(
    lambda *arrays, run, pull: run(*arrays),
    every=_gradients,
    call=lambda inputs, run, pull: (tuple(inputs), {"run": run, "pull": pull}),
    name="custom",
)
CASES[_custom] = [Case([(2, 3)], run=np.square, pull=lambda g, x: [g * 2.0 * x])]


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function of arrays that returns its value and its backward pass.

    The backward pass takes the gradient of the value and returns the gradient of each argument in order, as one array
    or a tuple (None means 0).  It may be an exact rule that is more stable than the chain rule, or something other than
    the gradient: clipped, reversed, straight-through.  If it is written in NumPy, it gives higher derivatives too.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: np.clip(g, -1.0, 1.0)
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (clipped(x) * np.array([0.5, 50.0])).sum().backward()
    >>> x.grad
    Tensor([0.5, 1. ])
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        made: list[Any] = []

        def run(*arrays: Any) -> Any:
            pair = function(*arrays, **kwargs)
            if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
                raise TypeError(
                    f"the function of a custom_gradient returns a pair, its value and its backward pass; "
                    f"this one returned {type(pair).__name__}"
                )
            made[:] = [pair[1]]
            return pair[0]

        def pass_back(gradient: Any, *inputs: Any) -> Sequence[Any]:
            back = function(*inputs, **kwargs)[1] if gradient.__class__ in TENSORS else made[0]
            found = back(gradient.conj())  # in the users' convention; see `differentiate`
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(inputs):
                raise ValueError(f"the backward pass returned {len(found)} gradients for {len(inputs)} arguments")
            return [None if g is None else g.conj() for g in found]

        return _custom(args, run=run, pull=pass_back)

    return wrapper


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the same value and gradients that keeps no intermediate arrays: backward() recomputes them.

    For a long chain of such calls, memory grows with their number instead of with the number of ops.  Arguments and
    results may be nested lists, tuples and dicts.  Parameters that `function` reads from outside get their gradients
    too; a Tensor computed outside must be passed as an argument (TypeError otherwise).  backward() raises GraphError if
    the recomputed values differ, for example because the function draws random numbers.

    >>> x = Tensor(0.5, requires_grad=True)
    >>> checkpoint(lambda t: np.sin(np.exp(t)))(x).backward()
    >>> bool(np.isclose(x.grad.item(), np.cos(np.exp(0.5)) * np.exp(0.5)))
    True
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        again = Again(function, args, kwargs)
        outputs, nest, variables = again([again.leaves[i].data for i in again.varied])
        captured = _captured(outputs, {v.node for v in variables})
        live = [id(output) for output in _live(outputs)]
        arrays = [output.data for output in outputs if id(output) in live]
        found: Any = [None if id(output) in live else output for output in outputs]
        del outputs, variables  # and with them the graph
        made = iter(again.recorded(arrays, captured))
        return nest(next(made) if x is None else x for x in found)

    return wrapper


class Again:
    """A function call that can be repeated, with variables in place of the tensors that it was given."""

    name = "checkpoint"

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.function, self.kwargs = function, kwargs
        self.leaves, self.build = flatten(args)
        self.varied = [i for i, x in enumerate(self.leaves) if isinstance(x, Tensor) and x.requires_grad]

    def __call__(self, values: Sequence[Any]) -> tuple[list[Any], Any, list[Any]]:
        """Return the outputs, a function that nests them, and the variables that hold `values`."""
        with enable_grad():
            variables = [variable(value, i) for i, value in zip(self.varied, values, strict=True)]
            inputs = list(self.leaves)
            for i, v in zip(self.varied, variables, strict=True):
                inputs[i] = v
            outputs, nest = flatten(self.function(*self.build(inputs), **self.kwargs))
        return outputs, nest, variables

    def recorded(self, arrays: Sequence[Any], captured: Sequence[Leaf]) -> list[Any]:
        """Wrap `arrays`, the outputs that have a graph, in tensors whose backward pass repeats the call.

        `captured` are the leaves that the function reads from outside.  The repeated call must return `alike` values.
        """

        def pass_back(gradient: Any, *inputs: Any) -> Sequence[Any]:
            outputs, _, variables = self(inputs[: len(self.varied)])
            outputs = _live(outputs)
            self._must_be_alike(outputs, row)
            seeds: dict[Tensor, Tensor] = {}
            start = 0
            for output in outputs:
                n = output.size
                part = _as(np.reshape(gradient[start : start + n], output.shape), output.dtype).conj()
                seeds[output] = seeds[output] + part if output in seeds else as_tensor(part)
                start += n
            if any(isinstance(x, Tensor) for x in (gradient, *inputs)):
                if captured:
                    raise TypeError("checkpoint: for higher derivatives, pass the parameters as arguments")
                nodes = frozenset(v.node for v in variables if v.node)
                found: dict[Any, Any] = dict(differentiate(seeds, wanted=nodes, create_graph=True))
                return [found[v.node].conj() if v.node in found else None for v in variables]
            origins = [v.node.edges[0] for v in variables]
            found = differentiate(seeds)
            return [found[x].data.conj() if x in found else None for x in [*origins, *captured]]

        row = np.concatenate([a.reshape(-1) for a in arrays]) if arrays else np.zeros(0)
        outside = [tensor_of(np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), leaf) for leaf in captured]
        inputs = [*(self.leaves[i] for i in self.varied), *outside]
        packed: Any = _custom(inputs, run=lambda *_: row, pull=pass_back)
        if not isinstance(packed, Tensor):
            return list(arrays)
        ends = np.cumsum([a.size for a in arrays])
        parts = zip(arrays, ends, strict=True)
        return [_as(packed[end - a.size : end].reshape(a.shape), a.dtype) for a, end in parts]

    def alike(self, a: Any, b: Any) -> bool:
        """Whether two calls have given the same values: here, bit for bit."""
        return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")

    def _must_be_alike(self, outputs: Sequence[Any], row: Any) -> None:
        again = [x.data for x in outputs]
        ends = np.cumsum([a.size for a in again])
        parts = [_as(row[end - a.size : end].reshape(-1), a.dtype) for a, end in zip(again, ends, strict=True)]
        if sum(a.size for a in again) != row.size or not all(map(self.alike, [a.reshape(-1) for a in again], parts)):
            raise GraphError(
                f"{self.name}: the function returned other values when called again (it draws random numbers, or "
                "something that it reads has changed), so its gradient would be wrong; pass what changes as an argument"
            )


def _live(outputs: Sequence[Any]) -> list[Tensor]:
    """The outputs whose graph can still be walked."""
    return [x for x in outputs if isinstance(x, Tensor) and x.node is not None and x.node.kept is not None]


def _as(x: Any, dtype: Any) -> Any:
    """Cast part of a row of mixed dtypes back to its own dtype."""
    if x.dtype == dtype:
        return x
    return (np.real(x) if x.dtype.kind == "c" and np.dtype(dtype).kind != "c" else x).astype(dtype)


def _captured(outputs: Sequence[Any], inside: set[Any]) -> list[Leaf]:
    """The leaves that the graph behind `outputs` reads, other than the variables."""
    oldest = min((node.number for node in inside), default=0)
    stack = [o.node for o in outputs if isinstance(o, Tensor) and o.node is not None]
    seen: set[Any] = set()
    found: list[Leaf] = []
    while stack:
        edge = stack.pop()
        if edge in seen or edge in inside:
            continue
        seen.add(edge)
        if edge.__class__ is Leaf:
            found.append(edge)
        elif edge.number < oldest:
            raise TypeError(
                f"checkpoint: the function reads a Tensor made outside by {edge.op.name}; pass it as an argument, "
                f"so that it can receive its gradient"
            )
        else:
            stack.extend(e for e in edge.edges or () if e is not None)
    return found
