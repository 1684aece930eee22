"""Weights of a chosen length, of spectral norm 1, and orthogonal ones, under the names of PyTorch's states."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd import Tensor
from autograd.linalg import spectral

from ..convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..functional import normalize
from ..init import default_generator
from ..module import Buffer, Module
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length of each vector of a weight apart from its direction: weight = g v / |v|.

    The state has g as `parametrizations.weight.original0`, with length 1 along all axes but `dim`, and v as
    `original1`.  With `dim=None` there is one length for the whole weight.  Salimans and Kingma 2016.

    >>> import nn
    >>> layer = weight_norm(nn.Linear(20, 40))
    >>> {key: array.shape for key, array in layer.state_dict().items()}
    {'bias': (40,), 'parametrizations.weight.original0': (40, 1), 'parametrizations.weight.original1': (40, 20)}
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        self.dim = -1 if dim is None else dim  # -1 is PyTorch's number for the whole

    def _length(self, v: Any) -> Any:
        if self.dim == -1:
            return np.sqrt(np.sum(v * v))
        if not -v.ndim <= self.dim < v.ndim:
            raise ValueError(f"weight_norm: a weight of shape {v.shape} has no axis {self.dim}")
        axes = tuple(axis for axis in range(v.ndim) if axis != self.dim % v.ndim)
        return np.sqrt(np.sum(v * v, axis=axes, keepdims=True))

    def forward(self, g: Any, v: Any) -> Any:
        return v * (g / self._length(v))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return self._length(weight), weight


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    generator: np.random.Generator | None = None,
) -> Module:
    """Divide a weight by its largest singular value, so that the layer stretches no difference of inputs.

    The weight is a matrix with the axis `dim` first (1 for transposed convolutions, else 0).  Every read in training
    improves the singular vectors, the buffers `_u` and `_v`, by `n_power_iterations`; eval() leaves them.  They start
    from `generator` or that of `nn.manual_seed`, with 15 iterations.  Miyato et al. 2018.

    >>> import nn
    >>> layer = spectral_norm(nn.Linear(20, 40))
    >>> float(np.linalg.norm(layer.eval().weight.data, 2).round(1)) >= 1.0
    True
    """
    if dim is None:
        dim = 1 if isinstance(module, _TRANSPOSED) else 0
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter {name!r}")
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, eps, dim, generator))


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int, eps: float, dim: int, generator: Any) -> None:
        if not -weight.ndim <= dim < weight.ndim:
            raise ValueError(f"spectral_norm: a weight of shape {weight.shape} has no axis {dim}")
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations is at least 1; got {n_power_iterations}")
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            matrix, rng = self._matrix(weight.data), default_generator(generator)
            starts = [rng.standard_normal(n).astype(weight.dtype) for n in matrix.shape]
            self._u, self._v = (Buffer(normalize(start, dim=0, eps=eps)) for start in starts)
            self._improve(matrix, 15)

    def _matrix(self, weight: Any) -> Any:
        return np.reshape(np.moveaxis(weight, self.dim, 0), (weight.shape[self.dim], -1))

    def _improve(self, matrix: Any, times: int) -> None:
        u, v = self._u.data, self._v.data
        for _ in range(times):
            u = normalize(matrix @ v, dim=0, eps=self.eps)
            v = normalize(matrix.T @ u, dim=0, eps=self.eps)
        self._u.assign(u)
        self._v.assign(v)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._improve(matrix.detach().data, self.n_power_iterations)
        return weight / (self._u.data @ (matrix @ self._v.data))

    def right_inverse(self, value: Any) -> Any:
        return value


_MAPS = ("matrix_exp", "cayley", "householder")


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
    generator: np.random.Generator | None = None,
) -> Module:
    """Keep a weight orthogonal: its columns, or its rows if these are fewer, are orthonormal.

    `orthogonal_map` makes an orthogonal matrix of any: "matrix_exp", "cayley" or "householder"; by default the first
    for square and complex weights and the last for others.  With `use_trivialization` it is multiplied by the buffer
    `base`, which keeps the present weight if it is orthogonal, and else makes it so (Lezcano-Casado 2019); without, the
    weight is kept, and can be set, for "householder" alone.  Raises ValueError for a weight that is not a matrix.

    >>> import nn
    >>> q = orthogonal(nn.Linear(3, 5)).weight.data
    >>> bool(np.allclose(q.T @ q, np.eye(3), atol=1e-5))
    True
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        raise ValueError(f"orthogonal() takes a weight of at least two axes; got {np.shape(weight)}")
    square = weight.shape[-1] == weight.shape[-2] or weight.dtype.kind == "c"
    chosen = orthogonal_map or ("matrix_exp" if square else "householder")
    if chosen not in _MAPS:
        raise ValueError(f"orthogonal_map is one of {', '.join(map(repr, _MAPS))}; got {chosen!r}")
    if chosen == "householder" and weight.dtype.kind == "c":
        raise ValueError("orthogonal_map 'householder' is for real weights; use 'matrix_exp' or 'cayley'")
    made = _Orthogonal(weight, chosen, use_trivialization, default_generator(generator))
    return register_parametrization(module, name, made, unsafe=True)


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, kind: str, trivial: bool, generator: Any) -> None:
        self.kind, self.generator = kind, generator
        wide = weight.shape[-1] > weight.shape[-2]
        tall = _transposed(weight.data) if wide else weight.data
        self.base = Buffer(self._completed(tall)) if trivial else None
        self.wide = wide

    def _completed(self, q: Any) -> Any:
        """A square orthogonal matrix (..., n, n) that begins with q, or with what is nearest to it by QR."""
        n, k = q.shape[-2:]
        if n == k and np.allclose(_transposed(q.conj()) @ q, np.eye(n), atol=10 * n * np.finfo(q.dtype).eps):
            return q.copy()
        more = self.generator.standard_normal((*q.shape[:-1], n - k)).astype(q.dtype)
        q, r = np.linalg.qr(np.concatenate([q, more], axis=-1))
        diagonal = np.diagonal(r, axis1=-2, axis2=-1)
        return q * (np.sign(diagonal) + (diagonal == 0))[..., None, :]

    def forward(self, x: Any) -> Any:
        x = _transposed(x) if self.wide else x
        q = _reflected(x) if self.kind == "householder" else _rotation(x, self.kind)
        q = q if self.base is None else self.base.data @ q
        return _transposed(q) if self.wide else q

    def right_inverse(self, weight: Any) -> Any:
        weight = weight.data if isinstance(weight, Tensor) else weight
        tall = _transposed(weight) if self.wide else weight
        if self.base is not None:
            if not np.array_equal(completed := self._completed(tall), self.base.data):
                self.base.assign(completed)
            start = np.broadcast_to(-np.eye(*weight.shape[-2:], dtype=weight.dtype), weight.shape)
            return start.copy()  # -1: a reflection along an axis changes its sign, so that householder(start) is 1
        if self.kind != "householder":
            raise NotImplementedError(
                f"orthogonal_map {self.kind!r} has no inverse here: leave use_trivialization=True to set a weight"
            )
        return _transposed(_reflectors(tall)) if self.wide else _reflectors(tall)


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _rotation(x: Any, kind: str) -> Any:
    """The first columns of an orthogonal matrix, from the lower triangle of x (..., n, k)."""
    n, k = x.shape[-2:]
    low = np.tril(x)
    if n != k:
        low = np.concatenate([low, np.zeros((*x.shape[:-1], n - k), x.dtype)], axis=-1)
    a = low - np.conj(_transposed(low))
    if kind == "matrix_exp":
        q = _exponential(a * -1j)  # a Hermitian matrix
        q = q if a.dtype.kind == "c" else q.real
    else:
        one = np.eye(n, dtype=x.dtype)
        q = np.linalg.solve(one - 0.5 * a, one + 0.5 * a)
    return q[..., :k]


_exponential = spectral(lambda w: np.exp(1j * w), lambda w: 1j * np.exp(1j * w))


def _reflected(x: Any) -> Any:
    """The product of Householder reflections, each by a column of x (..., n, k) below its diagonal."""
    n, k = x.shape[-2:]
    vectors = np.tril(x, -1) + np.eye(n, k, dtype=x.dtype)
    q = np.broadcast_to(np.eye(n, k, dtype=x.dtype), x.shape)
    for i in reversed(range(k)):
        v = vectors[..., i : i + 1]
        q = q - v @ (_transposed(v) @ q) * (2.0 / np.sum(v * v, axis=-2, keepdims=True))
    plain = x.data if isinstance(x, Tensor) else x
    return q * np.trunc(np.diagonal(plain, axis1=-2, axis2=-1))[..., None, :]  # of 1 and -1, which are not learned


def _reflectors(q: Any) -> Any:
    """The vectors of `_reflected`, below a diagonal of signs, for an orthogonal q (..., n, k): LAPACK's geqrf."""
    raw, tau = np.linalg.qr(q, mode="raw")
    a = _transposed(raw).copy()
    rows = np.arange(a.shape[-1])
    signs = np.sign(a[..., rows, rows])
    a[..., rows, rows] = np.where(tau == 0, -signs, signs)
    return a.astype(q.dtype)
