"""Call a module with other parameters than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autograd import Tensor

from .module import Buffer, Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with arrays or Tensors in place of its parameters and buffers of these dotted names.

    The module keeps its own; a gradient goes to the Tensors that were given, as in
    `autograd.grad(lambda w: loss(functional_call(model, w, x)))`.  `args` is a tuple, or the only argument.  A tensor
    that is shared has the value given under one of its names, at all its places unless `tie_weights=False`.  A buffer
    that the call updates is the one that was given, if it is a Tensor.  Raises ValueError for names that the module
    does not have, for values of another shape, for several values of a shared tensor, and, if `strict`, for missing
    names.  Not for one module in several threads at once.

    >>> import nn
    >>> layer = nn.Linear(2, 1)
    >>> functional_call(layer, {"weight": np.ones((1, 2)), "bias": np.zeros(1)}, np.array([3.0, 4.0])).item()
    7.0
    """
    if not isinstance(parameters_and_buffers, Mapping):
        parts = list(parameters_and_buffers)
        names = [name for part in parts for name in part]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"functional_call: several of the dicts have {', '.join(twice)}")
        parameters_and_buffers = {name: value for part in parts for name, value in part.items()}
    news = _by_place(module, parameters_and_buffers, tie_weights, strict)
    held: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for prefix, inner in list(_everywhere(module)):
            attributes = vars(inner)
            for name, value in list(attributes.items()):
                other = _replaced(value, f"{prefix}{name}", news)
                if other is not value:
                    held.append((attributes, name, value))
                    attributes[name] = other  # no change of the network, which is the same again after the call
        args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*args, **(kwargs or {}))
    finally:
        for attributes, name, value in held:
            attributes[name] = value


def _everywhere(module: Module) -> Any:
    return ((f"{prefix}." if prefix else "", inner) for prefix, inner in module.named_modules())


def _by_place(module: Module, given: Mapping[str, Any], tied: bool, strict: bool) -> dict[Any, Tensor]:
    """The new Tensors, by the id of the own one, or by name if they are not tied."""
    own = module._state()
    if unknown := [name for name in given if name not in own]:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {', '.join(unknown)}")
    by_id: dict[Any, Tensor] = {}
    names: dict[int, str] = {}
    for name, value in given.items():
        tensor = own[name]
        if np.shape(value) != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape}; got {np.shape(value)}")
        if id(tensor) in names and tied and given[names[id(tensor)]] is not value:
            raise ValueError(f"{name} is the same tensor as {names[id(tensor)]}, and two values were given for it")
        names[id(tensor)] = name
        kind = Buffer if isinstance(tensor, Buffer) else Tensor
        by_id[id(tensor) if tied else name] = value if isinstance(value, Tensor) else kind(value)
    if strict and (missing := [name for name, tensor in own.items() if id(tensor) not in names]):
        raise ValueError(f"functional_call(strict=True) needs a value for {', '.join(missing)}")
    return by_id


def _replaced(value: Any, name: str, news: Mapping[Any, Tensor]) -> Any:
    """An attribute with the new Tensors in place of its own, inside lists, tuples and dicts too."""
    if isinstance(value, Tensor):
        return news.get(id(value), news.get(name, value))
    if not isinstance(value, list | tuple | dict):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = {key: _replaced(item, f"{name}.{key}", news) for key, item in items}
    if all(
        new is old
        for new, old in zip(found.values(), value.values() if isinstance(value, dict) else value, strict=True)
    ):
        return value
    if isinstance(value, dict):
        return type(value)(found)
    return type(value)(*found.values()) if hasattr(value, "_fields") else type(value)(found.values())
