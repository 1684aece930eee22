"""Rules of the decompositions of complex matrices: eigh, eig, svd, qr; and eig of real ones with complex eigenvalues.

The vectors are only determined up to a phase, which NumPy chooses arbitrarily.  A result that depends on it has no
derivative: a rule raises TypeError when its gradient has a part along the phase.  The formulas are those of the real
decompositions with conjugates (C. Hubig, "Use and implementation of autodifferentiation in tensor network methods with
complex scalars", 2019; Z.-Q. Wan and S.-X. Zhang, "Automatic differentiation for complex valued SVD", 2019); they are
written for the gradient d/dx + i d/dy, the conjugate of what the walk sends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import differentiable
from ..registry import Operation
from .gaps import between, inverse, over_singular, over_triangle, read, vectors_of
from .portable import identity
from .products import transposed
from .register import CASES, COMPLEX, Case, domain


def _adjoint(x):
    return transposed(x).conj()


def _diagonal(x):
    return np.diagonal(x, 0, -2, -1)


def _spread(w, x):
    """Diagonal matrices with the rows of w."""
    return w[..., None, :] * identity(x)


def _must_not_turn(g, turned, name: str) -> None:
    """Raise TypeError if `turned` (..., n), the gradient along the phase of each vector, is not 0.

    Gradients that are themselves recorded are not looked at: the transposed rule of `jvp` gets arbitrary ones.
    """
    if hasattr(g, "requires_grad") or not g.size:
        return
    if np.max(np.abs(turned)) > np.sqrt(np.finfo(g.dtype).eps) * np.max(np.abs(g[..., :-1, :])):
        raise TypeError(
            f"{name}: the result depends on the phase of the vectors, which is arbitrary, so it has no derivative; use "
            f"what the phase does not change, such as np.abs(v) or v @ v.conj().T"
        )


def _blank(w):
    """The last row of packed results, for `vectors_of`."""
    return np.zeros_like(w)[..., None, :]


# ---- eigh


def _eigh_forward(x):
    w, v = np.linalg.eigh(x)
    return np.concatenate([w[..., None, :], v, _blank(w)], axis=-2)


def _eigh_rule(g, y, _x):
    w, v = np.real(y[..., 0, :]), vectors_of(y)[..., 1:-1, :]
    gw, gv = np.real(g[..., 0, :]), g[..., 1:-1, :].conj()
    vv = _adjoint(v) @ gv
    _must_not_turn(g, np.imag(_diagonal(vv)), "eigh")
    gx = v @ (_spread(gw, vv) + between(vv, w, read(g, 0), name="eigh")) @ _adjoint(v)
    return 0.5 * (gx + _adjoint(gx)).conj()


def eigh(a, uplo: str) -> tuple[Any, Any]:
    """The eigenvalues, real, and the eigenvectors of Hermitian matrices."""
    rows = _rows(_adjoint(a) if uplo.upper() == "U" else a, kind="eigh")  # the other triangle
    return np.real(rows[..., 0, :]), vectors_of(rows)[..., 1:-1, :]


# ---- eig


def _eig_forward(x):
    w, v = np.linalg.eig(x)
    return np.concatenate([w[..., None, :], v, _blank(w)], axis=-2) + 0j


def _eig_rule(g, y, _x):
    """Eigenvectors have length 1, so the part of gv along each of them is removed."""
    w, v, gw, gv = y[..., 0, :], vectors_of(y)[..., 1:-1, :], g[..., 0, :].conj(), g[..., 1:-1, :].conj()
    vv = _adjoint(v) @ gv
    _must_not_turn(g, np.imag(_diagonal(vv)), "eig")
    vv = vv - (_adjoint(v) @ v) * np.real(_diagonal(vv))[..., None, :]
    inner = _spread(gw, vv) + between(vv, w.conj(), read(g, 0), name="eig")
    return np.linalg.solve(_adjoint(v), inner @ _adjoint(v)).conj()


def eig(a) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors, complex, of any square matrices."""
    rows = _rows(a, kind="eig")
    return rows[..., 0, :], vectors_of(rows)[..., 1:-1, :]


# ---- svd


def _svd_forward(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([u, s[..., None, :], _adjoint(vh), _blank(s)], axis=-2)


def _svd_rule(g, y, _x):
    """A vector of u and its partner in v may turn together; the part of gu that turns u alone turns x."""
    m, n = _x.shape[-2:]
    vectors, seen = vectors_of(y), read(g, m)
    u, s, v = vectors[..., :m, :], np.real(y[..., m, :]), vectors[..., m + 1 : -1, :]
    gu, gs, gv = g[..., :m, :].conj(), np.real(g[..., m, :]), g[..., m + 1 : -1, :].conj()
    uu, vv = _adjoint(u) @ gu, _adjoint(v) @ gv
    turned = np.imag(_diagonal(uu))
    _must_not_turn(g, turned + np.imag(_diagonal(vv)), "svd")
    row, column = s[..., None, :], s[..., :, None]
    sums = [between(x - _adjoint(x), s, seen, name="svd", plus=True) for x in (uu, vv)]
    apart = [between(x, s, seen, name="svd") for x in sums]
    turn = over_singular(turned[..., None, :], s, seen)[..., 0, :]
    inner = apart[0] * row + column * apart[1] + _spread(gs + 1j * turn, uu)
    gx = u @ inner @ _adjoint(v)
    if m > n:
        gx = gx + over_singular(gu - u @ uu, s, seen) @ _adjoint(v)
    if n > m:
        gx = gx + u @ _adjoint(over_singular(gv - v @ vv, s, seen))
    return gx.conj()


def svd(a) -> tuple[Any, Any, Any]:
    """u, s and vh, without the vectors beyond the first min(m, n)."""
    m = a.shape[-2]
    rows = _rows(a, kind="svd")
    vectors = vectors_of(rows)
    return vectors[..., :m, :], np.real(rows[..., m, :]), _adjoint(vectors[..., m + 1 : -1, :])


# ---- qr: its phases are chosen so that the diagonal of r is real


def _qr_forward(x):
    q, r = np.linalg.qr(x)
    return np.concatenate([q, transposed(r)], axis=-2)


def _qr_rule(g, y, _x):
    m = _x.shape[-2]
    q, r, gq = y[..., :m, :], transposed(y[..., m:, :]), g[..., :m, :].conj()
    gr = np.triu(transposed(g[..., m:, :])).conj()
    inner = np.triu(gr @ _adjoint(r) - _adjoint(q) @ gq)
    upper = np.triu(inner, 1)
    whole = upper + _adjoint(upper) + _spread(np.real(_diagonal(inner)), inner)
    return over_triangle(gq + q @ whole, r.conj()).conj()


def qr(a) -> tuple[Any, Any]:
    """q and r of matrices that are not wide."""
    m = a.shape[-2]
    rows = _rows(a, kind="qr")
    return rows[..., :m, :], transposed(rows[..., m:, :])


# One op serves all four: of their results, only that of qr does not depend on a phase, and can be tested alone.
_KINDS = {
    "eigh": (_eigh_forward, _eigh_rule),
    "eig": (_eig_forward, _eig_rule),
    "svd": (_svd_forward, _svd_rule),
    "qr": (_qr_forward, _qr_rule),
}
_rows: Operation = differentiable(
    lambda x, kind: _KINDS[kind][0](x),
    lambda g, y, _x, *, kind: _KINDS[kind][1](g, y, _x),
    name="complex_rows",
)

# ---- the sign of a determinant: it turns as the imaginary part of d log det = tr(inv(x) dx)

sign: Operation = differentiable(
    lambda x: np.linalg.slogdet(x)[0],
    lambda g, y, x: 1j * np.imag(g * y)[..., None, None] * transposed(inverse(x, y == 0, "slogdet")),
    name="complex_sign_of_det",
)

# ---- test data

CASES[_rows] = domain(COMPLEX, Case((3, 3), kind="qr"), Case((2, 4, 3), kind="qr"))
CASES[sign] = domain(COMPLEX, Case((3, 3)), Case((2, 3, 3)))
