"""Hooks: functions that see, and may replace, the gradient of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .array import Array
from .errors import GraphError
from .tensor import Tensor, as_tensor, tensor_of

__all__ = ["Handle", "register_hook"]


class Handle:
    """A registered hook; `remove()` unregisters it."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self.hooks, self.hook = hooks, hook
        hooks.append(hook)

    def remove(self) -> None:
        """Unregister the hook; a second call has no effect."""
        if self.hook in self.hooks:
            self.hooks.remove(self.hook)


class _Hook:
    """Wrap a user's hook: convert gradients between the walk's form (perhaps plain arrays) and the users'."""

    def __init__(self, hook: Callable[[Tensor], Any]) -> None:
        self.hook = hook

    def __call__(self, gradient: Any) -> Any:
        recorded = isinstance(gradient, Tensor)
        shown = gradient.conj() if recorded else tensor_of(_fixed(gradient.conj()))
        found = self.hook(shown)
        if found is None:
            return gradient
        found = as_tensor(found) if not isinstance(found, float | int) else Tensor(found)
        if found.shape != gradient.shape:
            raise ValueError(f"a hook returned shape {found.shape} for a gradient of shape {gradient.shape}")
        if found.dtype != gradient.dtype:
            if found.dtype.kind == "c" and gradient.dtype.kind != "c":
                raise TypeError(f"a hook returned {found.dtype} for a gradient of {gradient.dtype}")
            found = found.astype(gradient.dtype)
        return found.conj() if recorded else found.data.conj()


def _fixed(gradient: Any) -> Any:
    """A read-only view, because the array is shared."""
    if not isinstance(gradient, np.ndarray | np.generic):
        return gradient
    view: Any = gradient[...]  # type: ignore[index]  # an array, of a number too
    view.flags.writeable = False
    return view


def must_be_callable(hook: Any) -> None:
    if not callable(hook):
        raise TypeError(f"a hook is a function; got {type(hook).__name__}")


def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> Handle:
    """Call `hook(gradient)` whenever a walk has completed the gradient of this tensor; return a handle to remove it.

    A return value other than None replaces the gradient; it must have the same shape (ValueError otherwise) and is cast
    to the same dtype.  The gradient passed to the hook is read-only, because it is shared.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> y = x * x
    >>> handle = y.register_hook(lambda g: g * 10)
    >>> y.backward()
    >>> x.grad
    Tensor(40.)
    """
    if not self.requires_grad:
        raise GraphError("register_hook() on a Tensor that records nothing: no gradient will ever pass here")
    must_be_callable(hook)
    self.node.hooks = self.node.hooks or []
    return Handle(self.node.hooks, _Hook(hook))


Array.register_hook = register_hook  # type: ignore[assignment, method-assign]  # declared there, defined here
