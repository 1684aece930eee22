"""`differentiable` and `elementwise`: a NumPy function plus one rule per input becomes an op that records itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Protocol

import numpy as np

from .arguments import CONSTANTS, arguments_of, arrange, by_numpy, check_rules, constant, explain, one_array
from .graph import Node, Outline, next_number
from .mode import MODE
from .protocols import NUMPY
from .tensor import Tensor, tensor_of
from .unroll import unrolled

REAL, POSITIVE, UNIT = (-2.0, 2.0), (0.3, 2.5), (-0.9, 0.9)  # intervals that test inputs are drawn from
COMPLEX = (-2.0 - 2.0j, 2.0 + 2.0j)  # opposite corners of a square
OBJECT = np.dtype(object)


class Case:
    """One sample call of an op, from which its tests are made.

    A tuple of integers is an array of that shape, drawn from the op's domain; anything else (an array, a list of
    shapes, None) is itself; `params` are keywords.
    """

    __slots__ = ("inputs", "params")

    def __init__(self, *inputs: Any, **params: Any) -> None:
        self.inputs, self.params = inputs, params


class Operation(Protocol):
    """An op as people call it."""

    op: Op
    __name__: str

    def __call__(self, *inputs: Any, **params: Any) -> Any: ...


class Op:
    """All that is known of an op: one entry of the registry `OPS`."""

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        rules: Any,
        *,
        numpy: Sequence[Any] = (),
        operator: str | None = None,
        domain: Any = REAL,
        cases: Sequence[Case] = (),
        elementwise: bool = False,
        beyond: Callable[..., Any] | None = None,
    ) -> None:
        self.name, self.forward, self.numpy, self.operator = name, forward, tuple(numpy), operator
        self.rules = rules  # a list, or an Every
        self.domain = domain  # an interval, or a function that makes any numbers valid, or a list of one per input
        self.cases, self.elementwise, self.beyond = cases, elementwise, beyond
        known = [rules.rule] if isinstance(rules, Every) else rules
        self.params = frozenset(name for rule in known for name in arguments_of(rule)[1])
        self.plans: dict[int, tuple[bool, tuple[int, ...]]] = {}  # what to keep, by which inputs need gradients
        self.function: Operation
        self.view: bool = False  # whether the output of one input may share its memory

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, Op] = {}


class Every:
    """The rules of an op of any number of inputs: one and the same, told which input it is for."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        self.rule = rule

    def __getitem__(self, i: int) -> Callable[..., Any]:
        return partial(self.rule, i)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return map(self.__getitem__, count())


def differentiable(
    forward: Callable[..., Any],
    *rules: Callable[..., Any] | None,
    every: Callable[..., Any] | None = None,
    call: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
    name: str | None = None,
    numpy: Sequence[Any] | None = None,
    operator: str | None = None,
    methods: Mapping[str, Callable[..., Any]] | None = None,
    domain: Any = REAL,
    cases: Sequence[Case] = (),
    elementwise: bool = False,
    beyond: Callable[..., Any] | None = None,
) -> Operation:
    """Make an op of `forward(*arrays, **params)` and one rule per input, and register it.

    `rule(g, out, *inputs, **params)` returns the gradient of its input, given the gradient `g` of the output; written
    in NumPy, it also runs on Tensors, which gives higher derivatives.  It must not change its arguments, and may
    return an array that broadcasting made larger than the input: the walk sums it back.  An argument whose name begins
    with `_` is not read: its array need not be kept, and only its `shape` and `dtype` may be asked for.  None stands
    in for the rule of an input that has no gradient.  Arrays are positional, everything else is keyword-only.

    An op of any number of arrays has `every(i, g, out, *inputs, **params)` in place of rules, and `call`, a function
    with the signature that people use, which returns `(inputs, params)`.  A call with keywords that no rule takes goes
    to `beyond`, a function written with other ops; without one it is refused.

    `numpy` are the NumPy functions that the op stands for when they meet a Tensor (by default `forward`, if it is one
    that has no op yet); `operator` is a Python operator ("mul"), `methods` those whose signature is not the function's.
    `cases` are sample calls and `domain` the interval (or one per input) that their numbers are drawn from: the tests
    of the value, the gradient and the gradient of the gradient are made from these.

    >>> cube = differentiable(lambda x: x ** 3, lambda g, _y, x: g * 3 * x ** 2, name="cube")
    >>> x = Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    Tensor(12.)
    """
    if numpy is None:
        numpy = (forward,) if getattr(np, forward.__name__, None) is forward and forward not in NUMPY else ()
    op = Op(
        name or forward.__name__,
        forward,
        Every(every) if every else [rule or _zero(i) for i, rule in enumerate(rules)],
        numpy=numpy,
        operator=operator,
        domain=domain,
        cases=cases,
        elementwise=elementwise,
        beyond=beyond,
    )
    if rules:
        check_rules(op)
    beyond = beyond and by_numpy(beyond, numpy, tensor_of)
    arity = -1 if call else len(rules)  # with `call`, every call of the op goes through it
    known, plans = op.params, op.plans
    ndarray, new = np.ndarray, object.__new__

    def function(*inputs: Any, **params: Any) -> Any:  # what runs is mostly a copy of this: see unrolled
        if len(inputs) != arity or (params and not params.keys() <= known):
            inputs, params = arrange(op, call, inputs, params)
            if beyond is not None and not params.keys() <= known:
                return beyond(*inputs, **params)
        arrays: list[Any] = []
        edges: list[Any] = []
        needs, recorded = 0, False  # bit i of `needs`: input i needs a gradient
        for i, x in enumerate(inputs):
            if x.__class__ is Tensor or isinstance(x, Tensor):
                recorded = True
                arrays.append(x.data)
                if x.requires_grad:
                    needs |= 1 << i
                    edges.append(x.node or x)
                else:
                    edges.append(None)
            else:
                arrays.append(x if x.__class__ in CONSTANTS else constant(op, x))
                edges.append(None)
        try:
            data = forward(*arrays, **params) if params else forward(*arrays)
        except Exception as error:
            data = explain(op, error, arrays, params)
        if not recorded:
            return data
        if data.__class__ is not ndarray:
            data = one_array(op, data)
        dtype = data.dtype
        if dtype is OBJECT:
            raise TypeError(f"{op.name}: an array of objects has no gradient; join Tensors with autograd.stack")
        mode = MODE.get()
        if not needs or not mode.recording:
            if mode.observer is not None:
                mode.observer.unrecorded(op, data, arrays, edges)
            return tensor_of(data)

        node = Node()
        node.op, node.params, node.edges = op, params, edges
        node.number, node.shape, node.dtype = next_number(), data.shape, dtype
        keeps_out, unread = plans.get(needs) or _plan(op, needs, len(arrays))
        node.kept = kept = [data if keeps_out else None, *arrays]
        for k in unread:
            kept[k + 1] = Outline(arrays[k]) if every and edges[k] is None else node.edges[k]
        if mode.observer is not None:
            mode.observer.forward(node, data, arrays, inputs)
        tensor = new(Tensor)  # tensor_of(data, node), without the cost of a call
        tensor.data, tensor.node, tensor.requires_grad = data, node, True
        tensor.grad = tensor.name = None
        tensor.stamp = 0
        return tensor

    return _register(op, unrolled(function, arity) if arity > 0 else function, methods or {}, arity)


def elementwise(
    ufunc: Any, *rules: Callable[..., Any] | None, cases: Sequence[Case] | None = None, **about: Any
) -> Operation:
    """`differentiable` for a function that works element by element and broadcasts; its cases are known.

    >>> softplus = elementwise(lambda x: np.log1p(np.exp(x)), lambda g, _y, x: g / (1 + np.exp(-x)), name="softplus1")
    >>> softplus(Tensor(0.0))
    Tensor(0.69314718)
    """
    shapes = BROADCASTS.get(len(rules), [((2, 3),) * len(rules)])
    if isinstance(ufunc, np.ufunc):
        about.setdefault("beyond", lambda *inputs, **params: _masked(made, *inputs, **params))
    made: Operation = differentiable(
        ufunc, *rules, cases=cases or [Case(*s) for s in shapes], elementwise=True, **about
    )
    return made


def _masked(function: Operation, *inputs: Any, where: Any = True, dtype: Any = None, **others: Any) -> Any:
    """The keywords of every ufunc: compute in `dtype`, and only `where`; elsewhere the result is 0.

    (NumPy leaves those elements as they are in memory.)  The inputs are replaced there by a harmless number, so that
    neither the value nor the gradient of what was not asked for can be infinite.
    """
    if others:
        raise TypeError(f"{function.op.name} has no derivative rule for the argument {', '.join(others)}")
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if isinstance(x, Tensor) else np.asarray(x, dtype) for x in inputs)
    if where is True:
        return function(*inputs)
    domain = function.op.domain
    domains = domain if isinstance(domain, list) else [domain] * len(inputs)
    safe = [np.where(where, x, 0.25 * low + 0.75 * high) for x, (low, high) in zip(inputs, domains, strict=True)]
    return np.where(where, function(*safe), 0.0)


BROADCASTS: dict[int, list[tuple[Any, ...]]] = {
    1: [((2, 3),), ((),), ((0, 2),)],
    2: [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 1)), ((), (2,)), ((2,), ()), ((1, 0), (2, 1)), ((), ())],
}


def plain(*functions: Any, operator: str | None = None) -> None:
    """Register NumPy functions whose result does not depend smoothly on the input: Tensors in, plain arrays out."""
    for function in functions:

        def unwrapped(*args: Any, _function: Any = function, **kwargs: Any) -> Any:
            if (observer := MODE.get().observer) is not None:
                edges = [x.node or x for x in args if isinstance(x, Tensor) and x.requires_grad]
                observer.cut(edges, f"{_function.__name__}(), which has no gradient")
            return _function(*_unwrap(args), **_unwrap(kwargs))

        unwrapped.__name__ = function.__name__
        NUMPY[function] = unwrapped
        if operator:
            setattr(Tensor, f"__{operator}__", unwrapped)
        elif callable(getattr(np.ndarray, function.__name__, None)):
            setattr(Tensor, function.__name__, unwrapped)


def composite(
    function: Any,
    *numpy: Any,
    name: str | None = None,
    cases: Sequence[Case] = (),
    domain: Any = REAL,
    methods: Mapping[str, Callable[..., Any]] | None = None,
) -> Operation:
    """Register a function that is written with ops, and so needs no rules of its own."""
    op = Op(name or numpy[0].__name__, function, (), numpy=numpy, cases=cases, domain=domain)
    return _register(op, by_numpy(function, numpy, tensor_of), methods or {})


def _register(op: Op, function: Any, methods: Mapping[str, Callable[..., Any]], arity: int = -1) -> Operation:
    if not op.name.isidentifier():
        raise ValueError(f"an op made from a lambda needs a name: differentiable(..., name=...); got {op.name!r}")
    if op.name in OPS and OPS[op.name].numpy:
        raise ValueError(f"{op.name!r} is already the name of an op that stands for a NumPy function; choose another")
    first = op.name not in OPS
    OPS[op.name] = op
    op.function = function
    function.op, function.__name__, function.__qualname__ = op, op.name, op.name
    function.__doc__ = function.__doc__ or f"{'np.' if op.numpy else ''}{op.name} for Tensors and arrays."
    for f in op.numpy:
        NUMPY[f] = function
    if op.operator:
        setattr(Tensor, f"__{op.operator}__", function)
        if arity == 2:
            setattr(Tensor, f"__r{op.operator}__", lambda x, y: function(y, x))
    spelled = op.elementwise or not op.numpy or callable(getattr(np.ndarray, op.name, None))
    if spelled and not op.name.startswith("_") and (not first or not hasattr(Tensor, op.name)):
        setattr(Tensor, op.name, function)
    for method, spelling in methods.items():
        setattr(Tensor, method, spelling)
    return function  # type: ignore[no-any-return]  # an Operation now, by its attributes


def _plan(op: Op, needs: int, count: int) -> tuple[bool, tuple[int, ...]]:
    """Whether the output is kept, and which inputs are not, when the inputs in the bit set `needs` need gradients."""
    unread = [True] * (count + 1)
    skip = 2 if isinstance(op.rules, Every) else 1
    for i in range(count):
        if needs >> i & 1:
            names, _, star = arguments_of(op.rules[i] if skip == 1 else op.rules.rule)
            names = (names + (star,) * (count + 3))[skip : skip + count + 1]
            unread = [u and n.startswith("_") for u, n in zip(unread, names, strict=True)]
    plan = not unread[0], tuple(i for i in range(count) if unread[i + 1])
    if skip == 1:
        op.plans[needs] = plan
    return plan


def zero(like: Any, *_: Any) -> Any:
    """`0`: the rule of a step, and zeros of any shape (np.zeros_like would take the Tensor away)."""
    return np.where(False, like, 0.0)


def _zero(i: int) -> Callable[..., Any]:
    """The rule of an input without a gradient, should somebody ask for one."""
    return lambda g, out, *inputs, **params: zero(inputs[i])


def _unwrap(x: Any) -> Any:
    """Replace every Tensor in nested lists, tuples and dicts by its array."""
    if isinstance(x, Tensor):
        return x.data
    if isinstance(x, list | tuple):
        return type(x)(map(_unwrap, x))
    return {key: _unwrap(value) for key, value in x.items()} if isinstance(x, dict) else x
