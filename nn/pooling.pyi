# Written by docs/make_stubs.py from the registry of ops, with NumPy 2.4.6; a test keeps it fresh.
from collections.abc import Sequence
from typing import Any

from autograd import Tensor

from .function_module import FunctionModule

class AdaptiveAvgPool1d(FunctionModule):
    output_size: int
    def __init__(self, output_size: int) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AdaptiveAvgPool2d(FunctionModule):
    output_size: int | Sequence[int | None] | None
    def __init__(self, output_size: int | Sequence[int | None] | None) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AdaptiveAvgPool3d(FunctionModule):
    output_size: int | Sequence[int | None] | None
    def __init__(self, output_size: int | Sequence[int | None] | None) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AdaptiveMaxPool1d(FunctionModule):
    output_size: int
    return_indices: bool
    def __init__(self, output_size: int, return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AdaptiveMaxPool2d(FunctionModule):
    output_size: int | Sequence[int | None] | None
    return_indices: bool
    def __init__(self, output_size: int | Sequence[int | None] | None, return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AdaptiveMaxPool3d(FunctionModule):
    output_size: int | Sequence[int | None] | None
    return_indices: bool
    def __init__(self, output_size: int | Sequence[int | None] | None, return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AvgPool1d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    ceil_mode: bool
    count_include_pad: bool
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., ceil_mode: bool = ..., count_include_pad: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AvgPool2d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., ceil_mode: bool = ..., count_include_pad: bool = ..., divisor_override: int | None = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class AvgPool3d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., ceil_mode: bool = ..., count_include_pad: bool = ..., divisor_override: int | None = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class ChannelShuffle(FunctionModule):
    groups: int
    def __init__(self, groups: int) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class MaxPool1d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    dilation: int | Sequence[int]
    ceil_mode: bool
    return_indices: bool
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., dilation: int | Sequence[int] = ..., ceil_mode: bool = ..., return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class MaxPool2d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    dilation: int | Sequence[int]
    ceil_mode: bool
    return_indices: bool
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., dilation: int | Sequence[int] = ..., ceil_mode: bool = ..., return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class MaxPool3d(FunctionModule):
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None
    padding: int | Sequence[int]
    dilation: int | Sequence[int]
    ceil_mode: bool
    return_indices: bool
    def __init__(self, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = ..., padding: int | Sequence[int] = ..., dilation: int | Sequence[int] = ..., ceil_mode: bool = ..., return_indices: bool = ...) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class PixelShuffle(FunctionModule):
    upscale_factor: int
    def __init__(self, upscale_factor: int) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
class PixelUnshuffle(FunctionModule):
    downscale_factor: int
    def __init__(self, downscale_factor: int) -> None: ...
    def forward(self, input: Any) -> Tensor: ...
