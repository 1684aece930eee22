"""Module hooks: functions that see, and may replace, a module's outputs and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor, is_grad_enabled
from autograd.hooks import Handle


class Hooks:
    """The hooks of one module."""

    def __init__(self) -> None:
        self.forward: list[Callable[..., Any]] = []
        self.backward: list[Callable[..., Any]] = []

    def __bool__(self) -> bool:
        return bool(self.forward or self.backward)

    def add(self, kind: str, hook: Callable[..., Any]) -> Handle:
        """Add a hook; it is called after the earlier ones."""
        if not callable(hook):
            raise TypeError(f"a hook is a function; got {type(hook).__name__}")
        return Handle(getattr(self, kind), hook)

    def call(self, module: Any, forward: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call the module's forward and its hooks."""
        passed = _Pass(module, self.backward, inputs) if self.backward else None
        output = forward(*(passed.inputs if passed else inputs), **options)
        for hook in list(self.forward):
            found = hook(module, inputs, output)
            output = output if found is None else found
        if passed:
            passed.ends_at(output)
        return output


class _Pass:
    """One pass through a module: its inputs, joined in one extra node, and the hooks that get all their gradients.

    With one node for all inputs, the gradients are complete at the same time, come through this module only, and can
    all be replaced.
    """

    def __init__(self, module: Any, hooks: list[Callable[..., Any]], inputs: tuple[Any, ...]) -> None:
        self.module, self.hooks, self.inputs = module, hooks, inputs
        self.needing = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        self.output: Tensor | None = None
        if not self.needing or not is_grad_enabled():
            return
        given = [inputs[i] for i in self.needing]
        row: Any = np.concatenate([np.reshape(x, -1) for x in given])
        row.register_hook(self.arrive)
        passed = list(inputs)
        for i, x, part in zip(self.needing, given, self.parts(row), strict=True):
            passed[i] = part if part.dtype == x.dtype else part.astype(x.dtype)
        self.inputs = tuple(passed)

    def parts(self, row: Any) -> list[Any]:
        """Split the row of all inputs that need a gradient, or of their gradients, into the original shapes."""
        shapes = [self.inputs[i].shape for i in self.needing]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        return [np.reshape(row[end - math.prod(shape) : end], shape) for shape, end in zip(shapes, ends, strict=True)]

    def ends_at(self, output: Any) -> None:
        """Watch the module's output, because the hooks get its gradient too."""
        if not isinstance(output, Tensor):
            if isinstance(output, tuple | list | dict):
                raise TypeError(
                    f"register_full_backward_hook() is for modules whose output is one Tensor; "
                    f"{type(self.module).__name__} returned a {type(output).__name__}"
                )
        elif output.requires_grad:
            output.register_hook(self.begin)

    def begin(self, gradient: Tensor) -> None:
        """Receive the gradient of the output; if no input needs a gradient, call the hooks now."""
        self.output = gradient
        if not self.needing:
            self.call_hooks([None] * len(self.inputs))

    def arrive(self, row: Tensor) -> Any:
        """Receive the gradients of the inputs in one row; return those that the hooks leave."""
        gradients: list[Tensor | None] = [None] * len(self.inputs)
        for i, part in zip(self.needing, self.parts(row), strict=True):
            gradients[i] = part
        found = self.call_hooks(gradients)
        return np.concatenate([np.reshape(found[i], -1) for i in self.needing])

    def call_hooks(self, gradients: list[Tensor | None]) -> list[Any]:
        """The gradients as the hooks leave them; ValueError for a wrong shape or a wrong number of gradients."""
        shapes = [None if g is None else g.shape for g in gradients]
        found: list[Any] = gradients
        for hook in list(self.hooks):
            replaced = hook(self.module, tuple(found), self.output)
            if replaced is None:
                continue
            found = [replaced] if hasattr(replaced, "shape") else list(replaced)
            given = [None if g is None else np.shape(g) for g in found]
            if given != shapes:
                raise ValueError(f"a hook returned gradients of shapes {given} for inputs of shapes {shapes}")
        return found
