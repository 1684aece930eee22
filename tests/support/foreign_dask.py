"""How many ops compute Dask arrays without computing anything: `python tests/support/foreign_dask.py` (a minute)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import foreign_ops
from autograd import OPS


def _refuse(*_args: Any, **_options: Any) -> None:
    raise RuntimeError("something was computed")


def lazy(order: int) -> set[str]:
    """The ops of which every case gives Dask arrays with NumPy's numbers, and computes nothing until these are read."""
    import dask
    import dask.array as da

    def to(a: Any) -> Any:
        return da.from_array(np.asarray(a))

    eager = set()
    for name, i in foreign_ops.CALLS:
        try:
            with dask.config.set(scheduler=_refuse):
                there = foreign_ops.levels(name, i, to, order)
            for a, b in zip(there, foreign_ops.levels(name, i, np.asarray, order), strict=True):
                if b is not None:
                    a, b = (x.data if hasattr(x, "requires_grad") else x for x in (a, b))
                    assert isinstance(a, da.Array)
                    np.testing.assert_allclose(a.compute(scheduler="sync"), b, rtol=1e-10, atol=1e-12)
        except Exception:  # whatever it is, this op is not counted
            eager.add(name)
    return set(OPS) - eager


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for order, level in enumerate(foreign_ops.LEVELS):
        print(f"lazy {level}: {len(lazy(order))} of {len(OPS)}")
