"""Leaves to differentiate by."""

from __future__ import annotations

import numpy as np

from autograd import Tensor


def leaf(*numbers, dtype=float, name=None):
    """A Tensor of these numbers that requires a gradient; 0-d for one number."""
    return Tensor(np.array(numbers if len(numbers) != 1 else numbers[0], dtype), requires_grad=True, name=name)
