"""Rules of real and imaginary parts, conjugates and angles.

The walk sends the conjugate of a gradient (see `differentiate`), so the rule of a holomorphic function is that of the
real one; the functions here are not holomorphic.
"""

from __future__ import annotations

import numpy as np

from ..array import Array
from ..op import differentiable
from ..registry import Operation
from ..tensor import Tensor
from .register import CASES, COMPLEX, Case, composite, domain, elementwise, methods

real = differentiable(np.real, lambda g, *_: g, view=True)
imag = differentiable(np.imag, lambda g, *_: g * -1j, view=True)


def _conj_unless_real(x: Tensor):
    """The complex conjugate; a real Tensor is returned itself, as by the method of arrays."""
    return conjugate(x) if x.dtype.kind == "c" else x


conjugate: Operation = elementwise(
    np.conjugate, lambda g, *_: g.conj(), methods=methods(conj=_conj_unless_real, conjugate=_conj_unless_real)
)
conj = conjugate


def _angle(z, deg: bool = False):
    """The angle of z in the plane, in radians or degrees."""
    angle = np.arctan2(np.imag(z), np.real(z))
    return np.rad2deg(angle) if deg else angle


angle = composite(_angle, np.angle)


def _real_if_close(a, tol: float = 100):
    """The real part, if all imaginary parts are within `tol` (in units of eps, if above 1) of 0; else a itself."""
    if a.dtype.kind != "c":
        return a
    values = a.data if isinstance(a, Tensor) else a
    return np.real(a) if np.isrealobj(np.real_if_close(values, tol)) else a


real_if_close = composite(_real_if_close, np.real_if_close)


for _name, _value in {
    "real": property(lambda x: real(x) if x.dtype.kind == "c" else x, doc="The real part."),
    "imag": property(imag, doc="The imaginary part."),
}.items():
    setattr(Array, _name, _value)

# ---- test data

_CASES = [Case((2, 3)), Case(())]

CASES[real] = domain(COMPLEX, *_CASES)
CASES[imag] = domain(COMPLEX, *_CASES)
CASES[conjugate] = domain(COMPLEX)
CASES[real_if_close] = [*domain(COMPLEX, *_CASES), Case((2, 3))]
CASES[angle] = domain(COMPLEX, Case((2, 3)), Case((2, 3), deg=True), Case(()))
