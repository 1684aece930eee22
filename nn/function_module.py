"""Modules made from a function of `nn.functional`: its optional arguments become attributes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor

from .arguments import UNNEEDED
from .layers import naming
from .module import Module

__all__ = ["FunctionModule"]

_UFUNC = {"where", "dtype"}  # keywords of every ufunc, not options of a layer


@functools.cache
def _signature(function: Callable[..., Any], inplace: bool, inputs: int | None) -> inspect.Signature:
    given = list(inspect.signature(function).parameters.values())
    if inputs is None:
        options = [p for p in given if p.default is not p.empty and p.name not in _UFUNC]
    else:
        options = given[inputs:]
    if inplace:
        options.append(inspect.Parameter("inplace", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False))
    return inspect.Signature(options)


@functools.cache
def _options(function: Callable[..., Any], inputs: int | None) -> tuple[str, ...]:
    """The names of the arguments that are attributes of the module."""
    return tuple(_signature(function, False, inputs).parameters)


class _Signature:
    """The signature of a class, read from its function on demand: reading all of them would slow the import.

    `inspect` finds that of a module's call, and of a subclass with its own `__init__`, by itself.
    """

    def __get__(self, module: Any, kind: type[FunctionModule]) -> inspect.Signature:
        if module is not None or kind.__init__ is not FunctionModule.__init__:
            raise AttributeError("__signature__")
        return _signature(kind._function, kind._inplace, kind._inputs)


class _Names:
    """The names of a class's options, kept in the class once they are known."""

    def __get__(self, module: Any, kind: type[FunctionModule]) -> tuple[str, ...]:
        kind._names = names = _options(kind._function, kind._inputs)
        return names


class FunctionModule(Module):
    """Base of modules that call one function: `class ELU(FunctionModule, function=F.elu)` is a complete definition.

    The function's arguments with defaults become arguments of the class and attributes of the module; a call passes
    the others.  With `inputs=1` a call passes the first, and all others are the class's.  Signature, docstring and repr
    come from the function.  With `inplace=True` the class accepts PyTorch's argument of that name, which has no effect
    here: a recorded value never changes.
    """

    _function: Callable[..., Any]
    _inplace = False
    _inputs: int | None = None
    _names: Any = _Names()
    __signature__ = _Signature()

    def __init_subclass__(
        cls, function: Callable[..., Any] | None = None, inplace: bool = False, inputs: int | None = None
    ) -> None:
        super().__init_subclass__()
        if function is not None:
            function = getattr(function, "__wrapped__", function)  # whose own names are those of the attributes
            cls._function, cls._names = staticmethod(function), _Names()
            cls._inplace, cls._inputs = inplace, inputs
            summary = cls.__doc__ or (inspect.getdoc(function) or "").partition("\n")[0]
            cls.__doc__ = f"{summary}\n\nA module that calls `nn.functional.{function.__name__}`."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        vars(self).update(self._bind(*args, **kwargs))

    def _bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The attributes, from the arguments of the class."""
        signature = _signature(self._function, self._inplace, self._inputs)
        if not kwargs.keys() <= signature.parameters.keys():
            harmless = {key for key, value in kwargs.items() if key in UNNEEDED and UNNEEDED[key].harmless(value)}
            kwargs = {key: value for key, value in kwargs.items() if key in signature.parameters or key not in harmless}
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}{signature}: {error}") from None
        bound.apply_defaults()
        return {name: bound.arguments[name] for name in _options(self._function, self._inputs)}

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        try:
            if named or self._names:
                return self._function(*inputs, **named, **{name: getattr(self, name) for name in self._names})
            return self._function(*inputs)
        except ValueError as error:
            raise naming(self, error) from error

    def describe(self) -> str:
        """The arguments that differ from their defaults; for an array, its shape."""
        changed = []
        for name in _options(self._function, self._inputs):
            value, usual = getattr(self, name), _signature(self._function, False, self._inputs).parameters[name].default
            if np.ndim(value) and not isinstance(value, tuple | list):
                changed.append(f"{name}: {'x'.join(map(str, np.shape(value)))}")
            elif value != usual:
                changed.append(f"{name}={value!r}")
        return ", ".join(changed)
