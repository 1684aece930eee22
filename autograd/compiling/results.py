"""What a compiled function returns, made of what its program returns.

The backward pass of a result whose graph can still be walked runs the function again, as it is written.  What that
reads must be what it was in the run that gave the result, or the gradient would be another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from ..custom import Again
from ..errors import GraphError
from ..tensor import Tensor, tensor_of
from ..tree import flatten
from .places import alike
from .surroundings import Surroundings
from .tracing import Gradient, Pick, Run
from .writing import Text, written

if TYPE_CHECKING:
    from .plan import Plan

GONE = (KeyError, IndexError, AttributeError, ValueError)  # a name, an item or a cell that was watched is not there


class Results:
    """The function's result, of arrays; `live` says whether it has tensors whose graph can still be walked."""

    def __init__(self, run: Run, around: Surroundings) -> None:
        self.build, self.picks, self.around = run.build, run.picks, around
        self.live = any(pick is Pick.ALIVE for pick in run.picks)
        self.gradients = any(isinstance(pick, Gradient) for pick in run.picks)
        self.make = None if self.live or self.gradients else self._maker()
        self.captured = [
            t.node for i, t in enumerate(around.tensors.values()) if i in run.captured and i not in around.given
        ]

    def _maker(self) -> Any:
        """A function that makes the result of what the program returns, in a third of the time that building it takes.

        None for a tuple, list or dict of another type, and for one that is nested too deeply for Python to read.
        """
        arrays = count()
        parts = [
            f"picks[{i}]" if not isinstance(pick, Pick)
            else f"tensor_of(found[{next(arrays)}])" if pick is Pick.TENSOR
            else f"found[{next(arrays)}]"
            for i, pick in enumerate(self.picks)
        ]  # fmt: skip
        tree = self.build(map(Text, parts))
        if not _is_plain(tree):
            return None
        try:
            return eval(f"lambda found: {written(tree)}", {"picks": self.picks, "tensor_of": _tensor_of})
        except (SyntaxError, MemoryError, RecursionError):
            return None

    def of(self, found: list[Any], again: Rerun | None, args: Any, kwargs: Any) -> Any:
        """The result of a call with these arguments; `again` makes the call again, for what is live."""
        if self.make is not None:
            return self.make(found)
        picks, left = self.picks, iter(found)
        if self.gradients:
            tensors = self.around.tensors_of(flatten([list(args), kwargs])[0])
            picks = [tensors[pick.tensor].grad if isinstance(pick, Gradient) else pick for pick in picks]
        arrays = [next(left) if isinstance(pick, Pick) else None for pick in picks]
        alive = [np.asarray(x) for x, pick in zip(arrays, picks, strict=True) if pick is Pick.ALIVE]
        walked = iter(again.recorded(alive, self.captured, again.exact) if again is not None else ())
        return self.build(_as_picked(pick, x, walked) for pick, x in zip(picks, arrays, strict=True))


def _is_plain(tree: Any) -> bool:
    """Whether a nest of texts is of tuples, lists and dicts themselves, and not of types made of these."""
    if type(tree) is dict:
        return all(type(key) in (str, int) for key in tree) and all(map(_is_plain, tree.values()))
    return all(map(_is_plain, tree)) if type(tree) in (tuple, list) else type(tree) is Text


def _tensor_of(x: Any) -> Tensor:
    return tensor_of(np.asarray(x))


def _as_picked(pick: Any, x: Any, alive: Iterator[Any]) -> Any:
    if pick is Pick.ALIVE:
        return next(alive)
    if pick is Pick.TENSOR:
        return _tensor_of(x)
    return x if pick is Pick.ARRAY else pick


class Rerun(Again):
    """A call of a compiled function that is about to be made, and can be made again with what it read then.

    `exact` says whether the results must be the same, bit for bit.
    """

    def __init__(self, plan: Plan, function: Any, args: Any, kwargs: Any, exact: bool) -> None:
        super().__init__(function, args, kwargs)
        self.plan, self.exact = plan, exact
        try:
            self.before = plan.inputs()
        except GONE:  # the plan will find so, too, and is not for this call
            self.before = ()

    def __call__(self, values: Sequence[Any]) -> tuple[list[Any], Any, list[Any]]:
        with self._as_it_was():
            return super().__call__(values)

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Buffers, of a BatchNorm for one, hold what they held; GraphError if something else is not what it was."""
        plan, buffers = self.plan, self._buffers()
        if plan.outcome.once:
            raise GraphError(
                "the compiled function that gave this result changes weights, gradients or an optimiser's state, and "
                "would have to run again for its gradient; call backward() inside of it, or return the .detach()"
            )
        try:
            now = plan.inputs()
        except GONE:
            raise _changed("what it reads") from None
        for name, text, old, new in zip(plan.names, plan.texts, self.before, now, strict=True):
            if old is not new and text not in buffers and not (_is_number(old) and alike(old, new)):
                raise _changed(name)
        for place, value in plan.watching():
            if not alike(place.get(), value):
                raise _changed(place.name)
        held = [(t, t.data) for t in buffers.values()]
        try:
            for text, old in zip(plan.texts, self.before, strict=True):
                if text in buffers and old is not None:
                    buffers[text]._data = old
            yield
        finally:
            for tensor, data in held:
                tensor._data = data

    def _buffers(self) -> dict[str, Tensor]:
        """The tensors that a run may change, by the text of their data."""
        pairs = zip(self.plan.around.refs, self.plan.tensors, strict=True)
        return {f"{ref}.data": t for ref, t in pairs if not t.requires_grad}


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float)


def _changed(name: str) -> GraphError:
    return GraphError(
        f"{name} has changed since the compiled function gave this result, and its gradient is computed by running the "
        f"function again; call backward() before that changes, or inside the function"
    )
