"""NumPy as people call it: keywords and methods of ufuncs, complex numbers, every function of its namespaces."""

from __future__ import annotations

import contextlib
import importlib.util
import operator
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd
from autograd import OPS, Tensor, grad, gradcheck
from samples import gradients, numbers

DOCS = Path(__file__).parents[2] / "docs"
MASK = np.array([True, False, True])


def leaf(*numbers):
    return Tensor(np.array(numbers), requires_grad=True)


# ---- ufuncs


def test_where_computes_nothing_elsewhere():
    x = leaf(1.0, -2.0, 4.0)
    y = np.log(x, where=MASK)  # a warning about log(-2) would be an error here
    np.testing.assert_array_equal(y.data, [0, 0, np.log(4)])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1, 0, 0.25])
    assert gradcheck(lambda x, y: np.divide(x, y, where=MASK), [np.ones(3), np.array([2.0, 5.0, 3.0])], order=2)


def test_dtype_of_a_ufunc():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = np.add(x, 1, dtype=np.float64)
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    with pytest.raises(TypeError, match="casting"):
        np.add(x, 1, casting="unsafe")


@pytest.mark.parametrize("params", [{}, {"axis": 1}, {"axis": None}, {"axis": (0, 1), "keepdims": True}])
def test_reduce(params):
    a = numbers((2, 3), (0.5, 2.0), np.random.default_rng(0))
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum):
        np.testing.assert_array_equal(ufunc.reduce(Tensor(a), **params).data, ufunc.reduce(a, **params))
        assert gradcheck(lambda x, f=ufunc: f.reduce(x, **params), a, order=2)


def test_accumulate_and_outer():
    a, b = np.array([1.0, 2.0, -3.0]), np.array([[0.5, 2.5]])
    for ufunc in (np.add, np.multiply):
        np.testing.assert_array_equal(ufunc.accumulate(Tensor(a)).data, ufunc.accumulate(a))
        assert gradcheck(ufunc.accumulate, a, order=2)
    for ufunc in (np.add, np.multiply, np.subtract, np.maximum):
        np.testing.assert_array_equal(ufunc.outer(Tensor(a), b).data, ufunc.outer(a, b))
        np.testing.assert_array_equal(ufunc.outer(a, Tensor(b)).data, ufunc.outer(a, b))
        assert gradcheck(ufunc.outer, [a, b], order=2)


def test_aliases_are_the_same_ops():
    for alias, name in {
        "acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "acosh": "arccosh",
        "asinh": "arcsinh", "atanh": "arctanh", "pow": "power", "concat": "concatenate", "permute_dims": "transpose",
        "mod": "remainder", "true_divide": "divide", "absolute": "abs", "conj": "conjugate",
    }.items():  # fmt: skip
        assert getattr(autograd, alias) is getattr(autograd, name) is autograd.numpy_calls.NUMPY[getattr(np, alias)]


def test_methods_are_those_of_arrays():
    missing = {
        name
        for name in dir(np.ndarray)
        if not name.startswith("_") and callable(getattr(np, name, None)) and not hasattr(Tensor, name)
    }
    assert missing <= {"put", "resize", "ptp"}  # these change an array in place, or left NumPy with 2.0
    a, mask = np.array([[3.0, 1.0, 2.0], [6.0, 5.0, 4.0]]), np.array([True, False, True])
    calls = {"compress": (mask, 1), "repeat": (2, 0), "take": ([0, 2], 1), "dot": (np.eye(3),), "diagonal": (1,)}
    calls |= {"trace": (), "clip": (2, 4), "cumsum": (0,), "flatten": (), "ravel": ("F",), "round": (0,), "squeeze": ()}
    for name, args in calls.items():
        np.testing.assert_array_equal(getattr(Tensor(a), name)(*args).data, getattr(a, name)(*args), name)
    np.testing.assert_array_equal(Tensor(a).sort().data, np.sort(a))
    np.testing.assert_array_equal(Tensor([1, 0]).choose([a[0, :2], a[1, :2]]).data, [6, 1])


# ---- complex numbers

HOLOMORPHIC = [
    name
    for name, op in OPS.items()
    if op.elementwise and name not in ("gamma", "digamma", "rgamma") and op.numpy and isinstance(op.forward, np.ufunc)
    and any(types == "D" * op.forward.nin + "->D" for types in op.forward.types)
]  # fmt: skip


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_elementwise_ops_of_complex_numbers(name):
    op = OPS[name]
    z = np.array([0.3 + 0.4j, 0.7 - 0.2j, 1.4 + 0.6j])
    inputs = [z, (z * 1j)[::-1]][: len(op.rules)]
    assert gradcheck(op.function, inputs, order=2)
    if len(inputs) == 2:
        assert gradcheck(op.function, [z.real, inputs[1]], order=2)


def test_abs_and_products_of_complex_numbers():
    z = np.array([[0.3 + 0.4j, 0.7 - 0.2j], [1.4 + 0.6j, -1j]])
    for f in (np.abs, np.linalg.inv, np.linalg.det, np.linalg.norm, np.var, np.prod, lambda z: z @ z.T.conj()):
        assert gradcheck(f, z, order=2)
    for f in (np.vdot, np.vecdot, np.linalg.solve, lambda a, b: np.einsum("ij,kj->ik", a, b.conj())):
        assert gradcheck(f, [z, z[::-1] * 2j], order=2)
    assert grad(lambda t: np.abs(t).sum())(np.zeros(2, complex)).tolist() == [0, 0]


def test_real_parts_of_tensors():
    z = Tensor([1 + 2j, 3 - 1j], requires_grad=True)
    assert z.real.data.tolist() == [1, 3] and z.imag.data.tolist() == [2, -1]
    assert z.conj().data.tolist() == [1 - 2j, 3 + 1j]
    x = leaf(1.0)
    assert x.conj() is x and x.real is x


# ---- any shape, axis and index

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@st.composite
def reductions(draw):
    shape = draw(shapes)
    axes = draw(st.none() | st.lists(st.integers(-len(shape), len(shape) - 1), max_size=3) if shape else st.none())
    if axes is not None:
        axes = tuple({a % len(shape): a for a in axes}.values())
        axes = axes[0] if len(axes) == 1 and draw(st.booleans()) else axes
    return shape, axes, draw(st.booleans())


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "var", "std", "logsumexp", "nansum"])
@given(call=reductions())
def test_reductions_of_any_shape(name, call):
    shape, axis, keepdims = call
    a = numbers(shape, (0.5, 2.0), np.random.default_rng(0))
    count = np.ones(shape).sum(axis=axis)
    if (name in ("mean", "max", "min", "var", "std", "logsumexp") and (count == 0).any()) or not a.size:
        return
    f = getattr(autograd, name)
    if name in vars(np):
        expected = getattr(np, name)(a, axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(f(Tensor(a), axis=axis, keepdims=keepdims).data, expected, rtol=1e-13, strict=True)
    if name != "std" or (count > 1).all():
        assert gradcheck(lambda x: f(x, axis=axis, keepdims=keepdims), a, order=2, directions=1, rtol=1e-5)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "sort", "flip", "diff", "median", "softmax"])
@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), data=st.data())
def test_functions_along_an_axis_of_any_shape(name, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    a = numbers(shape, (-2.0, 2.0), np.random.default_rng(0))
    f = OPS[name].function
    if OPS[name].numpy:
        expected = OPS[name].numpy[0](a, axis=axis)
        np.testing.assert_allclose(f(Tensor(a), axis=axis).data, expected, rtol=1e-13, atol=1e-14, strict=True)
    place = {"dim" if name == "softmax" else "axis": axis}
    assert gradcheck(lambda x: f(x, **place), a, order=2, directions=1, rtol=1e-5)


@given(shape=hnp.array_shapes(max_dims=4, max_side=3), data=st.data())
def test_transpose_of_any_axes(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    axes = [a - len(shape) if data.draw(st.booleans()) else a for a in axes]
    a = numbers(shape, (-2.0, 2.0), np.random.default_rng(0))
    output, (g,) = gradients(lambda x: np.transpose(x, axes), [a])
    np.testing.assert_array_equal(output, np.transpose(a, axes))
    weights = np.arange(1.0, a.size + 1).reshape(output.shape)
    np.testing.assert_array_equal(g, weights.transpose(np.argsort([i % len(shape) for i in axes])))


@given(shape=shapes, data=st.data())
def test_set_at_any_index(shape, data):
    index = data.draw(hnp.basic_indices(shape))
    a = numbers(shape, (-2.0, 2.0), np.random.default_rng(0))
    expected = a.copy()
    expected[index] = 5.0
    np.testing.assert_array_equal(autograd.set_at(a, index, 5.0), expected)
    if a.size:
        assert gradcheck(lambda x: autograd.set_at(x, index, x[index] * 2.0), a, order=2, directions=1)


@given(length=st.integers(1, 6), size=st.integers(1, 6), mode=st.sampled_from(["full", "same", "valid"]))
def test_convolve_of_any_length(length, size, mode):
    rng = np.random.default_rng(0)
    a, v = numbers((length,), (-1.0, 1.0), rng), numbers((size,), (-1.0, 1.0), rng)
    for f in (np.convolve, np.correlate):
        np.testing.assert_allclose(f(Tensor(a), v, mode).data, f(a, v, mode), rtol=1e-13, atol=1e-14)
        assert gradcheck(lambda a, v, f=f: f(a, v, mode), [a, v], order=2, directions=1)


def test_prod_and_cumprod_with_zeros_are_exact():
    x = leaf(2.0, 0.0, 3.0, 0.0)
    x.prod().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0, 0, 0])
    assert grad(np.prod)(np.array([2.0, 0.0, 3.0])).tolist() == [0, 6, 0]
    assert autograd.hessian(np.prod)(np.array([0.0, 0.0, 3.0])).tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    assert grad(lambda t: np.cumprod(t)[-1])(np.array([2.0, 0.0, 3.0])).tolist() == [0, 6, 0]


def test_full_like_keeps_the_gradient_of_its_number():
    x = leaf(3.0)[0]
    assert grad(lambda v: np.full_like(Tensor(np.zeros(4)), v).sum())(2.0) == 4
    assert np.full_like(x, 2.0) == 2


def test_missing_numbers_send_no_nan_back():
    x = leaf(1.0, np.nan, 3.0)
    for f in (np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd):
        x.grad = None
        f(x).backward()
        assert np.isfinite(x.grad.data).all() and x.grad.data[1] == 0


# ---- the whole namespace


def pages():
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_singular_points_is_fresh():
    assert (DOCS / "singular_points.md").read_text() == pages().singular_points(), "run python docs/make_pages.py"


def test_the_page_of_coverage_is_fresh():
    module = pages()
    page, now = (DOCS / "coverage.md").read_text(), module.coverage()
    if re.search(r"of NumPy (\S+) ", page)[1] == re.search(r"of NumPy (\S+) ", now)[1]:
        assert page == now, "run python docs/make_pages.py"
    written = dict(re.findall(r"^\| `(\S+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert len(written) > 400
    for name, kind in module.rows():  # another NumPy has other names, but the same functions are treated alike
        assert written.get(name, kind) == kind, name


# Other arguments, for functions that cannot be called with one or two Tensors alone.
CALLS = {
    "np.apply_along_axis": lambda f, x: f(np.sum, 0, x), "np.apply_over_axes": lambda f, x: f(np.sum, x, 0),
    "np.place": lambda f, x: f(x, [True] * 4, [1.0]), "np.put": lambda f, x: f(x, [0], [1.0]),
    "np.put_along_axis": lambda f, x: f(x, np.zeros(1, int), 1.0, 0), "np.putmask": lambda f, x: f(x, [True] * 4, 1.0),
    "np.fill_diagonal": lambda f, x: f(x, 1.0), "np.polyfit": lambda f, x: f(x, x, 1),
    "np.nanpercentile": lambda f, x: f(x, 5), "np.nanquantile": lambda f, x: f(x, 0.5),
    "np.left_shift": lambda f, x: f(x, 1), "np.require": lambda f, x: f(x, np.float64),
}  # fmt: skip


WITHOUT_A_RULE = [name for name, kind in pages().rows() if kind == "TypeError" and name != "np.trapz"]  # is deprecated


@pytest.mark.parametrize("name", WITHOUT_A_RULE)
def test_a_function_without_a_rule_says_so(name):
    space, _, last = name.rpartition(".")
    function = getattr(getattr(np, space.partition(".")[2], np) if "." in space else np, last)
    x = leaf(1.0, 2.0, 3.0, 4.0)
    calls = [CALLS[name]] if name in CALLS else [lambda f, x: f(x), lambda f, x: f(x, x)]
    said = []
    for call in calls:
        with pytest.raises(TypeError) as error:
            call(function, x)
        said.append(str(error.value))
    assert any("no derivative rule" in text or "drop the gradient" in text for text in said), said


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("name", [*WITHOUT_A_RULE, "np.add.reduceat", "np.add.at"])
def test_a_function_without_a_rule_computes_where_no_gradient_is_needed(name, recording):
    """Its value is NumPy's, and it writes into no Tensor."""
    function = operator.attrgetter(name.removeprefix("np."))(np)
    others = {
        "np.add.at": lambda f, x: f(x, [0], 1.0),
        "np.add.reduceat": lambda f, x: f(x, [0, 2]),
        "np.left_shift": lambda f, x: f(x.astype(int), 1),
    }
    calls = [(CALLS | others)[name]] if name in CALLS | others else [lambda f, x: f(x), lambda f, x: f(x, x)]
    for call in calls:
        array = np.arange(5.0, 9.0)
        x = Tensor(array.copy(), requires_grad=not recording and name != "np.require")  # which converts
        with contextlib.nullcontext() if recording else autograd.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                want = call(function, array)
            except Exception as error:
                want = error
            try:
                got = call(function, x)
            except Exception as error:
                got = error
        np.testing.assert_array_equal(x.data, np.arange(5.0, 9.0))
        if isinstance(want, Exception) or (array != x.data).any():
            assert isinstance(got, type(want) if isinstance(want, Exception) else TypeError), (want, got)
        else:
            pairs = zip(want, got, strict=True) if isinstance(want, tuple) else [(want, got)]
            for one, other in pairs:
                np.testing.assert_array_equal(other.data if isinstance(other, Tensor) else other, one)
