"""Rules of the parts of complex numbers.

The walk sends the conjugate of a gradient (see `differentiate`), so the rule of a holomorphic function is that of the
real one; the functions here are those that are not holomorphic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import COMPLEX, Case, composite, differentiable, elementwise
from ..tensor import Tensor

_CASES = [Case((2, 3)), Case(())]

real = differentiable(np.real, lambda g, *_: g, domain=COMPLEX, cases=_CASES)
imag = differentiable(np.imag, lambda g, *_: g * -1j, domain=COMPLEX, cases=_CASES)
conjugate = elementwise(np.conjugate, lambda g, *_: g.conj(), domain=COMPLEX)
conj = conjugate


def _angle(z: Any, deg: bool = False) -> Any:
    """The angle of z in the plane, in radians or degrees."""
    angle = np.arctan2(np.imag(z), np.real(z))
    return np.rad2deg(angle) if deg else angle


angle = composite(_angle, np.angle, domain=COMPLEX, cases=[Case((2, 3)), Case((2, 3), deg=True), Case(())])


def _conj_unless_real(x: Tensor) -> Any:
    """As an array's method does, return a real x itself."""
    return conjugate(x) if x.dtype.kind == "c" else x


for _name, _value in {
    "conj": _conj_unless_real,
    "conjugate": _conj_unless_real,
    "real": property(lambda x: real(x) if x.dtype.kind == "c" else x),
    "imag": property(imag),
}.items():
    setattr(Tensor, _name, _value)
real.op.view = imag.op.view = True
