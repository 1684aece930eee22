"""The array behind whatever a user gave."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Tensor


def array_of(x: Any) -> Any:
    """The array of a Tensor, an array that knows NumPy's functions as it is, and anything else as NumPy reads it."""
    return x.data if isinstance(x, Tensor) else x if hasattr(x, "__array_function__") else np.asarray(x)
