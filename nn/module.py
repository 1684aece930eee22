"""Module: a network is a plain object, and its parameters are found by walking its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autograd import Tensor


class Module:
    """Base of every layer and network: write `__init__`, which sets attributes, and `forward`.

    Parameters are the Tensors with `requires_grad` among the attributes of the object (not of its class), inside lists,
    tuples, dicts and other modules too; a shared one counts once, and the result of an op is none.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(Tensor(3.0)).item(), [name for name, _ in Scale().named_parameters()]
    (6.0, ['factor'])
    """

    training: bool = True

    def forward(self, *inputs: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no forward(): write `def forward(self, x)` in its class")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one, with the names that they have here."""
        for name, value in _leaves(self):
            if isinstance(value, Module):
                yield name, value

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (named "") and all inside it, each once, with dotted names."""
        stack: list[tuple[str, Module]] = [("", self)]
        seen = set()
        while stack:
            prefix, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield prefix, module
            inner = [(f"{prefix}.{name}".lstrip("."), child) for name, child in module.named_children()]
            stack.extend(reversed(inner))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter once, with its dotted name: `0.weight`, `encoder.layers.1.bias`."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in _leaves(module):
                if _is_parameter(value) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}".lstrip("."), value

    def parameters(self) -> list[Tensor]:
        """Every parameter once, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Set `training` here and inside; layers that act differently while training look at it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """The opposite of `train()`."""
        return self.train(False)

    def describe(self) -> str:
        """What stands in the brackets after the name of the class."""
        return ""

    def __repr__(self) -> str:
        lines = []
        for path, module in self.named_modules():
            depth, name = (path.count(".") + 1, path.rpartition(".")[2]) if path else (0, "")
            count = sum(parameter.size for parameter in module.parameters())
            label = f"({name}) " if name else ""
            lines.append(f"{'  ' * depth}{label}{type(module).__name__}({module.describe()}): {count:,} parameters")
        return "\n".join(lines)


class Sequential(Module):
    """Modules one after the other: the output of each is the input of the next.

    >>> import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    Sequential(): 9 parameters
      (0) Linear(2 -> 3): 9 parameters
      (1) ReLU(): 0 parameters
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential takes modules; argument {i} is {type(module).__name__}")
        self.modules = modules

    def forward(self, x: Any) -> Any:
        for module in self.modules:
            x = module(x)
        return x

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((name.removeprefix("modules."), child) for name, child in super().named_children())

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules)

    def __getitem__(self, index: int | slice) -> Module:
        found = self.modules[index]
        return Sequential(*found) if isinstance(found, tuple) else found


def _is_parameter(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad and value.node is None


def _leaves(module: Module) -> Iterator[tuple[str, Any]]:
    """The Tensors and modules among the attributes, inside containers too, with dotted names."""
    stack = [(name, value) for name, value in reversed(vars(module).items())]
    seen = set()
    while stack:
        name, value = stack.pop()
        if isinstance(value, Tensor | Module):
            yield name, value
        elif isinstance(value, list | tuple | dict) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            stack.extend(reversed([(f"{name}.{key}", item) for key, item in items]))
