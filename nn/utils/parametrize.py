"""Parametrizations: a parameter that is computed, whenever it is read, from what is learned in its place."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd import Tensor, no_grad

from ..containers import ModuleDict, ModuleList
from ..elsewhere import PARAMETRIZE, absent
from ..missing import missing
from ..module import Buffer, Module, Parameter

__all__ = [
    "ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "type_before_parametrizations",
]  # fmt: skip


class ParametrizationList(ModuleList):
    """What a parametrized tensor is computed from: `original`, or `original0`, `original1`, ..., and the modules."""

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        value: Any = original.detach()
        with no_grad(), contextlib.suppress(NotImplementedError):  # which leaves the value as the original
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    value = module.right_inverse(value)
        if isinstance(value, tuple | list):
            for i, part in enumerate(value):
                setattr(self, f"original{i}", _like(original, part))
        elif np.shape(value) == original.shape:
            original.assign(value)  # the same object, which an optimiser may have
            self.original = original
        else:
            self.original = _like(original, value)

    def contents(self) -> Mapping[str, Any]:
        inside = super().contents()
        return {name: inside[name] for name in sorted(inside, key=str.isdigit)}  # what is learned comes first

    def originals(self) -> list[Tensor]:
        """What is learned."""
        return [value for name, value in vars(self).items() if name.startswith("original")]

    def forward(self) -> Any:
        """The tensor that the module computes with."""
        first, *others = self.items
        value = first(*self.originals())
        for module in others:
            value = module(value)
        return value


def _like(original: Tensor, value: Any) -> Tensor:
    """A parameter, or a buffer if `original` is one, with this value."""
    data = getattr(value, "data", value) if isinstance(value, Tensor) else value
    return Buffer(data) if isinstance(original, Buffer) else Parameter(data, original.requires_grad)


class _Lists(ModuleDict):
    """The ParametrizationLists of a module, which are its attributes too."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in vars(self).get("table", ()):
                return self.table[name]
            raise missing(self, name)


@functools.cache
def _kind(base: Any, names: tuple[str, ...]) -> type[Module]:
    """The class of a module of class `base` whose attributes `names` are computed."""

    def reduce(self: Any) -> Any:
        return _empty, (base, names), vars(self)

    attributes = {name: _computed(name) for name in names}
    own = {"__reduce__": reduce, "__module__": base.__module__, "_before": base, "__doc__": base.__doc__}
    return type(f"Parametrized{base.__name__}", (base,), attributes | own)


def _computed(name: str) -> property:
    def get(self: Any) -> Any:
        return self.parametrizations[name]()

    def put(self: Any, value: Any) -> None:
        held = self.parametrizations[name]
        with no_grad():
            for module in reversed(held.items):
                value = module.right_inverse(value)
        for own, new in zip(held.originals(), value if isinstance(value, tuple | list) else [value], strict=True):
            own.assign(new)

    return property(get, put)


def _empty(base: Any, names: tuple[str, ...]) -> Module:
    kind: Any = _kind(base, names)
    made: Module = kind.__new__(kind)
    return made


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute the parameter or buffer `tensor_name` of a module by another module, `parametrization`, from now on.

    `parametrization(original)` is what the attribute then gives; what is learned is
    `module.parametrizations.<tensor_name>.original`.  If it has a `right_inverse(value)`, this gives the first
    original, or a tuple of several.  A second parametrization gets the result of the first.  Raises ValueError, unless
    `unsafe`, when the result has another shape or dtype than the parameter, and for a name that is no parameter.

    >>> import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return np.triu(x) + np.triu(x, 1).T
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight.data == layer.weight.data.T).all()), sorted(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    if is_parametrized(module, tensor_name):
        held = _lists(module)[tensor_name]
        if len(originals := held.originals()) > 1:
            raise ValueError(f"{tensor_name!r} is computed from several tensors, so nothing can be put before them")
        original, steps = originals[0], [*held.items, parametrization]
    else:
        own, steps = vars(module).get(tensor_name), [parametrization]
        if not isinstance(own, Parameter | Buffer):
            raise ValueError(
                f"{type(module).__name__} has no parameter or buffer {tensor_name!r} that could be parametrized"
            )
        original = own
    value = original.detach()
    made = ParametrizationList([parametrization], original)
    made.train(module.training)
    made.items = steps
    if not unsafe:
        with no_grad():
            found = made()
        if np.shape(found) != value.shape or found.dtype != value.dtype:
            original.assign(value)
            raise ValueError(
                f"the parametrization of {tensor_name!r} made {found.dtype} of shape {np.shape(found)} of "
                f"{value.dtype} of shape {value.shape}; pass unsafe=True if the module can compute with that"
            )
    _replace(module, {**_lists(module), tensor_name: made})
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized attribute an ordinary parameter again: with its present value, or with the original.

    Raises ValueError where there is no parametrization, and, without `leave_parametrized`, where there are several
    originals.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__}.{tensor_name} is not parametrized")
    held = _lists(module)[tensor_name]
    with no_grad():
        value = held()
    original, *others = held.originals()
    if others and not leave_parametrized:
        raise ValueError(f"{tensor_name!r} has several originals, so leave_parametrized=False has no value to leave")
    if leave_parametrized and not others and original.shape == value.shape:
        original.assign(value.data)
    elif leave_parametrized:
        original = _like(original, value)
    rest = {name: each for name, each in _lists(module).items() if name != tensor_name}
    _replace(module, rest)
    setattr(module, tensor_name, original)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether any attribute of a module, or this one, is parametrized."""
    return bool(_lists(module)) if tensor_name is None else tensor_name in _lists(module)


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class that a module had before any of its attributes was parametrized."""
    kind: type[Module] = getattr(type(module), "_before", type(module))
    return kind


def _lists(module: Module) -> dict[str, ParametrizationList]:
    held = vars(module).get("parametrizations") if hasattr(type(module), "_before") else None
    return dict(held.items()) if held is not None else {}


def _replace(module: Module, lists: dict[str, Any]) -> None:
    """Compute exactly these attributes of a module."""
    base: Any = type_before_parametrizations(module)
    changed: Any = module
    for name in lists:
        if name in vars(module):
            delattr(module, name)
    if lists:
        changed.__class__ = _kind(base, tuple(lists))
        changed.parametrizations = _Lists(lists)
    else:
        del changed.parametrizations
        changed.__class__ = base


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, PARAMETRIZE)
