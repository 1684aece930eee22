"""NumPy under HIPS's name: NumPy's own functions, which take Tensors, and a few that NumPy does not let us extend.

A program that imports this has HIPS's gradients of complex numbers: the conjugate of ours.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as _numpy

from autograd import complex_gradients

from . import numpy_wrapper
from .numpy_wrapper import wrap_namespace

wrap_namespace(vars(_numpy), globals())
for _name in """
    array asarray asanyarray asfarray ascontiguousarray asfortranarray full full_like where r_ c_ int8 int16 int32 int64
    make_diagonal metadata numpy_version
""".split():
    globals()[_name] = getattr(numpy_wrapper, _name)

for _name in ("fft", "linalg", "numpy_boxes", "numpy_vspaces", "random"):
    globals()[_name] = importlib.import_module(f".{_name}", __name__)  # in place of NumPy's, just copied

if __name__ == "autograd.numpy":
    complex_gradients("conjugate")


def __getattr__(name: str) -> Any:
    return getattr(_numpy, name)
