"""`gradcheck`: compare gradients with finite differences, for users' ops and for every op here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .calls import variable
from .errors import GraphError
from .functional import jvp
from .gradcheck_errors import GradcheckError, KinkError, hint
from .graph import fit
from .mode import Observer, Switch, enable_grad
from .registry import Op
from .tensor import Tensor, as_tensor, differentiate
from .tree import flatten, paths

Values = list[Any]  # arrays, and the function's other arguments


class Slope(NamedTuple):
    """Central differences of a function of one number at 0, with a step and half the step."""

    value: float
    error: float  # how far the value may be off: the change from halving the step, plus rounding
    kinked: bool

    @staticmethod
    def at(function: Callable[[float], float], step: float, noise: float) -> Slope:
        low, low2, middle, high2, high = (function(t * step) for t in (-1.0, -0.5, 0.0, 0.5, 1.0))
        wide, narrow = (high - low) / (2 * step), (high2 - low2) / step
        # For a smooth function, the gap between the one-sided slopes is proportional to the step; at a kink it is not.
        gap, gap2 = (high - 2 * middle + low) / step, 2 * (high2 - 2 * middle + low2) / step
        rough = max(abs(gap), abs(gap2))
        bent = rough > 4 * noise / step + 1e-3 * max(abs(wide), abs(narrow)) and abs(gap2 - gap / 2) > 0.2 * rough
        # Richardson's extrapolation: the error of order step**2 cancels.
        return Slope((4 * narrow - wide) / 3, abs(wide - narrow) + noise / step, bent)


def gradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    mode: str = "directions",
    order: int = 1,
    directions: int = 3,
    rtol: float | None = None,
    step: float | None = None,
    seed: int = 0,
    modes: Sequence[str] = ("rev",),
) -> bool:
    """Compare the gradients of `function(*inputs)` with central differences; return True or raise GradcheckError.

    `inputs` is one array or Tensor, a dict of them, or a list or tuple with one entry per argument, each of which may
    be a nested list, tuple or dict; a list of plain numbers in it is an array.  The floating-point ones are varied.
    `function` takes Tensors and returns one Tensor of any shape.  `mode="directions"` compares along a few random
    directions (its cost does not grow with the size); `mode="jacobian"` compares every output with every input element.
    `order=2` checks the gradient of the gradient as well.  `modes=("rev", "fwd")` compares `jvp` too, the derivative
    along each direction, and `modes=("fwd",)` that alone.  The step is eps**(1/3) of the coarsest input dtype, times
    the square root of the size of elements larger than 1; `rtol` is 100 eps**(2/3) unless given: 4e-9 for float64, 2e-3
    for float32.
    Differences that rounding can explain are accepted.  Raises KinkError if the function has a kink within the step,
    TypeError for float16, which is too coarse for differences, and ValueError for a function that returns different
    values in two calls or writes into its arguments.

    >>> gradcheck(lambda x: np.exp(x) * x, np.array([1.0, 2.0]), order=2)
    True
    >>> from autograd import differentiable
    >>> wrong = differentiable(lambda x: x * x, lambda g, _y, x: g * x, name="wrong")
    >>> gradcheck(wrong, np.array([1.0, 2.0, 3.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    autograd.gradcheck_errors.GradcheckError: the rule of wrong for its input 0 is wrong at index ... 0.5 times the ...
    """
    if mode not in ("directions", "jacobian"):
        raise ValueError(f"mode is 'directions' or 'jacobian'; got {mode!r}")
    if order not in (1, 2):
        raise ValueError(f"order is 1 or 2; got {order!r}")
    if not modes or not set(modes) <= {"rev", "fwd"}:
        raise ValueError(f"modes are 'rev' and 'fwd'; got {modes!r}")
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    tree = tuple(np.asarray(x) if _is_numbers(x) else x for x in given)
    leaves, build = flatten(tree)
    arrays = [x.data if isinstance(x, Tensor) else x for x in leaves]
    values: Values = [_fixed(x) if _varies(x) else x for x in arrays]

    def flat(*inputs: Any) -> Any:
        return function(*build(inputs))

    names = [path.replace("[", "", 1).replace("]", "", 1) for path in paths(tree)]
    check = _Check(flat, values, directions, rtol, step, np.random.default_rng(seed), names)
    with enable_grad(), np.errstate(all="ignore"):  # values that are not finite are reported as disagreements
        check.run(mode, modes)
        if order == 2:
            _second_order(flat, values, check).run(mode, modes)
    return True


def _is_numbers(x: Any) -> bool:
    """Whether `x` is a list of plain numbers, perhaps nested, which stands for an array."""
    return isinstance(x, list | tuple) and all(isinstance(part, float | int | complex) for part in flatten(x)[0])


def _varies(x: Any) -> bool:
    return x is not None and np.asarray(x).dtype.kind in "fc"


def _fixed(x: Any) -> Any:
    """A read-only copy: neither a function nor a rule may change its arguments."""
    copied = np.array(np.asarray(x))
    copied.flags.writeable = False
    return copied


def _leaf(x: Any) -> Tensor:
    leaf = as_tensor(x)
    leaf.requires_grad = True
    return leaf


def _random(rng: np.random.Generator, low: float, like: Any) -> Any:
    """Random numbers between `low` and 1.5, in both parts if complex, with the shape and dtype of `like`."""
    numbers = rng.uniform(low, 1.5, like.shape)
    if like.dtype.kind == "c":
        numbers = numbers + 1j * rng.uniform(low, 1.5, like.shape)
    return numbers.astype(like.dtype)


def _reach(x: Any) -> Any:
    """How many steps each element moves: the root of its size, between absolute and relative steps."""
    return np.sqrt(np.fmax(1.0, np.abs(x)))


def _total(products: Any) -> tuple[float, Any]:
    """The sum of the real parts, and that of their sizes."""
    return float(np.sum(products.real, dtype=np.longdouble)), np.sum(np.abs(products.real))


def _units(x: Any) -> Iterator[Any]:
    """Moves of one element at a time: each by 1, then for complex arrays each by 1j."""
    for unit in (1.0, 1j) if x.dtype.kind == "c" else (1.0,):
        yield from (unit * one.reshape(x.shape) for one in np.eye(x.size))


def _second_order(function: Callable[..., Any], values: Values, first: _Check) -> _Check:
    """A check of the gradient as a function of the inputs and the incoming gradient."""
    varied = [i for i, x in enumerate(values) if _varies(x)]

    def gradients(incoming: Tensor, *inputs: Tensor) -> Any:
        copies = [variable(x, i) if i in varied else x for i, x in enumerate(inputs)]
        output = function(*copies)
        nodes = frozenset(node for i in varied if (node := copies[i].node))
        found = differentiate({output: incoming}, wanted=nodes, create_graph=True) if output.requires_grad else {}
        total: Any = 0.0 * incoming.sum()
        for weight, i in zip(weights, varied, strict=True):
            if copies[i].node in found:
                total = total + (found[copies[i].node] * weight).sum()
        return total

    output = first.evaluate(values)
    weights = [_random(first.rng, 0.5, values[i]) for i in varied]
    incoming = _random(first.rng, 0.5, output)
    names = ["the incoming gradient", *first.names]
    return _Check(gradients, [incoming, *values], first.directions, first.rtol, first.step, first.rng, names)


class _Check:
    """One function at one point."""

    def __init__(
        self,
        function: Callable[..., Any],
        values: Values,
        directions: int,
        rtol: float | None,
        step: float | None,
        rng: np.random.Generator,
        names: Sequence[str] = (),
    ) -> None:
        self.function, self.values, self.directions, self.rng, self.names = function, values, directions, rng, names
        self.varied = [i for i, x in enumerate(values) if _varies(x)]
        if not self.varied:
            raise TypeError(
                f"gradcheck needs at least one floating-point input, an array or number, also in nested lists, tuples "
                f"and dicts; got {', '.join(type(x).__name__ for x in values) or 'none'}"
            )
        if any(values[i].dtype == np.float16 for i in self.varied):
            raise TypeError("gradcheck needs float32 or float64; float16 is too coarse for differences")
        self.eps = max(float(np.finfo(values[i].dtype).eps) for i in self.varied)
        self.rtol, self.step = rtol, step

    def evaluate(self, values: Sequence[Any]) -> Any:
        result = self.function(*(as_tensor(x) if _varies(x) else x for x in values))
        if not isinstance(result, Tensor | np.ndarray | np.number | float | int):
            raise TypeError(f"gradcheck needs a function that returns one Tensor; got {type(result).__name__}")
        return result.data if isinstance(result, Tensor) else np.asarray(result)

    def run(self, mode: str, modes: Sequence[str] = ("rev",)) -> None:
        output = self.evaluate(self.values)
        if not np.array_equal(output, self.evaluate(self.values), equal_nan=output.dtype.kind in "fc"):
            raise ValueError(
                "gradcheck needs a function that returns the same for the same input, but two calls differ; draw "
                "random numbers outside it, or from a generator created in each call"
            )
        if not self.values or not output.size:
            return
        for weights in self.seeds(output, mode):
            analytic = self.analytic(weights)
            for i in self.varied:
                for direction in self.moves(self.values[i], mode):
                    slope = self.slope(i, direction, weights)
                    along, scale = _total(analytic[i].conj() * direction)
                    if slope.kinked or ("rev" in modes and not self.agree(along, slope.value, slope.error, scale)):
                        self.fail(i, weights, analytic[i], slope.kinked)
                    if "fwd" in modes:
                        along, scale = _total(weights.conj() * self.moved(i, direction))
                        if not self.agree(along, slope.value, slope.error, scale):
                            raise GradcheckError(
                                op=None, input=i, path=self.path(i), index=(), analytic=along, numeric=slope.value,
                                hint="in forward mode: jvp along a direction, summed with weights over the output",
                            )  # fmt: skip

    def seeds(self, output: Any, mode: str) -> Iterator[Any]:
        """Weights that reduce the output to one number: random ones, or each element in turn."""
        if mode == "directions":
            yield _random(self.rng, 0.5, output)
        else:
            yield from (one.astype(output.dtype) for one in _units(output))

    def moves(self, x: Any, mode: str) -> Iterator[Any]:
        if mode == "directions" and x.size:
            wide = x.astype(np.result_type(x, float))
            yield from (_random(self.rng, -1.5, wide) * _reach(x) for _ in range(self.directions))
        else:
            yield from _units(x)

    def analytic(self, weights: Any) -> list[Any]:
        leaves = [_leaf(x) if _varies(x) else x for x in self.values]
        output = self.function(*leaves)
        if not isinstance(output, Tensor) or not output.requires_grad:
            return [np.zeros_like(x) for x in self.values]
        try:
            found = differentiate({output: as_tensor(_fixed(weights))})
        except GraphError as error:
            raise GradcheckError(
                op=str(error).partition(":")[0], input=0, index=(), analytic=np.nan, numeric=np.nan,
                hint=f"{error}; is an axis not summed, or a transpose missing?",
            ) from error  # fmt: skip
        return [
            found[x.node].data if isinstance(x, Tensor) and x.node in found else np.zeros_like(v)
            for x, v in zip(leaves, self.values, strict=True)
        ]

    def moved(self, i: int, direction: Any) -> Any:
        """What `jvp` gives when input i moves along a direction, and the others stay."""
        still = [np.zeros_like(self.values[k]) for k in self.varied]
        tangents = [
            direction.astype(zero.dtype) if k == i else zero for k, zero in zip(self.varied, still, strict=True)
        ]

        def function(*varied: Any) -> Any:
            inputs = list(self.values)
            for k, x in zip(self.varied, varied, strict=True):
                inputs[k] = x
            return self.function(*inputs)

        found = jvp(function, [self.values[k] for k in self.varied], tangents)[1]
        return found.data if isinstance(found, Tensor) else found

    def slope(self, i: int, direction: Any, weights: Any) -> Slope:
        """The derivative along a direction; elements larger than 1 take larger steps."""
        x = self.values[i]
        size = np.abs(direction)
        step = (self.step or self.eps ** (1 / 3)) / np.max(size / _reach(x))
        moving = size > 0
        # x + t * direction is rounded too
        rounded = self.eps * float(np.fmax.reduce(np.abs(x[moving]) / size[moving], initial=0.0)) / step
        largest = 0.0

        def along(t: float) -> float:
            nonlocal largest
            moved = (x + t * direction).astype(x.dtype)
            output = self.evaluate([*self.values[:i], moved, *self.values[i + 1 :]])
            products = (weights.conj().astype(np.result_type(weights, np.longdouble)) * output).real
            largest = max(largest, float(np.sum(np.abs(products))))
            return float(np.sum(products))

        along(0.0)
        slope = Slope.at(along, step, 50 * self.eps * largest)
        return slope._replace(error=slope.error + rounded * abs(slope.value))

    def agree(self, analytic: Any, numeric: Any, error: Any, scale: Any = 0.0) -> Any:
        """Whether the two agree; `scale` is the size of the terms summed in `analytic`."""
        rtol = 100 * self.eps ** (2 / 3) if self.rtol is None else self.rtol
        return abs(analytic - numeric) <= rtol * np.maximum(scale, abs(numeric)) + error

    def slopes(self, i: int, weights: Any) -> tuple[Any, Any, Any]:
        """The numeric gradient of input i, how far it may be off, and where it has kinks."""
        x = self.values[i]
        found = [self.slope(i, one, weights) for one in _units(x)]
        numeric, errors, kinks = (np.array(part).reshape(-1, *x.shape) for part in zip(*found, strict=True))
        value = numeric[0] + 1j * numeric[1] if x.dtype.kind == "c" else numeric[0]
        return value, errors.max(axis=0), kinks.any(axis=0)

    def fail(self, i: int, weights: Any, analytic: Any, kinked: bool) -> None:
        """Find the element and the op at fault, and raise the error."""
        numeric, _, kinks = self.slopes(i, weights)
        if kinked or kinks.any():
            index = _worst(kinks if kinks.any() else np.abs(analytic - numeric))
            raise KinkError(
                op=None, input=i, path=self.path(i), index=index,
                analytic=analytic[index].item(), numeric=numeric[index].item(),
                hint="the function has a kink within the step; check it at another point",
            )  # fmt: skip
        culprit = self.culprit()
        name, place, wrong, right = culprit or (None, i, analytic, numeric)
        index = _worst(np.abs(wrong - right))
        raise GradcheckError(
            op=name, input=place, path="" if name else self.path(i), index=index, analytic=wrong[index].item(),
            numeric=right[index].item(), hint=hint(wrong, right),
        )  # fmt: skip

    def path(self, i: int) -> str:
        return self.names[i] if self.names else str(i)

    def culprit(self) -> tuple[str, int, Any, Any] | None:
        """The first op whose rule disagrees with its values: name, input, analytic and numeric gradient."""
        seen = _Calls()
        with Switch(True, seen):
            self.function(*(_leaf(x) if _varies(x) else x for x in self.values))
        for op, arrays, params, node in seen.calls:
            output = np.asarray(op.forward(*arrays, **params))
            weights = _random(self.rng, 0.5, output)
            back = op.gradients(weights.conj(), [output, *arrays], params)
            for i, x in enumerate(arrays):
                if not _varies(x) or not np.size(x):
                    continue
                x = np.asarray(x)
                local = self.alone(op, i, arrays, params)
                wrong = np.asarray(fit(back(i), x, node)).conj()
                right, errors, kinks = local.slopes(0, weights)
                if not np.all(self.agree(wrong, right, errors, np.abs(right).max())) and not kinks.any():
                    return op.name, i, wrong, right
        return None

    def alone(self, op: Op, i: int, arrays: list[Any], params: dict[str, Any]) -> _Check:
        """A check of an op as a function of its input i."""

        def value(x: Tensor) -> Any:
            return op.forward(*arrays[:i], x.data, *arrays[i + 1 :], **params)

        return _Check(value, [np.asarray(arrays[i])], self.directions, self.rtol, self.step, self.rng)


class _Calls(Observer):
    """An observer that lists the calls of ops as they are recorded."""

    def __init__(self) -> None:
        self.calls: list[tuple[Op, list[Any], dict[str, Any], Any]] = []

    def forward(self, node: Any, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        self.calls.append((node.op, list(arrays), node.params, node))


def _worst(errors: Any) -> tuple[int, ...]:
    flat = int(np.argmax(np.where(np.isfinite(errors), errors, np.inf)))
    return tuple(int(i) for i in np.unravel_index(flat, errors.shape))
