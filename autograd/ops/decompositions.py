"""Rules of the decompositions of np.linalg: cholesky, eigh, eig, svd, qr.

A decomposition has several results; its op packs them as the rows of one array, and a function written with ops unpacks
them.  So the rule sees all their gradients at once.  The formulas are those of
M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation" (2008), and
J. Townsend, "Differentiating the singular value decomposition" (2016).
"""

from __future__ import annotations

import numpy as np

from ..op import differentiable
from ..registry import Operation
from . import unitary
from .gaps import between, conditions, over_singular, over_triangle, read, unless, vanishing, vectors_of
from .index import array_of, only_real
from .portable import identity
from .products import matmul, transposed
from .register import CASES, Case, composite, domain
from .triangles import solve_upper

# ---- parts of the rules


def _adjoint(x):
    """The conjugate transpose of each matrix."""
    return transposed(x).conj()


def _cholesky_rule(g, y, _x):
    """NumPy reads only the lower triangle; this gradient is symmetric (Hermitian, if complex)."""
    s = transposed(y) @ g
    half = np.tril(s) - 0.5 * _diagonal_part(s)
    back = transposed(solve_upper(_adjoint(y), transposed(solve_upper(transposed(y), half))))
    return 0.5 * (back + _adjoint(back))


def _diagonal_part(x):
    return x * identity(x)


def _spread(w, x):
    """Diagonal matrices with the rows of w."""
    return w[..., None, :] * identity(x)


cholesky: Operation = differentiable(
    np.linalg.cholesky,
    _cholesky_rule,
    numpy=[np.linalg.cholesky],
    beyond=lambda a, *, upper=False: _adjoint(cholesky(_adjoint(a))) if upper else cholesky(a),
)


def _eigh_forward(x, uplo="L"):
    only_real("eigh", x)
    w, v = np.linalg.eigh(x, uplo)
    return np.concatenate([w[..., None, :], v, np.zeros_like(w)[..., None, :]], axis=-2)


def _eigh_rule(g, y, _x, *, uplo: str = "L"):
    w, v, gw, gv = y[..., 0, :], vectors_of(y)[..., 1:-1, :], g[..., 0, :], g[..., 1:-1, :]
    inner, seen = _spread(gw, v), read(g, 0)
    if seen.any():
        inner = inner + between(transposed(v) @ gv, w, seen, name="eigh")
    gx = v @ inner @ transposed(v)
    return 0.5 * (gx + transposed(gx))


_eigh_rows: Operation = differentiable(_eigh_forward, _eigh_rule, name="eigh_rows")
_EIGH = type(np.linalg.eigh(np.eye(1)))


def _eigh(a, UPLO: str = "L"):
    if np.iscomplexobj(a):
        return _EIGH(*unitary.eigh(a, UPLO))
    rows = _eigh_rows(a, uplo=UPLO)
    return _EIGH(rows[..., 0, :], vectors_of(rows)[..., 1:-1, :])


eigh = composite(_eigh, np.linalg.eigh)
eigvalsh = composite(
    lambda a, UPLO="L": unitary.eigh(a, UPLO)[0] if np.iscomplexobj(a) else _eigh_rows(a, uplo=UPLO)[..., 0, :],
    np.linalg.eigvalsh,
)


def _eig_forward(x):
    only_real("eig", x)
    w, v = np.linalg.eig(x)
    if np.any(np.imag(w)):
        raise TypeError("eig: the eigenvalues are not all real, and only real spectra have a derivative rule")
    return np.concatenate([np.real(w)[..., None, :], np.real(v), np.zeros_like(np.real(w))[..., None, :]], axis=-2)


def _eig_rule(g, y, _x):
    """Eigenvectors have length 1, so the part of gv along each eigenvector is removed first.

    Rounding moves the eigenvalues by eps times the condition number of the vectors, and of a matrix without a basis of
    eigenvectors it decides all: gradients are NaN there, unless all eigenvalues have the same, as in a trace.
    """
    w, v, gw, gv = y[..., 0, :], vectors_of(y)[..., 1:-1, :], g[..., 0, :], g[..., 1:-1, :]
    (condition, defective), seen = conditions(v), read(g, 0)
    middle = np.mean(gw, axis=-1, keepdims=True)
    inner = _spread(unless(defective, gw, middle, "eig"), v)
    if seen.any():
        gv = gv - v * np.sum(v * gv, axis=-2, keepdims=True)
        seen = seen | (defective & seen.any(axis=-1))[..., None]
        inner = inner + between(transposed(v) @ gv, w, seen, name="eig", condition=condition)
    basis = np.where(defective[..., None, None], identity(v), v)
    gx = np.linalg.solve(transposed(basis), inner @ transposed(basis))
    return gx + _spread(np.broadcast_to(middle, gw.shape), v)


_eig_rows = differentiable(_eig_forward, _eig_rule, name="eig_rows")
_EIG = type(np.linalg.eig(np.eye(1)))


def _as_numpys(x, function):
    """Since NumPy 2.5, eig and eigvals return complex arrays even for real results."""
    return x.astype(np.result_type(x.dtype, np.complex64)) if np.iscomplexobj(function(np.eye(1))[0]) else x


def _is_real(a) -> bool:
    """Whether matrices have real eigenvalues only."""
    return not np.iscomplexobj(a) and not np.any(np.imag(np.linalg.eigvals(array_of(a))))


def _eig(a):
    if not _is_real(a):
        return _EIG(*unitary.eig(a))
    rows = _eig_rows(a)
    return _EIG(_as_numpys(rows[..., 0, :], np.linalg.eig), _as_numpys(vectors_of(rows)[..., 1:-1, :], np.linalg.eig))


def _eigvals(a):
    if not _is_real(a):
        return unitary.eig(a)[0]
    return _as_numpys(_eig_rows(a)[..., 0, :], np.linalg.eigvals)


eig = composite(_eig, np.linalg.eig)
eigvals = composite(_eigvals, np.linalg.eigvals)


def _svd_forward(x):
    only_real("svd", x)
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([u, s[..., None, :], transposed(vh), np.zeros_like(s)[..., None, :]], axis=-2)


def _svd_rule(g, y, _x):
    """Townsend's formula, with 1 / (t**2 - s**2) split into 1 / (t - s) and 1 / (t + s).

    So only the first is lost if two singular values s and t are equal, and only the second if both are 0.
    """
    m, n = _x.shape[-2:]
    vectors = vectors_of(y)
    u, s, v = vectors[..., :m, :], y[..., m, :], vectors[..., m + 1 : -1, :]
    gu, gs, gv = g[..., :m, :], g[..., m, :], g[..., m + 1 : -1, :]
    seen = read(g, m)
    if not seen.any():  # singular values alone: where they are 0, the middle of the slopes -1 and 1
        return u @ _spread(np.where(vanishing(s), 0.0, gs), v) @ transposed(v)
    uu, vv = transposed(u) @ gu, transposed(v) @ gv
    apart = between(0.5 * (uu + vv), s, seen, name="svd")
    turn = between(0.5 * (uu - vv), s, seen, name="svd", plus=True)
    gx = u @ (apart + transposed(apart) + turn - transposed(turn) + _spread(gs, apart)) @ transposed(v)
    if m > n:
        gx = gx + over_singular(gu - u @ uu, s, seen) @ transposed(v)
    if n > m:
        gx = gx + u @ transposed(over_singular(gv - v @ vv, s, seen))
    return gx


_svd_rows = differentiable(_svd_forward, _svd_rule, name="svd_rows")
_SVD = type(np.linalg.svd(np.eye(1)))


def _svd(a, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False):
    """u, s and vh, or s alone."""
    if hermitian:
        return _svd_of_hermitian(a, compute_uv)
    m, n = a.shape[-2:]
    if not compute_uv:
        return unitary.svd(a)[1] if np.iscomplexobj(a) else _svd_rows(a)[..., m, :]
    if full_matrices and m != n:
        raise ValueError(
            "svd: beyond the first min(m, n) the singular vectors are arbitrary and have no gradient; "
            "pass full_matrices=False"
        )
    if np.iscomplexobj(a):
        return _SVD(*unitary.svd(a))
    rows = _svd_rows(a)
    vectors = vectors_of(rows)
    return _SVD(vectors[..., :m, :], rows[..., m, :], transposed(vectors[..., m + 1 : -1, :]))


def lower_mirrored(a):
    """The symmetric matrix with the lower triangle of a, which is all that NumPy reads of hermitian matrices."""
    return np.tril(a) + np.conj(transposed(np.tril(a, -1)))


def _svd_of_hermitian(a, compute_uv: bool):
    """By the eigenvalues, whose absolute values are the singular values; only the lower triangle is read."""
    w, v = _eigh(lower_mirrored(a))
    order = np.argsort(-np.abs(array_of(w)), axis=-1)
    w, v = np.take_along_axis(w, order, -1), np.take_along_axis(v, order[..., None, :], -1)
    s = np.abs(w)
    return _SVD(v, s, np.conj(transposed(v * np.sign(w)[..., None, :]))) if compute_uv else s


svd = composite(_svd, np.linalg.svd)
svdvals = composite(lambda x, /: _svd(x, compute_uv=False), np.linalg.svdvals)


def _qr_forward(x):
    only_real("qr", x)
    q, r = np.linalg.qr(x)
    return np.concatenate([q, transposed(r)], axis=-2)


def _qr_rule(g, y, _x):
    m = _x.shape[-2]
    q, r, gq, gr = y[..., :m, :], transposed(y[..., m:, :]), g[..., :m, :], np.triu(transposed(g[..., m:, :]))
    inner = r @ transposed(gr) - transposed(gq) @ q
    low = np.tril(inner, -1)
    return over_triangle(gq + q @ (low + transposed(low) + _diagonal_part(inner)), r)


_qr_rows = differentiable(_qr_forward, _qr_rule, name="qr_rows")
_QR = type(np.linalg.qr(np.eye(1)))


def _qr(a, mode: str = "reduced"):
    """A wide matrix is [x, z] with x square: q is that of x, and r is q transposed times the whole matrix."""
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise ValueError(f"qr: mode {mode!r} has no derivative rule for shape {a.shape}; use mode='reduced'")
    square = a[..., :, : min(m, n)]
    if np.iscomplexobj(a):
        q, r = unitary.qr(square)
    else:
        rows = _qr_rows(square)
        q, r = rows[..., :m, :], transposed(rows[..., m:, :])
    if n > m:
        r = np.concatenate([r, np.conj(transposed(q)) @ a[..., :, m:]], axis=-1)
    return r if mode == "r" else _QR(q, r)


qr = composite(_qr, np.linalg.qr)

# ---- test data: valid matrices from arbitrary numbers


def well_conditioned(x):
    """A square matrix, moved away from singular ones."""
    return x + 3.0 * np.eye(x.shape[-1], dtype=x.dtype)


def _symmetric(x):
    """A symmetric matrix with eigenvalues well apart."""
    return 0.2 * (x + _adjoint(x)) + np.diag(np.arange(x.shape[-1], dtype=x.dtype) * 2.0)


def _positive(x):
    """A symmetric positive definite matrix."""
    return matmul(x, _adjoint(x)) + np.eye(x.shape[-1], dtype=x.dtype)


def _real_spectrum(x):
    """A matrix that is not symmetric and has real eigenvalues well apart."""
    return 0.1 * x + np.diag(np.arange(x.shape[-1], dtype=x.dtype) * 2.0)


SQUARE = [Case((3, 3)), Case((2, 3, 3)), Case((1, 1))]

CASES[cholesky] = domain(_positive, *SQUARE, Case((2, 3, 3), upper=True))
CASES[_eigh_rows] = domain(_symmetric, Case((3, 3)), Case((2, 3, 3), uplo="U"))
CASES[eigh] = domain(_symmetric, Case((3, 3)), Case((2, 3, 3), UPLO="U"), Case((1, 1)))
CASES[eigvalsh] = domain(_symmetric, *SQUARE)
CASES[_eig_rows] = domain(_real_spectrum, *SQUARE)
CASES[eig] = domain(_real_spectrum, *SQUARE)
CASES[eigvals] = domain(_real_spectrum, *SQUARE)
CASES[_svd_rows] = [Case((3, 3)), Case((4, 2)), Case((2, 3)), Case((2, 3, 2))]
CASES[svd] = [
    Case((3, 3)),
    Case((4, 2), full_matrices=False),
    Case((2, 3), full_matrices=False),
    Case((2, 2, 3), compute_uv=False),
]
CASES[svdvals] = [Case((3, 3)), Case((2, 4, 2))]
CASES[_qr_rows] = [Case((3, 3)), Case((4, 2)), Case((2, 3, 2))]
CASES[qr] = [Case((3, 3)), Case((4, 2)), Case((2, 4)), Case((2, 3, 2), mode="r")]
