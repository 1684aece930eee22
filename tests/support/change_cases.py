"""Kinds of change between two calls of a compiled function, and how each is noticed.

A case returns a function of an array, and another that makes the change; what this returns, if anything, are the
arguments of later calls.  A case is noticed by a "guard", which looks in every call and makes another program (or by
the program itself, which reads an array, a weight or a learning rate anew), or by the next "audit".
"""

from __future__ import annotations

import numpy as np

CASES = []  # (case, how it is noticed)
ONE = np.ones(2)


def guard(case):
    CASES.append((case, "guard"))
    return case


def audit(case):
    CASES.append((case, "audit"))
    return case


def text(case):
    """The name of a case as words."""
    return case.__name__.replace("_", " ")


def in_space(code, **space):
    """The function f of a module with this code, and the module's names."""
    exec(code, space)
    return space["f"], space
