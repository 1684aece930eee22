"""scipy.special under HIPS's name."""

import autograd.scipy.special as special
import numpy as np
import scipy.special
from autograd.test_util import check_grads


def test_functions_that_scipy_writes_in_python():
    x = np.array([[0.3, 1.2], [2.5, 0.7]])
    for name, args in {"logsumexp": (x, 1), "softmax": (x, 0), "log_softmax": (x,), "polygamma": (1, x)}.items():
        np.testing.assert_allclose(getattr(special, name)(*args), getattr(scipy.special, name)(*args))
    check_grads(lambda x: special.logsumexp(x, axis=0))(x)
    check_grads(lambda x: special.polygamma(2, x))(x)
    np.testing.assert_allclose(special.multigammaln(4.5, 3), scipy.special.multigammaln(4.5, 3))
    for order in (1, 2, 2.5):
        for name in ("jv", "yv", "iv", "ive", "kv", "jn"):
            check_grads(lambda x, name=name, n=order: getattr(special, name)(n, x))(x)
