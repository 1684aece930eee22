"""numpy.linalg, whose functions take Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.linalg as _linalg

from .numpy_wrapper import wrap_namespace

wrap_namespace(vars(_linalg), globals())


_eigh: Any = _linalg.eigh


def _whole(a: Any, UPLO: str) -> Any:
    """The symmetric (Hermitian) matrix that one triangle of `a` stands for, so that only this one has a gradient."""
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    lower = UPLO.upper() == "L"
    part, rest = (np.tril(a), np.tril(a, -1)) if lower else (np.triu(a), np.triu(a, 1))
    return part + np.conj(np.swapaxes(rest, -1, -2))


def eigh(a: Any, UPLO: str = "L") -> Any:
    """np.linalg.eigh, with a gradient in the triangle that it reads; ours is symmetric."""
    return _eigh(a if isinstance(a, np.ndarray) else _whole(a, UPLO), UPLO)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues alone."""
    return eigh(a, UPLO)[0]
