"""Values and gradients compared with PyTorch's, wherever it has the op (extra `oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
from autograd import OPS
from autograd.ops.register import cases_of
from samples import CALLS, gradients, is_shape, joined, replaced, sample, varied

torch = pytest.importorskip("torch")

SAME = """
add subtract multiply divide negative positive reciprocal square sqrt exp exp2 expm1 log log2 log10 log1p
logaddexp logaddexp2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg
hypot arctan2 abs sinc i0 copysign fmax fmin maximum minimum remainder fmod floor ceil trunc sign float_power
imag matmul kron inner cumulative_sum tril triu where diag nansum nanmean moveaxis
""".split()
LINALG = ["inv", "solve", "det", "cholesky", "eigvalsh", "svdvals", "matrix_power", "pinv", "multi_dot", "matrix_norm"]
FFT = ["fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "fftn", "ifftn", "rfftn", "irfftn", "hfft", "ihfft"]
SPECIAL = """
erf erfc erfinv expit logit gammaln digamma xlogy xlog1py entr ndtr log_ndtr i0e i1e
""".split()


def dims(function):
    """PyTorch's function under NumPy's keywords."""

    def call(*inputs, axis=None, keepdims=None, **params):
        params |= {} if axis is None else {"dim": axis}
        return function(*inputs, **params, **({} if keepdims is None else {"keepdim": keepdims}))

    return call


def reduction(function):
    def call(x, axis=None, keepdims=False, **params):
        if axis == ():  # to PyTorch, all axes
            return x * 1
        axis = tuple(range(x.ndim)) if axis is None else axis
        return function(x, dim=axis, keepdim=keepdims, **params)

    return call


def scan(function):
    return lambda x, axis=None: function(x, axis) if axis is not None else function(x.reshape(-1), 0)


def fourier(function):
    def call(x, axis=None, axes=None, **params):
        dim = axis if axes is None else axes
        return function(x, **params) if dim is None else function(x, dim=dim, **params)

    return call


def integral(y, x, dx, axis):
    if x is None:
        return torch.trapezoid(y, dx=dx, dim=axis)
    return torch.trapezoid(y, x.reshape(-1, 1) if axis == 0 else x, dim=axis)


def pairs(axes):
    return axes if isinstance(axes, int) else [[i] if isinstance(i, int) else i for i in axes]


ORACLE = {name: dims(getattr(torch, name)) for name in SAME if hasattr(torch, name)}
ORACLE |= {name: dims(getattr(torch.linalg, name)) for name in LINALG}
ORACLE |= {name: fourier(getattr(torch.fft, name)) for name in FFT}
ORACLE |= {name: getattr(torch.special, name) for name in SPECIAL}
ORACLE |= {
    "power": torch.pow,
    "real": lambda x: torch.real(x) if x.is_complex() else x,
    "conjugate": torch.conj,
    "clip": lambda x, low, high: torch.clip(x, low, high),
    "reshape": lambda x, shape: torch.reshape(x, shape if isinstance(shape, tuple) else (shape,)),
    "transpose": lambda x, axes=None: x.permute(axes or tuple(range(x.ndim))[::-1]),
    "concatenate": lambda xs, axis=0: torch.cat([x.reshape(-1) for x in xs] if axis is None else xs, axis or 0),
    "stack": lambda xs, axis=0: torch.stack(xs, axis),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "logsumexp": reduction(torch.logsumexp),
    "var": lambda x, ddof=0, **p: reduction(torch.var)(x, correction=ddof, **p),
    "std": lambda x, ddof=0, **p: reduction(torch.std)(x, correction=ddof, **p),
    "norm2": reduction(torch.linalg.vector_norm),
    "vdot": lambda a, b: torch.vdot(a.reshape(-1), b.reshape(-1)),
    "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, pairs(axes)),
    "sort": lambda x, axis=-1: torch.sort(x, dim=axis)[0] if axis is not None else torch.sort(x.reshape(-1))[0],
    "diff": lambda a, n=1, axis=-1: torch.diff(a, n, axis),
    "flip": lambda m, axis=None: m.flip(tuple(range(m.ndim)) if axis is None else axis),
    "take_along_axis": lambda x, i, axis: torch.take_along_dim(x, torch.as_tensor(i), axis),
    "slogdet": torch.linalg.slogdet,
    "trapezoid": lambda y, x=None, dx=1.0, axis=-1: integral(y, x, dx, axis),
    "cumsum": scan(torch.cumsum),
    "cumprod": scan(torch.cumprod),
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "einsum": lambda text, *xs, optimize=False: torch.einsum(text, *xs),
    "angle": lambda z, deg=False: torch.rad2deg(torch.angle(z)) if deg else torch.angle(z),
    "outer": lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "linear": torch.nn.functional.linear,
    "softmax": lambda x, dim=-1: torch.softmax(x, dim),
    "log_softmax": lambda x, dim=-1: torch.log_softmax(x, dim),
    "softmax_cross_entropy": lambda x, p: -(p * torch.log_softmax(x, -1)).sum(-1),
}
# Cases that PyTorch's function does not take: an axis of (), NumPy's keywords, arrays as bounds.
LEFT_OUT = {"where", "initial", "mean", "correction", "prepend", "include_initial", "order"}
# At the points that these cases are about (a singular matrix; 1e-9) PyTorch's gradient is an approximation.
POINTS = {"det", "sinc"}
COMPARED = [
    (name, i)
    for name, i in CALLS
    if name in ORACLE
    and not LEFT_OUT & cases_of(OPS[name])[i].params.keys()
    and not (name in POINTS and not is_shape(cases_of(OPS[name])[i].inputs[0]))
]


def torch_of(x):
    if isinstance(x, list):
        return [torch_of(item) for item in x]
    return torch.tensor(x, requires_grad=x.dtype.kind in "fc") if isinstance(x, np.ndarray) else x


def flat(result):
    if isinstance(result, list | tuple):
        return torch.cat([part.reshape(-1) for part in result if part.is_floating_point() or part.is_complex()])
    return result.resolve_conj()


@pytest.mark.parametrize(("name", "i"), COMPARED, ids=[f"{name}-{i}" for name, i in COMPARED])
def test_gradients_are_pytorchs(name, i):
    inputs, params = sample(name, i)
    arrays = varied(inputs)
    theirs = [torch_of(a) for a in arrays]
    given = replaced(inputs, theirs)
    given = [torch.as_tensor(x) if isinstance(x, np.ndarray) else x for x in given]
    output = flat(ORACLE[name](*given, **params))
    weights = np.arange(1, output.numel() + 1).reshape(tuple(output.shape))
    output.backward(torch.tensor(weights).to(output.dtype))
    mine, found = gradients(
        lambda *leaves: joined(OPS[name].function(*replaced(inputs, list(leaves)), **params)), arrays
    )
    np.testing.assert_allclose(mine, output.detach().numpy(), rtol=1e-10, atol=1e-12)
    for a, t in zip(found, theirs, strict=True):
        expected = np.zeros(t.shape) if t.grad is None else t.grad.resolve_conj().numpy()
        np.testing.assert_allclose(a, expected, rtol=1e-8, atol=1e-10)


def third_derivatives(f, x):
    """Our result and PyTorch's, of a function written for both libraries, along a fixed direction."""
    v = np.linspace(-1.0, 1.0, x.size).reshape(x.shape)
    mine = x
    g = lambda t: f(t, np)
    for _ in range(3):
        g = lambda t, g=g: (autograd.grad(g)(t) * v).sum()
    leaf = torch.tensor(x, requires_grad=True)
    value = f(leaf, torch)
    for _ in range(3):
        (gradient,) = torch.autograd.grad(value, leaf, create_graph=True)
        value = (gradient * torch.tensor(v)).sum()
    return g(mine), value.item()


def test_third_derivatives_are_pytorchs():
    rng = np.random.default_rng(0)
    a, x, target = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)) * 0.5, np.eye(2)[[0, 1, 1, 0]]

    def composed(t, library):
        return library.tanh((torch.tensor(a) if library is torch else a) @ library.exp(t)).sum()

    def entropy(t, library):
        if library is torch:
            return torch.nn.functional.cross_entropy(torch.tensor(a) @ t, torch.tensor(target))
        return nn.functional.cross_entropy(a @ t, target)

    for f in (composed, entropy):
        mine, theirs = third_derivatives(f, x)
        assert mine == pytest.approx(theirs, rel=1e-9)
