"""Multiply-adds: the products of numbers, each added to a sum, in the matrix products that a graph records."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Shapes = list[tuple[int, ...]]


def _rows(node: Any, shapes: Shapes) -> int:
    return math.prod(node.shape) * shapes[0][-1]


def _kernel(node: Any, shapes: Shapes) -> int:
    """A convolution: each output reads a kernel in every channel of its group."""
    return math.prod(node.shape) * math.prod(shapes[1][1:])


def _kernel_of_inputs(node: Any, shapes: Shapes) -> int:
    """A transposed convolution: each input goes to a kernel in every channel of its group."""
    return math.prod(shapes[0]) * math.prod(shapes[1][1:])


def _steps(node: Any, shapes: Shapes) -> int:
    """A recurrence: in each step both weights multiply each sample; `counts` has the samples of each step."""
    counts = node.params["counts"]
    samples = math.prod(shapes[0][:2]) if counts is None else sum(counts)
    return samples * (math.prod(shapes[1]) + math.prod(shapes[2]))


# By the names of ops; what is not here multiplies no matrices.
PRODUCTS: dict[str, Callable[[Any, Shapes], int]] = {
    "matmul": _rows,
    "linear": _rows,
    "convolution": _kernel,
    "convolution_input": _kernel_of_inputs,
    "recurrent": _steps,
}


def multiply_adds(node: Any) -> int:
    """The multiply-adds of one op; a bias is not counted.

    >>> import numpy as np
    >>> from autograd import Tensor
    >>> multiply_adds((Tensor(np.ones((2, 3)), requires_grad=True) @ np.ones((3, 4))).node)
    24
    """
    count = PRODUCTS.get(node.op.name)
    if count is None:
        return 0
    pairs = zip(node.edges, node.kept[1:], strict=True)
    return count(node, [tuple(getattr(array if edge is None else edge, "shape", ()) or ()) for edge, array in pairs])
