"""Vector spaces of arrays and of nests of them."""

from collections import namedtuple

import numpy as np
import pytest
from autograd.extend import VSpace, vspace

from autograd import Tensor

Pair = namedtuple("Pair", "a b")
VALUES = [
    1.0,
    np.float32(2.0),
    1j,
    np.ones((2, 3)),
    np.ones(2, np.float32),
    np.zeros((0, 2)),
    np.ones(3, complex),
    [1.0, np.ones(2)],
    {"a": np.ones(2), "b": (1j, [2.0])},
    Pair(1.0, np.ones((2, 1))),
    Tensor([1.0, 2.0]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_vector_space(value):
    space = vspace(value)
    x, y = space.randn(), space.randn()
    for vector in (x, space.zeros(), space.ones(), space.add(x, y), space.scalar_mul(x, 2.0), space.mut_add(None, x)):
        assert vspace(vector) == space
    basis = list(space.standard_basis())
    assert len(basis) == space.size
    near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    near(sum(space.inner_prod(x, e) * space.inner_prod(y, e) for e in basis), space.inner_prod(x, y))
    near(space.inner_prod(space.add(x, y), x), space.inner_prod(x, x) + space.inner_prod(y, x))
    near(space.inner_prod(space.covector(x), space.covector(y)), space.inner_prod(x, y))
    assert space.iscomplex == (not isinstance(value, list | dict | tuple) and np.iscomplexobj(value))
    assert space != vspace([value]) and type(space).__name__ in repr(space)


def test_other_values_have_none_unless_registered():
    class Own:
        pass

    for value in ("text", 3, np.arange(3), None, Own()):
        with pytest.raises(TypeError, match="vector space"):
            vspace(value)

    class OwnSpace(VSpace):
        def zeros(self):
            return Own()

    OwnSpace.register(Own)
    assert isinstance(vspace(Own()).zeros(), Own)
    with pytest.raises(NotImplementedError):
        vspace(Own()).inner_prod(1, 2)
