"""autograd.numpy: NumPy's functions, and those that NumPy does not let us extend."""

import subprocess
import sys
from pathlib import Path

import autograd.numpy as anp
import autograd.numpy.linalg
import autograd.numpy.random as npr
import numpy as np
import pytest
from autograd.numpy.numpy_wrapper import make_diagonal, metadata
from autograd.test_util import check_grads

from autograd import OPS, grad
from samples import CALLS, IDS, sample

X = np.array([0.3, -0.7, 1.2])


def test_nothing_is_loaded_before_it_is_asked_for():
    program = (
        "import sys, autograd; autograd.grad(lambda x: x)(1.0);"
        "assert not {'autograd.compat', 'autograd.numpy', 'autograd.core', 'autograd.tracer'} & {*sys.modules};"
        "import autograd.numpy as np; from autograd.convention import CONVENTION;"
        "assert CONVENTION.chosen == 'conjugate'; print(autograd.grad(np.abs)(3j))"
    )
    root = Path(__file__).parents[5]
    result = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "-1j"


def test_all_names_of_numpy_are_there():
    for module, ours in ((np, anp), (np.linalg, anp.linalg), (np.fft, anp.fft), (np.random, npr)):
        missing = {name for name in dir(module) if not name.startswith("__") and not hasattr(ours, name)}
        assert not missing
    assert anp.linalg is autograd.numpy.linalg and anp.float64 is np.float64 and anp.add is np.add


@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_functions_return_what_numpy_returns(name, i):
    function = next((f for f in OPS[name].numpy if getattr(np, getattr(f, "__name__", ""), None) is f), None)
    if function is None:
        return
    inputs, params = sample(name, i)
    results = []
    for namespace in (np, anp):
        try:
            results.append(getattr(namespace, function.__name__)(*inputs, **params))
        except TypeError as error:  # positional names of NumPy's
            results.append(type(error))
    if isinstance(results[0], type):
        assert results[0] is results[1]
    else:
        np.testing.assert_equal(*results)


LISTS = {
    "array": lambda a, b: anp.array([a, b * 2, 1.0]),
    "array of rows": lambda a, b: anp.array([[a, 1.0], [b, a * b]]),
    "array of a Tensor": lambda a, b: anp.array(a * b, ndmin=2),
    "asarray": lambda a, b: anp.asarray([a, b]) * anp.asarray(a),
    "full": lambda a, b: anp.full((2, 3), a * b),
    "full_like": lambda a, b: anp.full_like(np.ones(2), b) * a,
    "r_": lambda a, b: anp.r_[a, b * a, np.ones(2)],
    "r_ with a slice": lambda a, b: anp.r_[0.0:3.0, a, [b, 1.0]],
    "c_": lambda a, b: anp.c_[anp.array([a, b]), np.ones(2)],
    "sum": lambda a, b: anp.sum([a, b, 1.0]),
    "mean": lambda a, b: anp.mean([a, b]),
    "var": lambda a, b: anp.var((a, b, 3.0)),
    "max": lambda a, b: anp.max([a * 3, b]),
    "prod": lambda a, b: anp.prod([[a, b], [b, b]], axis=0),
    "dot": lambda a, b: anp.dot([a, b], [b, 1.0]),
    "outer": lambda a, b: anp.outer([a, b], np.ones(2)),
    "cumsum": lambda a, b: anp.cumsum([a, b]),
    "where": lambda a, b: anp.where([True, False], [a, b], 0.0),
    "append": lambda a, b: anp.append([a, 1.0], [b]),
    "concatenate": lambda a, b: anp.concatenate([[a], np.ones(2), [b]]),
    "stack": lambda a, b: anp.stack([[a, b], [1.0, a]]),
    "vstack": lambda a, b: anp.vstack([[a, b], np.ones(2)]),
    "hstack": lambda a, b: anp.hstack([[a, b], [2.0]]),
    "column_stack": lambda a, b: anp.column_stack([[a, b], [b, 2.0]]),
    "norm": lambda a, b: anp.linalg.norm([a, b]),
    "diag": lambda a, b: anp.diag([a, b]),
    "reshape": lambda a, b: anp.reshape([a, b], (2, 1)),
    "make_diagonal": lambda a, b: make_diagonal(anp.array([a, b]), 0, -1, -2),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_traced_values(name):
    f = LISTS[name]
    check_grads(f, (0, 1))(0.4, 1.3)
    np.testing.assert_allclose(f(0.4, 1.3), np.asarray(f(0.4, 1.3), float))


def test_what_cannot_be_joined():
    with pytest.raises(ValueError, match="differ"):
        grad(lambda a: anp.array([a, anp.array([a, a])]))(1.0)
    with pytest.raises(TypeError, match="no text"):
        grad(lambda a: anp.r_["-1", a])(1.0)
    with pytest.raises(NotImplementedError):
        make_diagonal(X)
    assert len(anp.r_) == 0
    np.testing.assert_array_equal(anp.r_["-1", [1, 2], [3]], np.r_["-1", [1, 2], [3]])


def test_types_and_plain_values():
    assert grad(lambda a: a * anp.int64(a))(2.5) == 2 and anp.int32(2.5) == 2
    assert grad(lambda a: anp.array(a, dtype=np.float32).astype(float) * 2)(2.5) == 2.0
    assert anp.array([1, 2], dtype=float).dtype == float and anp.where(True, [1], [2]) == [1]
    assert metadata(np.ones((2, 3))) == ((2, 3), 2, np.dtype(float), False)
    assert anp.full(2, 1.0, dtype=np.float32).dtype == np.float32
    assert grad(lambda a: np.sum(anp.full(2, a, dtype=np.float32)))(1.0) == 2.0
    with pytest.raises(AttributeError):
        _ = anp.no_such_name


@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_eigh_has_its_gradient_in_the_triangle_that_it_reads(uplo, shape):
    x = np.random.default_rng(0).normal(size=shape)
    check_grads(lambda a: tuple(anp.linalg.eigh(a, uplo)))(x)
    check_grads(lambda a: anp.linalg.eigvalsh(a, uplo))(x)
    with pytest.raises(ValueError, match="UPLO"):
        grad(lambda a: np.sum(anp.linalg.eigvalsh(a, "X")))(x)
