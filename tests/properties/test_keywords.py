"""Every keyword of every NumPy function that has an op: NumPy's result and dtype, with its gradient, or a TypeError."""

from __future__ import annotations

import contextlib
import inspect
import warnings

import numpy as np
import pytest

from autograd import OPS, KinkError, Tensor, gradcheck, no_grad
from autograd.tree import flatten
from samples import CALLS, closed, replaced, sample, varied


def of_numpy(op):
    """Whether NumPy has the function of an op; ufuncs of SciPy may write beyond their memory when called with where."""
    names = [(f, getattr(f, "__name__", "")) for f in op.numpy]
    return any(getattr(module, name, None) is f for f, name in names for module in (np, np.linalg, np.fft))


NUMPYS = [(name, i) for name, i in CALLS if of_numpy(OPS[name])]
IDS = [f"{name}-{i}" for name, i in NUMPYS]

# Values that differ from the defaults, for each keyword.
VALUES = {
    "UPLO": ["U"], "a_max": [0.5], "a_min": [0.5], "append": [1.5], "aweights": [[0.5, 1.0, 2.0, 1.0]],
    "axes": [(1, 0), (0,), 1], "axis": [0, -1, (0, 1), None, 2, 5, -4, np.int64(0)], "axis1": [-1], "axis2": [0],
    "axisa": [0], "axisb": [0], "axisc": [0], "bias": [True], "casting": ["unsafe"], "compute_uv": [False],
    "copy": [False], "correction": [1], "ddof": [1], "decimals": [1, -1], "default": [0.5], "deg": [True],
    "device": ["cpu"], "discont": [4.0], "dtype": [np.float32, np.complex128, np.int64], "dx": [0.5],
    "edge_order": [2], "endpoint": [False], "equal_nan": [False], "fweights": [[1, 2, 1, 1]],
    "full_matrices": [False, True], "hermitian": [True], "include_initial": [True], "ind": [1], "indexing": ["ij"],
    "initial": [0.4], "inverse": [True], "k": [1], "keepdims": [True], "kind": ["stable"], "left": [-1.0],
    "max": [0.5], "mean": [0.5], "method": ["lower"], "min": [0.5], "minlength": [5],
    "mode": ["wrap", "clip", "same", "full", "r", "complete", "raw", "edge"], "n": [2], "nan": [1.0], "neginf": [-1.0],
    "norm": ["ortho", "forward", "backward"], "num": [3], "offset": [1], "optimize": ["greedy", True],
    "ord": [1, np.inf, "nuc"], "order": ["F"], "overwrite_input": [True], "p": [1], "period": [3.0], "posinf": [2.0],
    "prepend": [1.5], "rcond": [0.5], "reflect_type": ["odd"], "retstep": [True], "return_counts": [True],
    "return_index": [True], "return_inverse": [True], "returned": [True], "right": [2.0], "rowvar": [False],
    "rtol": [0.5], "s": [(3, 3)], "sorted": [False], "sparse": [True], "stable": [True], "start": [1],
    "subok": [True, False], "tol": [1000.0],
    "to_begin": [[1.0]], "to_end": [[1.0]], "upper": [True], "weights": [[0.5, 1.0, 2.0]],
    "where": [[True, False, True], False], "x": [[0.0, 1.0, 3.0]], "y": [[1.0, 2.0, 3.0]],
}  # fmt: skip
LEFT_OUT = {"out", "like"}  # see below
MILDER = {"clip"}  # takes max= beside a_min=, which NumPy does not


def keywords(function):
    """The keywords of a NumPy function that have a default."""
    if isinstance(function, np.ufunc):
        own = ["axis", "keepdims"] if function.signature else ["where"]
        return [*own, "dtype", "casting", "order", "subok"]
    try:
        known = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in known if p.default is not p.empty and p.kind in kinds and p.name not in LEFT_OUT]


def changed(name, i):
    """The arguments of case i, each time with another value of one keyword."""
    function = OPS[name].numpy[0]
    ufunc = isinstance(function, np.ufunc)
    for keyword in keywords(function):
        for value in VALUES[keyword]:
            inputs, params = sample(name, i)
            given = not ufunc and list(inspect.signature(function).parameters).index(keyword) < len(inputs)
            if not given and not (ufunc and value is None):  # which a ufunc takes as if it were not given
                yield keyword, value, inputs, {**params, keyword: value}


def outcome(function, inputs, params):
    """The results of a call as arrays, or its error; only warnings of what is deprecated matter here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DeprecationWarning)
        try:
            found = flatten(function(*inputs, **params))[0]
        except Exception as error:
            return error
    return [np.asarray(x.data if isinstance(x, Tensor) else x) for x in found]


def difference(mine, expected, keyword, function, params):
    """Why results are not NumPy's, or "" if they are."""
    narrow = any(e.dtype in (np.float32, np.complex64) for e in expected) or params.get("dtype") is np.float32
    tolerance = 1e-5 if narrow else 1e-12
    try:
        assert len(mine) == len(expected), f"{len(mine)} results instead of {len(expected)}"
        for a, b in zip(mine, expected, strict=True):
            if keyword == "where" and isinstance(function, np.ufunc):  # elsewhere is what was in memory
                chosen = np.broadcast_to(params["where"], b.shape)
                a, b = a[chosen], b[chosen]
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 10, strict=True)
    except AssertionError as error:
        return " ".join(str(error).split())[:150]
    return ""


@pytest.mark.parametrize(("name", "i"), NUMPYS, ids=IDS)
@pytest.mark.parametrize("kind", ["constant", "no_grad", "gradient"])
def test_a_keyword_means_what_it_means_in_numpy(name, i, kind):
    """NumPy's result for every keyword; only where a gradient is wanted, there may be a TypeError instead."""
    grad = kind == "gradient"
    function, wrong = OPS[name].numpy[0], []
    for keyword, value, inputs, params in changed(name, i):
        expected = outcome(function, inputs, params)
        leaves = [Tensor(a, requires_grad=kind != "constant") for a in varied(inputs)]
        with contextlib.nullcontext() if grad else no_grad():
            mine = outcome(function, replaced(inputs, leaves), params)
        if isinstance(expected, DeprecationWarning):
            continue
        if isinstance(expected, Exception):
            if not isinstance(mine, Exception) and name not in MILDER:
                wrong.append((keyword, value, expected, mine))
        elif isinstance(mine, Exception):
            if not (grad and isinstance(mine, TypeError | ValueError) and keyword in str(mine)):
                wrong.append((keyword, value, mine))
        elif said := difference(mine, expected, keyword, function, params):
            wrong.append((keyword, value, said))
    assert not wrong


ROTATION, TALL = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("function", "array"),
    [
        (np.linalg.eigvals, ROTATION),
        (np.linalg.eig, ROTATION),
        (np.linalg.svd, ROTATION * 1j),
        (np.linalg.svd, TALL),
        (lambda a: np.linalg.qr(a, mode="complete"), TALL),
        (lambda a: np.linalg.qr(a, mode="raw"), TALL),
        (np.linalg.slogdet, ROTATION * 1j),
        (lambda a: np.linalg.pinv(a, rcond=0.5), TALL),
        (lambda a: np.pad(a, 1, mode=lambda v, w, _axis, _kw: v.fill(7.0)), TALL),
    ],
)
def test_where_no_gradient_is_needed_nothing_is_refused(function, array):
    leaf = Tensor(array, requires_grad=True)
    with no_grad():
        within = outcome(function, [leaf], {})
    for mine in (within, outcome(function, [Tensor(array)], {})):
        for a, b in zip(mine, outcome(function, [array], {}), strict=True):
            np.testing.assert_allclose(a, b, strict=True)


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(("name", "i"), NUMPYS, ids=IDS)
def test_out_is_refused_and_never_ignored(name, i, requires_grad):
    function, (inputs, params) = OPS[name].numpy[0], sample(name, i)
    expected = outcome(function, inputs, params)
    if isinstance(expected, Exception):  # np.astype takes its dtype by position
        return
    out = np.full_like(expected[0], 7.0)
    if isinstance(outcome(function, inputs, {**params, "out": out.copy()}), Exception):
        return  # which NumPy does not take
    leaves = replaced(inputs, [Tensor(a, requires_grad=requires_grad) for a in varied(inputs)])
    with pytest.raises(TypeError, match="out"):
        function(*leaves, **params, out=out)
    assert (out == 7.0).all()


@pytest.mark.parametrize(("name", "i"), NUMPYS, ids=IDS)
def test_a_keyword_has_the_gradient_of_its_value(name, i):
    for keyword, value, _, params in changed(name, i):
        call, arrays = closed(name, i, lambda *inputs, _params=params, **_: OPS[name].function(*inputs, **_params))
        result = outcome(call, [Tensor(a, requires_grad=True) for a in arrays], {})
        if isinstance(result, Exception) or params.get("dtype") in (np.float32, np.int64):
            continue
        if result[0].dtype.kind in "fc" and np.isfinite(result[0]).all():
            with contextlib.suppress(KinkError):  # the deviation of one number, which is 0
                assert gradcheck(call, arrays, directions=1, rtol=2e-6), (keyword, value)
