"""Kinds of change between two calls of a compiled function, and how each is noticed.

A case returns a function of an array, and another that makes the change; what this returns, if anything, are the
arguments of later calls.  A case is noticed by a "guard", which looks in every call and makes another program (or by
the program itself, which reads an array, a weight or a learning rate anew), or by the next "audit".
"""

from __future__ import annotations

import numpy as np

ONE = np.ones(2)


def registry():
    """A list of (case, how it is noticed), and the decorators that add to it."""
    cases = []

    def noticed_by(how):
        def add(case):
            cases.append((case, how))
            return case

        return add

    return cases, noticed_by("guard"), noticed_by("audit")


def text(case):
    """The name of a case as words."""
    return case.__name__.replace("_", " ")


def in_space(code, **space):
    """The function f of a module with this code, and the module's names."""
    exec(code, space)
    return space["f"], space
