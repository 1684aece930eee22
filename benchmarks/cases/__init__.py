"""The measured cases, one file per family.  Libraries are imported by the functions that use them."""

from . import chain, derivatives, graphs, limits, mlp, networks, overhead, recurrent, science, training, work

FAMILIES = (mlp, work, networks, chain, overhead, graphs, recurrent, derivatives, science, training, limits)
CASES = [case for family in FAMILIES for case in family.CASES]


def find(name):
    """Return the case with this name."""
    return next(case for case in CASES if case.name == name)
