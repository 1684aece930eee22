"""The node types of ONNX: NODES maps each to a function of its inputs, whose keywords are the node's attributes.

A key such as "Softmax/12" is for opsets up to 12.  A function that has an argument `outputs` is told how many results
the node has, and one with `scope` gets all values that are known where the node is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arithmetic import ARITHMETIC
from .control import CONTROL
from .layers import LAYERS
from .recurrence import RECURRENCE
from .resizing import RESIZING
from .shapes import SHAPES
from .values import DTYPES, Unsupported, array

__all__ = ["DTYPES", "NODES", "Unsupported", "array", "function_of"]

NODES: dict[str, Callable[..., Any]] = {**ARITHMETIC, **SHAPES, **LAYERS, **RESIZING, **RECURRENCE, **CONTROL}


def function_of(kind: str, opset: int) -> Callable[..., Any] | None:
    """The function of a node type in an opset, or None if there is none."""
    older = sorted(int(key.partition("/")[2]) for key in NODES if key.startswith(f"{kind}/"))
    last = next((version for version in older if opset <= version), None)
    return NODES.get(kind if last is None else f"{kind}/{last}")
