"""The settings of the playground: what may be chosen, and how a choice is read from the address of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .. import activations, optim
from ..layers import Identity
from .data import DATA, HELD

ACTIVATIONS: dict[str, type] = {
    "tanh": activations.Tanh,
    "relu": activations.ReLU,
    "sigmoid": activations.Sigmoid,
    "gelu": activations.GELU,
    "none": Identity,
}
OPTIMIZERS: dict[str, tuple[str, type[optim.Optimizer], dict[str, float]]] = {  # {name: (title, class, options)}
    "sgd": ("SGD", optim.SGD, {}),
    "momentum": ("SGD, momentum 0.9", optim.SGD, {"momentum": 0.9}),
    "rmsprop": ("RMSprop", optim.RMSprop, {}),
    "adam": ("Adam", optim.Adam, {}),
}
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 200)
DECAYS = (0.0, 0.0001, 0.001, 0.01, 0.1)
NOISES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
MOST_LAYERS, MOST_NODES = 6, 8  # more would not be seen


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on.  Equal settings give equal numbers, to the last bit."""

    data: str = "animals"
    hidden: tuple[int, ...] = (4, 3)  # the nodes of each hidden layer
    activation: str = "tanh"
    optimizer: str = "sgd"
    lr: float = 0.1
    batch: int = 16
    decay: float = 0.0
    noise: float = 0.1
    seed: int = 0
    follow: int = -1  # the held-out sample that is followed; -1 is the first of class 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Read settings from numbers or strings; what is not given keeps its default.

        Raises ValueError, which names the setting and its choices, for what is unknown or out of range, and TypeError
        for what is not a mapping.

        >>> Settings.of({"data": "xor", "hidden": "4,2", "lr": "0.3"}).hidden
        (4, 2)
        """
        if not isinstance(given, Mapping):
            raise TypeError(f"settings are names and values; got {type(given).__name__}")
        read = dict(cls._read(name, value) for name, value in given.items())
        return cls(**read)

    @classmethod
    def _read(cls, name: str, value: Any) -> tuple[str, Any]:
        if name not in READERS:
            raise ValueError(f"there is no setting {name!r:.40}; there are {', '.join(READERS)}")
        read, allowed, said = READERS[name]
        try:
            found = read(value)
            if allowed(found):
                return name, found
        except (TypeError, ValueError, OverflowError):
            pass
        raise ValueError(f"{name} is {said}; got {value!r:.40}")

    def address(self) -> dict[str, str]:
        """Return the settings that differ from the defaults, as the address of the page has them.

        >>> Settings(hidden=(3,), lr=0.5).address()
        {'hidden': '3', 'lr': '0.5'}
        """
        usual = asdict(Settings())
        return {name: _written(value) for name, value in asdict(self).items() if value != usual[name]}


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _whole(value: Any) -> int:
    found = int(value)
    if not isinstance(value, str) and found != value:
        raise ValueError("a part would be lost")
    return found


def _layers(value: Any) -> tuple[int, ...]:
    parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
    return tuple(map(_whole, parts))


def _among(choices: Any) -> tuple[Callable[[Any], str], Callable[[Any], bool], str]:
    return str, lambda value: value in choices, f"one of {', '.join(choices)}"


READERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], bool], str]] = {  # {name: (read, allowed, in words)}
    "data": _among(DATA),
    "hidden": (
        _layers,
        lambda sizes: len(sizes) <= MOST_LAYERS and all(1 <= n <= MOST_NODES for n in sizes),
        f"at most {MOST_LAYERS} layers of 1 to {MOST_NODES} nodes, such as 4,3",
    ),
    "activation": _among(ACTIVATIONS),
    "optimizer": _among(OPTIMIZERS),
    "lr": (float, lambda lr: 0 < lr <= 1000, "a number above 0, at most 1000"),
    "batch": (_whole, lambda n: 1 <= n <= 200, "a whole number from 1 to 200"),
    "decay": (float, lambda decay: 0 <= decay <= 10, "a number from 0 to 10"),
    "noise": (float, lambda noise: 0 <= noise <= 2, "a number from 0 to 2"),
    "seed": (_whole, lambda seed: 0 <= seed < 2**32, "a whole number from 0 to 4294967295"),
    "follow": (_whole, lambda i: -1 <= i < HELD, f"the number of a held-out sample, from 0 to {HELD - 1}, or -1"),
}
