"""Padding of the last axes, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd import Tensor

from . import functional as F
from .layers import naming
from .module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Padding of the last `axes` axes; `padding` is one number, or two for each axis, the last axis first."""

    axes, mode = 0, "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        self.padding = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        self.value: float | None = None
        if len(self.padding) != 2 * self.axes:
            raise ValueError(f"{type(self).__name__}: padding is one number or {2 * self.axes}; got {padding!r}")

    def forward(self, x: Any) -> Tensor:
        try:
            made: Tensor = F.pad(x, self.padding, self.mode, self.value)
        except ValueError as error:
            raise naming(self, error) from error
        return made

    def flops(self, shape: tuple[int, ...]) -> int:
        return 0

    def describe(self) -> str:
        return f"{self.padding}" + (f", value={self.value}" if self.value else "")


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value


class ZeroPad1d(_Pad):
    """Zeros around the last axis; see `nn.functional.pad`."""

    axes = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two axes; see `nn.functional.pad`."""

    axes = 2


class ZeroPad3d(_Pad):
    """Zeros around the last three axes; see `nn.functional.pad`."""

    axes = 3


class ConstantPad1d(_ConstantPad):
    """A constant around the last axis; see `nn.functional.pad`."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A constant around the last two axes; see `nn.functional.pad`."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A constant around the last three axes; see `nn.functional.pad`."""

    axes = 3


class ReflectionPad1d(_Pad):
    """The last axis reflected at both ends; see `nn.functional.pad`."""

    axes, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The last two axes reflected at both ends; see `nn.functional.pad`."""

    axes, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The last three axes reflected at both ends; see `nn.functional.pad`."""

    axes, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The first and last numbers of the last axis repeated; see `nn.functional.pad`."""

    axes, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The first and last numbers of the last two axes repeated; see `nn.functional.pad`."""

    axes, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The first and last numbers of the last three axes repeated; see `nn.functional.pad`."""

    axes, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The last axis continued around the ends; see `nn.functional.pad`."""

    axes, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The last two axes continued around the ends; see `nn.functional.pad`."""

    axes, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The last three axes continued around the ends; see `nn.functional.pad`."""

    axes, mode = 3, "circular"
