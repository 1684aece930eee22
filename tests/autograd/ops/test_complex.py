"""Every op that takes complex numbers has the right gradients to second order, or refuses them."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
from autograd import OPS, Tensor, grad, gradcheck, jvp
from samples import CALLS, IDS, closed, numbers

QUADRANTS = [1.0 + 1.0j, -1.0 + 1.0j, -1.0 - 1.0j, 1.0 - 1.0j]


def complex_arrays(arrays, quadrant, chosen):
    """Complex numbers near the real ones of a case, in a quadrant each (all four, if there are enough elements)."""
    rng = np.random.default_rng(quadrant)
    made = []
    for i, a in enumerate(arrays):
        if i not in chosen or a.dtype.kind == "c":
            made.append(a)
            continue
        turns = np.array(QUADRANTS)[(np.arange(a.size) + quadrant) % 4].reshape(a.shape)
        parts = numbers(a.shape, (0.3, 1.8), rng), numbers(a.shape, (0.3, 1.8), rng)
        made.append(parts[0] * turns.real + 1j * parts[1] * turns.imag)
    return made


def differs(function, arrays, moves, step=1e-6):
    """The central difference of the outputs along a direction."""
    high = function(*(a + step * m for a, m in zip(arrays, moves, strict=True)))
    low = function(*(a - step * m for a, m in zip(arrays, moves, strict=True)))
    return (high - low) / (2 * step)


def check(function, arrays):
    """Gradients to second order and the jvp; an op may refuse its first or second derivative with a TypeError."""
    with np.errstate(all="ignore"):
        try:
            gradcheck(function, arrays, rtol=2e-6, directions=1)
            rng = np.random.default_rng(0)
            moves = [
                rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else 0.0)
                for a in arrays
            ]
            moved = jvp(function, arrays, moves)[1]
            expected = differs(function, arrays, moves)
            np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-6 * np.max(np.abs(expected), initial=1.0))
            gradcheck(function, arrays, order=2, rtol=2e-6, directions=1)
        except TypeError:
            return False
    return True


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # what is cast to real loses its other part
@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_gradients_of_complex_numbers_are_right_or_refused(name, i):
    call, arrays = closed(name, i)
    for chosen in [set(range(len(arrays))), *({k} for k in range(len(arrays)) if len(arrays) > 1)]:
        for quadrant in range(4 if arrays[0].size < 4 else 1):
            check(call, complex_arrays(arrays, quadrant, chosen))


UNARY = [name for name, op in OPS.items() if op.elementwise and len(op.rules) == 1]


@pytest.mark.parametrize("name", UNARY)
def test_gradients_are_right_on_both_sides_of_every_branch_cut(name):
    sides = np.array([s * x + t * 1e-3j for x in (0.4, 1.6, 5.0) for s in (1, -1) for t in (1, -1)])
    for points in (sides, 1j * sides):
        check(OPS[name].function, [points])


def test_every_op_of_complex_analysis_is_checked():
    """The refusals above are not of these."""
    taken = """
        abs add arccos arccosh arcsin arcsinh arctan arctanh conjugate cos cosh divide exp exp2 expm1 log log10 log1p
        log2 multiply negative power reciprocal sign sin sinh sqrt square subtract tan tanh
        cholesky det inv matmul pinv solve spectral_derivative sum mean prod var std fft ifft real imag
    """
    for name in taken.split():
        call, arrays = closed(name, 0)
        assert check(call, complex_arrays(arrays, 0, set(range(len(arrays))))), name


@pytest.mark.parametrize("function", [np.abs, np.sign, np.angle, np.linalg.norm])
def test_at_0_the_gradient_of_a_size_or_direction_is_0(function):
    z = Tensor(np.zeros(2, complex), requires_grad=True)
    np.real(function(z)).sum().backward()
    np.testing.assert_array_equal(z.grad.data, 0)


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_reads_one_triangle(upper):
    """And returns what NumPy returns, whatever stands in the other one."""
    rng = np.random.default_rng(0)
    for a in (rng.normal(size=(3, 3)), rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3))):
        a = a + 9 * np.eye(3)
        np.testing.assert_allclose(
            np.linalg.cholesky(Tensor(a), upper=upper).data, np.linalg.cholesky(a, upper=upper), rtol=1e-14, atol=1e-14
        )


def test_the_gradient_of_a_complex_loss_goes_down():
    """Every one of these is d/dx + i d/dy of a real loss."""
    z = np.array([0.3 - 1.2j, -2.0 + 0.1j])
    for f in (np.arccosh, autograd.sign, np.arcsin, np.log):
        g = grad(lambda x, f=f: np.sum(np.real(f(x))))(z)
        for unit in (1.0, 1j):
            step = 1e-6 * unit
            slope = (np.real(f(z + step)) - np.real(f(z - step))) / 2e-6
            np.testing.assert_allclose(np.real(g * np.conj(unit)), slope, rtol=1e-6, atol=1e-8)
