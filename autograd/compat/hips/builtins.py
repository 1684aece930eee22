"""Python's containers and type tests, which HIPS replaces: here containers of Tensors are Python's own."""

from __future__ import annotations

import builtins
from typing import Any

from .tracer import getval
from .vspaces import ContainerVSpace as ContainerVSpace

dict, list, tuple = builtins.dict, builtins.list, builtins.tuple
DictBox = builtins.dict


class _Sequences(builtins.type):
    def __instancecheck__(cls, x: Any) -> bool:
        return builtins.isinstance(x, builtins.list | builtins.tuple)


class SequenceBox(metaclass=_Sequences):
    """What isinstance asks for a list or tuple that may hold traced values."""


def isinstance(x: Any, kind: Any) -> bool:
    """Whether x, or the array or number behind a traced value, is of this type.

    >>> from autograd import Tensor
    >>> isinstance(Tensor(2.0), float)
    True
    """
    return builtins.isinstance(x, kind) or builtins.isinstance(getval(x), kind)


def type(x: Any) -> Any:
    """The type of x, or of the array or number behind a traced value."""
    return builtins.type(getval(x))
