"""numpy.linalg, whose functions take Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.linalg as _linalg

from autograd import CASES, Case, differentiable

from .numpy_wrapper import wrap_namespace

wrap_namespace(vars(_linalg), globals())


_eigh: Any = _linalg.eigh


def _parts(a: Any, lower: bool) -> tuple[Any, Any]:
    """One triangle of a matrix, with and without its diagonal."""
    return (np.tril(a), np.tril(a, -1)) if lower else (np.triu(a), np.triu(a, 1))


def _adjoint(a: Any) -> Any:
    return np.swapaxes(a, -1, -2).conj()


def _from_triangle(a: Any, lower: bool) -> Any:
    part, rest = _parts(a, lower)
    return part + _adjoint(rest)


def _to_triangle(g: Any, _y: Any, _x: Any, *, lower: bool) -> Any:
    return _parts(g, lower)[0] + _parts(_adjoint(g), lower)[1]


# The symmetric (Hermitian) matrix that one triangle stands for, so that only this one has a gradient.
from_triangle = differentiable(_from_triangle, _to_triangle, name="from_triangle")
CASES[from_triangle] = [Case((3, 3), lower=True), Case((2, 3, 3), lower=False)]


def eigh(a: Any, UPLO: str = "L") -> Any:
    """np.linalg.eigh, with a gradient in the triangle that it reads; ours is symmetric."""
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return _eigh(a if isinstance(a, np.ndarray) else from_triangle(a, lower=UPLO.upper() == "L"), UPLO)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues alone."""
    return eigh(a, UPLO)[0]
