"""Every op in the registry, from its own cases."""

from __future__ import annotations

import inspect
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd
from autograd import OPS, GradcheckError, Tensor, gradcheck, no_grad
from autograd.ops.describe import differentiated
from autograd.ops.register import cases_of
from samples import CALLS, IDS, closed, gradients, joined, sample, varied

every_call = pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
SMOOTH = [name for name, op in OPS.items() if op.rules or op.every]


@pytest.mark.parametrize("name", OPS)
def test_op_has_cases(name):
    assert cases_of(OPS[name]), f"op {name!r} is registered without cases, so nothing tests it"


@every_call
def test_forward_is_numpys(name, i):
    op = OPS[name]
    call, arrays = closed(name, i)
    mine = call(*map(Tensor, arrays)).data
    for function in op.numpy:
        expected = closed(name, i, numpys(function))[0](*arrays)
        if name in SMOOTH and cases_of(op)[i].params.keys() <= op.params:
            np.testing.assert_array_equal(mine, expected, strict=True)
        else:  # written with other ops, so rounded in another order
            np.testing.assert_allclose(mine, expected, rtol=1e-13, atol=1e-14, strict=True)
    with no_grad():
        np.testing.assert_array_equal(call(*map(Tensor, arrays)).data, mine, strict=True)
    np.testing.assert_array_equal(np.asarray(call(*arrays)), mine)


def numpys(function):
    """NumPy's function, called with the params of a case."""
    return lambda *inputs, **params: function(*inputs, *positional(function, params), **params)


def positional(function, params):
    """Take out the params that NumPy's function only takes by position (their names changed between its versions)."""
    try:
        known = inspect.signature(function).parameters
    except ValueError:
        return []
    named = {key for key, p in known.items() if p.kind is not p.POSITIONAL_ONLY}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return [] if open_ended else [params.pop(key) for key in list(params) if key not in named]


@every_call
def test_gradient_and_its_gradient(name, i):
    call, arrays = closed(name, i)
    assert gradcheck(call, arrays, order=2, directions=2, rtol=2e-6)


@every_call
def test_forward_mode(name, i):
    call, arrays = closed(name, i)
    assert gradcheck(call, arrays, modes=("fwd",), directions=1, rtol=2e-6)


@pytest.mark.slow
@every_call
def test_every_partial_derivative(name, i):
    call, arrays = closed(name, i)
    assert gradcheck(call, arrays, mode="jacobian", rtol=2e-6)


@every_call
def test_float32_stays_float32(name, i):
    call, arrays = closed(name, i)
    narrow = [a.astype(np.float32 if a.dtype.kind == "f" else np.complex64) for a in arrays]
    output, found = gradients(call, narrow)
    wide, expected = gradients(call, arrays)
    op = OPS[name]
    dtypes = {closed(name, i, numpys(function))[0](*narrow).dtype for function in op.numpy}
    dtypes = dtypes or {np.dtype(cases_of(op)[i].params.get("dtype", narrow[0].dtype))}
    assert {output.dtype} == dtypes
    np.testing.assert_allclose(output, wide, rtol=2e-4, atol=1e-5)
    for a, g, e in zip(narrow, found, expected, strict=True):
        assert g.dtype == a.dtype
        np.testing.assert_allclose(g, e, rtol=2e-3, atol=2e-4)


def layouts(a):
    """The same numbers, in each memory layout that NumPy knows."""
    spread = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    spread[tuple(slice(None, None, 2) for _ in a.shape)] = a
    locked = a.copy()
    locked.flags.writeable = False
    backwards = np.array(a[tuple(slice(None, None, -1) for _ in a.shape)])
    return {
        "Fortran": np.array(a, order="F"),
        "strided": spread[(..., *(slice(None, None, 2) for _ in a.shape))],
        "negative stride": backwards[(..., *(slice(None, None, -1) for _ in a.shape))],
        "read-only": locked,
    }


@every_call
def test_memory_layout_does_not_matter_and_inputs_are_not_changed(name, i):
    call, arrays = closed(name, i)
    output, expected = gradients(call, arrays)
    for layout in ("Fortran", "strided", "negative stride", "read-only"):
        laid = [layouts(a)[layout] for a in arrays]
        before = [a.copy() for a in laid]
        leaves = [autograd.as_tensor(a) for a in laid]
        for leaf in leaves:
            leaf.requires_grad = True
        result = call(*leaves)
        weights = np.arange(1, output.size + 1, dtype=output.dtype).reshape(output.shape)
        kept = weights.copy()
        result.backward(weights)
        np.testing.assert_allclose(result.data, output, rtol=1e-13, atol=1e-14)
        for leaf, g in zip(leaves, expected, strict=True):
            np.testing.assert_allclose(leaf.grad.data, g, rtol=1e-12, atol=1e-13)
        for a, b in zip(laid, before, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(weights, kept)


NO_METHOD = {"resize", "ptp", "real", "imag"}  # the first works in place on arrays; the last two are properties


@every_call
def test_spellings_agree(name, i):
    op = OPS[name]
    inputs, params = sample(name, i)
    tensors = list(map(_tensors, inputs))
    expected = joined(op.function(*tensors, **params)).data

    def same(result):
        result = joined(result)
        assert type(result) is Tensor
        np.testing.assert_array_equal(result.data, expected)

    method = name not in NO_METHOD and hasattr(np.ndarray, name)
    if method and isinstance(tensors[0], Tensor):
        given = dict(params)
        spread = given.pop({"reshape": "shape", "transpose": "axes"}.get(name, ""), None)
        extra = [] if spread is None else [spread]
        same(getattr(tensors[0], name)(*tensors[1:], *extra, **given))
        if isinstance(spread, tuple):
            same(getattr(tensors[0], name)(*spread, **given))
    if op.operator:
        symbol = getattr(operator, op.operator)
        same(symbol(*tensors))
        if len(inputs) == 2:
            for pair in [(inputs[0], tensors[1]), (tensors[0], inputs[1])]:
                if any(isinstance(x, Tensor) for x in pair):
                    same(symbol(*pair))
    for function in op.numpy:
        same(numpys(function)(*tensors, **dict(params)))


def _tensors(x):
    if isinstance(x, list):
        return [_tensors(item) for item in x]
    return Tensor(x) if isinstance(x, np.ndarray) and x.dtype.kind in "fc" else x


def planted(gradient):
    """A gradient that is wrong by a thousandth of itself, or, if it is 0, of the incoming one."""
    return gradient * 1.001 if np.any(gradient) or not np.size(gradient) else gradient + 0.001


def caught(name, i, rules):
    """Whether gradcheck notices that the op's rules are replaced by these."""
    op = OPS[name]
    call, arrays = closed(name, i)
    right = op.rules, op.every
    op.rules, op.every = (rules, None) if isinstance(rules, list) else ((), rules)
    op.plans.clear()  # what to keep depends on the rules' arguments
    try:
        gradcheck(call, arrays, directions=2, rtol=2e-6)
    except GradcheckError:
        return True
    finally:
        op.rules, op.every = right
        op.plans.clear()
    return False


@pytest.mark.parametrize("name", SMOOTH)
def test_a_rule_that_is_wrong_by_a_thousandth_is_caught(name):
    op = OPS[name]
    cases = range(len(cases_of(op)))
    if op.every:

        def every(*args, right=op.every, **params):
            back = right(*args, **params)
            return lambda i: planted(back(i))

        assert any(caught(name, i, every) for i in cases), f"no case of {name} notices a wrong rule"
        return
    for k, rule in enumerate(op.rules):
        if rule.__qualname__.startswith("no_gradient"):  # a condition
            continue  # the input has no gradient

        def wrong(*args, rule=rule, **params):
            return planted(rule(*args, **params))

        rules = [*op.rules[:k], wrong, *op.rules[k + 1 :]]
        assert any(caught(name, i, rules) for i in cases), f"no case of {name} notices a wrong rule for input {k}"


SEVERAL = [(name, i) for name, i in CALLS if len(OPS[name].rules) > 1]


@pytest.mark.parametrize(("name", "i"), SEVERAL, ids=[f"{name}-{i}" for name, i in SEVERAL])
def test_no_rule_runs_for_an_input_that_needs_no_gradient(name, i):
    op = OPS[name]
    call, arrays = closed(name, i)
    right = op.rules
    if len(right) != len(arrays):
        return  # an input of this case is not a floating-point array

    def unwanted(*args, **params):
        raise AssertionError("nobody needs this gradient")

    for k in range(len(arrays)):
        output = call(*(Tensor(a, requires_grad=n == k) for n, a in enumerate(arrays)))
        op.rules = [rule if n == k else unwanted for n, rule in enumerate(right)]
        try:
            output.backward(np.ones_like(output.data))
        finally:
            op.rules = right


ELEMENTWISE = [name for name, op in OPS.items() if op.elementwise and len(op.rules) == 2 and op.numpy]
ELEMENTWISE.remove("ldexp")  # takes integers


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=st.integers(0, 1000))
def test_broadcasting_is_undone(name, shapes, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(0.5, 2.0, shape) for shape in shapes.input_shapes]
    op = OPS[name].function
    _, found = gradients(op, arrays)
    full = [np.broadcast_to(a, shapes.result_shape).copy() for a in arrays]
    _, expected = gradients(op, full)
    for a, g, e in zip(arrays, found, expected, strict=True):
        assert g.shape == a.shape
        missing = tuple(range(e.ndim - a.ndim))
        ones = tuple(i + e.ndim - a.ndim for i, n in enumerate(a.shape) if n == 1)
        np.testing.assert_allclose(
            g, e.sum(axis=missing + ones, keepdims=True).reshape(a.shape), rtol=1e-10, atol=1e-12
        )


@given(data=st.data(), shape=hnp.array_shapes(max_dims=3, max_side=4))
def test_any_index(data, shape):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True) | hnp.integer_array_indices(shape))
    x = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    output, (g,) = gradients(lambda t: t[index], [x])
    np.testing.assert_array_equal(output, x[index])
    expected = np.zeros(shape)
    np.add.at(expected, index, np.arange(1.0, output.size + 1).reshape(output.shape))
    np.testing.assert_array_equal(g, expected)


@every_call
def test_help_names_every_argument_with_a_gradient(name, i):
    """A real number that a case gives has a gradient if and only if `help()` says so, and it is right."""
    op, case = OPS[name], cases_of(OPS[name])[i]
    signature, (inputs, params) = inspect.signature(op.function), sample(name, i)
    try:
        literal = signature.bind(*case.inputs, **case.params).arguments
    except TypeError:
        pytest.skip("NumPy has another name for an argument")
    arguments = signature.bind(*inputs, **params).arguments
    for key, x in literal.items():
        if not (isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")):
            continue

        def function(value, key=key):
            given = inspect.BoundArguments(signature, {**arguments, key: value})
            return joined(op.function(*given.args, **given.kwargs))

        if key in differentiated(op):
            if not np.isnan(x).any():
                gradcheck(function, Tensor(x, requires_grad=True))
        elif f"{name}.{key}" != "norm.ord":  # which has one for some orders
            with pytest.raises((TypeError, AttributeError)):
                function(Tensor(x, requires_grad=True))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("average", "`a`, `weights`"),
        ("corrcoef", "`x`, `y`"),
        ("diff", "`a`, `prepend`, `append`"),
        ("trapezoid", "`y`, `x`, `dx`"),
        ("sum", "`a`, `initial`"),
        ("exp", "`x`"),
    ],
)
def test_help_lists_the_arguments_with_gradients(name, said):
    assert f"with respect to {said}." in OPS[name].function.__doc__


def test_the_cases_reach_every_varied_input():
    assert all(varied(sample(name, i)[0]) for name, i in CALLS)
