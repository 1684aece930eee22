"""The measured cases, one file per family.  Libraries are imported by the functions that use them."""

from . import chain, derivatives, graphs, limits, mlp, overhead, recurrent, training

FAMILIES = (mlp, chain, overhead, graphs, recurrent, derivatives, training, limits)
CASES = [case for family in FAMILIES for case in family.CASES]


def find(name):
    """Return the case with this name."""
    return next(case for case in CASES if case.name == name)
