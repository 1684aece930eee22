"""Every derivative rule, and nothing else: one module per family."""

from . import elementwise, index, linalg, plain, reduce, shape
