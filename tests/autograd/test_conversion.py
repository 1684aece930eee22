"""What to write where NumPy cannot take a Tensor: one way is the layer of HIPS's names."""

import numpy as np
import pytest

from autograd import Tensor


@pytest.mark.parametrize("name", ["array", "asarray", "full", "r_", "c_"])
def test_functions_that_the_layer_has_name_it(name):
    t = Tensor(2.0, requires_grad=True)
    calls = {
        "array": lambda: np.array([t, t]),
        "asarray": lambda: np.asarray([t, t]),
        "full": lambda: np.full(2, t),
        "r_": lambda: np.r_[t, t],
        "c_": lambda: np.c_[t, t],
    }
    with pytest.raises(TypeError, match=f"or import autograd.numpy as np, whose {name} takes Tensors"):
        calls[name]()
