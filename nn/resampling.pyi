# Written by docs/make_stubs.py from the registry of ops, with NumPy 2.4.6; a test keeps it fresh.
from collections.abc import Sequence
from typing import Any

from autograd import Tensor

from .function_module import FunctionModule

class Fold(FunctionModule):
    output_size: int | Sequence[int]
    kernel_size: int | Sequence[int]
    dilation: int | Sequence[int]
    padding: int | Sequence[int]
    stride: int | Sequence[int]
    def __init__(self, output_size: int | Sequence[int], kernel_size: int | Sequence[int], dilation: int | Sequence[int] = ..., padding: int | Sequence[int] = ..., stride: int | Sequence[int] = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class Unfold(FunctionModule):
    kernel_size: int | Sequence[int]
    dilation: int | Sequence[int]
    padding: int | Sequence[int]
    stride: int | Sequence[int]
    def __init__(self, kernel_size: int | Sequence[int], dilation: int | Sequence[int] = ..., padding: int | Sequence[int] = ..., stride: int | Sequence[int] = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class Upsample(FunctionModule):
    size: int | Sequence[int] | None
    scale_factor: float | Sequence[float] | None
    mode: str
    align_corners: bool | None
    recompute_scale_factor: bool | None
    def __init__(self, size: int | Sequence[int] | None = ..., scale_factor: float | Sequence[float] | None = ..., mode: str = ..., align_corners: bool | None = ..., recompute_scale_factor: bool | None = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
