"""`detect_anomaly`: the first operation that makes a number which is not finite, and where in the program it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .graph import GraphError, Node, fit
from .locking import Locks, fingerprint
from .mode import Observer, Switch
from .source import line_of_caller, path_of_module


class AnomalyError(ArithmeticError):
    """An operation made a NaN or an infinity out of finite numbers.

    `op` is its name, `phase` "forward" or "backward", `index` the place of the first such element, `values` the numbers
    that it was made of, `line` the line of the program and `module` the module that ran, if any.
    """

    op: str
    phase: str
    index: tuple[int, ...]
    values: tuple[Any, ...]
    line: str
    module: str


class Cut:
    """A place where a gradient was cut off: what was cut from, how, and where in the program."""

    def __init__(self, edge: Any, how: str) -> None:
        self.edge, self.how, self.line = edge, how, line_of_caller()


class detect_anomaly(Switch):
    """Inside this block, the first operation that makes a NaN or an infinity out of finite numbers raises AnomalyError.

    Forward and backward are checked, second derivatives too; the message names the operation, the numbers, the line of
    the program, the module, and what usually helps.  Recorded arrays are locked against writing until the block ends,
    so that `t.data[0] = ...` between forward and backward raises at once; a write through a view that was made before
    raises GraphError in backward.  Places where gradients are cut off (detach,
    no_grad, casts to integers) are noted for `why`.  Several times slower, and for this thread or asyncio task only.

    >>> from autograd import Tensor
    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly():  # doctest: +ELLIPSIS
    ...     y = np.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    autograd.anomaly.AnomalyError: log made -inf at [1] out of 0.0, forward...
    """

    def __init__(self) -> None:
        super().__init__(observer=_Detective())
        self._errors: list[np.errstate] = []

    def __enter__(self) -> Switch:
        self._errors.append(np.errstate(all="ignore"))  # our own message is the better one
        self._errors[-1].__enter__()
        return super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._errors.pop().__exit__(None, None, None)
        self.observer.locks.unlock()


cuts: list[Cut] = []  # of the latest block


class _Detective(Observer):
    """The observer: checks what ops and rules return."""

    def __init__(self) -> None:
        self.places: WeakKeyDictionary[Node, tuple[str, str]] = WeakKeyDictionary()
        self.fingerprints: WeakKeyDictionary[Node, list[int | None]] = WeakKeyDictionary()
        self.locks = Locks()
        self.cuts = cuts
        cuts.clear()

    def forward(self, node: Node, data: Any, arrays: list[Any], inputs: Sequence[Any]) -> None:
        self.places[node] = line_of_caller(), path_of_module()
        self.locks.lock(data, *arrays)
        assert node.kept is not None
        self.fingerprints[node] = list(map(fingerprint, node.kept))
        if not np.isfinite(data).all() and all(_finite(a) for a in arrays):
            index = _first(~np.isfinite(data))
            values = tuple(_element(a, index, data.shape) for a in arrays)
            self._raise(node, "forward", data[index], index, values, _forward_hint(node.op.name, values))

    def backward(self, node: Node, gradient: Any) -> None:
        """Run the rules that the walk is about to run, and look at what each returns."""
        assert node.kept is not None and node.edges is not None
        if node in self.fingerprints and self.fingerprints[node] != list(map(fingerprint, node.kept)):
            line, _ = self.places[node]
            raise GraphError(
                f"an array that {node.op.name} read in {line} was written to since (through a view that was made "
                f"before detect_anomaly(), which cannot be locked); give it a new array instead of writing into it"
            )
        g = gradient.data if hasattr(gradient, "requires_grad") else gradient
        if not _finite(g):
            return  # the walk began with it
        for i, (edge, rule) in enumerate(zip(node.edges, node.op.rules, strict=False)):
            if edge is None:
                continue
            like = edge if isinstance(edge, Node) else edge.data
            gx = np.asarray(fit(np.asarray(rule(g.conj(), *node.kept, **node.params)), like, node))
            if not np.isfinite(gx).all() and all(_finite(a) for a in node.kept if isinstance(a, np.ndarray)):
                index = _first(~np.isfinite(gx))
                kept = node.kept[1:]
                values = tuple(_element(a, index, gx.shape) for a in kept if isinstance(a, np.ndarray | float | int))
                self._raise(node, "backward", gx[index], index, values, _backward_hint(node, g, index), i)

    def cut(self, edges: list[Any], how: str) -> None:
        self.cuts.extend(Cut(edge, how) for edge in edges if edge is not None)

    def _raise(
        self, node: Node, phase: str, made: Any, index: Any, values: Any, hint: str, i: int | None = None
    ) -> None:
        line, module = self.places.get(node, ("", ""))
        what = node.op.name if i is None else f"the rule of {node.op.name} for its input {i}"
        numbers = " and ".join(str(v) for v in values)
        message = f"{what} made {made} at {list(index)} out of {numbers or 'finite numbers'}, {phase}"
        message += f", in {line}" if line else ""
        message += f", in module {module}" if module else ""
        error = AnomalyError(f"{message}{hint and '; ' + hint}")
        error.op, error.phase, error.index, error.values = node.op.name, phase, index, values
        error.line, error.module = line, module
        raise error


def _finite(a: Any) -> bool:
    return not isinstance(a, np.ndarray | np.number | float) or bool(np.isfinite(a).all())


def _first(mask: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _element(a: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The element of an input that stands behind element `index` of a result, where they broadcast; else its range."""
    a = np.asarray(a)
    try:
        return np.broadcast_to(a, shape)[index].item()
    except ValueError:
        return f"an array of {a.shape} from {a.min():.4g} to {a.max():.4g}" if a.size else f"an array of {a.shape}"


def _forward_hint(name: str, values: tuple[Any, ...]) -> str:
    numbers = [v for v in values if isinstance(v, int | float)]
    if name in ("log", "log2", "log10") and numbers and numbers[0] <= 0:
        return (
            f"the logarithm of {numbers[0]}: add a small number, or compute in logarithms (nn.functional.log_softmax)"
        )
    if name == "log1p" and numbers and numbers[0] <= -1:
        return f"log1p needs numbers above -1, and this one is {numbers[0]}"
    if name == "sqrt":
        return "the root of a negative number; rounding can make a sum of squares minus another negative"
    if name == "divide" and len(numbers) == 2 and numbers[1] == 0:
        return "a division by 0: add a small number to the divisor, or select a safe one with autograd.where first"
    if name in ("exp", "expm1", "exp2", "sinh", "cosh") and numbers:
        return f"{numbers[0]} is too large for it in this dtype: subtract the largest first (autograd.logsumexp)"
    if name == "power" and numbers and numbers[0] < 0:
        return "a negative number to a power that is not whole"
    return ""


def _backward_hint(node: Node, g: Any, index: tuple[int, ...]) -> str:
    try:
        arriving = np.broadcast_to(g, node.shape)[index] if len(index) == len(node.shape) else None
    except IndexError:
        arriving = None
    if arriving is not None and arriving == 0:
        return (
            f"the gradient that arrives here is 0 (a where() masks the output?), but the slope of {node.op.name} is "
            f"infinite, and 0 * inf is no number: select a safe input with autograd.where before {node.op.name}"
        )
    return f"the slope of {node.op.name} is infinite or not defined at this point"


def cuts_of(leaf: Any) -> Iterator[Cut]:
    """The noted cuts of what was computed from `leaf`."""
    for cut in cuts:
        if reaches(cut.edge, leaf):
            yield cut


def reaches(edge: Any, leaf: Any) -> bool:
    """Whether `leaf` is behind `edge` in the graph that is still there."""
    stack, seen = [edge], set()
    while stack:
        edge = stack.pop()
        if edge is leaf:
            return True
        if isinstance(edge, Node) and edge not in seen:
            seen.add(edge)
            stack.extend(e for e in edge.edges or () if e is not None)
    return False
