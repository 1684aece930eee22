"""`detect_anomaly`: find the first operation that makes a non-finite number, and its place in the program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from ..callsite import line_of_caller, path_of_module
from ..errors import GraphError
from ..graph import Leaf, Node, fit
from ..mode import Observer, Switch
from .hints import of_result, of_slope
from .locks import Locks, fingerprint


class AnomalyError(ArithmeticError):
    """An operation made a NaN or an infinity out of finite numbers, or backward() began with one.

    `op` is its name, `phase` "forward" or "backward", `index` the place of the first such element, `values` the numbers
    that it was computed from, `line` the line of the program and `module` the running module, if any.
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

    It checks the forward and backward passes, including second derivatives; the message names the operation, the
    numbers, the line of the program, the module, and the usual remedy.  A NaN that came in with the data passes until a
    backward() begins with it; the error then names the operation that took it in.  Recorded arrays are locked against
    writing until the block ends, so that `t.data[0] = ...` between forward and backward raises at once; a write through
    an older view raises GraphError in backward, as do a new `t.data` and a rule that writes into its arguments.  Places
    where gradients are cut off (detach, no_grad, casts to integers, functions without a gradient) are noted for `why`.
    The block runs several times slower, and applies to this thread or asyncio task only.

    >>> from autograd import Tensor
    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly():  # doctest: +ELLIPSIS
    ...     y = np.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    autograd.diagnosis.anomaly.AnomalyError: log made -inf at [1] out of 0.0, forward...
    """

    def __init__(self, *function: Any) -> None:
        if function:
            raise TypeError(
                "detect_anomaly takes no arguments: `with detect_anomaly():`, or @detect_anomaly() above def"
            )
        super().__init__(observer=_Detective())
        self._errors: list[np.errstate] = []

    def __enter__(self) -> Switch:
        self._errors.append(np.errstate(all="ignore"))  # our own message is better
        self._errors[-1].__enter__()
        return super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        self._errors.pop().__exit__(None, None, None)
        self.observer.locks.unlock()


cuts: deque[Cut] = deque(maxlen=1000)  # the latest ones of the latest block


class _Detective(Observer):
    """The observer: checks what ops and rules return."""

    def __init__(self) -> None:
        self.places: WeakKeyDictionary[Node, tuple[str, str]] = WeakKeyDictionary()
        self.inputs: WeakKeyDictionary[Node, Sequence[Any]] = WeakKeyDictionary()
        self.fingerprints: WeakKeyDictionary[Node, list[int | None]] = WeakKeyDictionary()
        self.entered: WeakKeyDictionary[Node, str] = WeakKeyDictionary()  # nodes that took in a non-finite number
        self.tainted: WeakSet[Node] = WeakSet()  # nodes with such a number in their result
        self.senders: WeakKeyDictionary[Node, set[str]] = WeakKeyDictionary()  # the ops that sent a gradient there
        self.excused: WeakSet[Any] = WeakSet()  # nodes whose gradient cannot be finite
        self.names: WeakKeyDictionary[Leaf, str] = WeakKeyDictionary()
        self.locks = Locks()
        self.cuts = cuts
        cuts.clear()

    # ---- forward

    def forward(self, node: Node, data: Any, arrays: Sequence[Any], inputs: Sequence[Any]) -> None:
        self.places[node] = place = line_of_caller(), path_of_module()
        self.inputs[node] = arrays
        self.names.update({x.node: x.name for x in inputs if getattr(x, "name", None) and x.node.__class__ is Leaf})
        self.locks.lock(data, *arrays)
        assert node.kept is not None and node.edges is not None
        self.fingerprints[node] = list(map(fingerprint, node.kept))
        if finite(data):
            return
        if all(map(finite, arrays)):
            self._made(node.op, data, arrays, place)
        self.tainted.add(node)
        for i, (edge, a) in enumerate(zip(node.edges, arrays, strict=True)):
            if not finite(a) and edge not in self.tainted:
                index = _first(a)
                said = f"the first came in as {np.asarray(a)[index]} at {list(index)} of input {i} of {node.op.name}"
                self.entered[node] = said + _where(*place)
                break

    def unrecorded(
        self, op: Any, data: Any, arrays: Sequence[Any], edges: Sequence[Any], inputs: Sequence[Any]
    ) -> None:
        super().unrecorded(op, data, arrays, edges, inputs)
        if not finite(data) and all(map(finite, arrays)):
            self._made(op, data, arrays, (line_of_caller(), path_of_module()))

    def cut(self, edges: Sequence[Any], how: str) -> None:
        self.cuts.extend(Cut(edge, how) for edge in edges if edge is not None)

    def _made(self, op: Any, data: Any, arrays: Sequence[Any], place: tuple[str, str]) -> None:
        index = _first(data)
        values = tuple(_operand(op, a, index, data.shape) for a in arrays)
        numbers = [v for v in values if isinstance(v, int | float | complex)]
        hint = of_result(op.name, np.asarray(data)[index], numbers)
        _fail(op.name, "forward", op.name, np.asarray(data)[index], index, values, place, hint)

    # ---- backward

    def begin(self, seeds: Mapping[Any, Any]) -> None:
        for tensor, seed in seeds.items():
            start = tensor.node
            if not finite(seed.data):
                self._excuse(start)
            if not finite(tensor.data):
                self._passed(tensor, start)

    def _passed(self, tensor: Any, start: Any) -> None:
        """Raise for a backward() that begins with a non-finite number that no operation here made."""
        nodes = [node for node in behind(start) if node in self.entered]
        first = min(nodes, key=lambda node: node.number, default=None)
        index = _first(tensor.data)
        if first is not None:
            source = f"{self.entered[first]}; look at the data, and at what was computed outside autograd"
        elif start.__class__ is Node:
            source = "it was computed before detect_anomaly() began: put the forward pass inside the block too"
        else:
            source = "it is a leaf, whose value was given"
        name = (first or start).op.name if start.__class__ is Node else ""
        place = self.places.get(first, ("", "")) if first is not None else ("", "")
        message = (
            f"backward() begins with {tensor.data[index]} at {list(index)}, and no operation here made it: {source}"
        )
        _raise(message, name, "forward", index, (), place)

    def backward(self, node: Node, gradient: Any) -> None:
        """Run the rules that the walk is about to run, and check what each returns."""
        assert node.kept is not None and node.edges is not None
        self._changed(node)
        g = gradient.data if hasattr(gradient, "requires_grad") else gradient
        if not finite(g):
            self._arrives(node, g, f"the result of {node.op.name}", self.places.get(node, ("", "")))
            self._excuse(*node.edges)
            return
        shown = np.asarray(g.conj()).view()
        shown.flags.writeable = False
        back: Any = None
        for i, edge in enumerate(node.edges):
            if edge is None:
                continue
            if edge.__class__ is Node:
                self.senders.setdefault(edge, set()).add(node.op.name)
            with _reading(node, i):
                back = back or node.op.gradients(shown, node.kept, node.params)
                gx = back(i)
            gx = np.asarray(fit(np.asarray(gx), edge, node))
            if finite(gx):
                continue
            if not all(map(finite, self.inputs.get(node, node.kept))):
                self._excuse(edge)
                continue
            index = _first(gx)
            arrays = self.inputs.get(node) or [a for a in node.kept[1:] if isinstance(a, np.ndarray | float | int)]
            values = tuple(_operand(node.op, a, index, node.shape) for a in arrays)
            arriving = np.asarray(g)[index] if np.shape(g) == gx.shape else None
            senders = sorted(self.senders.get(node, ()))
            what = f"the rule of {node.op.name} for its input {i}"
            if arriving is not None:
                what = f"{what}, to which the gradient {arriving} came,"
            place = self.places.get(node, ("", ""))
            hint = of_slope(node.op.name, arriving, senders)
            _fail(what, "backward", node.op.name, gx[index], index, values, place, hint)

    def _changed(self, node: Node) -> None:
        """Raise GraphError if an array that the node read has changed."""
        assert node.kept is not None and node.edges is not None
        if node in self.fingerprints and self.fingerprints[node] != list(map(fingerprint, node.kept)):
            raise GraphError(
                f"an array that {node.op.name} read (in {self.places[node][0]}) was written to since (through a view "
                f"that was made before detect_anomaly(), which cannot be locked); give it a new array instead of "
                f"writing into it"
            )

    def arrived(self, gradients: Mapping[Any, Any]) -> None:
        for edge, gradient in gradients.items():
            g = gradient.data if hasattr(gradient, "requires_grad") else gradient
            if not finite(g):
                self._arrives(edge, g, f"the leaf {self.names.get(edge) or f'of shape {edge.shape}'}", ("", ""))

    def _excuse(self, *edges: Any) -> None:
        self.excused.update(edge for edge in edges if edge is not None)

    def _arrives(self, edge: Any, g: Any, what: str, place: tuple[str, str]) -> None:
        """Raise for a non-finite gradient made by a hook or a sum, unless a non-finite one came in."""
        if edge in self.excused:
            return
        index, hooked = _first(g), edge.hooks
        made = f"a hook on {what} made" if hooked else f"the gradients that come to {what} add up to"
        message = f"{made} {np.asarray(g)[index]} at {list(index)}, backward{_where(*place)}"
        _raise(message, "hook" if hooked else "sum", "backward", index, (), place)


@contextmanager
def _reading(node: Node, i: int) -> Iterator[None]:
    """Raise GraphError if a rule writes into its arguments."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise GraphError(
            f"the rule of {node.op.name} for its input {i} writes into an array that it was given, which is "
            f"shared; return a new one (g * 2, not np.multiply(g, 2, out=g))"
        ) from error


def _fail(
    what: str, phase: str, op: str, made: Any, index: Any, values: Any, place: tuple[str, str], hint: str
) -> None:
    numbers = " and ".join(str(v) for v in values)
    message = f"{what} made {made} at {list(index)} out of {numbers or 'finite numbers'}, {phase}{_where(*place)}"
    _raise(f"{message}{hint and '; ' + hint}", op, phase, index, values, place)


def _raise(message: str, op: str, phase: str, index: Any, values: Any, place: tuple[str, str]) -> None:
    error = AnomalyError(message)
    error.op, error.phase, error.index, error.values = op, phase, index, values
    error.line, error.module = place
    raise error


def _where(line: str, module: str) -> str:
    return (f", in {line}" if line else "") + (f", in module {module}" if module else "")


def finite(a: Any) -> bool:
    """Whether all numbers of an array or scalar are finite; True for anything else."""
    return not isinstance(a, np.ndarray | np.number | float | complex) or bool(np.isfinite(a).all())


def _first(a: Any) -> tuple[int, ...]:
    """The index of the first non-finite number."""
    return tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])


def _operand(op: Any, a: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number that element `index` of a result was computed from, if the op is elementwise; else the range."""
    a = np.asarray(a)
    if a.size == 1:
        return a.item()
    if op.elementwise:
        return np.broadcast_to(a, shape)[index].item()
    if not a.size:
        return f"an array of {a.shape}"
    if a.dtype.kind == "c":
        return f"an array of {a.shape} with absolute values up to {abs(a).max():.4g}"
    return f"an array of {a.shape} from {float(a.min()):.4g} to {float(a.max()):.4g}"


def cuts_of(leaf: Any) -> Iterator[Cut]:
    """The noted cuts of values computed from `leaf`."""
    for cut in list(cuts):
        if reaches(cut.edge, leaf):
            yield cut


def reaches(edge: Any, leaf: Any) -> bool:
    """Whether the node or leaf `leaf` is behind `edge` in what remains of the graph."""
    return edge is leaf or any(e is leaf for node in behind(edge) for e in node.edges or ())


def behind(edge: Any) -> Iterator[Node]:
    """Every remaining node of the graph behind `edge`, including itself."""
    stack, seen = [edge], set()
    while stack:
        edge = stack.pop()
        if edge.__class__ is Node and edge not in seen:
            seen.add(edge)
            yield edge
            stack.extend(e for e in edge.edges or () if e is not None)
