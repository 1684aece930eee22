"""Generators of random numbers, put back to where they were when a run comes to nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


class Draw:
    """Where a generator is now; nothing for what is no generator."""

    def __init__(self, generator: Any) -> None:
        self.generator: Any = getattr(generator, "bit_generator", getattr(generator, "_bit_generator", generator))
        self.state: Any = None
        if isinstance(self.generator, np.random.BitGenerator):
            self.state = self.generator.state
        elif isinstance(self.generator, random.Random):
            self.state = self.generator.getstate()

    def put_back(self) -> None:
        """Let it go on from there."""
        if isinstance(self.generator, np.random.BitGenerator):
            self.generator.state = self.state
        elif isinstance(self.generator, random.Random):
            self.generator.setstate(self.state)
