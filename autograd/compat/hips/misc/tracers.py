"""Functions whose graph HIPS keeps; `autograd.compile` is what repeats a call without tracing it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """`fun` with its first arguments given; each call runs it as written."""
    return functools.partial(fun, *args, **kwargs)
