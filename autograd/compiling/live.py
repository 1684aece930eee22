"""Results of a program whose graph can still be walked: their backward pass runs the function again, as it is written.

What the function reads must be what it was in the run that gave the result, or the gradient would be another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..custom import Again
from ..graph import GraphError
from ..tensor import Tensor
from .plan import GONE, Plan
from .surroundings import alike


class Rerun(Again):
    """A call of a compiled function that can be made again; `before` is what it read besides its arguments."""

    def __init__(self, plan: Plan, function: Any, args: Any, kwargs: Any, before: Sequence[Any]) -> None:
        super().__init__(function, args, kwargs)
        self.plan, self.before = plan, before

    def alive(self, arrays: Sequence[Any], exact: bool) -> list[Any]:
        """The arrays as tensors with a graph."""
        plan = self.plan
        captured = [plan.tensors[i] for i in plan.captured if plan.around.refs[i][0] == "t"]
        return self.recorded([np.asarray(x) for x in arrays], captured, exact)

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
        held = [(t, t.data, t.stamp) for t in buffers.values()]
        try:
            for text, old in zip(plan.texts, self.before, strict=True):
                if text in buffers and old is not None:
                    buffers[text].data = old
            yield
        finally:
            for tensor, data, stamp in held:
                tensor.data, tensor.stamp = data, stamp

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
