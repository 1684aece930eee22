"""The type of traced arrays: Tensor."""

from autograd import Tensor

from .. import tracer as tracer

ArrayBox = Tensor
