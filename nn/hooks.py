"""Hooks of modules: functions that see, and may replace, what goes through a module forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor


class Handle:
    """A registered hook; `remove()` takes it away."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; removing it again changes nothing."""
        if self.hook in self.hooks:
            self.hooks.remove(self.hook)


class Hooks:
    """The hooks of one module."""

    def __init__(self) -> None:
        self.forward: list[Callable[..., Any]] = []
        self.backward: list[Callable[..., Any]] = []

    def __bool__(self) -> bool:
        return bool(self.forward or self.backward)

    def add(self, kind: str, hook: Callable[..., Any]) -> Handle:
        """Another hook, called after those before it."""
        hooks: list[Callable[..., Any]] = getattr(self, kind)
        hooks.append(hook)
        return Handle(hooks, hook)

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The module's forward, with the hooks around it."""
        if self.backward:
            # Under a node of its own, the gradient of an input is the part that comes through this module.
            inputs = tuple(np.positive(x) if isinstance(x, Tensor) and x.requires_grad else x for x in inputs)
        output = module.forward(*inputs, **options)
        for hook in list(self.forward):
            found = hook(module, inputs, output)
            output = output if found is None else found
        if self.backward and isinstance(output, Tensor) and output.requires_grad:
            _Pass(module, self.backward, inputs, output)
        return output


class _Pass:
    """One pass through a module: collects the gradients, and calls the hooks when the last has come."""

    def __init__(self, module: Any, hooks: list[Callable[..., Any]], inputs: tuple[Any, ...], output: Tensor) -> None:
        self.module, self.hooks = module, hooks
        self.gradients: list[Tensor | None] = [None] * len(inputs)
        self.output: Tensor | None = None
        self.waiting = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        output.register_hook(self.begin)
        for i in self.waiting:
            inputs[i].register_hook(lambda g, i=i: self.arrive(i, g))

    def begin(self, gradient: Tensor) -> None:
        """The gradient of the output; without inputs that need one, it is all there is."""
        self.output = gradient
        if not self.waiting:
            self.finish()

    def arrive(self, i: int, gradient: Tensor) -> Any:
        """The gradient of input i.  The last to come can still be replaced, and so can all if there is only one."""
        self.gradients[i] = gradient
        if any(self.gradients[j] is None for j in self.waiting):
            return None
        return self.finish()[i]

    def finish(self) -> tuple[Any, ...]:
        """Call the hooks with all gradients."""
        found: tuple[Any, ...] = tuple(self.gradients)
        for hook in list(self.hooks):
            replaced = hook(self.module, found, self.output)
            found = found if replaced is None else tuple(replaced)
        return found
