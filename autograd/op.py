"""`differentiable`: turn a NumPy function and one rule per input into an op that records itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import explain, refuse
from .graph import Node, Outline, next_number
from .inputs import CONSTANTS, constant, one_array
from .mode import MODE, Mode
from .numpy_calls import NUMPY, arrange
from .registry import Op, Operation, no_gradient, register, unneeded
from .tensor import TENSORS, Tensor, tensor_of


def differentiable(
    forward: Callable[..., Any],
    *rules: Callable[..., Any] | None,
    every: Callable[..., Callable[[int], Any]] | None = None,
    call: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
    name: str | None = None,
    numpy: Sequence[Any] | None = None,
    operator: str | None = None,
    methods: Mapping[str, Callable[..., Any]] | None = None,
    elementwise: bool = False,
    beyond: Callable[..., Any] | None = None,
    view: bool = False,
) -> Operation:
    """Make an op of `forward(*arrays, **params)` and one rule per input, and register it.

    `rule(g, out, *inputs, **params)` returns the gradient of its input, given the gradient `g` of the output; written
    in NumPy, it also runs on Tensors, which gives higher derivatives.  It must not change its arguments, and may
    return an array that broadcasting made larger than the input: the walk sums it back.  An argument whose name begins
    with `_` is not read: its array need not be kept, and only its `shape` and `dtype` are available.  Pass None for
    an input that has no gradient.  Arrays are positional, everything else is keyword-only.

    An op of any number of arrays has, instead of rules, `every(g, out, *inputs, **params)`, which is called once and
    returns a function of i that returns the gradient of input i; and `call`, a function with the public signature that
    returns `(inputs, params)`.  A call with keywords that no rule takes goes to `beyond`, a function written with other
    ops; without one it is refused.

    `numpy` lists the NumPy functions that call the op on a Tensor (by default `forward`, if it is one that has no op
    yet); `operator` is a Python operator ("mul"); `methods` are methods of Tensor besides the one that NumPy's arrays
    have under the op's name.  `view` means that the result may share the memory of an input.

    >>> cube = differentiable(lambda x: x ** 3, lambda g, _y, x: g * 3 * x ** 2, name="cube")
    >>> x = Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    Tensor(12.)
    """
    if numpy is None:
        numpy = (forward,) if getattr(np, forward.__name__, None) is forward and forward not in NUMPY else ()
    own = [rule or no_gradient(i) for i, rule in enumerate(rules)]
    op = Op(name or forward.__name__, forward, own, every, call, beyond, numpy, operator, elementwise, view)
    function = _of_any_number(op)
    if call is None and len(rules) < 3:
        function = (function, _of_one, _of_two)[len(rules)](op, function)
    return register(op, function, methods or {})


_ABSENT: Any = object()
_OBJECT = np.dtype(object)
new = object.__new__
ndarray = np.ndarray


def _of_one(op: Op, general: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an op of one input; other calls go to the general one."""
    forward, known = op.forward, op.params

    def function(x: Any = _ABSENT, /, *more: Any, **params: Any) -> Any:
        if x is _ABSENT or more or (params and not params.keys() <= known):
            return general(*(given for given in (x, *more) if given is not _ABSENT), **params)
        recorded = x.__class__ in TENSORS
        array = x._data if recorded else x if x.__class__ in CONSTANTS else constant(op, x)
        mode = MODE.get()
        run = forward if mode.observer is None else mode.observer.around("op", op, forward)
        try:
            data = run(array, **params) if params else run(array)
        except Exception as error:
            data = explain(op, error, [array], params)
        if not recorded:
            return data
        edge = x.node
        return record(op, mode, data, (x,), [None, array], (edge,), edge is not None, params)

    return function


def _of_two(op: Op, general: Callable[..., Any]) -> Callable[..., Any]:
    """The same for two inputs."""
    forward, known = op.forward, op.params

    def function(x: Any = _ABSENT, y: Any = _ABSENT, /, *more: Any, **params: Any) -> Any:
        if y is _ABSENT or more or (params and not params.keys() <= known):
            return general(*(given for given in (x, y, *more) if given is not _ABSENT), **params)
        edge_x = edge_y = None
        if x_recorded := x.__class__ in TENSORS:
            array_x, edge_x = x._data, x.node
        else:
            array_x = x if x.__class__ in CONSTANTS else constant(op, x)
        if y_recorded := y.__class__ in TENSORS:
            array_y, edge_y = y._data, y.node
        else:
            array_y = y if y.__class__ in CONSTANTS else constant(op, y)
        mode = MODE.get()
        run = forward if mode.observer is None else mode.observer.around("op", op, forward)
        try:
            data = run(array_x, array_y, **params) if params else run(array_x, array_y)
        except Exception as error:
            data = explain(op, error, [array_x, array_y], params)
        if not (x_recorded or y_recorded):
            return data
        needs = 0 if edge_x is None else 1
        if edge_y is not None:
            needs += 2
        return record(op, mode, data, (x, y), [None, array_x, array_y], (edge_x, edge_y), needs, params)

    return function


def _of_any_number(op: Op) -> Callable[..., Any]:
    """The function of an op of any number of inputs."""
    forward, known, arity = op.forward, op.params, -1 if op.call else len(op.rules)
    shift = 0 if op.every else 1

    def function(*inputs: Any, **params: Any) -> Any:
        if len(inputs) != arity or (params and not params.keys() <= known):
            try:
                inputs, params = arrange(op, inputs, params)
            except (TypeError, ValueError) as error:
                return unneeded(op.numpy, inputs, params, error)
            if op.beyond is not None and not params.keys() <= known:
                return op.beyond(*inputs, **params)
        arrays, edges, recorded, needs, bit = [], [], False, 0, 1
        for x in inputs:
            if x.__class__ in TENSORS:
                edge, recorded = x.node, True
                arrays.append(x._data)
                edges.append(edge)
                if edge is not None:
                    needs |= bit
            else:
                arrays.append(x if x.__class__ in CONSTANTS else constant(op, x))
                edges.append(None)
            bit <<= shift
        mode = MODE.get()
        run = forward if mode.observer is None else mode.observer.around("op", op, forward)
        try:
            data = run(*arrays, **params) if params else run(*arrays)
        except Exception as error:
            data = explain(op, error, arrays, params)
        if not recorded:
            return data
        return record(op, mode, data, inputs, [None, *arrays], edges, needs, params)

    return function


def record(op: Op, mode: Mode, data: Any, inputs: Any, kept: Any, edges: Any, needs: int, params: Any) -> Tensor:
    """Wrap the result of an op on `kept[1:]` in a Tensor, with a node that leads back; all nodes are made here.

    `edges` are the nodes of the `inputs`.  `needs` is 0 if there are none; otherwise bit i is set if input i has one,
    and for an op of any number of inputs it is 1.
    """
    if data.__class__ is not ndarray:
        data = one_array(op, data)
    dtype = data.dtype
    if dtype is _OBJECT:
        refuse("objects", op.name)
    if not needs or not mode.recording:
        if mode.observer is not None:
            mode.observer.unrecorded(op, data, kept[1:], edges, inputs)
        return tensor_of(data)
    node = Node()
    node.op, node.params, node.edges, node.kept, node.hooks = op, params, edges, kept, None
    node.number, node.shape, node.dtype = next_number(), data.shape, dtype
    keeps_out, unread = op.plans.get(needs) or op.plan(needs)
    arrays = None if mode.observer is None else kept[1:]
    if keeps_out:
        kept[0] = data
    for i in range(len(edges)) if unread is None else unread:
        kept[i + 1] = edges[i] or Outline(kept[i + 1])
    if arrays is not None:
        mode.observer.forward(node, data, arrays, inputs)
    tensor = new(Tensor)  # tensor_of(data, node), without the cost of a call
    tensor._data, tensor.node, tensor.name = data, node, None
    return tensor
