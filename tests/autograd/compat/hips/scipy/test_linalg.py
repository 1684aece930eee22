"""scipy.linalg under HIPS's name."""

import autograd.scipy.linalg as linalg
import numpy as np
import scipy.linalg
from autograd.test_util import check_grads

A = np.array([[3.0, 0.4, -0.2], [0.1, 2.0, 0.5], [0.3, -0.4, 2.5]])
B = np.array([[1.0, -0.5], [0.2, 0.7], [0.4, 0.3]])
SYMMETRIC = A @ A.T
CALLS = {
    "sqrtm": (A,),
    "solve": (A, B),
    "inv": (A,),
    "det": (A,),
    "norm": (A,),
    "solve_triangular": (A, B),
    "solve_sylvester": (A, B[:2] + np.eye(2), B),
    "cholesky": (SYMMETRIC,),
}


def test_values_are_scipys_and_derivatives_agree():
    for name, args in CALLS.items():
        ours = getattr(linalg, name)
        np.testing.assert_allclose(ours(*args), getattr(scipy.linalg, name)(*args), atol=1e-12, err_msg=name)
        if name == "cholesky":
            check_grads(lambda a: linalg.cholesky(a @ a.T, lower=True))(A)
        else:
            check_grads(ours, tuple(range(len(args))))(*args)
    bands = np.array([[0.0, 0.4, 0.5], [3.0, 2.0, 2.5], [0.1, -0.4, 0.0]])
    np.testing.assert_allclose(linalg.solve_banded((1, 1), bands, B), scipy.linalg.solve_banded((1, 1), bands, B))
    assert linalg.expm is scipy.linalg.expm
