"""Derivatives of functions: grad, vjp, jvp, jacobian, hessian and their relatives, all from one reverse walk."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Literal, TypeVar, overload

import numpy as np

from .calls import Argnums, Call, places, summed, variable
from .mode import enable_grad, no_grad
from .tensor import TENSORS, Tensor, as_tensor, differentiate, tensor_of
from .tree import flatten, leaves_like

Function = Callable[..., Any]
# A gradient has the type of its argument; overloaded functions such as np.tanh or autograd.exp have no single type.
X = TypeVar("X", bound=Tensor | np.ndarray[Any, Any] | complex | list[Any] | tuple[Any, ...] | dict[Any, Any])


@overload
def value_and_grad(
    function: Callable[Concatenate[X, ...], Any], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Callable[Concatenate[X, ...], tuple[Any, X]]: ...
@overload
def value_and_grad(
    function: Function, argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None
) -> Any: ...
def value_and_grad(
    function: Function, argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None
) -> Function:
    """A function that returns `(function(*args), gradient)`, where `function` returns one real number.

    `argnums` selects the positional arguments: an int gives one gradient, a sequence gives a tuple of them.  Each has
    the shape of its argument, which may be a nested list, tuple or dict of arrays.  Arrays and numbers give arrays and
    numbers; Tensors give Tensors, which are recorded, so gradients nest.  With `has_aux`, `function` returns a pair;
    only its first item is differentiated, and the result is `((value, aux), gradient)`.  Raises TypeError for an
    integer array and ValueError if `function` does not return one real number.  `argnum` is another name of `argnums`,
    here and in the functions below.

    >>> value_and_grad(lambda x: (x ** 2).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return Transformed(_value_and_grad, function, _either(argnums, argnum), has_aux)


def _value_and_grad(function: Function, argnums: Argnums, has_aux: bool, args: Any, kwargs: Any) -> tuple[Any, Any]:
    call = Call(function, args, kwargs, argnums, has_aux)
    value = call.output
    data = value.data if value.__class__ in TENSORS else np.asarray(_array_or_number(value, "grad"))
    if data.size != 1 or data.dtype.kind not in "fiu":
        kind = {"c": "complex ", "b": "bool, "}.get(data.dtype.kind, "")
        raise ValueError(f"grad needs a function that returns one real number; got {kind}shape {data.shape}")
    seeds = {value: tensor_of(_one_like(data))} if value.__class__ in TENSORS and value.node is not None else {}
    gradients = call.delivered(seeds, retain=call.recorded, record=call.recorded)
    value = (call.plain(value), call.plain(call.aux)) if has_aux else call.plain(value)
    return value, call.plain(call.rebuild(gradients))


def _one_like(data: Any) -> Any:
    """1 in an array of one element; np.ones_like takes three times as long."""
    return np.array(1.0, data.dtype) if data.__class__ is np.ndarray and not data.shape else np.ones_like(data)


def _array_or_number(value: Any, name: str) -> Any:
    if not isinstance(value, Tensor | np.ndarray | np.number | float | int) or value.__class__ is bool:
        more = "; does it lack its `return`?" if value is None else ""
        what = {"grad": "a number", "jacobian": "arrays or numbers"}.get(name, "one array or number")
        raise TypeError(f"{name} needs a function that returns {what}; it returned {type(value).__name__}{more}")
    return value


class Transformed:
    """A function derived from another; it can be pickled if that one can, and works as a method."""

    def __init__(self, run: Function, function: Function, *options: Any) -> None:
        _must_be_callable(function)
        functools.update_wrapper(self, function, updated=())  # not its attributes: the gradient of an op is no op
        self.run, self.function, self.options = run, function, options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.function, *self.options, args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return Transformed, (self.run, self.function, *self.options)

    def __repr__(self) -> str:
        return f"<{self.run.__name__.strip('_')} of {getattr(self.function, '__name__', self.function)}>"


def _either(argnums: Any, argnum: Any) -> Any:
    """`argnums`, which is spelled `argnum` in HIPS's autograd."""
    return argnums if argnum is None else argnum


def _must_be_callable(function: Any) -> None:
    if not callable(function):
        raise TypeError(
            f"grad and its relatives take a function; got {type(function).__name__}. "
            f"For the gradients of a Tensor that you computed, call its backward()"
        )


@overload
def grad(
    function: Callable[Concatenate[X, ...], Any], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Callable[Concatenate[X, ...], X]: ...
@overload
def grad(function: Function, argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None) -> Any: ...
def grad(function: Function, argnums: Argnums = 0, has_aux: bool = False, *, argnum: Argnums | None = None) -> Function:
    """A function that returns the gradient of `function`, or `(gradient, aux)` with `has_aux`; see `value_and_grad`.

    >>> cube = lambda x: x ** 3
    >>> grad(cube)(2.0), grad(grad(cube))(2.0), grad(grad(grad(cube)))(2.0)
    (np.float64(12.0), np.float64(12.0), np.float64(6.0))
    """
    return Transformed(_grad, function, _either(argnums, argnum), has_aux)


def _grad(function: Function, argnums: Argnums, has_aux: bool, args: Any, kwargs: Any) -> Any:
    value, gradient = _value_and_grad(function, argnums, has_aux, args, kwargs)
    return (gradient, value[1]) if has_aux else gradient


@overload
def elementwise_grad(
    function: Callable[Concatenate[X, ...], Any], argnums: Literal[0] = 0
) -> Callable[Concatenate[X, ...], X]: ...
@overload
def elementwise_grad(function: Function, argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Any: ...
def elementwise_grad(function: Function, argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Function:
    """The derivative of each output element by the input element at its index: the gradient of the sum of the outputs.

    >>> elementwise_grad(np.tanh)(np.array([0.0, 1.0]))
    array([1.        , 0.41997434])
    """
    return Transformed(_elementwise_grad, function, _either(argnums, argnum))


def _elementwise_grad(function: Function, argnums: Argnums, args: Any, kwargs: Any) -> Any:
    call = Call(function, args, kwargs, argnums)
    ones = np.ones(np.shape(_array_or_number(call.output, "elementwise_grad")))
    gradients = call.back([call.output], [ones], retain=call.recorded, record=call.recorded)
    return call.plain(call.rebuild(gradients))


def vjp(function: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """`(function(*primals), pull)`: `pull(cotangent)` is the cotangent times the Jacobian, one array per primal.

    The cotangent has the structure and the shapes of the output; `pull` may be called repeatedly.  Primals and outputs
    may be nested lists, tuples and dicts of arrays.

    >>> value, pull = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pull(np.ones(2))
    (array([3., 4.]), array([1., 2.]))
    """
    _must_be_callable(function)
    call = Call(function, primals, {}, range(len(primals)), has_aux)
    outputs, build = flatten(call.output)

    def pull(cotangent: Any) -> Any:
        seeds = flatten(cotangent)[0]
        if len(seeds) != len(outputs):
            raise ValueError(f"the function has {len(outputs)} outputs, and {len(seeds)} cotangents were given")
        seeds = leaves_like(cotangent, call.output, "the cotangent has another structure than the output")
        record = call.recorded or any(isinstance(seed, Tensor) for seed in seeds)
        found = call.rebuild(call.back(outputs, seeds, retain=True, record=record))
        return found if record else call.plain(found)

    value = call.plain(build(outputs))
    return (value, pull, call.plain(call.aux)) if has_aux else (value, pull)


def jvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`(function(*primals), Jacobian times tangents)`: how the output moves when the primals move along the tangents.

    Primals and tangents are lists or tuples with one entry per argument, which may be nested lists, tuples and dicts.
    It needs no second set of rules: the vjp is linear in its cotangent, and the vjp of the vjp is the jvp (J. Townsend,
    2017).

    >>> jvp(lambda x: x ** 2, [np.array([1.0, 2.0])], [np.array([1.0, 0.5])])
    (array([1., 4.]), array([2., 2.]))
    """
    _must_be_callable(function)
    for given in (primals, tangents):
        if not isinstance(given, list | tuple):
            raise TypeError(
                f"jvp takes the arguments and their tangents as two lists: jvp(f, [x], [t]); got {type(given).__name__}"
            )
    primals, tangents = tuple(primals), tuple(tangents)
    moves = leaves_like(tangents, primals, "the tangents have another structure than the primals")
    shapes = [[np.shape(leaf) for leaf in leaves] for leaves in (flatten(primals)[0], moves)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the primals have shapes {shapes[0]}, and the tangents {shapes[1]}")
    call = Call(function, primals, {}, range(len(primals)))
    outputs, build = flatten(call.output)
    dummies = [variable(np.ones_like(getattr(output, "data", output)), "output") for output in outputs]
    with enable_grad():
        seeds = summed(
            (o, d) for o, d in zip(outputs, dummies, strict=True) if isinstance(o, Tensor) and o.requires_grad
        )
        pulled = call.walked(seeds, retain=True, record=True)
        directions = [as_tensor(np.asarray(leaf) if isinstance(leaf, float | int) else leaf) for leaf in moves]
        seeds = summed((p, d) for p, d in zip(pulled, directions, strict=True) if p.requires_grad)
        nodes = frozenset(dummy.node for dummy in dummies if dummy.node)
        found = differentiate(seeds, wanted=nodes, retain_graph=True, create_graph=call.recorded) if seeds else {}
    moved = [found[d.node] if d.node in found else tensor_of(np.zeros_like(d.data)) for d in dummies]
    return call.plain(build(outputs)), call.plain(build(moved))


@overload
def jacobian(
    function: Callable[Concatenate[X, ...], Any], argnums: Literal[0] = 0, vectorize: bool = False
) -> Callable[Concatenate[X, ...], X]: ...
@overload
def jacobian(
    function: Function, argnums: Argnums = 0, vectorize: bool = False, *, argnum: Argnums | None = None
) -> Any: ...
def jacobian(
    function: Function, argnums: Argnums = 0, vectorize: bool = False, *, argnum: Argnums | None = None
) -> Function:
    """A function that returns all partial derivatives: shape (*output, *input), for outputs and inputs of any shape.

    Outputs and inputs may be nested lists, tuples and dicts of arrays: the result has the structure of the output, and
    at the place of each array that of the input, so that `result["y"]["x"]` is the derivative of y by x.

    It takes one walk back per output element.  With `vectorize` it takes one walk in total, and `function` must treat a
    first axis as a batch: called with several arguments stacked along a new first axis, it returns their outputs along
    that axis, and no output depends on another's argument (ValueError otherwise, as far as three rows show it).

    >>> jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return Transformed(_jacobian_of_batch if vectorize else _jacobian, function, _either(argnums, argnum))


def _jacobian(function: Function, argnums: Argnums, args: Any, kwargs: Any) -> Any:
    call = Call(function, args, kwargs, argnums)
    outputs, build = flatten(call.output)
    return call.plain(build([_rows(call, _array_or_number(output, "jacobian")) for output in outputs]))


def _rows(call: Call, output: Any) -> Any:
    """The derivatives of one output, nested as the arguments were."""
    shape, size = np.shape(output), np.size(output)
    rows: list[Any] = [
        call.back([output], [unit], retain=True, record=call.recorded) for unit in np.eye(size).reshape(size, *shape)
    ]
    columns = [
        np.reshape(np.stack([row[i] for row in rows]), shape + v.shape) if rows else np.zeros(shape + v.shape)
        for i, v in enumerate(call.variables)
    ]
    return call.rebuild(columns)


def _jacobian_of_batch(function: Function, argnums: Argnums, args: Any, kwargs: Any) -> Any:
    outputs, build = flatten(function(*args, **kwargs))
    once = [_array_of(_array_or_number(output, "jacobian")) for output in outputs]
    ends = list(itertools.accumulate((output.size for output in once), initial=0))
    _must_treat_rows_alone(function, args, kwargs, places(argnums, len(args)), once)
    repeated = list(args)
    for i in places(argnums, len(args)):
        leaves, rebuild = flatten(args[i])
        repeated[i] = rebuild(np.broadcast_to(leaf, (ends[-1], *np.shape(leaf))) for leaf in leaves)
    call = Call(function, repeated, kwargs, argnums)
    units = [
        np.eye(ends[-1])[:, start:stop].reshape(ends[-1], *output.shape)
        for output, start, stop in zip(once, ends, ends[1:], strict=False)
    ]
    rows: Any = call.back(flatten(call.output)[0], units, retain=call.recorded, record=call.recorded)
    parts = [
        call.rebuild([np.reshape(row[start:stop], (*output.shape, *row.shape[1:])) for row in rows])
        for output, start, stop in zip(once, ends, ends[1:], strict=False)
    ]
    return call.plain(build(parts))


def _must_treat_rows_alone(function: Function, args: Any, kwargs: Any, chosen: list[int], once: list[Any]) -> None:
    """Raise ValueError unless `function` maps the rows x, z, x to its results for x, z, x, and z does not affect x."""
    batch = list(args)
    for i in chosen:
        leaves, build = flatten(args[i])
        batch[i] = build(np.stack([x, x * 1.5 + x.dtype.type(0.25), x]) for x in map(_array_of, leaves))
    with no_grad(), np.errstate(all="ignore"):
        found = flatten(function(*batch, **kwargs))[0]
    for output, rows in zip(once, map(_array_of, found), strict=True):
        _must_be_rows_of(output, rows)


def _must_be_rows_of(once: Any, found: Any) -> None:
    fits = found.shape == (3, *once.shape)
    rtol = float(np.sqrt(np.finfo(once.dtype).eps)) if once.dtype.kind in "fc" else 0.0
    atol = np.abs(once).max(initial=0.0) * rtol
    if not fits or not np.allclose(found[::2], np.stack([once, once]), rtol=rtol, atol=atol, equal_nan=True):
        what = "results that depend on the other rows" if fits else f"shape {found.shape}, not {(3, *once.shape)}"
        raise ValueError(
            f"jacobian(vectorize=True) needs a function that treats a first axis as a batch; for 3 rows this one "
            f"returned {what}; leave out vectorize=True"
        )


def _array_of(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x if isinstance(x, np.ndarray) else np.asarray(x)


@overload
def hessian(
    function: Callable[Concatenate[X, ...], Any], argnums: Literal[0] = 0, vectorize: bool = False
) -> Callable[Concatenate[X, ...], X]: ...
@overload
def hessian(
    function: Function, argnums: Argnums = 0, vectorize: bool = False, *, argnum: Argnums | None = None
) -> Any: ...
def hessian(
    function: Function, argnums: Argnums = 0, vectorize: bool = False, *, argnum: Argnums | None = None
) -> Function:
    """A function that returns all second derivatives of a scalar function: shape (*input, *input).

    For an argument that is a dict, `result["a"]["b"]` is d^2/da db; for several `argnums`, `result[i][j]`.

    >>> hessian(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    argnums = _either(argnums, argnum)
    twice: Function = jacobian(grad(function, argnums), argnums, vectorize)
    return twice


def hvp(function: Function, argnums: Argnums = 0, *, argnum: Argnums | None = None) -> Function:
    """A function of `(*args, vector)`: the Hessian of a scalar function times `vector`, at the cost of two gradients.

    `vector` has the structure and the shapes of the argument, or is a tuple of these for several `argnums`.

    >>> hvp(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    argnums = _either(argnums, argnum)
    return Transformed(_hvp, grad(function, argnums), argnums)


def _hvp(gradient: Function, argnums: Argnums, args: Any, kwargs: Any) -> Any:
    if len(args) < 2:
        raise TypeError(f"hvp(f) takes the arguments of f and then the vector; got {len(args)} arguments")
    *point, vector = args
    call = Call(gradient, point, kwargs, argnums)
    outputs = flatten(call.output)[0]
    seeds = leaves_like(vector, call.output, "hvp: the vector has another structure than the argument")
    if [np.shape(s) for s in seeds] != [np.shape(o) for o in outputs]:
        raise ValueError(f"hvp: the vector has shapes {[np.shape(s) for s in seeds]}, not those of the argument")
    found = call.back(outputs, seeds, retain=call.recorded, record=call.recorded)
    return call.plain(call.rebuild(found))
