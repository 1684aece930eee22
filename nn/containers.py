"""Modules that hold other modules in order: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from autograd import Tensor

from .missing import Missing
from .module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

_HOLDERS = (Tensor, Module, list, tuple, dict)  # what may hold parameters


def _module(module: Any, place: Any, kind: Any) -> Module:
    if not isinstance(module, Module):
        raise TypeError(f"{type(kind).__name__} takes modules; {place} is {type(module).__name__}")
    return module


def _contents(kind: Module, items: dict[str, Module], place: str) -> Mapping[str, Any]:
    """The items and the other attributes.  Raises ValueError for a name that both have, if both may hold parameters."""
    rest = {name: value for name, value in vars(kind).items() if name != place}
    for name in items.keys() & rest.keys():
        if isinstance(rest.pop(name), _HOLDERS):
            raise ValueError(f"{type(kind).__name__} has an item and an attribute named {name!r}: rename one")
    return items | rest


class _Numbered(Module):
    """Modules named 0, 1, 2, ..."""

    items: list[Module] = Missing()  # type: ignore[assignment]  # raises until it is set

    def __init__(self, modules: Iterable[Module]) -> None:
        self.items = [_module(m, f"argument {i}", self) for i, m in enumerate(modules)]

    def contents(self) -> Mapping[str, Any]:
        return _contents(self, {str(i): module for i, module in enumerate(self.items)}, "items")

    def _has_item(self, name: str) -> bool:
        return name in map(str, range(len(vars(self).get("items", ()))))

    def append(self, module: Module) -> _Numbered:
        """Add a module at the end."""
        self.items.append(_module(module, f"argument {len(self.items)}", self))
        return self

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.items)

    def __setitem__(self, index: int, module: Module) -> None:
        self.items[index] = _module(module, f"item {index}", self)


class Sequential(_Numbered):
    """Modules one after the other: the output of each is the input of the next.

    >>> import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    Sequential(): 9 parameters
      (0) Linear(2 -> 3): 9 parameters
      (1) ReLU(): 0 parameters
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Tensor:
        for module in self.items:
            x = module(x)
        return x

    def __getitem__(self, index: int | slice) -> Module:
        found = self.items[index]
        return Sequential(*found) if isinstance(found, list) else found


class ModuleList(_Numbered):
    """A list of modules, under PyTorch's name; a plain list works as well.

    >>> import nn
    >>> [name for name, _ in ModuleList([nn.Linear(2, 3), nn.ReLU()]).named_parameters()]
    ['0.weight', '0.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__(modules)

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def __getitem__(self, index: int | slice) -> Any:
        found = self.items[index]
        return ModuleList(found) if isinstance(found, list) else found


class ModuleDict(Module):
    """A dict of modules, under PyTorch's name; a plain dict works as well.

    Keys are strings without dots, and differ from the names of attributes that hold parameters.

    >>> import nn
    >>> [name for name, _ in ModuleDict({"cat": nn.Linear(2, 1)}).named_parameters()]
    ['cat.weight', 'cat.bias']
    """

    table: dict[str, Module] = Missing()  # type: ignore[assignment]  # raises until it is set

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.table = {}
        for name, module in (modules or {}).items():
            self[name] = module

    def contents(self) -> Mapping[str, Any]:
        return _contents(self, self.table, "table")

    def _has_item(self, name: str) -> bool:
        return name in vars(self).get("table", ())

    def __getitem__(self, name: str) -> Module:
        return self.table[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{type(self).__name__} takes strings as keys; got {name!r}, of {type(name).__name__}")
        if not name or "." in name:
            raise ValueError(f"a key is part of parameters' names, so it has a character and no dot; got {name!r}")
        if name != "table" and isinstance(vars(self).get(name), _HOLDERS):
            raise ValueError(f"{type(self).__name__} has an attribute named {name!r}: give the item another key")
        self.table[name] = _module(module, repr(name), self)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def keys(self) -> KeysView[str]:
        return self.table.keys()

    def values(self) -> ValuesView[Module]:
        return self.table.values()

    def items(self) -> ItemsView[str, Module]:
        return self.table.items()
